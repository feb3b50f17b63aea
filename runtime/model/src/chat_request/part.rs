//! Parts of a message's content.

use super::body_error::BodyError;
use super::record::{Record, Rest, write_checked};
use super::{ContentPart, Media};
use crate::json::{self, Entry, Kind};

impl ContentPart {
    /// Reads a part; one that is neither a text nor an image stays as it was written. Fails where the text is no JSON.
    pub fn from_json(text: &str) -> Result<Self, BodyError> {
        json::check(text).map_err(|error| BodyError::json("", &error))?;
        Ok(Self::read(text.trim_ascii()))
    }

    /// Writes the part; see `write_json` for when it fails.
    pub fn to_json(&self) -> Result<String, BodyError> {
        let mut out = String::new();
        self.write_json(&mut out)?;
        Ok(out)
    }

    /// Appends the part; fails where a JSON text in it is none, and where a blob has not been put back.
    pub fn write_json(&self, out: &mut String) -> Result<(), BodyError> {
        match self {
            Self::Other(text) => write_checked(out, "", text),
            Self::Text { text, extra } => {
                let mut record = Record::open(out, extra.as_deref())?;
                record.json("type", "\"text\"");
                record.string("text", text);
                record.close(&["type", "text"]);
                Ok(())
            }
            Self::Image { image, detail, extra } => {
                let mut record = Record::open(out, extra.as_deref())?;
                record.json("type", "\"image_url\"");
                let inner = record.raw("image_url").and_then(|raw| json::object(raw).ok());
                record.key("image_url");
                match image {
                    Media::Url(url) => {
                        let mut place = Record::with(record.out, inner);
                        place.string("url", url);
                        place.optional("detail", detail.as_deref());
                        place.close(&["url", "detail"]);
                    }
                    Media::Other(text) => write_checked(record.out, "image_url", text)?,
                    Media::Blob(_) => {
                        return Err(BodyError::new(
                            "image_url",
                            "is still a reference to a blob; put the data back before the body is written",
                        ));
                    }
                }
                record.close(&["type", "image_url"]);
                Ok(())
            }
        }
    }

    /// Reads a text that is known to be JSON.
    pub(super) fn read(raw: &str) -> Self {
        Self::typed(raw).unwrap_or_else(|| Self::Other(raw.to_owned()))
    }

    fn typed(raw: &str) -> Option<Self> {
        let object = json::object(raw).ok()?;
        let kind = json::string(object.get("type")?)?;
        let mut rest = Rest::default();
        let named = |entry: &Entry<'_>, name: &str| entry.key == "type" || entry.key == name;
        match &*kind {
            "text" => {
                let text = json::string(object.get("text")?)?.into_owned();
                object
                    .entries()
                    .iter()
                    .filter(|entry| !named(entry, "text"))
                    .for_each(|entry| rest.keep(entry));
                Some(Self::Text { text, extra: rest.finish() })
            }
            "image_url" => {
                let (image, detail, inner) = read_image(object.get("image_url")?);
                object
                    .entries()
                    .iter()
                    .filter(|entry| !named(entry, "image_url"))
                    .for_each(|entry| rest.keep(entry));
                if let Some(inner) = inner {
                    rest.put("\"image_url\"", &inner);
                }
                Some(Self::Image { image, detail, extra: rest.finish() })
            }
            _ => None,
        }
    }
}

/// Reads the value of `image_url`: where it is, how closely to look, and its other fields.
fn read_image(raw: &str) -> (Media, Option<String>, Option<String>) {
    let object = json::object(raw).unwrap_or_default();
    let Some(url) =
        object.get("url").and_then(json::string).filter(|_| json::kind(raw) == Some(Kind::Object))
    else {
        return (Media::Other(raw.to_owned()), None, None);
    };
    let mut detail = None;
    let mut rest = Rest::default();
    for entry in object.entries() {
        match &*entry.key {
            "url" => {}
            "detail" => detail = rest.optional(entry),
            _ => rest.keep(entry),
        }
    }
    (Media::Url(url.into_owned()), detail, rest.finish())
}
