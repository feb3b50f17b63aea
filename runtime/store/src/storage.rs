//! Where the bytes of files are: one small trait, and a directory of this machine behind it.
//! Rows about files are `files`; who may read them is decided there.
//!
//! A file is open only while a piece of it is read or written: who reads or writes it may be slow, or a plugin that opens
//! many and goes on with none, and a process has few descriptors.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use uuid::Uuid;

/// Bytes in pieces; it ends at the first error.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// Bytes that are read or written at once.
const PIECE: usize = 64 * 1024;

/// After which time without a write nobody is taken to write a file any more: longer than any upload may last.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Where a put has left the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBytes {
    /// What `open` and `remove` want; kept in the row, never shown to a plugin.
    pub path: String,
    /// How many there are.
    pub size: u64,
}

/// Keeps the bytes of files under ids that the store makes up.
#[async_trait]
pub trait FileStorage: Send + Sync + std::fmt::Debug {
    /// Stores bytes. Nothing is left behind if this fails or is dropped.
    ///
    /// # Errors
    /// `FileTooLarge` beyond `max` bytes, `StorageFull`, what the stream failed with.
    async fn put(
        &self,
        id: &str,
        data: BoxStream<'_, io::Result<Bytes>>,
        max: u64,
    ) -> io::Result<StoredBytes>;

    /// The bytes of a path that `put` returned, or that another program wrote into the same place.
    ///
    /// # Errors
    /// `NotFound`; also for a path outside of this storage.
    async fn open(&self, path: &str) -> io::Result<ByteStream>;

    /// Removes what is there; nothing there is no error, and neither is a path outside of this storage: its owner keeps it.
    async fn remove(&self, path: &str) -> io::Result<()>;

    /// As `remove`, at once: for undoing a `put` while a call is being dropped.
    fn remove_now(&self, path: &str);
}

/// Files in one directory, named by id alone, so that no name that a person chose becomes a path.
#[derive(Clone, Debug)]
pub struct LocalFiles {
    root: PathBuf,
}

impl LocalFiles {
    /// Uses a directory; makes it, readable by its owner only, where it is missing.
    /// What a killed process has left of a file there is removed.
    pub fn new(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        make_directory(&root)?;
        let root = root.canonicalize()?;
        remove_abandoned(&root)?;
        Ok(Self { root })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A stored path, if it lies in the directory and leads nowhere else.
    fn inside(&self, path: &str) -> io::Result<PathBuf> {
        let outside =
            || io::Error::new(io::ErrorKind::NotFound, "the bytes are not in this server's storage");
        let path = Path::new(path);
        let relative =
            if path.is_absolute() { path.strip_prefix(&self.root).map_err(|_| outside())? } else { path };
        if relative.as_os_str().is_empty()
            || !relative.components().all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(outside());
        }
        // A link could lead out although the text does not.
        let full = self.root.join(relative);
        match full.canonicalize() {
            Ok(real) if real.starts_with(&self.root) => Ok(real),
            Ok(_) => Err(outside()),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl FileStorage for LocalFiles {
    async fn put(
        &self,
        id: &str,
        mut data: BoxStream<'_, io::Result<Bytes>>,
        max: u64,
    ) -> io::Result<StoredBytes> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a file's id is not fit for a file name",
            ));
        }
        let path = self.root.join(id);
        let mut part = Unfinished::new(self.root.join(format!("{id}.part")));
        // Made here and now: on another thread it could still be made after this future was dropped.
        drop(private_options().open(&part.path)?);
        let mut size = 0_u64;
        let mut gathered = BytesMut::new();
        while let Some(bytes) = data.next().await {
            let bytes = bytes?;
            size = size.saturating_add(bytes.len() as u64);
            if size > max {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            gathered.extend_from_slice(&bytes);
            if gathered.len() >= PIECE {
                append(&part.path, gathered.split().freeze(), false).await?;
            }
        }
        append(&part.path, gathered.freeze(), true).await?;
        // Both at once for whoever drops this future: the name changes without an await in between.
        std::fs::rename(&part.path, &path)?;
        part.path.clone_from(&path);
        // A row must not outlive its bytes in a power cut, so the name is on the disk before the row is.
        let root = self.root.clone();
        blocking(move || sync_directory(&root)).await?;
        part.finished = true;
        let path = path.into_os_string().into_string();
        let path =
            path.map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the storage's path is not UTF-8"))?;
        Ok(StoredBytes { path, size })
    }

    async fn open(&self, path: &str) -> io::Result<ByteStream> {
        let path = self.inside(path)?;
        let version = tokio::fs::metadata(&path).await.and_then(|found| Version::of(&found))?;
        let reading = Reading { path, version, at: 0 };
        Ok(stream::try_unfold(reading, |mut reading| async move {
            if reading.at >= reading.version.size {
                return Ok(None);
            }
            blocking(move || Ok(Some((reading.piece()?, reading)))).await
        })
        .boxed())
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        let removed = match self.inside(path) {
            Ok(path) => tokio::fs::remove_file(path).await,
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn remove_now(&self, path: &str) {
        if let Ok(path) = self.inside(path)
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(%error, "bytes of a file that was not stored are left behind");
        }
    }
}

/// A file that is being read.
struct Reading {
    path: PathBuf,
    version: Version,
    at: u64,
}

/// What tells one content of a path from the next.
#[derive(PartialEq)]
struct Version {
    size: u64,
    modified: Option<SystemTime>,
    number: u64,
}

impl Version {
    /// Of a plain file.
    fn of(found: &Metadata) -> io::Result<Self> {
        if !found.is_file() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(found);
        #[cfg(not(unix))]
        let number = 0;
        Ok(Self { size: found.len(), modified: found.modified().ok(), number })
    }
}

impl Reading {
    /// The next piece, of the file that the reading began with.
    fn piece(&mut self) -> io::Result<Bytes> {
        let mut file = File::open(&self.path)?;
        if Version::of(&file.metadata()?)? != self.version {
            return Err(io::Error::other("the file was changed while it was read"));
        }
        file.seek(SeekFrom::Start(self.at))?;
        let mut piece = Vec::with_capacity(PIECE);
        let read = file.take(PIECE as u64).read_to_end(&mut piece)?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        self.at = self.at.saturating_add(read as u64);
        Ok(Bytes::from(piece))
    }
}

/// Adds bytes to a file that is there; with `last`, they and all before them are on the disk afterwards.
async fn append(path: &Path, bytes: Bytes, last: bool) -> io::Result<()> {
    let path = path.to_owned();
    blocking(move || {
        let mut file = OpenOptions::new().append(true).open(path)?;
        file.write_all(&bytes)?;
        if last { file.sync_all() } else { Ok(()) }
    })
    .await
}

/// Runs what blocks where it delays nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// A file that is removed unless it was finished: dropping a `put` at any await leaves nothing.
struct Unfinished {
    path: PathBuf,
    finished: bool,
}

impl Unfinished {
    fn new(path: PathBuf) -> Self {
        Self { path, finished: false }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Removes files that were begun by a process that is gone. Other servers may be writing into the same directory, or
/// start at this moment too, and other programs keep files there under names that people chose.
fn remove_abandoned(root: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let ours = |name: &str| name.strip_suffix(".part").is_some_and(|id| Uuid::try_parse(id).is_ok());
        if entry.file_name().to_str().is_none_or(|name| !ours(name)) {
            continue;
        }
        let age = entry.metadata().and_then(|found| found.modified()).map(|modified| modified.elapsed());
        if matches!(age, Ok(Ok(age)) if age > ABANDONED)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::warn!(file = ?entry.file_name(), %error, "what a killed process left of a file stays there");
        }
    }
    Ok(())
}

/// Makes sure that the names in a directory survive a power cut, where its file system can do that.
fn sync_directory(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path).and_then(|directory| directory.sync_all()) {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        synced => synced,
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
