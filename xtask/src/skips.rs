//! Tests that passed because something that they need is missing here: collected while they run, told at the end.
//!
//! Databases are not among them: [`crate::databases`] knows before the tests run which ones are missing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use innkeeper_testing::skips::SKIPS;

use crate::progress::Progress;
use crate::workspace;

/// A folder in which each skipped test of a run leaves its reason.
pub(crate) struct Skips {
    folder: PathBuf,
}

impl Skips {
    /// An empty folder.
    pub(crate) fn new() -> Result<Self> {
        let folder = workspace::target_dir().join("skipped-tests");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot empty `{}`", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        Ok(Self { folder })
    }

    /// Tells a test run where the folder is.
    pub(crate) fn export(&self, command: &mut Command) {
        command.env(SKIPS, &self.folder);
    }

    /// Says loudly which tests did not run.
    pub(crate) fn warn(&self, progress: &Progress) -> Result<()> {
        let cannot = || format!("cannot read `{}`", self.folder.display());
        for entry in fs::read_dir(&self.folder).with_context(cannot)? {
            let reason = fs::read_to_string(entry?.path()).with_context(cannot)?;
            progress.note(&format!("*** SKIPPED: {reason} ***"));
        }
        Ok(())
    }
}
