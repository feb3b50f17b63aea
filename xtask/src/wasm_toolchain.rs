//! Finds a compiler for `wasm32-wasip2`, or gets one.
//!
//! In this order: the target is there already; rustup adds it, where the owner of the machine lets it download;
//! Debian's packages, unpacked below the target directory (see [`debian`]); else one message with what to do.

mod debian;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::progress::Progress;
use crate::workspace;

/// The target that guests are built for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// A compiler that can build guests.
pub(crate) enum WasmToolchain {
    /// The active toolchain has the target.
    Active,
    /// A compiler of Debian's that builds `std` itself.
    Debian(debian::Unpacked),
}

impl WasmToolchain {
    /// Looks for the target and gets it if it is missing. Quick when there is nothing to get.
    pub(crate) fn find_or_get(progress: &Progress) -> Result<Self> {
        if active_toolchain_has_target()? {
            return Ok(Self::Active);
        }
        let by_rustup = rustup_add_target(progress);
        if by_rustup.is_ok() && active_toolchain_has_target()? {
            return Ok(Self::Active);
        }
        match debian::find_or_get(progress) {
            Ok(unpacked) => Ok(Self::Debian(unpacked)),
            Err(by_debian) => bail!(missing(by_rustup.err(), &by_debian)),
        }
    }

    /// Sets what a cargo that builds guests needs.
    pub(crate) fn prepare(&self, command: &mut Command) -> Result<()> {
        // Flags and wrappers meant for the host's build would replace the target's own.
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "RUSTC_WRAPPER",
        ] {
            command.env_remove(name);
        }
        if let Self::Debian(unpacked) = self {
            command.envs(unpacked.environment()?).arg("-Zbuild-std=std,panic_abort");
        }
        Ok(())
    }
}

/// The compiler of the active toolchain, called from the checkout so that `rust-toolchain.toml` holds.
fn rustc() -> Command {
    let mut command = Command::new("rustc");
    command.current_dir(workspace::root());
    command
}

fn active_toolchain_has_target() -> Result<bool> {
    let mut command = rustc();
    let Ok(libraries) = workspace::read(command.args(["--print", "target-libdir", "--target", TARGET]))
    else {
        return Ok(false);
    };
    let libraries = PathBuf::from(libraries.trim());
    let Ok(mut entries) = libraries.read_dir() else {
        return Ok(false);
    };
    Ok(entries
        .any(|entry| entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().starts_with(b"libstd-"))))
}

/// Where the active toolchain keeps `wasm-component-ld` and `rust-lld`.
fn toolchain_programs() -> Result<PathBuf> {
    let sysroot = workspace::read(rustc().args(["--print", "sysroot"]))?;
    let host = workspace::read(rustc().arg("-vV"))?;
    let host =
        host.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` names no host")?;
    let programs = PathBuf::from(sysroot.trim()).join("lib/rustlib").join(host).join("bin");
    for program in ["wasm-component-ld", "rust-lld"] {
        if !programs.join(program).is_file() {
            bail!("no `{program}` in `{}`: guests are linked by a toolchain from rustup", programs.display());
        }
    }
    Ok(programs)
}

fn rustup_add_target(progress: &Progress) -> Result<()> {
    if workspace::variable("RUSTUP_AUTO_INSTALL").as_deref() == Some("0") {
        bail!("`RUSTUP_AUTO_INSTALL=0` says that rustup must not download");
    }
    if workspace::program("rustup").is_none() {
        bail!("there is no `rustup` in PATH");
    }
    progress.step(&format!("rustup: adding the target {TARGET}"), || {
        let mut command = Command::new("rustup");
        command.current_dir(workspace::root()).stdin(Stdio::null());
        workspace::read(command.args(["target", "add", TARGET])).map(drop)
    })
}

fn missing(by_rustup: Option<anyhow::Error>, by_debian: &anyhow::Error) -> String {
    let by_rustup = by_rustup.map_or_else(
        || "it added the target, but `rustc` does not see it".to_owned(),
        |error| format!("{error:#}"),
    );
    format!(
        "there is no Rust compiler for {TARGET} here\n  \
           rustup: {by_rustup}\n  \
           Debian: {by_debian:#}\n\
         do one of these and try again:\n  \
           any system with rustup:  rustup target add {TARGET}\n  \
           Debian 12 (bookworm):    apt-get update, with bookworm-security in the sources and the network reachable\n  \
           Debian 13, Ubuntu 24.04: apt-get install rustup && rustup default stable && rustup target add {TARGET}\n  \
           Fedora:                  dnf install rustup && rustup-init && rustup target add {TARGET}\n  \
           Arch:                    pacman -S rustup && rustup default stable && rustup target add {TARGET}\n  \
           macOS:                   brew install rustup && rustup default stable && rustup target add {TARGET}"
    )
}

/// `first` before what the variable `name` holds already, as a search path.
fn search_path(first: &std::path::Path, name: &str) -> Result<OsString> {
    let rest = std::env::var_os(name).unwrap_or_default();
    let rest = std::env::split_paths(&rest).filter(|path| !path.as_os_str().is_empty());
    std::env::join_paths(std::iter::once(first.to_owned()).chain(rest))
        .with_context(|| format!("cannot add to `{name}`"))
}
