//! Requests that guests have had in their hands: checked, and made whole again.

use std::sync::Arc;

use innkeeper_model::chat_request::{
    BodyError, ChatRequest, Content, ContentPart, Media, extract_blobs, restore_blobs,
};

use crate::scope::Scope;

/// Longest `data:` URI that travels as text, in bytes.
const INLINE_MAX: usize = 16 * 1024;

/// Leaves long `data:` URIs with the host.
pub(crate) fn keep_blobs(blobs: &innkeeper_host::turn::Blobs, request: &mut ChatRequest) {
    extract_blobs(request, INLINE_MAX, &mut |uri| blobs.keep(uri));
}

/// Whether a request that a guest made can be written as JSON: its texts are JSON where they should be, its blobs are of this turn.
pub(crate) fn check(scope: &Arc<Scope>, request: &ChatRequest) -> Result<(), BodyError> {
    if !has_blobs(request) {
        return request.to_json().map(drop);
    }
    let mut whole = request.clone();
    restore_blobs(&mut whole, &|id| scope.turn.blobs.get(id))?;
    whole.to_json().map(drop)
}

fn has_blobs(request: &ChatRequest) -> bool {
    let is_blob = |part: &ContentPart| matches!(part, ContentPart::Image { image: Media::Blob(_), .. });
    request.messages.iter().any(|message| match &message.content {
        Some(Content::Parts(parts)) => parts.iter().any(is_blob),
        _ => false,
    })
}
