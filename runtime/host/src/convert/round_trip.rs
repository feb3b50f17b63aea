//! Host → guest → host: what a plugin hands on as it got it is what it was, and passes every check of what guests give.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::HashMap;
use std::sync::Arc;

use innkeeper_model::chat_request::{Blob, ChatRequest, Completion, Message, extract_blobs, restore_blobs};
use innkeeper_model::chunk::Chunk;
use innkeeper_model::json::same_json;
use proptest::prelude::*;

use super::chat_request::chunk_from_guest;
use super::json::check_request;
use crate::bindings::innkeeper::types::chat_request as wit;

#[expect(dead_code, reason = "shared with the tests of the model, which use all of it")]
#[path = "../../../model/tests/it/bodies.rs"]
mod bodies;

/// The request as a guest gives it back that changes nothing.
fn there_and_back(request: ChatRequest) -> ChatRequest {
    let back = ChatRequest::from(wit::ChatRequest::from(request));
    assert_eq!(check_request(&back), Ok(()));
    back
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_body_crosses_the_contract_unchanged(body in bodies::body()) {
        let request = ChatRequest::from_json(&body).unwrap();
        let back = there_and_back(request.clone());
        prop_assert_eq!(&back, &request);
        let written = back.to_json().unwrap();
        prop_assert!(same_json(&body, &written), "{}\n{}", body, written);
    }

    #[test]
    fn images_that_stay_behind_are_put_back_where_they_were(body in bodies::body()) {
        let mut request = ChatRequest::from_json(&body).unwrap();
        let mut kept: HashMap<String, Arc<str>> = HashMap::new();
        extract_blobs(&mut request, 0, &mut |uri| {
            let id = kept.len().to_string();
            let blob = Blob { id: id.clone(), content_type: "image/png".to_owned(), size: uri.len() as u64, extra: None };
            kept.insert(id, uri.into());
            blob
        });
        let mut back = there_and_back(request);
        restore_blobs(&mut back, &|id| kept.get(id).cloned()).unwrap();
        let written = back.to_json().unwrap();
        prop_assert!(same_json(&body, &written), "{}\n{}", body, written);
    }

    #[test]
    fn any_piece_of_an_answer_crosses_the_contract_unchanged(delta in bodies::message(), usage in bodies::usage()) {
        let choice = format!(r#"{{"index":1,"delta":{delta},"finish_reason":"stop","further":{usage}}}"#);
        let event = r#"{"type":"status","data":{"description":"x"}}"#;
        let frame = format!(r#"{{"choices":[{choice}],"usage":{usage},"event":{event}}}"#);
        let chunks = Chunk::from_frame(&frame).unwrap();
        prop_assert!(!chunks.is_empty());
        for chunk in chunks {
            let back = chunk_from_guest(wit::Chunk::from(chunk.clone()));
            prop_assert_eq!(back.as_ref(), Ok(&chunk));
        }
    }

    #[test]
    fn any_completion_reaches_the_guest_whole(message in bodies::message(), usage in bodies::usage()) {
        let choice = format!(r#"{{"index":0,"message":{message},"finish_reason":"stop"}}"#);
        let answer = format!(r#"{{"id":"i","model":"m","choices":[{choice}],"usage":{usage}}}"#);
        let completion = Completion::from_json(&answer).unwrap();
        let told = wit::Completion::from(completion.clone());
        prop_assert!(same_json(&answer, told.extra.as_deref().unwrap_or_default()));
        prop_assert_eq!(Message::from(told.message), completion.message);
    }
}
