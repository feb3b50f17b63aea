//! Long `data:` URIs leave a request and come back.

use std::collections::HashMap;
use std::sync::Arc;

use innkeeper_model::chat_request::{
    Blob, ChatRequest, Content, ContentPart, Media, extract_blobs, restore_blobs,
};
use innkeeper_model::json::same_json;

fn body() -> String {
    let long = "A".repeat(100);
    format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"data:{long}"}},{{"role":"user","content":[
            {{"type":"text","text":"data:{long}"}},
            {{"type":"image_url","image_url":{{"url":"https://example.org/{long}"}}}},
            {{"type":"image_url","image_url":{{"url":"data:image/png;base64,AA"}}}},
            {{"type":"image_url","image_url":{{"url":"Data:image/png;base64,{long}","detail":"low","x":1.0}}}}]}}]}}"#
    )
}

fn extracted() -> (ChatRequest, HashMap<String, Arc<str>>) {
    let mut request = ChatRequest::from_json(&body()).unwrap();
    let mut kept = HashMap::new();
    extract_blobs(&mut request, 64, &mut |uri| {
        let blob = Blob {
            id: format!("b{}", kept.len()),
            content_type: "image/png".into(),
            size: uri.len() as u64,
            extra: None,
        };
        kept.insert(blob.id.clone(), uri.into());
        blob
    });
    (request, kept)
}

fn image(request: &mut ChatRequest, part: usize) -> &mut Media {
    let Some(Content::Parts(parts)) = &mut request.messages[1].content else { panic!("parts expected") };
    let ContentPart::Image { image, .. } = &mut parts[part] else { panic!("image expected") };
    image
}

#[test]
fn only_long_data_uris_of_images_are_taken_out() {
    let (mut request, kept) = extracted();
    assert_eq!(kept.len(), 1);
    assert!(matches!(image(&mut request, 3), Media::Blob(Blob { size: 122, .. })));
    assert!(matches!(image(&mut request, 1), Media::Url(_)));
    assert!(matches!(image(&mut request, 2), Media::Url(_)));
    assert_eq!(request.to_json().unwrap_err().path, "messages[1].content[3].image_url");
}

#[test]
fn restored_body_is_the_one_that_came() {
    let (mut request, kept) = extracted();
    restore_blobs(&mut request, &|id| kept.get(id).cloned()).unwrap();
    assert!(same_json(&request.to_json().unwrap(), &body()));
}

#[test]
fn unknown_blob_is_refused_and_its_id_cannot_forge_lines() {
    let (mut request, _) = extracted();
    let id = format!("x\n{}", "y".repeat(1000));
    *image(&mut request, 3) = Media::Blob(Blob { id, content_type: String::new(), size: 0, extra: None });
    let error = restore_blobs(&mut request, &|_| None).unwrap_err();
    assert_eq!(error.path, "messages[1].content[3].image_url");
    assert!(error.problem.starts_with("refers to the blob `x\\nyyy") && error.problem.len() < 200, "{error}");
}
