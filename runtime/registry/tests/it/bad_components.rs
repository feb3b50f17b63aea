//! What cannot be installed says why, and leaves nothing behind.

use innkeeper_registry::{Registry, RegistryError};
use innkeeper_sandbox::{InspectError, LoadError};
use innkeeper_testing::guests::guest;

use crate::environment::{COMPONENT_MAX, GRANTED, World, changed};

async fn refused(world: &World, registry: &Registry, bytes: Vec<u8>) -> RegistryError {
    let generation = world.store.plugins().generation().await.unwrap();
    let error = registry.install(bytes, GRANTED).await.unwrap_err();
    assert!(registry.list().is_empty() && world.store.plugins().list().await.unwrap().is_empty(), "{error}");
    assert_eq!(world.store.plugins().generation().await.unwrap(), generation, "{error}");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_plugin_are_refused_with_the_reason() {
    let world = World::new().await;
    let registry = world.registry().await;
    let inspected = |error: RegistryError| match error {
        RegistryError::Load(LoadError::Inspect(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(inspected(refused(&world, &registry, b"#!/bin/sh\n".to_vec()).await), InspectError::NotWasm);
    assert_eq!(inspected(refused(&world, &registry, Vec::new()).await), InspectError::NotWasm);
    let module = b"\0asm\x01\0\0\0".to_vec();
    assert_eq!(inspected(refused(&world, &registry, module).await), InspectError::CoreModule);
    let empty = b"\0asm\x0d\0\x01\0".to_vec();
    assert!(matches!(inspected(refused(&world, &registry, empty).await), InspectError::WrongWorld { .. }));
    let whole = guest("calculator");
    let truncated = whole[..whole.len() / 2].to_vec();
    assert!(matches!(inspected(refused(&world, &registry, truncated).await), InspectError::Malformed { .. }));
    let newer = changed("calculator", &[("innkeeper:plugin/plugin@0.1.0", "innkeeper:plugin/plugin@0.9.0")]);
    let error = refused(&world, &registry, newer).await;
    assert!(error.to_string().contains("0.9"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_bytes_are_refused_before_anything_looks_at_them() {
    let world = World::new().await;
    let registry = world.registry().await;
    let error = refused(&world, &registry, vec![0; 100 << 20]).await;
    assert!(
        matches!(error, RegistryError::TooLarge { size, max } if size == 100 << 20 && max == COMPONENT_MAX)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_permission_is_named() {
    let world = World::new().await;
    let registry = world.registry().await;
    let error = refused(&world, &registry, changed("probe", &[("events.script", "events.skript")])).await;
    assert!(error.to_string().contains("unknown permission `events.skript`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_schema_is_named_with_its_place() {
    let world = World::new().await;
    let registry = world.registry().await;
    let error = refused(&world, &registry, changed("context-clip", &[("integer", "integre")])).await;
    let text = error.to_string();
    assert!(matches!(error, RegistryError::Schema(_)), "{text}");
    assert!(text.contains("`valves`") && text.contains("`/properties/keep/type`"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserved_or_malformed_id_is_refused() {
    let world = World::new().await;
    let registry = world.registry().await;
    let error = refused(&world, &registry, changed("echo", &[("echo", "docs")])).await;
    assert!(error.to_string().contains("reserved"), "{error}");
    let error = refused(&world, &registry, changed("calculator", &[("calculator", "Calculator")])).await;
    assert!(error.to_string().contains("`Calculator`"), "{error}");
}
