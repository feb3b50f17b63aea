//! `files`: stored files and their bytes, which pass as streams and are never held whole.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use innkeeper_model::file::{File, NewFile};
use innkeeper_model::page::{Page, PageRequest};
use innkeeper_model::{Error, FileId, Permission};
use tokio::sync::mpsc;
use wasmtime::component::{Accessor, StreamReader};

use crate::bindings::innkeeper::plugin::files::{self as wit, HostWithStore};
use crate::bindings::innkeeper::types::common;
use crate::call::{CallHandle, HostCall, Interface};
use crate::fault::{Fault, Settled, of_write, settle};
use crate::state::{Host, State, handle};
use crate::stream::{Bytestream, bytes_from_guest, bytes_to_guest};
use crate::task;
use crate::weigh::Weigh;

const READ: Permission = Permission::FilesRead;
const WRITE: Permission = Permission::FilesWrite;

/// Longest name of a file, in bytes.
const NAME_MAX: usize = 255;

async fn get(call: CallHandle, id: FileId) -> Result<Option<File>, Fault> {
    let call = call.begin(Interface::Files, READ, id.weigh())?;
    let (files, authority) = (call.store().files(), call.authority(READ));
    let found = task::run(async move { files.get(&authority, &id).await }).await?;
    call.finish(found)
}

async fn list(call: CallHandle, name: Option<String>, page: PageRequest) -> Result<Page<File>, Fault> {
    let call = call.begin(Interface::Files, READ, (&name, &page).weigh())?;
    let (files, authority) = (call.store().files(), call.authority(READ));
    let found = task::run(async move { files.list(&authority, name.as_deref(), &page).await }).await?;
    call.finish(found)
}

async fn read(call: CallHandle, id: FileId) -> Result<BoxStream<'static, Result<Bytes, Error>>, Fault> {
    let call = call.begin(Interface::Files, READ, id.weigh())?;
    let (files, authority) = (call.store().files(), call.authority(READ));
    let opened = task::run(async move { files.open(&authority, &id).await }).await?;
    let (_, bytes) =
        opened.ok_or_else(|| Error::invalid("id", "there is no such file that this plugin may read"))?;
    Ok(charged(call, bytes).boxed())
}

/// The bytes, each piece counted as it passes. A piece too many ends the stream with an error, and so does one after the grant was revoked.
fn charged(
    call: HostCall,
    bytes: BoxStream<'static, std::io::Result<Bytes>>,
) -> impl futures::Stream<Item = Result<Bytes, Error>> {
    bytes.map(move |piece| {
        let piece = piece.map_err(|error| {
            tracing::error!(%error, "a stored file could not be read");
            Error::unavailable("the file could not be read", None)
        })?;
        call.require(READ)?;
        call.charge(piece.len() as u64)
            .map_err(|_| Error::quota("host-bytes", "the call has used up its host-bytes"))?;
        Ok(piece)
    })
}

async fn create(call: CallHandle, file: NewFile, bytes: mpsc::Receiver<Bytes>) -> Result<File, Fault> {
    let call = call.begin(Interface::Files, WRITE, file.weigh())?;
    check(&file)?;
    let most = call.limits().file_bytes;
    let counted = CallHandle::clone(&call);
    let bytes = futures::stream::unfold((bytes, counted), |(mut bytes, counted)| async move {
        let piece = bytes.recv().await?;
        let counted_piece = counted.charge(Interface::Files, piece.len() as u64).map(|()| piece);
        Some((counted_piece.map_err(|_| std::io::Error::other("host-bytes")), (bytes, counted)))
    });
    // Not on a task: the bytes come from the guest, and the store holds nothing while it waits for them. The row is written on a task of the store's.
    let stored = call.store().files().create(call.user()?, &call.authority(WRITE), file, bytes, most).await;
    let stored = stored.map_err(|error| match error {
        innkeeper_store::StoreError::ByteLimit => {
            Fault::Guest(Error::quota("file-bytes", format!("a file may have at most {most} bytes")))
        }
        innkeeper_store::StoreError::Storage(error) if error.to_string() == "host-bytes" => {
            Fault::Stop(crate::fault::Stop::Limit("host-bytes"))
        }
        error => of_write(error),
    })?;
    call.finish_write(stored)
}

async fn delete(call: CallHandle, id: FileId) -> Result<bool, Fault> {
    let call = call.begin(Interface::Files, WRITE, id.weigh())?;
    let (files, authority) = (call.store().files(), call.authority(WRITE));
    let deleted = task::write(async move { files.delete(&authority, &id).await }).await?;
    call.finish_write(deleted)
}

fn check(file: &NewFile) -> Result<(), Error> {
    if file.name.is_empty() || file.name.len() > NAME_MAX || file.name.chars().any(char::is_control) {
        return Err(Error::invalid(
            "name",
            format!("a file's name has 1 to {NAME_MAX} bytes and no control characters"),
        ));
    }
    let token = |c: char| c.is_ascii_alphanumeric() || "/+-.;= _\"".contains(c);
    if !file.content_type.contains('/')
        || file.content_type.len() > 128
        || !file.content_type.chars().all(token)
    {
        return Err(Error::invalid("content-type", "a file needs a media type such as `text/markdown`"));
    }
    Ok(())
}

impl HostWithStore<State> for Host {
    async fn get(accessor: &Accessor<State, Self>, id: String) -> Settled<Option<wit::File>> {
        settle(get(handle(accessor), id.into()).await.map(|found| found.map(Into::into)))
    }

    async fn list(
        accessor: &Accessor<State, Self>,
        name: Option<String>,
        page: common::Page,
    ) -> Settled<wit::FilePage> {
        settle(list(handle(accessor), name, page.into()).await.map(Into::into))
    }

    async fn read(accessor: &Accessor<State, Self>, id: String) -> Settled<Bytestream> {
        match settle(read(handle(accessor), id.into()).await)? {
            Ok(bytes) => accessor.with(|access| bytes_to_guest(access, bytes)).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn create(
        accessor: &Accessor<State, Self>,
        file: wit::NewFile,
        data: StreamReader<u8>,
    ) -> Settled<wit::File> {
        // Piped before anything can fail: a reader that is merely dropped would leave the guest hanging.
        let bytes = accessor.with(|access| bytes_from_guest(access, data))?;
        settle(create(handle(accessor), file.into(), bytes).await.map(Into::into))
    }

    async fn delete(accessor: &Accessor<State, Self>, id: String) -> Settled<bool> {
        settle(delete(handle(accessor), id.into()).await)
    }
}

impl wit::Host for State {}
