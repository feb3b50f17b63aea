//! Changing a chat: the row is locked, its version compared, and all of it written in one transaction.

use innkeeper_model::chat::{Chat, ChatUpdate};
use sea_query::{Expr, ExprTrait, OnConflict, Query, UpdateStatement};

use super::{checked_title, read, select, versioned};
use crate::document::{ChatDocument, RawObject};
use crate::error::StoreError;
use crate::names::clean;
use crate::pool::{Tx, json};
use crate::store::Store;
use crate::transaction;

/// Most tags of a chat.
const TAGS_MAX: usize = 100;

pub(super) async fn update(
    store: &Store,
    rows: Expr,
    change: &ChatUpdate,
    version: &str,
) -> Result<Chat, StoreError> {
    let tags = change.tags.as_deref().map(tag_ids).transpose()?;
    let title = change.title.as_deref().map(checked_title).transpose()?;
    let mut tx = store.db().begin().await?;
    let outcome = write(&mut tx, store.now(), rows, change, title, tags, version).await;
    transaction::end(tx, outcome).await
}

async fn write(
    tx: &mut Tx,
    now: i64,
    rows: Expr,
    change: &ChatUpdate,
    title: Option<String>,
    tags: Option<Vec<(String, String)>>,
    version: &str,
) -> Result<Chat, StoreError> {
    let backend = tx.backend();
    let mut select = select();
    if title.is_some() {
        select.column(("chat", "chat"));
    }
    select.and_where(rows).lock_exclusive();
    let found = tx.fetch_optional(&mut select, |row| {
        let document = if title.is_some() { row.text_opt("chat")? } else { None };
        Ok((read(row)?, row.text_opt("meta")?, document))
    });
    let (mut chat, meta, document) = found.await?.ok_or(StoreError::NotFound("chat"))?;
    if chat.version != version {
        return Err(StoreError::Conflict("the chat".to_owned()));
    }
    let mut update = Query::update().table("chat").and_where(Expr::col("id").eq(chat.id.as_str())).take();
    if let Some(title) = title {
        let mut document = ChatDocument::parse(document.as_deref())?;
        document.set_title(&title)?;
        update.value("chat", json(backend, document.into_text()?)).value("title", title.as_str());
        chat.title = title;
    }
    flags(&mut update, &mut chat, change);
    if let Some(tags) = tags {
        let mut meta = RawObject::parse("meta", meta.as_deref())?;
        let ids: Vec<&str> = tags.iter().map(|(id, _)| id.as_str()).collect();
        meta.set("tags", &ids)?;
        update.value("meta", json(backend, meta.to_text()?));
        chat.tags = ids.into_iter().map(ToOwned::to_owned).collect();
        make_tags(tx, &chat, &tags).await?;
    }
    chat.updated_at = now;
    update.value("updated_at", chat.updated_at);
    tx.execute(&update).await?;
    Ok(versioned(chat))
}

fn flags(update: &mut UpdateStatement, chat: &mut Chat, change: &ChatUpdate) {
    if let Some(archived) = change.archived {
        chat.archived = archived;
        update.value("archived", archived);
    }
    if let Some(pinned) = change.pinned {
        chat.pinned = pinned;
        update.value("pinned", pinned);
    }
}

/// Tags as (id, name), ids as upstream makes them, each once.
fn tag_ids(names: &[String]) -> Result<Vec<(String, String)>, StoreError> {
    if names.len() > TAGS_MAX {
        return Err(StoreError::Invalid(format!(
            "{} tags were given; a chat has at most {TAGS_MAX}",
            names.len()
        )));
    }
    let mut tags: Vec<(String, String)> = Vec::new();
    for name in names {
        let name = clean(name).trim().to_owned();
        let id = name.replace(' ', "_").to_lowercase();
        if id.is_empty() || id.len() > 255 || name.chars().any(char::is_control) {
            return Err(StoreError::Invalid(
                "a tag needs 1 to 255 bytes without control characters".to_owned(),
            ));
        }
        if tags.iter().all(|(known, _)| *known != id) {
            tags.push((id, name));
        }
    }
    Ok(tags)
}

/// Makes the rows of the owner's tags that are missing; upstream shows the names from there.
async fn make_tags(tx: &mut Tx, chat: &Chat, tags: &[(String, String)]) -> Result<(), StoreError> {
    if tags.is_empty() {
        return Ok(());
    }
    let mut insert = Query::insert().into_table("tag").columns(["id", "name", "user_id"]).take();
    for (id, name) in tags {
        let values = [id.as_str().into(), name.as_str().into(), chat.user.as_str().into()];
        insert.values(values).map_err(|error| StoreError::Invalid(error.to_string()))?;
    }
    insert.on_conflict(OnConflict::columns(["id", "user_id"]).do_nothing_on(["id", "user_id"]).to_owned());
    tx.execute(&insert).await?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn tags_get_upstreams_ids_once() {
        let tags = tag_ids(&["Small Talk".to_owned(), " small talk ".to_owned(), "Ä".to_owned()]).unwrap();
        assert_eq!(
            tags,
            [("small_talk".to_owned(), "Small Talk".to_owned()), ("ä".to_owned(), "Ä".to_owned())]
        );
        for bad in ["", " ", "a\nb", &"x".repeat(256)] {
            assert!(tag_ids(&[bad.to_owned()]).is_err(), "{bad:?}");
        }
        assert!(tag_ids(&vec!["a".to_owned(); 101]).is_err());
    }
}
