//! Chunks written as the data of frames.

use super::Chunk;
use super::frame::SAID;
use crate::chat_request::record::Record;
use crate::chat_request::{BodyError, Usage};
use crate::json::{self, Kind};

/// Writes the data of one frame: a `chat.completion.chunk`, `{"event":…}`, `{"error":…}`, or a raw frame as it is.
/// `created` is in seconds since 1970. The text has no line ends, so that it stands behind `data: ` on one line.
/// Fails where a JSON text in the chunk is none, and where a raw frame carries an event, whose permission nobody could have checked.
pub fn frame_json(id: &str, created: i64, model: &str, chunk: &Chunk) -> Result<String, BodyError> {
    let mut out = String::with_capacity(256);
    write_chunk(&mut out, id, created, model, chunk)?;
    // Line ends in checked JSON are blanks between its tokens; only texts of plugins and providers have any.
    Ok(if out.contains(['\n', '\r']) { out.replace(['\n', '\r'], " ") } else { out })
}

fn write_chunk(
    out: &mut String,
    id: &str,
    created: i64,
    model: &str,
    chunk: &Chunk,
) -> Result<(), BodyError> {
    match chunk {
        Chunk::Event(event) => {
            out.push_str("{\"event\":{\"type\":");
            json::write_string(out, &event.kind);
            out.push_str(",\"data\":");
            out.push_str(&event.data.to_string());
            out.push_str("}}");
            return Ok(());
        }
        Chunk::Failed(message) => {
            out.push_str("{\"error\":{\"message\":");
            json::write_string(out, message);
            out.push_str(",\"type\":\"server_error\",\"param\":null,\"code\":null}}");
            return Ok(());
        }
        Chunk::Raw(text) => return write_raw(out, id, created, model, text),
        _ => {}
    }
    out.push('{');
    write_envelope(out, id, created, model);
    out.push_str(",\"choices\":[");
    let mut figures = None;
    match chunk {
        Chunk::Text(text) => {
            out.push_str("{\"index\":0,\"delta\":{\"content\":");
            json::write_string(out, text);
            out.push_str("},\"finish_reason\":null}");
        }
        Chunk::Delta(delta) => {
            out.push_str(&format!("{{\"index\":{},\"delta\":", delta.choice));
            delta.write_json(out).map_err(|error| error.inside("delta"))?;
            out.push_str(",\"finish_reason\":null}");
        }
        Chunk::Finish { choice, reason, usage, extra } => {
            let inside = |error: BodyError| error.inside("finish");
            let mut record = Record::open(out, extra.as_deref()).map_err(inside)?;
            record.json("index", &choice.to_string());
            record.json("delta", "{}");
            record.string("finish_reason", reason);
            record.close_without(is_typed_in_end);
            figures = usage.as_ref();
        }
        Chunk::Usage(usage) => figures = Some(usage),
        Chunk::Event(_) | Chunk::Failed(_) | Chunk::Raw(_) => {}
    }
    out.push(']');
    write_usage(out, figures)?;
    out.push('}');
    Ok(())
}

/// Whether a further field of a choice's end is said already, or would say something that nobody has looked at.
pub(super) fn is_typed_in_end(key: &str) -> bool {
    ["index", "finish_reason"].contains(&key) || SAID.contains(&key)
}

/// Appends `"id":…,"object":…,"created":…,"model":…`.
fn write_envelope(out: &mut String, id: &str, created: i64, model: &str) {
    out.push_str("\"id\":");
    json::write_string(out, id);
    out.push_str(",\"object\":\"chat.completion.chunk\",\"created\":");
    out.push_str(&created.to_string());
    out.push_str(",\"model\":");
    json::write_string(out, model);
}

pub(super) fn write_usage(out: &mut String, usage: Option<&Usage>) -> Result<(), BodyError> {
    let Some(usage) = usage else { return Ok(()) };
    out.push_str(",\"usage\":");
    usage.write_json(out).map_err(|error| error.inside("usage"))
}

/// Appends a raw frame; one with choices and no envelope, as reading a frame leaves it, gets one.
fn write_raw(out: &mut String, id: &str, created: i64, model: &str, text: &str) -> Result<(), BodyError> {
    json::check(text).map_err(|error| BodyError::json("raw", &error))?;
    let text = text.trim_ascii();
    let Ok(frame) = json::object(text) else {
        out.push_str(text);
        return Ok(());
    };
    if frame.get("event").is_some_and(|raw| json::kind(raw) == Some(Kind::Object)) {
        return Err(BodyError::new("raw.event", "is an event in a raw frame; send it as an event"));
    }
    out.push('{');
    let mut first = true;
    if frame.get("choices").is_some() && frame.get("id").is_none() && frame.get("object").is_none() {
        write_envelope(out, id, created, model);
        first = false;
    }
    // Written member by member: of a key that comes twice, readers may take different ones.
    for entry in frame.entries() {
        out.push_str(if std::mem::take(&mut first) { "" } else { "," });
        out.push_str(entry.raw_key);
        out.push(':');
        out.push_str(entry.value);
    }
    out.push('}');
    Ok(())
}
