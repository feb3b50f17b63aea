//! Adapters between the contract's streams and the host's: one each way for bytes and for chunks.
//!
//! Streams have no error end of their own, so a byte stream towards the guest comes with a future that says whether it was whole.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures::stream::BoxStream;
use innkeeper_model::chunk::Chunk;
use innkeeper_model::{Error, Permission};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;
use wasmtime::component::{
    Destination, FutureReader, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, StoreContextMut};

use crate::bindings::innkeeper::types::chat_request as wit;
use crate::bindings::innkeeper::types::common;
use crate::call::{CallHandle, HostCall};
use crate::clocks::Waiting;
use crate::convert::chat_request::{chunk_bytes, chunk_from_guest};
use crate::fuel::{Lent, give_back};
use crate::state::State;

/// Bytes towards a guest, and whether they came whole.
pub(crate) type Bytestream = (StreamReader<u8>, FutureReader<Result<(), common::Error>>);

/// Most bytes that are taken from a guest at once.
const PIECE: usize = 64 * 1024;

/// Hands bytes to the guest as it reads them.
pub(crate) fn bytes_to_guest(
    mut store: impl AsContextMut<Data = State>,
    bytes: BoxStream<'static, Result<Bytes, Error>>,
) -> wasmtime::Result<Bytestream> {
    let (end, ended) = oneshot::channel();
    let producer = ByteProducer { bytes, current: Bytes::new(), end: Some(end) };
    let reader = StreamReader::new(&mut store, producer)?;
    let whole = async move {
        let cancelled =
            || Err(Error::new(innkeeper_model::ErrorCode::Cancelled, "the stream was not read to its end"));
        let result = ended.await.unwrap_or_else(|_| cancelled()).map_err(common::Error::from);
        Ok::<_, wasmtime::Error>(result)
    };
    Ok((reader, FutureReader::new(&mut store, whole)?))
}

struct ByteProducer {
    bytes: BoxStream<'static, Result<Bytes, Error>>,
    current: Bytes,
    end: Option<oneshot::Sender<Result<(), Error>>>,
}

impl ByteProducer {
    fn finish(&mut self, result: Result<(), Error>) {
        if let Some(end) = self.end.take() {
            // Nobody listens where the guest dropped the future.
            let _ = end.send(result);
        }
    }
}

impl StreamProducer<State> for ByteProducer {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(store.as_context_mut()) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        while self.current.is_empty() {
            match self.bytes.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.current = bytes,
                Poll::Ready(Some(Err(error))) => {
                    self.finish(Err(error));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                Poll::Ready(None) => {
                    self.finish(Ok(()));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let mut direct = destination.as_direct(store, PIECE);
        let room = direct.remaining();
        let count = room.len().min(self.current.len());
        if let (Some(room), Some(bytes)) = (room.get_mut(..count), self.current.get(..count)) {
            room.copy_from_slice(bytes);
        }
        direct.mark_written(count);
        self.current.advance(count);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Takes bytes from the guest as the host reads them. The channel ends when the guest ends its stream.
pub(crate) fn bytes_from_guest(
    store: impl AsContextMut<Data = State>,
    reader: StreamReader<u8>,
) -> wasmtime::Result<mpsc::Receiver<Bytes>> {
    let (sender, receiver) = mpsc::channel(2);
    reader.pipe(store, ByteConsumer(PollSender::new(sender)))?;
    Ok(receiver)
}

struct ByteConsumer(PollSender<Bytes>);

impl StreamConsumer<State> for ByteConsumer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<State>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.0.poll_reserve(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        }
        let mut direct = source.as_direct(store.as_context_mut());
        let available = direct.remaining();
        let piece =
            available.get(..PIECE.min(available.len())).map(Bytes::copy_from_slice).unwrap_or_default();
        direct.mark_read(piece.len());
        if !piece.is_empty() {
            // The place was reserved; it fails only where the receiver has gone, which the next poll reports.
            let _ = self.0.send_item(piece);
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Hands chunks to the guest as it reads them. While it waits for one, the call is on the waiting clock; each is counted against `host-bytes`.
/// Where the plugin may no longer use models, it hears so as `failed`, and nobody reads on.
/// At the end the guest gets back what the child left of the fuel that was lent to it.
pub(crate) fn chunks_to_guest(
    store: impl AsContextMut<Data = State>,
    chunks: mpsc::Receiver<Chunk>,
    call: HostCall,
    lent: Lent,
) -> wasmtime::Result<StreamReader<wit::Chunk>> {
    StreamReader::new(store, ChunkProducer { chunks, call, lent, waiting: None })
}

struct ChunkProducer {
    chunks: mpsc::Receiver<Chunk>,
    call: HostCall,
    lent: Lent,
    waiting: Option<Waiting>,
}

impl StreamProducer<State> for ChunkProducer {
    type Item = wit::Chunk;
    type Buffer = Option<wit::Chunk>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        mut destination: Destination<'a, wit::Chunk, Option<wit::Chunk>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(store.as_context_mut()) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let received = self.chunks.poll_recv(cx);
        self.waiting = None;
        match received {
            Poll::Ready(Some(chunk)) => {
                let chunk = match self.call.require(Permission::Completions) {
                    Ok(()) => wit::Chunk::from(chunk),
                    Err(denied) => {
                        self.chunks = mpsc::channel(1).1;
                        wit::Chunk::Failed(denied.message)
                    }
                };
                if let Err(stop) = self.call.charge(chunk_bytes(&chunk)) {
                    return Poll::Ready(Err(wasmtime::Error::new(stop)));
                }
                destination.set_buffer(Some(chunk));
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(None) => Poll::Ready(give_back(store, &self.lent).map(|()| StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => {
                self.waiting = Some(self.call.clock().wait());
                Poll::Pending
            }
        }
    }
}

/// Takes chunks from the guest. The channel ends when the guest ends its stream, whether or not it ended properly.
/// `stopped` hears of a chunk that breaks a limit or the contract, or of an end that is none; it is dropped after a proper end.
pub fn chunks_from_guest(
    store: impl AsContextMut<Data = State>,
    reader: StreamReader<wit::Chunk>,
    call: CallHandle,
    stopped: oneshot::Sender<ChunkFault>,
) -> wasmtime::Result<mpsc::Receiver<Chunk>> {
    let (sender, receiver) = mpsc::channel(32);
    reader.pipe(
        store,
        ChunkConsumer {
            sender: PollSender::new(sender),
            call,
            stopped: Some(stopped),
            ended: false,
            waiting: None,
        },
    )?;
    Ok(receiver)
}

/// Why the host stopped reading a guest's chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkFault {
    /// A limit.
    Limit(&'static str),
    /// A chunk that holds something that is not JSON.
    NotJson(String),
    /// A chunk after `finish` or `failed`.
    AfterEnd,
    /// The stream ended without `finish` or `failed`.
    Cut,
}

struct ChunkConsumer {
    sender: PollSender<Chunk>,
    call: CallHandle,
    stopped: Option<oneshot::Sender<ChunkFault>>,
    ended: bool,
    /// Held while the reader has no room: a slow person is waited for like any other.
    waiting: Option<Waiting>,
}

impl Drop for ChunkConsumer {
    fn drop(&mut self) {
        if !self.ended {
            self.stop(ChunkFault::Cut);
        }
    }
}

impl ChunkConsumer {
    fn stop(&mut self, fault: ChunkFault) {
        if let Some(stopped) = self.stopped.take() {
            // Nobody listens where the call has ended already.
            let _ = stopped.send(fault);
        }
    }

    fn accept(&mut self, chunk: wit::Chunk) -> Result<Chunk, ChunkFault> {
        if self.ended {
            return Err(ChunkFault::AfterEnd);
        }
        self.call.count_chunk(chunk_bytes(&chunk)).map_err(ChunkFault::Limit)?;
        chunk_from_guest(chunk).map_err(|error| ChunkFault::NotJson(error.message))
    }
}

impl StreamConsumer<State> for ChunkConsumer {
    type Item = wit::Chunk;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<State>,
        mut source: Source<'_, wit::Chunk>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut taken = false;
        self.waiting = None;
        // As many as there is room for: each wake-up of the reader then serves several chunks.
        while !taken || source.remaining(store.as_context_mut()) > 0 {
            match self.sender.poll_reserve(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Pending if taken => return Poll::Ready(Ok(StreamResult::Completed)),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => {
                    self.waiting = Some(self.call.clock().wait());
                    return Poll::Pending;
                }
            }
            if source.remaining(store.as_context_mut()) == 0 {
                // A write of nothing asks whether there is room.
                self.sender.abort_send();
                break;
            }
            let mut slot: Option<wit::Chunk> = None;
            source.read(store.as_context_mut(), &mut slot)?;
            let Some(chunk) = slot else { break };
            taken = true;
            match self.accept(chunk) {
                Ok(chunk) => {
                    self.ended |= chunk.is_end();
                    drop(self.sender.send_item(chunk));
                }
                Err(fault) => {
                    self.stop(fault);
                    self.sender.close();
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
