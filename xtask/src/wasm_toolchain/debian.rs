//! A compiler for guests from Debian's packages, for machines whose rustup may not download.
//!
//! Nothing is installed: the packages conflict with rustup's, so they are unpacked below the target directory,
//! and apt's state for them is private too, so that no root is needed.
//! Debian 12 carries a recent compiler as `rustc-web`, and a `wasi-libc` that knows the target in its backports.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{TARGET, search_path, toolchain_programs};
use crate::progress::Progress;
use crate::workspace;

/// Bumped when the steps below change what ends up in the folder.
const LAYOUT: &str = "debian-1";

/// The packages' files, unpacked.
pub(crate) struct Unpacked {
    root: PathBuf,
}

impl Unpacked {
    /// The variables that make cargo use this compiler for guests.
    pub(super) fn environment(&self) -> Result<Vec<(&'static str, OsString)>> {
        let programs = toolchain_programs()?;
        let mut flags = OsString::from("-L native=");
        flags.push(self.wasi_libraries());
        flags.push(" -C link-self-contained=no");
        Ok(vec![
            ("RUSTC", self.compiler().into()),
            // `-Zbuild-std` is what the packages lack `std` for, and needs a nightly or this.
            ("RUSTC_BOOTSTRAP", "1".into()),
            ("LD_LIBRARY_PATH", search_path(&self.compiler_libraries()?, "LD_LIBRARY_PATH")?),
            ("PATH", search_path(&programs, "PATH")?),
            ("CARGO_TARGET_WASM32_WASIP2_LINKER", programs.join("wasm-component-ld").into()),
            ("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", flags),
        ])
    }

    fn compiler(&self) -> PathBuf {
        self.root.join("usr/bin/rustc")
    }

    fn wasi_libraries(&self) -> PathBuf {
        self.root.join("usr/lib").join(TARGET)
    }

    /// `usr/lib/<architecture>`, found by what is in it rather than by the architecture's name.
    fn compiler_libraries(&self) -> Result<PathBuf> {
        let libraries = self.root.join("usr/lib");
        for entry in
            fs::read_dir(&libraries).with_context(|| format!("cannot list `{}`", libraries.display()))?
        {
            let dir = entry?.path();
            let Ok(mut files) = fs::read_dir(&dir) else {
                continue;
            };
            if files.any(|file| {
                file.is_ok_and(|file| file.file_name().as_encoded_bytes().starts_with(b"librustc_driver"))
            }) {
                return Ok(dir);
            }
        }
        bail!("no `librustc_driver` below `{}`", libraries.display())
    }

    /// Asks the compiler for its version, which fails where a library is missing.
    fn verify(&self) -> Result<()> {
        if !self.wasi_libraries().join("libc.a").is_file() {
            bail!("the `wasi-libc` that Debian offers here is too old: it has no {TARGET}");
        }
        let libraries = search_path(&self.compiler_libraries()?, "LD_LIBRARY_PATH")?;
        workspace::read(Command::new(self.compiler()).arg("-V").env("LD_LIBRARY_PATH", libraries)).map(drop)
    }
}

/// The folder from an earlier run, or a new one.
pub(super) fn find_or_get(progress: &Progress) -> Result<Unpacked> {
    let parent = workspace::target_dir().join("wasm-toolchain");
    let unpacked = Unpacked { root: parent.join(LAYOUT) };
    if unpacked.root.is_dir() {
        return Ok(unpacked);
    }
    for program in ["apt-get", "apt-cache", "dpkg", "dpkg-query"] {
        if workspace::program(program).is_none() {
            bail!("there is no `{program}` in PATH");
        }
    }
    fs::create_dir_all(&parent).with_context(|| format!("cannot create `{}`", parent.display()))?;
    let lock = File::create(parent.join("lock")).context("cannot create the toolchain's lock file")?;
    lock.lock().context("cannot lock the toolchain's folder")?;
    if unpacked.root.is_dir() {
        return Ok(unpacked);
    }

    let work = parent.join("unfinished");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("cannot remove `{}`", work.display()))?;
    }
    let root = work.join("root");
    fs::create_dir_all(&root).with_context(|| format!("cannot create `{}`", root.display()))?;
    let own = progress.step("Debian: reading the package lists", || Apt::with_own_sources(&work))?;
    let packages = compiler_packages(&own)?;
    progress
        .step(&format!("Debian: downloading {}", packages.join(", ")), || own.download(&packages, &root))?;
    progress.step("Debian: downloading wasi-libc", || {
        let backports = Apt::with_backports(&work, &own)?;
        backports.download(&["wasi-libc".to_owned()], &root)
    })?;
    Unpacked { root: root.clone() }.verify()?;
    // Only a finished folder ever gets the name that is looked for above.
    fs::rename(&root, &unpacked.root).context("cannot move the toolchain into place")?;
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove `{}`", work.display()))?;
    Ok(unpacked)
}

/// The compiler, its library sources, and of the shared libraries those that this machine lacks.
fn compiler_packages(apt: &Apt) -> Result<Vec<String>> {
    let library = apt
        .dependencies("libstd-rust-web-dev")?
        .into_iter()
        .find(|name| name.starts_with("libstd-rust-web-"))
        .context("the package sources have no `rustc-web`, which bookworm-security carries")?;
    let llvm = apt
        .dependencies(&library)?
        .into_iter()
        .find(|name| name.starts_with("libllvm"))
        .with_context(|| format!("`{library}` depends on no `libllvm` package"))?;
    let mut packages =
        vec!["rustc-web".to_owned(), "libstd-rust-web-dev".to_owned(), "rust-web-src".to_owned()];
    packages.extend(apt.dependencies(&llvm)?.into_iter().filter(|name| !is_installed(name)));
    packages.extend([library, llvm]);
    Ok(packages)
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    workspace::read(query.args(["--show", "--showformat", "${db:Status-Status}", package]))
        .is_ok_and(|status| status.contains("installed") && !status.contains("not-installed"))
}

/// apt with state of its own, so that it neither needs root nor touches the system's.
struct Apt {
    options: Vec<String>,
    state: PathBuf,
}

impl Apt {
    /// The sources that the machine is configured with.
    fn with_own_sources(work: &Path) -> Result<Self> {
        Self::update(work.join("apt-own"), Vec::new())
    }

    /// The backports of this Debian, from the mirror that the machine uses already.
    fn with_backports(work: &Path, own: &Self) -> Result<Self> {
        let targets = own.tool("apt-get", &["indextargets", "--format", "$(REPO_URI) $(CODENAME)"])?;
        let release = fs::read_to_string("/etc/os-release").context("cannot read which Debian this is")?;
        let codename = release
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
            .context("`/etc/os-release` names no VERSION_CODENAME")?
            .trim_matches('"');
        let mirror = targets
            .lines()
            .filter_map(|line| line.rsplit_once(' '))
            .find_map(|(mirror, suite)| (suite == codename).then_some(mirror))
            .with_context(|| format!("no package source of the suite {codename} is configured"))?;
        let state = work.join("apt-backports");
        fs::create_dir_all(&state).with_context(|| format!("cannot create `{}`", state.display()))?;
        let list = state.join("backports.list");
        let line = format!(
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {codename}-backports main\n"
        );
        fs::write(&list, line).with_context(|| format!("cannot write `{}`", list.display()))?;
        let sources = vec![
            format!("-oDir::Etc::SourceList={}", list.display()),
            "-oDir::Etc::SourceParts=/dev/null".to_owned(),
        ];
        Self::update(state, sources)
    }

    fn update(state: PathBuf, mut options: Vec<String>) -> Result<Self> {
        for dir in ["lists/partial", "cache/archives/partial"] {
            let dir = state.join(dir);
            fs::create_dir_all(&dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
        }
        options.extend([
            format!("-oDir::State::Lists={}", state.join("lists").display()),
            format!("-oDir::Cache={}", state.join("cache").display()),
            "-oAPT::Sandbox::User=".to_owned(),
        ]);
        let apt = Self { options, state };
        apt.tool("apt-get", &["update"])?;
        Ok(apt)
    }

    /// Names of the packages that `package` depends on; none if there is no such package.
    fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let flags = [
            "depends",
            "--no-recommends",
            "--no-suggests",
            "--no-conflicts",
            "--no-breaks",
            "--no-replaces",
            "--no-enhances",
        ];
        let listed = self.tool("apt-cache", &[&flags[..], &[package]].concat()).unwrap_or_default();
        let names = listed.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(names.filter(|name| !name.starts_with('<')).map(str::to_owned).collect())
    }

    fn download(&self, packages: &[String], root: &Path) -> Result<()> {
        let mut arguments = vec!["download"];
        arguments.extend(packages.iter().map(String::as_str));
        self.tool("apt-get", &arguments)?;
        for entry in
            fs::read_dir(&self.state).with_context(|| format!("cannot list `{}`", self.state.display()))?
        {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "deb") {
                workspace::read(Command::new("dpkg").arg("-x").arg(&file).arg(root))?;
            }
        }
        Ok(())
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Result<String> {
        workspace::read(
            Command::new(program)
                .args(&self.options)
                .args(arguments)
                .current_dir(&self.state)
                .env("LC_ALL", "C"),
        )
    }
}
