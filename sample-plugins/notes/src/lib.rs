//! Tools that keep notes as memories of the person who asks.

use innkeeper_sdk::memories::Memory;
use innkeeper_sdk::prelude::*;
use innkeeper_sdk::serde_json::{Value, json};

/// Notes beyond these are not searched.
const MAX_SEARCHED: usize = 2_000;

/// Keeps notes for the person who asks.
#[derive(Plugin)]
#[plugin(
    id = "notes",
    permissions(
        memories.read = "lists and searches the person's notes",
        memories.write = "adds and deletes the person's notes",
    )
)]
struct Notes;

#[tools]
impl Notes {
    /// Keeps a note so that it can be found again in later conversations.
    /// Use it when the user asks to remember something.
    ///
    /// * `text` — the note, in the user's words
    async fn add_note(&self, text: String) -> Result<Json<Value>, PluginError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PluginError::failed("the note is empty"));
        }
        let note = memories::add(text).await?;
        Ok(Json(describe(&note)))
    }

    /// Lists notes.
    ///
    /// * `cursor` — where to go on, from an earlier answer's `next`
    /// * `limit` — how many at most, 1 to 200; 50 if left out
    #[tool(read_only)]
    async fn list_notes(
        &self,
        cursor: Option<String>,
        limit: Option<u32>,
    ) -> Result<Json<Value>, PluginError> {
        let page = memories::list(Page { cursor, limit: limit.unwrap_or(50) }).await?;
        let notes: Vec<_> = page.items.iter().map(describe).collect();
        Ok(Json(json!({ "notes": notes, "next": page.next })))
    }

    /// Finds the notes that contain all of these words, in any order.
    ///
    /// * `words` — the words, with spaces between
    #[tool(read_only)]
    async fn search_notes(&self, words: String) -> Result<Json<Value>, PluginError> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let notes = innkeeper_sdk::all(MAX_SEARCHED, memories::list).await?;
        let found: Vec<_> =
            notes.iter().filter(|note| contains_all(&note.content, &words)).map(describe).collect();
        Ok(Json(json!({ "notes": found })))
    }

    /// Deletes a note.
    ///
    /// * `id` — the note's id, as the other tools give it
    async fn delete_note(&self, id: String) -> Result<&'static str, PluginError> {
        Ok(if memories::delete(id).await? { "deleted" } else { "there is no such note" })
    }
}

fn describe(note: &Memory) -> Value {
    json!({ "id": note.id, "text": note.content, "created_at": note.created_at })
}

fn contains_all(text: &str, words: &[String]) -> bool {
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word))
}
