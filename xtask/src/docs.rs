//! `cargo xtask docs`: writes the parts of the documents that are made from the contract and the code, or checks that they are up to date.
//!
//! What a page says is in `docs/contract.rs` and `docs/tables.rs`, whether its links lead anywhere in `docs/links.rs`, whether the contract keeps its own rules in `docs/shape.rs`.

mod contract;
mod links;
mod shape;
mod tables;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::progress::Progress;
use crate::workspace;

/// Arguments of `cargo xtask docs`.
#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Write nothing; fail where a page is not what would be written.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Makes every generated page and part, writes or compares them, and follows all links.
pub(crate) fn run(arguments: &Arguments, progress: &Progress) -> Result<()> {
    let root = workspace::root();
    let mut stale = Vec::new();
    for (file, wanted) in pages(root)? {
        let path = root.join(file);
        let present = fs::read_to_string(&path).unwrap_or_default();
        if present == wanted {
            continue;
        }
        if arguments.check {
            let line = first_difference(&present, &wanted);
            stale.push(format!("{file}:{line}: is not what the contract and the code say now"));
        } else {
            fs::write(&path, wanted).with_context(|| format!("cannot write `{file}`"))?;
            progress.note(&format!("docs: wrote {file}"));
        }
    }
    stale.extend(links::broken(root)?);
    for problem in &stale {
        eprintln!("{problem}");
    }
    if !stale.is_empty() {
        bail!(
            "{} problem(s) in the documents; `cargo xtask docs` writes the generated parts anew",
            stale.len()
        );
    }
    progress.note("docs: generated pages are up to date, links lead somewhere");
    Ok(())
}

/// Files that are generated, whole or in part, with what they should hold.
fn pages(root: &Path) -> Result<Vec<(&'static str, String)>> {
    let guide = "wit/README.md";
    let mut text = fs::read_to_string(root.join(guide)).with_context(|| format!("cannot read `{guide}`"))?;
    for (name, part) in tables::all() {
        text = filled(&text, name, &part).with_context(|| format!("cannot fill in `{guide}`"))?;
    }
    Ok(vec![("docs/contract.md", contract::page(root)?), (guide, text)])
}

const END: &str = "<!-- generated: end -->";

/// The text with the part between two markers replaced.
fn filled(text: &str, name: &str, part: &str) -> Result<String> {
    let begin = format!("<!-- generated: {name} -->");
    let (before, rest) =
        text.split_once(&begin).with_context(|| format!("the marker `{begin}` is missing"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no `{END}` comes after `{begin}`"))?;
    Ok(format!("{before}{begin}\n\n{}\n\n{END}{after}", part.trim_end()))
}

/// The first line, from 1, in which two texts differ.
fn first_difference(one: &str, other: &str) -> usize {
    one.lines().zip(other.lines()).take_while(|(one, other)| one == other).count() + 1
}

#[cfg(test)]
mod tests {
    use super::{filled, first_difference};

    #[test]
    fn part_between_markers_is_replaced_and_the_rest_stays() {
        let text = "a\n<!-- generated: x -->\nold\n<!-- generated: end -->\nb\n";
        let new = filled(text, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- generated: x -->\n\nnew\n\n<!-- generated: end -->\nb\n");
        assert_eq!(filled(&new, "x", "new").unwrap(), new);
        assert!(filled(text, "y", "new").is_err());
    }

    #[test]
    fn difference_names_its_line() {
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), 2);
        assert_eq!(first_difference("a\n", "a\nc\n"), 2);
    }
}
