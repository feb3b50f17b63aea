//! Long `data:` URIs stay with the host: taken out before a request goes to plugins, put back before it goes to a model.

use std::sync::Arc;

use super::body_error::BodyError;
use super::{Blob, ChatRequest, Content, ContentPart, Media};

/// Characters of a plugin's blob id that an error repeats.
const SHOWN: usize = 64;

/// Replaces each `data:` URI of more than `threshold_bytes` in an image part by the blob that `keep` makes of it.
/// Images in forms that the record does not know (`Media::Other`) stay where they are.
pub fn extract_blobs(
    request: &mut ChatRequest,
    threshold_bytes: usize,
    keep: &mut impl FnMut(String) -> Blob,
) {
    for media in images(request).map(|(_, media)| media) {
        if let Media::Url(url) = media
            && url.len() > threshold_bytes
            && url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
        {
            *media = Media::Blob(keep(std::mem::take(url)));
        }
    }
}

/// Puts the data of each blob back where the request refers to it; `find` gives the data of an id.
/// Fails at the first id that it does not know; the request may then be half restored.
pub fn restore_blobs(
    request: &mut ChatRequest,
    find: &impl Fn(&str) -> Option<Arc<str>>,
) -> Result<(), BodyError> {
    for ((message, part), media) in images(request) {
        let Media::Blob(blob) = media else { continue };
        let Some(data) = find(&blob.id) else {
            let id: String = blob.id.chars().take(SHOWN).flat_map(char::escape_debug).collect();
            let problem = format!(
                "refers to the blob `{id}`, which this turn does not have; pass blobs on as they came"
            );
            return Err(BodyError::new(format!("messages[{message}].content[{part}].image_url"), problem));
        };
        *media = Media::Url(data.to_string());
    }
    Ok(())
}

/// The images of a request, each with the index of its message and of its part.
fn images(request: &mut ChatRequest) -> impl Iterator<Item = ((usize, usize), &mut Media)> {
    request.messages.iter_mut().enumerate().flat_map(|(at, message)| {
        let parts = match &mut message.content {
            Some(Content::Parts(parts)) => parts.as_mut_slice(),
            _ => &mut [],
        };
        parts.iter_mut().enumerate().filter_map(move |(part, content)| match content {
            ContentPart::Image { image, .. } => Some(((at, part), image)),
            _ => None,
        })
    })
}
