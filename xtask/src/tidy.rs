//! `cargo xtask tidy`: the rules of this repository that a compiler does not know.
//!
//! Each rule is a function from a file or a list to violations; this file collects and prints them.

mod crates;
mod migrations;
mod permissions;
mod sources;

use std::fmt;

use anyhow::{Result, bail};

use crate::progress::Progress;
use crate::workspace;

/// Arguments of `cargo xtask tidy`.
#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Record the checksums of new migrations first; those recorded already are never changed.
    #[arg(long)]
    add_checksums: bool,
}

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    file: String,
    line: usize,
    what: String,
    /// What to do about it.
    remedy: &'static str,
}

impl Violation {
    fn new(file: &str, line: usize, what: impl Into<String>, remedy: &'static str) -> Self {
        Self { file: file.to_owned(), line, what: what.into(), remedy }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    {}", self.file, self.line, self.what, self.remedy)
    }
}

/// Checks everything and reports all violations at once.
pub(crate) fn run(arguments: &Arguments, progress: &Progress) -> Result<()> {
    let root = workspace::root();
    let files = workspace::files(root)?;
    if arguments.add_checksums {
        migrations::add_checksums(root, &files)?;
    }
    let mut violations = crates::check(&crates::Metadata::read()?);
    for file in &files {
        // What is not text is not read by these rules.
        let Ok(bytes) = std::fs::read(root.join(file)) else {
            continue;
        };
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        violations.extend(sources::check(file, &text));
    }
    violations.extend(permissions::check(root));
    violations.extend(migrations::check(root, &files)?);
    violations.sort();
    for violation in &violations {
        eprintln!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} violation(s) of this repository's rules", violations.len());
    }
    progress.note(&format!("tidy: {} files follow the rules", files.len()));
    Ok(())
}
