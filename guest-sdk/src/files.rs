//! Stored files and their bytes. Permissions `files.read` and `files.write`.

use crate::bindings::innkeeper::plugin::files as imported;
use crate::bindings::innkeeper::types::common;
pub use crate::bindings::innkeeper::types::files::{File, FilePage, NewFile};
use crate::bindings::wit_stream;
use crate::{Error, Page};

/// One file without its bytes; `None` where there is none that the plugin may see.
///
/// # Errors
/// [`Error::Denied`].
pub async fn get(id: impl Into<String>) -> Result<Option<File>, Error> {
    Ok(imported::get(id.into()).await?)
}

/// Files whose name contains `name`, newest first.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`].
pub async fn list(name: Option<&str>, page: Page) -> Result<FilePage, Error> {
    Ok(imported::list(name.map(str::to_owned), page).await?)
}

/// All bytes of a file.
///
/// # Errors
/// [`Error::Denied`], [`Error::Unavailable`], also where they did not come whole.
pub async fn read(id: impl Into<String>) -> Result<Vec<u8>, Error> {
    let (bytes, end) = imported::read(id.into()).await?;
    whole(bytes, end).await
}

/// Stores a file of the person for whom the plugin acts.
///
/// # Errors
/// [`Error::Denied`], [`Error::Invalid`], [`Error::QuotaExceeded`], [`Error::Unavailable`]; nothing is stored then.
pub async fn create(
    name: impl Into<String>,
    content_type: impl Into<String>,
    bytes: impl Into<Vec<u8>>,
) -> Result<File, Error> {
    let file = NewFile { name: name.into(), content_type: content_type.into() };
    let bytes = bytes.into();
    create_with(file, async move |writer| writer.write_all(bytes).await.is_empty()).await
}

/// Stores a file whose bytes `write` makes as they are taken.
/// Dropping the writer's work half-way stores what was written so far: there is no error end.
///
/// # Errors
/// As [`create`].
pub async fn create_with<F>(file: NewFile, write: F) -> Result<File, Error>
where
    F: AsyncFnOnce(&mut wit_bindgen::StreamWriter<u8>) -> bool,
{
    let (mut writer, reader) = wit_stream::new::<u8>();
    // The host takes the bytes while the call goes on, so the two must wait side by side.
    let feed = async move {
        write(&mut writer).await;
        drop(writer);
    };
    let (stored, ()) = futures::join!(imported::create(file, reader), feed);
    Ok(stored?)
}

/// Deletes a file; false where there is none that the plugin may delete.
///
/// # Errors
/// [`Error::Denied`], [`Error::Unavailable`].
pub async fn delete(id: impl Into<String>) -> Result<bool, Error> {
    Ok(imported::delete(id.into()).await?)
}

/// Reads a byte stream and believes it only if its end says that it came whole.
pub(crate) async fn whole(
    bytes: wit_bindgen::StreamReader<u8>,
    end: wit_bindgen::FutureReader<Result<(), common::Error>>,
) -> Result<Vec<u8>, Error> {
    let bytes = bytes.collect().await;
    end.await?;
    Ok(bytes)
}
