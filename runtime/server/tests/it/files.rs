//! `/api/v1/files/{file}/content`: bytes of files, for their owner.

use axum::http::Method;
use bytes::Bytes;
use innkeeper_model::authority::Authority;
use innkeeper_model::file::NewFile;

use crate::world::world;

#[tokio::test]
async fn a_files_bytes_are_its_owners_alone_and_come_as_a_download() {
    let world = world().await;
    let owner = world.user.id.clone();
    let new = NewFile { name: "über <b>.html".into(), content_type: "text/html".into() };
    let bytes = futures::stream::iter([Ok(Bytes::from_static(b"<script>"))]);
    let file =
        world.store.files().create(&owner, &Authority::Own(owner.clone()), new, bytes, 1024).await.unwrap();
    let path = format!("/api/v1/files/{}/content", file.id);

    let answer = world.call(Method::GET, &path, &world.user).await.expect(200);
    assert_eq!(answer.text, "<script>");
    let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/html");
    assert_eq!(header("content-disposition"), "attachment; filename*=UTF-8''%C3%BCber%20%3Cb%3E.html");
    assert!(header("content-security-policy").contains("default-src 'none'"), "{answer:?}");

    for (path, who) in [(path.as_str(), &world.admin), ("/api/v1/files/none/content", &world.user)] {
        assert_eq!(world.call(Method::GET, path, who).await.expect(404).code(), "not-found");
    }
}
