//! Machine code on disk, by content and engine. Whoever can write here can run code in the server, so the directory is the server's alone.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

/// A directory of machine code.
pub(crate) struct Cache {
    directory: PathBuf,
}

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
        let path = self.path(digest);
        if !path.is_file() {
            return None;
        }
        match crate::machine_code::load_file(engine, &path) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(%error, digest, "cached machine code cannot be used; compiling again");
                None
            }
        }
    }

    /// Keeps machine code. A file appears whole or not at all.
    pub(crate) fn put(&self, digest: &str, code: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        let temporary = self.directory.join(format!("{digest}.{}.tmp", std::process::id()));
        let written = fs::write(&temporary, code).and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            // Half a file would only take space.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.directory.join(format!("{digest}.cwasm"))
    }
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
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let mode = fs::metadata(directory)?.permissions().mode();
    if mode & 0o022 == 0 {
        return Ok(());
    }
    let problem = format!("`{}` can be written by others (mode {:o}); run `chmod 700` on it", directory.display(), mode & 0o777);
    Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
}

#[cfg(not(unix))]
fn make_private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}
