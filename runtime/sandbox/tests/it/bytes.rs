//! Bytes that are no plugin: each is refused with what, where and what to do, and none of them panics.

use innkeeper_sandbox::{InspectError, LoadError, inspect};
use innkeeper_testing::guests::guest;
use wasmparser::{Validator, WasmFeatures};
use wasmtime::component::Component;

use crate::guests::Guest;
use crate::world::{World, options};

const MAX: usize = 64 << 20;

#[track_caller]
fn refused(bytes: &[u8], expected: &str) {
    let error = inspect(bytes, MAX).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(!error.chars().any(char::is_control) && error.len() < 2_000, "{error}");
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// A component with these imports and exports of interfaces without anything in them.
fn interfaces(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    let imports: String = imports.iter().map(|name| format!("(import \"{name}\" (instance))")).collect();
    let exports: String =
        exports.iter().map(|name| format!("(export \"{name}\" (instance $empty))")).collect();
    component(&format!("(component {imports} (instance $empty) {exports})"))
}

#[test]
fn what_is_no_plugin_is_refused_with_what_to_do() {
    refused(b"", "not a WebAssembly component");
    refused(b"#!/bin/sh\n", "not a WebAssembly component");
    refused(b"PK\x03\x04", "not a WebAssembly component");
    refused(b"\0asm", "damaged at byte");
    refused(b"\0asm\x0d\0\x01", "damaged at byte");
    refused(&component("(module)"), "core WebAssembly module");
    refused(&component("(component)"), "another world");
    refused(&interfaces(&[], &["wasi:http/incoming-handler@0.2.6"]), "`wasi:http/incoming-handler@0.2.6`");
    refused(&interfaces(&[], &["innkeeper:plugin/plugin@0.1.0"]), "nothing to call");
    refused(&interfaces(&[], &["innkeeper:plugin/tool@0.1.0"]), "does not export `innkeeper:plugin/plugin`");
    for version in ["0.2.0", "1.0.0", "0.1.0-rc.1", "0.0.9"] {
        let names =
            [format!("innkeeper:plugin/plugin@{version}"), format!("innkeeper:plugin/tool@{version}")];
        refused(&interfaces(&[], &[&names[0], &names[1]]), version);
    }
    let ours = ["innkeeper:plugin/plugin@0.1.0", "innkeeper:plugin/tool@0.1.0"];
    for import in ["innkeeper:plugin/users@0.2.0", "wasi:http/types@0.3.0", "evil:host/root@1.0.0", "plain"] {
        refused(&interfaces(&[import], &ours), import);
    }
    refused(&vec![0; 100 << 20], "at most 67108864 are allowed");
    assert!(inspect(&interfaces(&["innkeeper:plugin/users@0.1.7"], &ours), MAX).is_ok());
    let kinds = inspect(&guest("probe"), MAX).unwrap().kinds;
    assert!(kinds.tool && kinds.pipe && kinds.filter && kinds.action && kinds.job);
}

#[test]
fn components_in_components_are_counted() {
    let nested = |depth: usize| component(&format!("{}{}", "(component ".repeat(depth), ")".repeat(depth)));
    refused(&nested(15), "another world");
    assert_eq!(inspect(&nested(100), MAX), Err(InspectError::TooDeep));
    // A thousand, which the text format's own parser does not take: each is a section of the one around it.
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..1_000 {
        let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
        let mut length = bytes.len();
        while length >= 0x80 {
            outer.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.extend(&bytes);
        bytes = outer;
    }
    assert_eq!(inspect(&bytes, MAX), Err(InspectError::TooDeep));
}

#[test]
fn names_twice_are_refused() {
    let twice = "(component (instance $a) (export \"innkeeper:plugin/plugin@0.1.0\" (instance $a)) \
                 (export \"innkeeper:plugin/tool@0.1.0\" (instance $a)) (export \"innkeeper:plugin/tool@0.1.0\" (instance $a)))";
    refused(&component(twice), "damaged at byte");
}

#[test]
fn a_component_that_is_cut_anywhere_is_refused() {
    let bytes = guest("nothing");
    for part in 0..50 {
        let cut = &bytes[..bytes.len() * part / 50];
        assert!(inspect(cut, MAX).is_err(), "{part}/50");
    }
}

#[tokio::test]
async fn flipped_bits_never_panic() {
    let world = World::with(innkeeper_sandbox::SandboxOptions { cache: None, ..options() }, 1).await;
    let bytes = guest("calculator");
    // A fixed sequence, so that a failure comes again.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let mut loaded = 0;
    for _ in 0..150 {
        let mut bytes = bytes.clone();
        for _ in 0..1 + next() % 3 {
            let (at, bit) = (next() % bytes.len(), next() % 8);
            bytes[at] ^= 1 << bit;
        }
        // Compiling each would take long; what passes inspection is compiled for a few.
        if inspect(&bytes, MAX).is_ok() && loaded < 4 {
            loaded += 1;
            if let Ok(plugin) = world.sandbox.load(&bytes).await {
                let _ = world.sandbox.describe(&plugin).await;
                let _ = world
                    .call(&plugin)
                    .limit("active", 500)
                    .tool("calculate", serde_json::json!({"expression": "1"}))
                    .await;
            }
        }
    }
    world.assert_idle(16).await;
}

#[tokio::test]
async fn types_other_than_the_contracts_do_not_link() {
    let world = World::new().await;
    // `locale` is there, but gives back a number; `invented` is not there at all.
    for function in [
        "(export \"locale\" (func (result u32)))",
        "(export \"invented\" (func))",
        "(export \"locale\" (func (param \"more\" string) (result (option string))))",
    ] {
        let text = format!(
            "(component (import \"innkeeper:plugin/context@0.1.0\" (instance {function})) (instance $empty) \
             (export \"innkeeper:plugin/plugin@0.1.0\" (instance $empty)) (export \"innkeeper:plugin/tool@0.1.0\" (instance $empty)))"
        );
        let error = world.sandbox.load(&component(&text)).await.unwrap_err();
        assert!(matches!(error, LoadError::Link(_)), "{error}");
        assert!(error.to_string().contains("innkeeper:plugin/context@0.1.0"), "{error}");
    }
    // The right names, and nothing behind them.
    let hollow = interfaces(&[], &["innkeeper:plugin/plugin@0.1.0", "innkeeper:plugin/tool@0.1.0"]);
    let error = world.sandbox.load(&hollow).await.unwrap_err();
    assert!(matches!(error, LoadError::Link(_)), "{error}");
}

#[tokio::test]
async fn a_component_that_needs_more_than_the_pool_has_is_refused_when_it_is_loaded() {
    let world = World::new().await;
    for (fields, expected) in [
        ("(memory $a 1) (memory $b 1)", "memor"),
        ("(memory $huge 16384)", "memory"),
        ("(table $huge 1000000 funcref)", "table"),
    ] {
        let error = world.sandbox.load(&Guest::default().with(fields).build()).await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("does not compile"), "{error}");
    }
}

#[test]
fn what_the_engine_has_off_is_refused_before_it_is_compiled() {
    // A plugin as far as names go, so that nothing but what is in it can be wrong.
    let plugin = |part: &str| {
        component(&format!(
            "(component {part} (instance $empty) (export \"innkeeper:plugin/plugin@0.1.0\" (instance $empty)) \
             (export \"innkeeper:plugin/tool@0.1.0\" (instance $empty)))"
        ))
    };
    assert!(inspect(&plugin("(core module (memory 1))"), MAX).is_ok());
    for part in OFF {
        let refused = inspect(&plugin(part), MAX).unwrap_err();
        assert!(matches!(refused, InspectError::Malformed { .. }), "{part}: {refused}");
    }
}

/// What plugins do not need, each in a component that is right by a newer standard.
const OFF: &[&str] = &[
    "(core module (memory i64 1))",
    "(core module (memory 1 2 shared))",
    "(core module (memory 1 (pagesize 1)))",
    "(core module (type (struct (field i32))))",
    "(core module (tag))",
    "(core module (type $f (func)) (type (cont $f)))",
    "(core module (func (param i64 i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 1))))",
    "(core module (func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))",
    "(canon error-context.drop (core func))",
    "(canon thread.index (core func))",
];

#[test]
fn the_engine_itself_has_off_what_plugins_do_not_need() {
    let engine = innkeeper_sandbox::bare_engine(&options().engine).unwrap();
    let compiles = |part: &str| Component::new(&engine, component(&format!("(component {part})")));
    compiles("(core module (memory 1) (func (param v128) (result v128) (local.get 0)))").unwrap();
    for part in OFF {
        let newer = component(&format!("(component {part})"));
        Validator::new_with_features(WasmFeatures::all()).validate_all(&newer).unwrap();
        assert!(compiles(part).is_err(), "{part}");
    }
}
