//! What the figures were measured on, and when.

use std::process::Command;

use anyhow::Result;

use crate::workspace;

/// One sentence with processor, cores, system, compiler and date.
pub(super) fn description() -> Result<String> {
    let date = workspace::read(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let system = workspace::read(Command::new("uname").args(["-s", "-r", "-m"]))?;
    let compiler = workspace::read(Command::new("rustc").arg("-V").current_dir(workspace::root()))?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    Ok(format!(
        "Measured on {}, on {cores} core(s) of {}, {}, {}.",
        date.trim(),
        processor(),
        system.trim(),
        compiler.trim()
    ))
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
