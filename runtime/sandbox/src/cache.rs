//! Machine code on disk, by content and engine. Whoever can write here can run code in the server, so the directory is the server's alone.
//!
//! The engine checks a file's version and settings, not its instructions: a checksum in front keeps a damaged file from being run.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;

/// A directory of machine code.
pub(crate) struct Cache {
    directory: PathBuf,
}

/// Bytes of the checksum in front of the machine code.
const CHECKSUM: usize = 32;

impl Cache {
    /// Opens the directory, making it if need be. Refuses one that others can write.
    pub(crate) fn open(root: &Path, engine: &Engine) -> io::Result<Self> {
        make_private(root)?;
        let directory = root.join(compatibility(engine));
        make_private(&directory)?;
        Ok(Self { directory })
    }

    /// Machine code of a component. Whatever is wrong with the file, the answer is that it is not there; it is compiled again then.
    pub(crate) fn get(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let file = match fs::read(self.path(digest)?) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%error, digest, "cached machine code cannot be read; compiling again");
                return None;
            }
        };
        let Some(code) = checked(digest, &file) else {
            tracing::warn!(digest, "cached machine code is damaged; compiling again");
            return None;
        };
        match crate::machine_code::load(engine, code) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(%error, digest, "cached machine code cannot be used; compiling again");
                None
            }
        }
    }

    /// Keeps machine code. A file appears whole or not at all.
    pub(crate) fn put(&self, digest: &str, code: &[u8]) -> io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = self.path(digest).ok_or(io::ErrorKind::InvalidFilename)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Several servers may share the directory, in containers of the same process id.
        let temporary = self.directory.join(format!("{digest}.{}.{number}.tmp", std::process::id()));
        let written = write(&temporary, digest, code).and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            // Half a file would only take space.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Where a component's machine code is; none for what is no digest.
    fn path(&self, digest: &str) -> Option<PathBuf> {
        let valid = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid.then(|| self.directory.join(format!("{digest}.cwasm")))
    }
}

fn write(path: &Path, digest: &str, code: &[u8]) -> io::Result<()> {
    // Another server that writes the same at the same time has a file of its own or loses this race.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(checksum(digest, code).as_bytes())?;
    file.write_all(code)?;
    file.sync_data()
}

/// The machine code of a file, if it is whole and belongs to the component.
fn checked<'a>(digest: &str, file: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, code) = file.split_at_checked(CHECKSUM)?;
    (checksum(digest, code).as_bytes() == sum).then_some(code)
}

fn checksum(digest: &str, code: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(digest.as_bytes()).update(code);
    hasher.finalize()
}

fn compatibility(engine: &Engine) -> String {
    let mut hasher = Blake3(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.0.finalize().to_hex().chars().take(32).collect()
}

struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(unix)]
fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::metadata(directory)?;
    let refused = |problem: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    if found.mode() & 0o022 != 0 {
        return refused(format!(
            "`{}` can be written by others (mode {:o}); run `chmod 700` on it",
            directory.display(),
            found.mode() & 0o777
        ));
    }
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me && found.uid() != 0 {
        return refused(format!(
            "`{}` belongs to another user (uid {}); name a directory of the server's own",
            directory.display(),
            found.uid()
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}
