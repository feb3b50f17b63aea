//! Where things of this workspace are, and how its tools are called.
//!
//! The only place in xtask that asks the environment for paths.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Paths of all files that are tracked, or would be after `git add`.
pub(crate) fn files(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = read(&mut git).context("the list of files comes from git")?;
    let mut files: Vec<String> =
        listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    // A file that was deleted but not yet committed is still listed.
    files.retain(|path| root.join(path).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// Cargo's target directory: `CARGO_TARGET_DIR`, or `target` in the checkout.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The manifest of the workspace that holds all guests.
pub(crate) fn guests_manifest() -> PathBuf {
    root().join("sample-plugins").join("Cargo.toml")
}

/// Where guests are built; tests find them in `wasm32-wasip2/release` below it.
pub(crate) fn guests_dir() -> PathBuf {
    target_dir().join("guests")
}

/// What `cargo run` tells a program of its package. Build scripts (ring's, for one) run again where these change, so that cargo called
/// from here and cargo called by hand would each undo the other's work, and compile everything above them anew.
const OF_PACKAGE: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// The cargo that runs this task, called from the root of the checkout.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        let name_text = name.to_string_lossy();
        if OF_PACKAGE.iter().any(|prefix| name_text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// The variable's value, where it is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Looks a program up in `PATH`.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Runs a command whose output the developer should see.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs a command for its standard output; what it wrote to standard error becomes part of the error.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}\n{}", shown(command), String::from_utf8_lossy(&stderr).trim_end());
    }
    String::from_utf8(stdout)
        .with_context(|| format!("{} answered with something that is not UTF-8", shown(command)))
}

fn shown(command: &Command) -> String {
    let mut line = format!("`{}", Path::new(command.get_program()).display());
    for argument in command.get_args().take(6) {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line.push('`');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_called_from_here_sees_nothing_of_this_package() {
        let is_ours = |name: &str| OF_PACKAGE.iter().any(|prefix| name.starts_with(prefix));
        let ours: Vec<_> = env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())).collect();
        assert!(!ours.is_empty(), "cargo tells tests of their package, too");
        for (name, _) in ours {
            assert!(cargo().get_envs().any(|env| env == (name.as_os_str(), None)), "{}", name.display());
        }
    }
}
