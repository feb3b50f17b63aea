//! What the figures were measured on, when, and of which state of the program.

use std::process::Command;

use anyhow::Result;

use crate::workspace;

/// One sentence with date, commit, processor, cores, system and compiler.
pub(super) fn description() -> Result<String> {
    let git = |arguments: &[&str]| {
        workspace::read(Command::new("git").args(arguments).current_dir(workspace::root()))
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changes = if git(&["status", "--porcelain"])?.is_empty() { "" } else { " with changes" };
    let date = workspace::read(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let system = workspace::read(Command::new("uname").args(["-s", "-r", "-m"]))?;
    let compiler = workspace::read(Command::new("rustc").arg("-V").current_dir(workspace::root()))?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    Ok(format!(
        "Measured on {} at commit {}{changes}, on {cores} core(s) of {}, {}, {}.",
        date.trim(),
        commit.trim(),
        processor(),
        released(&system),
        compiler.trim()
    ))
}

/// What `uname` says, without what somebody's own build of a kernel is called.
fn released(system: &str) -> String {
    system.split_whitespace().filter_map(|word| word.split('-').next()).collect::<Vec<_>>().join(" ")
}

fn processor() -> String {
    let linux = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        linux.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == "model name");
    if let Some((_, name)) = name {
        return name.trim().to_owned();
    }
    let macos = workspace::read(Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]));
    macos.map_or_else(|_| "an unknown processor".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{description, released};

    #[test]
    fn a_kernel_is_told_without_its_build() {
        assert_eq!(released("Linux 6.12.57-somebodys-own x86_64\n"), "Linux 6.12.57 x86_64");
        assert_eq!(released("Darwin 25.1.0 arm64\n"), "Darwin 25.1.0 arm64");
    }

    #[test]
    fn figures_name_their_commit() {
        let text = description().unwrap();
        let commit = text.split_once(" at commit ").and_then(|(_, rest)| rest.split([' ', ',']).next());
        assert!(
            commit.is_some_and(|commit| commit.len() >= 7 && commit.bytes().all(|b| b.is_ascii_hexdigit())),
            "{text}"
        );
    }
}
