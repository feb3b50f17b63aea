//! Lists by pages.

use std::future::Future;

use crate::Error;
pub use crate::bindings::innkeeper::types::common::Page;
use crate::bindings::innkeeper::types::{chat_messages, chats, files, kv, memories, users};

impl Page {
    /// The first `limit` items, 1 to 200.
    pub fn first(limit: u32) -> Self {
        Self { cursor: None, limit }
    }

    /// The `limit` items after an earlier page's `next`.
    pub fn after(cursor: impl Into<String>, limit: u32) -> Self {
        Self { cursor: Some(cursor.into()), limit }
    }
}

impl Default for Page {
    /// The first items, as many as the host likes to give.
    fn default() -> Self {
        Self::first(0)
    }
}

/// A page of a list.
pub trait Paged {
    /// What it is a list of.
    type Item;
    /// The items, and where to go on.
    fn into_parts(self) -> (Vec<Self::Item>, Option<String>);
}

/// All items of a list, at most `limit`: `all(500, |page| memories::list(page))`.
///
/// # Errors
/// As the list gives them.
pub async fn all<P, F>(limit: usize, mut list: impl FnMut(Page) -> F) -> Result<Vec<P::Item>, Error>
where
    P: Paged,
    F: Future<Output = Result<P, Error>>,
{
    let mut items = Vec::new();
    let mut page = Page::first(200);
    loop {
        let (more, next) = list(page).await?.into_parts();
        items.extend(more);
        match next {
            Some(next) if items.len() < limit => page = Page::after(next, 200),
            _ => break,
        }
    }
    items.truncate(limit);
    Ok(items)
}

macro_rules! paged {
    ($($page:ty: $items:ident of $item:ty;)*) => {$(
        impl Paged for $page {
            type Item = $item;

            fn into_parts(self) -> (Vec<Self::Item>, Option<String>) {
                (self.$items, self.next)
            }
        }
    )*};
}

paged! {
    chat_messages::MessagePage: items of chat_messages::StoredMessage;
    chats::ChatPage: items of chats::Chat;
    files::FilePage: items of files::File;
    kv::KeyPage: keys of String;
    memories::MemoryPage: items of memories::Memory;
    users::UserPage: items of users::User;
}
