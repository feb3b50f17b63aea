//! Stored files.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use innkeeper_model::FileId;
use sea_query::{Expr, ExprTrait, Query};

use super::*;

claims! {
    bytes_come_back_as_they_were_stored,
    files_belong_to_their_owner,
    a_failed_upload_leaves_nothing,
    names_are_shown_and_never_paths,
    files_are_listed_newest_first,
    bytes_outside_of_the_storage_are_not_read,
    files_that_nobody_reads_or_writes_on_are_not_open,
    a_file_that_changes_under_its_reader_ends_with_an_error,
    what_a_killed_process_left_of_a_file_is_removed,
}

async fn bytes_come_back_as_they_were_stored(world: &World) {
    let files = world.store.files();
    let pieces: Vec<Vec<u8>> = (0..40_u8).map(|byte| vec![byte; 5000]).collect();
    let data = stream::iter(pieces.clone().into_iter().map(|piece| Ok(Bytes::from(piece))));
    let file = files
        .create(&world.alice, &own(&world.alice), new_file("notes \u{1f600}.md"), data, 1 << 20)
        .await
        .unwrap();
    assert_eq!(
        (file.size, file.name.as_str(), file.content_type.as_deref()),
        (Some(200_000), "notes \u{1f600}.md", Some("text/plain"))
    );
    assert_eq!(files.get(&own(&world.alice), &file.id).await.unwrap().as_ref(), Some(&file));
    let (same, bytes) = files.open(&own(&world.alice), &file.id).await.unwrap().unwrap();
    assert_eq!(same, file);
    // No connection is held while bytes are read.
    settle(&world.store).await;
    let bytes: Vec<Bytes> = bytes.try_collect().await.unwrap();
    assert_eq!(bytes.concat(), pieces.concat());
    let empty = world.file(&world.alice, "empty", b"").await;
    assert_eq!(files.get(&own(&world.alice), &empty).await.unwrap().unwrap().size, Some(0));
}

async fn files_belong_to_their_owner(world: &World) {
    let files = world.store.files();
    let id = world.file(&world.alice, "a.txt", b"secret").await;
    for stranger in
        [own(&world.bob), own(&world.admin), own(&world.pending), all(&world.bob), Authority::Unattended]
    {
        assert_eq!(files.get(&stranger, &id).await.unwrap(), None);
        assert!(files.open(&stranger, &id).await.unwrap().is_none());
        assert!(!files.delete(&stranger, &id).await.unwrap());
        assert!(files.list(&stranger, None, &first(0)).await.unwrap().items.is_empty());
        let data = stream::iter([Ok(Bytes::from_static(b"x"))]);
        assert!(is_not_found(files.create(&world.alice, &stranger, new_file("b"), data, 10).await));
    }
    assert_eq!(world.stored_files().len(), 1, "refused uploads leave no bytes");
    assert!(files.get(&all(&world.admin), &id).await.unwrap().is_some());
    assert!(files.delete(&own(&world.alice), &id).await.unwrap());
    assert!(!files.delete(&own(&world.alice), &id).await.unwrap());
    assert!(world.stored_files().is_empty());
}

async fn a_failed_upload_leaves_nothing(world: &World) {
    let files = world.store.files();
    let too_much = stream::iter((0..10).map(|_| Ok(Bytes::from_static(b"0123456789"))));
    let refused = files.create(&world.alice, &own(&world.alice), new_file("a"), too_much, 50).await;
    assert!(matches!(refused, Err(StoreError::ByteLimit)), "{refused:?}");
    let broken = stream::iter([Ok(Bytes::from_static(b"x")), Err(std::io::Error::other("client went away"))]);
    let broken = files.create(&world.alice, &own(&world.alice), new_file("a"), broken, 50).await;
    assert!(matches!(broken, Err(StoreError::Storage(_))));
    let me = own(&world.alice);
    let slow = files.create(&world.alice, &me, new_file("a"), stream::pending(), 50);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), slow).await.is_err());
    assert!(world.stored_files().is_empty());
    assert!(files.list(&own(&world.alice), None, &first(0)).await.unwrap().items.is_empty());
}

async fn names_are_shown_and_never_paths(world: &World) {
    let files = world.store.files();
    for name in ["../../etc/passwd", "/etc/passwd", "a/b", "C:\\x", ".", "'; DROP TABLE file; --"] {
        let id = world.file(&world.alice, name, b"x").await;
        assert_eq!(files.get(&own(&world.alice), &id).await.unwrap().unwrap().name, name);
    }
    assert!(world.stored_files().iter().all(|name| name.len() == 36), "{:?}", world.stored_files());
    for (name, content_type) in
        [("", "a/b"), ("a\n", "a/b"), ("a", "text"), ("a", "text/\u{e4}"), ("a", "a/b\r\nx: y")]
    {
        let new = NewFile { name: name.to_owned(), content_type: content_type.to_owned() };
        let data = stream::iter([Ok(Bytes::from_static(b"x"))]);
        assert!(
            is_invalid(files.create(&world.alice, &own(&world.alice), new, data, 10).await),
            "{name:?} {content_type:?}"
        );
    }
}

async fn files_are_listed_newest_first(world: &World) {
    for number in 0..5 {
        world.clock.advance(i64::from(number % 2));
        world.file(&world.alice, &format!("{number}%.txt"), b"x").await;
    }
    let files = world.store.files();
    let one = files.list(&own(&world.alice), None, &first(3)).await.unwrap();
    let two = files.list(&own(&world.alice), None, &after(one.next, 3)).await.unwrap();
    assert_eq!((one.items.len(), two.items.len(), two.next), (3, 2, None));
    let times: Vec<i64> = one.items.iter().chain(&two.items).map(|file| -file.created_at).collect();
    assert!(times.is_sorted());
    let hits =
        async |part: &str| files.list(&own(&world.alice), Some(part), &first(0)).await.unwrap().items.len();
    assert_eq!((hits("%").await, hits("3%.T").await, hits("_").await), (5, 1, 0));
    assert!(is_invalid(files.list(&own(&world.alice), None, &forged()).await));
}

async fn bytes_outside_of_the_storage_are_not_read(world: &World) {
    let outside = world.files.path().join("outside");
    std::fs::write(&outside, "secret").unwrap();
    let uploads = world.files.path().join("uploads");
    std::os::unix::fs::symlink(&outside, uploads.join("link")).unwrap();
    let id = world.file(&world.alice, "a", b"x").await;
    let paths = [
        outside.to_str().unwrap().to_owned(),
        uploads.join("../outside").to_str().unwrap().to_owned(),
        uploads.join("link").to_str().unwrap().to_owned(),
        uploads.to_str().unwrap().to_owned(),
        "s3://bucket/key".to_owned(),
        String::new(),
    ];
    for path in paths {
        let update = Query::update()
            .table("file")
            .value("path", path.as_str())
            .and_where(Expr::col("id").eq(id.as_str()))
            .take();
        world.run(&update).await;
        let opened = world.store.files().open(&own(&world.alice), &id).await;
        assert!(matches!(opened, Err(StoreError::Storage(_))), "{path}");
    }
    assert!(world.store.files().delete(&own(&world.alice), &id).await.unwrap());
    assert!(outside.exists(), "bytes that are not ours stay");
    assert!(world.store.files().open(&own(&world.alice), &FileId::from("none")).await.unwrap().is_none());
}

/// Descriptors of this process that lead into the storage.
#[cfg(target_os = "linux")]
fn open_files(world: &World) -> usize {
    let uploads = world.files.path().join("uploads");
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let open = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    open.filter(|path| path.starts_with(&uploads)).count()
}

#[cfg(not(target_os = "linux"))]
fn open_files(_: &World) -> usize {
    0
}

async fn files_that_nobody_reads_or_writes_on_are_not_open(world: &World) {
    let (files, me) = (world.store.files(), own(&world.alice));
    let bytes = vec![b'x'; 200_000];
    let id = world.file(&world.alice, "a", &bytes).await;
    let mut readings = Vec::new();
    for _ in 0..50 {
        let (_, mut reading) = files.open(&me, &id).await.unwrap().unwrap();
        let first = reading.try_next().await.unwrap().unwrap();
        assert!(first.len() < bytes.len());
        readings.push((first, reading));
    }
    let begun = stream::iter([Ok(Bytes::from(bytes.clone()))]).chain(stream::pending());
    let slow = files.create(&world.alice, &me, new_file("b"), begun, 1 << 20);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), slow).await.is_err());
    let begun = stream::iter([Ok(Bytes::from(bytes.clone()))]).chain(stream::pending());
    let mut slow = std::pin::pin!(files.create(&world.alice, &me, new_file("b"), begun, 1 << 20));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), slow.as_mut()).await.is_err());
    assert_eq!(world.stored_files().len(), 2, "one is being written");
    assert_eq!(open_files(world), 0);
    for (first, reading) in readings {
        let rest: Vec<Bytes> = reading.try_collect().await.unwrap();
        assert_eq!([vec![first], rest].concat().concat(), bytes);
    }
}

async fn what_a_killed_process_left_of_a_file_is_removed(world: &World) {
    let uploads = world.files.path().join("uploads");
    let left = |name: &str, hours: u64| {
        let file = std::fs::File::create(uploads.join(name)).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified - std::time::Duration::from_secs(hours * 3600)).unwrap();
    };
    let (old, new) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    let [old, new, others] = [format!("{old}.part"), format!("{new}.part"), format!("{old}_a.part")];
    left(&old, 25);
    left(&new, 23);
    left(&others, 25);
    LocalFiles::new(&uploads).unwrap();
    let mut expected = vec![new, others];
    expected.sort();
    let mut found = world.stored_files();
    found.sort();
    assert_eq!(found, expected);
}

async fn a_file_that_changes_under_its_reader_ends_with_an_error(world: &World) {
    let (files, me) = (world.store.files(), own(&world.alice));
    let bytes = vec![b'x'; 200_000];
    let id = world.file(&world.alice, "a", &bytes).await;
    let path = world.files.path().join("uploads").join(&world.stored_files()[0]);
    let (_, mut reading) = files.open(&me, &id).await.unwrap().unwrap();
    assert!(reading.try_next().await.unwrap().is_some());
    std::fs::write(&path, vec![b'y'; 300_000]).unwrap();
    assert!(reading.try_next().await.is_err(), "half of one and half of another");
    // The same length, in place and by another file; either is told by one thing alone.
    let (other, bytes) = (world.files.path().join("other"), vec![b'z'; 300_000]);
    let began = async || {
        let (_, mut reading) = files.open(&me, &id).await.unwrap().unwrap();
        assert!(reading.try_next().await.unwrap().is_some());
        (reading, std::fs::metadata(&path).unwrap().modified().unwrap())
    };
    let (mut reading, modified) = began().await;
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(modified + std::time::Duration::from_secs(1)).unwrap();
    assert!(reading.try_next().await.is_err(), "changed in place");
    let (mut reading, modified) = began().await;
    std::fs::write(&other, &bytes).unwrap();
    std::fs::File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
    std::fs::rename(&other, &path).unwrap();
    assert!(reading.try_next().await.is_err(), "another file");
    let (mut reading, _) = began().await;
    assert!(files.delete(&me, &id).await.unwrap());
    assert!(reading.try_next().await.is_err());
}
