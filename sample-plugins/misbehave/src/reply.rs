//! Replies in pieces that go wrong.

use innkeeper_sdk::bindings::pipe::wit_stream;
use innkeeper_sdk::chat_request::Chunk;
use innkeeper_sdk::{PluginError, Reply, chunks};

use crate::how::{self, How};

/// A reply that misbehaves while it is read.
pub(crate) fn feed(how: How, amount: u64) -> Reply {
    match how {
        How::SilentStream => {
            let (writer, reader) = wit_stream::new::<Chunk>();
            std::mem::forget(writer);
            Reply::Chunks(reader)
        }
        How::CutStream => {
            let (mut writer, reader) = wit_stream::new::<Chunk>();
            innkeeper_sdk::spawn(async move {
                writer.write_one(Chunk::Text("cut".to_owned())).await;
            });
            Reply::Chunks(reader)
        }
        how => chunks(async move |sender| {
            sender.text("begun").await?;
            match how {
                How::ManyChunks => {
                    let mut number = 0;
                    while amount == 0 || number < amount {
                        sender.text(number.to_string()).await?;
                        number += 1;
                    }
                }
                How::HugeChunk => {
                    let size = usize::try_from(amount).unwrap_or(usize::MAX).saturating_mul(1 << 20);
                    sender.text("c".repeat(size)).await?;
                }
                How::InvalidJson => sender.send(Chunk::Raw("{".to_owned())).await?,
                how => sender.text(how::misbehave(how, amount).await?).await?,
            }
            Ok::<(), PluginError>(())
        }),
    }
}

/// The text as it is.
pub(crate) fn repeat(text: String, in_pieces: bool) -> Reply {
    if !in_pieces {
        return Reply::Text(text);
    }
    chunks(async move |sender| Ok(sender.text(text).await?))
}
