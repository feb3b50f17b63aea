//! What a chat request says beside OpenAI's fields: its chat, its message, its filters, whether to store it.
//! These fields are meant for this server, so neither plugins nor providers see them in the body.

use axum::http::HeaderMap;
use innkeeper_model::chat_request::{BodyError, ChatRequest};
use innkeeper_model::json::{self, Entry, Object};
use innkeeper_model::{ChatId, MessageId};

use crate::failure::Failure;

/// Longest id that a chat, message or turn may have, in bytes.
const ID_MAX: usize = 255;

/// A chat request, taken apart.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// What plugins and models see.
    pub(crate) request: ChatRequest,
    /// What this server does with it.
    pub(crate) own: Own,
}

/// What this server does with a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Own {
    /// Which chat it belongs to.
    pub(crate) chat: Option<ChatId>,
    /// Whether only a header names the chat: another program's connection says so of all its chats, ours or not.
    pub(crate) chat_is_hint: bool,
    /// Which message it answers into.
    pub(crate) message: Option<MessageId>,
    /// The client's own id of the turn.
    pub(crate) turn: Option<String>,
    /// The person's language.
    pub(crate) locale: Option<String>,
    /// Filters to turn on.
    pub(crate) filter_ids: Vec<String>,
    /// Whether the client asks to store the turn.
    pub(crate) store: bool,
    /// JSON.
    pub(crate) files: Option<String>,
    /// JSON.
    pub(crate) features: Option<String>,
    /// JSON.
    pub(crate) variables: Option<String>,
    /// JSON.
    pub(crate) metadata: Option<String>,
}

/// Reads a body with its headers.
pub(crate) fn parse(body: &str, headers: &HeaderMap) -> Result<Parsed, Failure> {
    let mut request = ChatRequest::from_json(body).map_err(invalid)?;
    let extra = request.extra.take();
    let fields = extra.as_deref().map(json::object).transpose().unwrap_or_default().unwrap_or_default();
    let own = read(&fields, headers)?;
    request.extra = without_own(&fields);
    Ok(Parsed { request, own })
}

fn read(fields: &Object<'_>, headers: &HeaderMap) -> Result<Own, Failure> {
    let none = Object::default();
    let inner = |name: &str| fields.get(name).and_then(|raw| json::object(raw).ok());
    let (metadata, settings) = (inner("metadata"), inner("innkeeper"));
    let (metadata, settings) = (metadata.as_ref().unwrap_or(&none), settings.as_ref().unwrap_or(&none));
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let first =
        |places: [(&str, Option<&str>); 3], header: Option<String>| -> Result<Option<String>, Failure> {
            for (name, raw) in places {
                if let Some(id) = raw.map(|raw| id(name, raw)).transpose()?.flatten() {
                    return Ok(Some(id));
                }
            }
            checked("header", header.unwrap_or_default())
        };
    let chat =
        [("chat_id", fields.get("chat_id")), ("metadata.chat_id", metadata.get("chat_id")), ("", None)];
    let message = [
        ("message_id", fields.get("message_id")),
        ("id", fields.get("id")),
        ("metadata.message_id", metadata.get("message_id")),
    ];
    let header_chat = header("x-openwebui-chat-id");
    let named = first(chat, None)?;
    let chat_is_hint = named.is_none();
    let chat = named.map_or_else(|| checked("header", header_chat.unwrap_or_default()), |id| Ok(Some(id)))?;
    let json_of = |name: &str| fields.get(name).filter(|raw| *raw != "null").map(str::to_owned);
    Ok(Own {
        chat_is_hint: chat_is_hint && chat.is_some(),
        chat: chat.map(ChatId::from),
        message: first(message, header("x-openwebui-message-id"))?.map(MessageId::from),
        turn: settings.get("turn").map(|raw| id("innkeeper.turn", raw)).transpose()?.flatten(),
        locale: settings.get("locale").map(|raw| id("innkeeper.locale", raw)).transpose()?.flatten(),
        filter_ids: fields.get("filter_ids").map_or(Ok(Vec::new()), strings)?,
        store: fields.get("store") == Some("true") || settings.get("store") == Some("true"),
        files: json_of("files"),
        features: json_of("features"),
        variables: json_of("variables"),
        metadata: json_of("metadata"),
    })
}

/// What is left of the extra fields. `store` and `metadata` are OpenAI's own and stay. Open WebUI's clients send `session_id`, which says
/// nothing to a model.
fn without_own(fields: &Object<'_>) -> Option<String> {
    let is_own = |entry: &&Entry<'_>| {
        matches!(
            &*entry.key,
            "chat_id"
                | "message_id"
                | "id"
                | "session_id"
                | "filter_ids"
                | "files"
                | "features"
                | "variables"
                | "innkeeper"
        )
    };
    let left: Vec<_> = fields.entries().iter().filter(|entry| !is_own(entry)).collect();
    if left.is_empty() {
        return None;
    }
    let left: Vec<String> =
        left.into_iter().map(|entry| format!("{}:{}", entry.raw_key, entry.value)).collect();
    Some(format!("{{{}}}", left.join(",")))
}

/// An id; none for `null` and for an empty one, which a template that has nothing to fill in leaves.
fn id(name: &str, raw: &str) -> Result<Option<String>, Failure> {
    if raw == "null" {
        return Ok(None);
    }
    let text = json::string(raw).ok_or_else(|| wrong(name, "is not a string; send an id or leave it out"))?;
    checked(name, text.into_owned())
}

fn checked(name: &str, text: String) -> Result<Option<String>, Failure> {
    if text.len() > ID_MAX || text.chars().any(char::is_control) {
        return Err(wrong(name, "has more than 255 bytes or control characters; send an id"));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn strings(raw: &str) -> Result<Vec<String>, Failure> {
    if raw == "null" {
        return Ok(Vec::new());
    }
    let problem = || wrong("filter_ids", "is not an array of strings; send the ids of filters");
    let items = json::array(raw).map_err(|_| problem())?;
    items.into_iter().map(|raw| json::string(raw).map(Into::into).ok_or_else(problem)).collect()
}

fn wrong(name: &str, problem: &str) -> Failure {
    invalid(BodyError::new(name, problem))
}

/// A body of the wrong shape; says which field.
pub(crate) fn invalid(error: BodyError) -> Failure {
    let failure = Failure::bad_request("invalid-body", error.to_string());
    if error.path.is_empty() { failure } else { failure.about(error.path) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn own_fields_are_taken_out_and_others_stay() {
        let body = r#"{"model":"m","messages":[],"chat_id":"c","id":"m1","store":true,"metadata":{"x":1},"innkeeper":{"locale":"de"},"user":"u","filter_ids":["f"],"files":[{}]}"#;
        let parsed = parse(body, &HeaderMap::new()).unwrap();
        let expected = Own {
            chat: Some("c".into()),
            message: Some("m1".into()),
            locale: Some("de".into()),
            filter_ids: vec!["f".into()],
            store: true,
            files: Some("[{}]".into()),
            metadata: Some("{\"x\":1}".into()),
            ..Own::default()
        };
        assert_eq!(parsed.own, expected);
        assert_eq!(parsed.request.extra.as_deref(), Some(r#"{"store":true,"metadata":{"x":1},"user":"u"}"#));
    }

    #[test]
    fn body_goes_before_metadata_and_metadata_before_headers() {
        let check = |body: &str, expected: Option<&str>| {
            let headers = headers(&[("X-OpenWebUI-Chat-Id", "header"), ("X-OpenWebUI-Message-Id", "")]);
            let own = parse(body, &headers).unwrap().own;
            assert_eq!(own.chat.as_ref().map(ChatId::as_str), expected, "{body}");
            assert_eq!(own.message, None);
        };
        check(r#"{"model":"m","messages":[],"chat_id":"body","metadata":{"chat_id":"meta"}}"#, Some("body"));
        check(r#"{"model":"m","messages":[],"chat_id":null,"metadata":{"chat_id":"meta"}}"#, Some("meta"));
        check(r#"{"model":"m","messages":[],"chat_id":""}"#, Some("header"));
    }

    #[test]
    fn wrong_ids_name_their_field() {
        let check = |field: &str, param: &str| {
            let body = format!(r#"{{"model":"m","messages":[],{field}}}"#);
            let failure = parse(&body, &HeaderMap::new()).unwrap_err();
            assert_eq!(failure.param.as_deref(), Some(param), "{body}");
        };
        check(r#""chat_id":5"#, "chat_id");
        check(r#""metadata":{"message_id":[]}"#, "metadata.message_id");
        check(r#""filter_ids":[1]"#, "filter_ids");
        check(&format!(r#""id":"{}""#, "x".repeat(256)), "id");
        check(r#""tools":5"#, "tools");
    }
}
