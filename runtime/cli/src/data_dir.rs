//! The data directory: made if it is missing, for its owner alone, and tried before anything else is.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::config::Placed;

/// Makes the directory, or looks whether it can be used.
pub(crate) fn prepare(data_dir: &Placed<PathBuf>) -> anyhow::Result<()> {
    let path = &data_dir.value;
    let shown = path.display();
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => {
            return Err(data_dir.wrong(format!("`{shown}` is a file; name a directory")).into());
        }
        Ok(metadata) => keep_private(path, &metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let problem = format!("a folder on the way to `{shown}` is a file; name another directory");
            return Err(data_dir.wrong(problem).into());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = make(path).and_then(|()| fs::metadata(path));
            let metadata = made.with_context(|| {
                format!("data directory `{shown}` cannot be made; name another by `--data-dir`")
            })?;
            // Somebody else may have been faster.
            keep_private(path, &metadata)?;
        }
        Err(error) => {
            return Err(error).with_context(|| {
                format!("data directory `{shown}` cannot be used; name another by `--data-dir`")
            });
        }
    }
    probe(path).map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            anyhow::anyhow!("data directory `{shown}` is full; free some space on its file system")
        }
        _ => anyhow::Error::new(error).context(format!(
            "data directory `{shown}` cannot be written; change its owner or name another by `--data-dir`"
        )),
    })
}

#[cfg(unix)]
fn make(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

#[cfg(not(unix))]
fn make(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// A directory that others can look into is closed if it is still empty; one that is in use is its owner's to close.
#[cfg(unix)]
fn keep_private(path: &Path, metadata: &fs::Metadata) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let shown = path.display();
    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()) {
        let closed = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
        return closed.with_context(|| format!("data directory `{shown}` cannot be closed to others"));
    }
    bail!("data directory `{shown}` is open to others (mode {:o}); run `chmod 700 {shown}`", mode & 0o777)
}

#[cfg(not(unix))]
fn keep_private(_path: &Path, _metadata: &fs::Metadata) -> anyhow::Result<()> {
    Ok(())
}

fn probe(path: &Path) -> io::Result<()> {
    // Commands may run beside each other and beside the server.
    let probe = path.join(format!(".probe-{}", std::process::id()));
    let mut file = fs::File::create(&probe)?;
    // Before anything is written, so that a program that is killed leaves nothing behind.
    fs::remove_file(&probe)?;
    file.write_all(&[0; 4096])?;
    file.sync_all()
}
