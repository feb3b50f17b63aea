//! How many bytes a value carries between guest and host, near enough for a bound.

use innkeeper_model::chat_request::{ChatRequest, Completion, Content, ContentPart, Media, Message};

/// Bytes that a value carries, without its fixed parts.
pub(crate) trait Weigh {
    /// Fixed cost of each in a list: what the host takes for an empty text, or a record.
    const EACH: u64 = size_of::<String>() as u64;

    /// The number.
    fn weigh(&self) -> u64;
}

/// Fixed cost of a record, so that a list of empty ones is not free.
const RECORD: u64 = 64;

impl Weigh for () {
    fn weigh(&self) -> u64 {
        0
    }
}

impl Weigh for bool {
    fn weigh(&self) -> u64 {
        1
    }
}

impl Weigh for u64 {
    fn weigh(&self) -> u64 {
        8
    }
}

impl Weigh for i64 {
    fn weigh(&self) -> u64 {
        8
    }
}

impl Weigh for f32 {
    const EACH: u64 = 0;

    fn weigh(&self) -> u64 {
        4
    }
}

impl Weigh for String {
    fn weigh(&self) -> u64 {
        self.len() as u64
    }
}

impl Weigh for u32 {
    fn weigh(&self) -> u64 {
        4
    }
}

impl<T: Weigh + ?Sized> Weigh for &T {
    fn weigh(&self) -> u64 {
        (**self).weigh()
    }
}

impl<T: Weigh> Weigh for Option<T> {
    fn weigh(&self) -> u64 {
        self.as_ref().map_or(0, Weigh::weigh)
    }
}

impl<A: Weigh, B: Weigh> Weigh for (A, B) {
    fn weigh(&self) -> u64 {
        self.0.weigh() + self.1.weigh()
    }
}

impl<T: Weigh> Weigh for Vec<T> {
    fn weigh(&self) -> u64 {
        self.iter().map(|element| T::EACH + element.weigh()).sum()
    }
}

impl<T: Weigh> Weigh for innkeeper_model::page::Page<T> {
    fn weigh(&self) -> u64 {
        self.items.weigh() + self.next.weigh()
    }
}

macro_rules! weigh {
    ($($type:ty: $($field:ident)*;)*) => {$(
        impl Weigh for $type {
            fn weigh(&self) -> u64 {
                RECORD $(+ self.$field.weigh())*
            }
        }
    )*};
}

weigh! {
    innkeeper_model::user::User: name username email profile_image_url bio timezone status_emoji status_message;
    innkeeper_model::chat::Chat: title folder tags version;
    innkeeper_model::chat_message::StoredMessage: role content files sources embeds status_history error version extra;
    innkeeper_model::chat::ChatFilter: folder title_contains;
    innkeeper_model::chat::NewChat: title folder;
    innkeeper_model::chat::ChatUpdate: title tags;
    innkeeper_model::chat_message::NewMessage: role content parent model;
    innkeeper_model::chat_message::MessageUpdate: content files sources embeds;
    innkeeper_model::file::NewFile: name content_type;
    innkeeper_model::page::PageRequest: cursor;
    innkeeper_model::file::File: name content_type hash;
    innkeeper_model::memory::Memory: content kind version;
    innkeeper_model::chat_request::Usage: extra;
    innkeeper_model::chat_request::ToolCall: id name arguments extra;
    crate::turn::OfferedTool: name description parameters;
    crate::turn::OfferedModel: id name kind;
    Message: role content name tool_call_id tool_calls extra;
    innkeeper_model::chat_request::ToolSpec: name description parameters extra;
    ChatRequest: model messages tools params extra;
    Completion: id model message finish_reason usage extra;
}

macro_rules! weigh_ids {
    ($($id:ident)*) => {$(
        impl Weigh for innkeeper_model::$id {
            fn weigh(&self) -> u64 {
                self.as_str().len() as u64
            }
        }
    )*};
}

weigh_ids! { ChatId FileId MemoryId MessageId ModelId UserId }

impl Weigh for innkeeper_model::kv::KvEntry {
    fn weigh(&self) -> u64 {
        RECORD + self.key.weigh() + self.value.len() as u64
    }
}

impl Weigh for Content {
    fn weigh(&self) -> u64 {
        match self {
            Self::Text(text) | Self::Other(text) => text.weigh(),
            Self::Parts(parts) => parts.weigh(),
        }
    }
}

impl Weigh for ContentPart {
    fn weigh(&self) -> u64 {
        RECORD
            + match self {
                Self::Text { text, extra } => text.weigh() + extra.weigh(),
                Self::Image { image: Media::Url(text) | Media::Other(text), extra, .. } => {
                    text.weigh() + extra.weigh()
                }
                Self::Image { image: Media::Blob(blob), extra, .. } => {
                    blob.id.weigh() + blob.extra.weigh() + extra.weigh()
                }
                Self::Other(text) => text.weigh(),
            }
    }
}

impl Weigh for innkeeper_model::tool::ToolContent {
    fn weigh(&self) -> u64 {
        RECORD
            + match self {
                Self::Text { text } => text.weigh(),
                Self::Json { value } => value.to_string().weigh(),
                Self::Html { html, summary } => html.weigh() + summary.weigh(),
                Self::File { id } => id.as_str().len() as u64,
            }
    }
}

impl Weigh for innkeeper_model::tool::ToolResult {
    fn weigh(&self) -> u64 {
        RECORD + self.content.weigh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use innkeeper_model::chat_request::Blob;

    #[test]
    fn further_fields_of_a_blob_weigh() {
        let blob = |extra: Option<String>| {
            let blob = Blob { id: String::new(), content_type: String::new(), size: 0, extra };
            ContentPart::Image { image: Media::Blob(blob), detail: None, extra: None }.weigh()
        };
        assert_eq!(blob(Some("x".repeat(1_000))), blob(None) + 1_000);
    }
}
