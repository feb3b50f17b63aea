//! What a plugin says of itself: repeatable, bounded, without a word from the server, and checked.

use innkeeper_model::limits::Limits;
use innkeeper_model::manifest::ManifestError;
use innkeeper_sandbox::{CallError, LoadError, SandboxOptions};

use crate::guests::{Guest, Says};
use crate::world::{World, options};

async fn described(guest: &Guest) -> Result<String, LoadError> {
    let limits = Limits { describe: 300, describe_fuel: 50_000_000, ..Limits::default() };
    let world = World::with(SandboxOptions { limits, ..options() }, 2).await;
    let plugin = world.sandbox.load(&guest.build()).await?;
    let result = world.sandbox.describe(&plugin).await.map(|manifest| manifest.id.to_string());
    world.assert_idle(16).await;
    result
}

#[tokio::test]
async fn a_manifest_is_the_same_each_time() {
    let world = World::new().await;
    for name in ["probe", "misbehave", "nothing", "redaction", "rate-limit"] {
        let plugin = world.load(name).await;
        let first = world.sandbox.describe(&plugin).await.unwrap();
        assert_eq!(first, world.sandbox.describe(&plugin).await.unwrap(), "{name}");
    }
}

#[tokio::test]
async fn while_it_describes_itself_the_clock_stands_still_and_random_numbers_repeat() {
    // The time must be 0; the name is made from a random number.
    let guest = Guest {
        packages: &[
            "package wasi:clocks@0.2.6; interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }",
            "package wasi:random@0.2.6; interface random { get-random-u64: func() -> u64; }",
        ],
        imports: "import wasi:clocks/wall-clock@0.2.6; import wasi:random/random@0.2.6;",
        fields: r#"
            (import "wasi:clocks/wall-clock@0.2.6" "now" (func $now (param i32)))
            (import "wasi:random/random@0.2.6" "get-random-u64" (func $random (result i64)))"#
            .into(),
        describe: r#"
            (call $now (i32.const 256))
            (if (i64.ne (i64.load (i32.const 256)) (i64.const 0)) (then unreachable))
            (i64.store (i32.load (i32.const 1032))
              (i64.add (i64.and (call $random) (i64.const 0x0f0f0f0f0f0f0f0f)) (i64.const 0x6161616161616161)))"#
            .into(),
        ..Guest::says(|says| says.name = "12345678".into())
    };
    let world = World::new().await;
    let plugin = world.sandbox.load(&guest.build()).await.unwrap();
    let first = world.sandbox.describe(&plugin).await.unwrap();
    assert!(first.name != "12345678" && first.name.len() == 8, "{}", first.name);
    assert_eq!(first, world.sandbox.describe(&plugin).await.unwrap());
}

#[tokio::test]
async fn an_export_of_other_types_than_the_contracts_is_refused_at_install() {
    // The same for a machine: it is but one name in what a tool gives back.
    let guest = Guest { renamed: Some(("types/tools.wit", "summary:", "synopsis:")), ..Guest::default() };
    let error = described(&guest).await.unwrap_err();
    assert!(matches!(error, LoadError::Link(_)), "{error}");
    assert!(error.to_string().contains("its export `tool`"), "{error}");
}

#[tokio::test]
async fn a_describe_that_takes_too_long_hits_its_own_clock() {
    let limits = Limits { describe: 150, describe_fuel: u64::MAX / 4, ..Limits::default() };
    let world = World::with(SandboxOptions { limits, ..options() }, 2).await;
    for guest in [
        Guest { describe: "(loop $again (br $again))".into(), ..Guest::default() },
        Guest::default().with("(func $start (loop $again (br $again))) (start $start)"),
    ] {
        let plugin = world.sandbox.load(&guest.build()).await.unwrap();
        let error = world.sandbox.describe(&plugin).await.unwrap_err();
        assert!(matches!(error, LoadError::Describe(CallError::Limit("describe"))), "{error}");
    }
    world.assert_idle(16).await;
}

#[tokio::test]
async fn a_describe_without_end_hits_its_own_limits() {
    let ends = |describe: &str| Guest { describe: describe.into(), ..Guest::default() };
    for (guest, limit) in [
        (ends("(loop $again (br $again))"), "describe-fuel"),
        (ends("(loop $again (drop (memory.grow (i32.const 16))) (br $again))"), "memory"),
    ] {
        let error = described(&guest).await.unwrap_err();
        assert!(matches!(error, LoadError::Describe(CallError::Limit(hit)) if hit == limit), "{error}");
    }
    let trapped = described(&ends("unreachable")).await.unwrap_err();
    assert!(matches!(trapped, LoadError::Describe(CallError::Trap(_))), "{trapped}");
}

#[tokio::test]
async fn an_import_that_waits_cannot_be_called_while_it_describes_itself() {
    let guest = Guest {
        imports: "import innkeeper:plugin/users@0.1.0;",
        fields: r#"(import "innkeeper:plugin/users@0.1.0" "me" (func $me (param i32)))"#.into(),
        describe: "(call $me (i32.const 256))".into(),
        ..Guest::default()
    };
    let error = described(&guest).await.unwrap_err();
    assert!(matches!(error, LoadError::Describe(CallError::Trap(_))), "{error}");
}

#[tokio::test]
async fn imports_that_do_not_answer_are_counted_all_the_same() {
    let guest = Guest {
        imports: "import innkeeper:plugin/log@0.1.0;",
        fields: r#"(import "innkeeper:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))"#
            .into(),
        describe: "(loop $again
            (call $log (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (br $again))"
            .into(),
        ..Guest::default()
    };
    let error = described(&guest).await.unwrap_err();
    assert!(matches!(error, LoadError::Describe(CallError::Limit("host-calls"))), "{error}");
}

#[tokio::test]
async fn a_start_function_runs_under_the_limits_of_describe() {
    let start = |body: &str| Guest::default().with(&format!("(func $start {body}) (start $start)"));
    let looped = described(&start("(loop $again (br $again))")).await.unwrap_err();
    assert!(matches!(looped, LoadError::Describe(CallError::Limit("describe-fuel"))), "{looped}");
    let grown =
        described(&start("(loop $again (drop (memory.grow (i32.const 16))) (br $again))")).await.unwrap_err();
    assert!(matches!(grown, LoadError::Describe(CallError::Limit("memory"))), "{grown}");
    let trapped = described(&start("unreachable")).await.unwrap_err();
    assert!(matches!(trapped, LoadError::Describe(CallError::Trap(_))), "{trapped}");
}

#[tokio::test]
async fn imports_do_not_answer_while_it_describes_itself() {
    // Traps unless the locale is absent and the settings are empty, as they are where nothing answers.
    let guest = Guest {
        imports: "import innkeeper:plugin/context@0.1.0; import innkeeper:plugin/config@0.1.0; import innkeeper:plugin/log@0.1.0;",
        fields: r#"
            (import "innkeeper:plugin/context@0.1.0" "locale" (func $locale (param i32)))
            (import "innkeeper:plugin/config@0.1.0" "valves" (func $valves (param i32)))
            (import "innkeeper:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))"#
            .into(),
        describe: r#"
            (call $locale (i32.const 256))
            (if (i32.load8_u (i32.const 256)) (then unreachable))
            (call $valves (i32.const 256))
            (if (i32.ne (i32.load (i32.const 260)) (i32.const 2)) (then unreachable))
            (call $log (i32.const 4) (i32.load (i32.const 1024)) (i32.const 4) (i32.const 0) (i32.const 0))"#
            .into(),
        ..Guest::default()
    };
    assert_eq!(described(&guest).await.unwrap(), "by-hand");
}

#[tokio::test]
async fn a_wrong_manifest_says_what_is_wrong() {
    let check = async |change: fn(&mut Says), expected: &str| {
        let error = described(&Guest::says(change)).await.unwrap_err();
        assert!(matches!(error, LoadError::Manifest(_)), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(|says| says.id = "Upper".into(), "Upper").await;
    check(|says| says.id = String::new(), "id").await;
    check(|says| says.id = "models".into(), "models").await;
    check(|says| says.name = "\u{1b}[31mred".into(), "control characters").await;
    check(|says| says.name = "n".repeat(100_000), "100000 bytes").await;
    check(|says| says.permissions = vec![("root".into(), "because".into())], "unknown permission `root`")
        .await;
    check(|says| says.permissions = vec![("kv".into(), String::new())], "reason").await;
    check(|says| says.permissions = vec![("kv".into(), "a".into()); 2], "twice").await;
    check(|says| says.limits = vec![("fule".into(), 1)], "fule").await;
    check(|says| says.limits = vec![("fuel".into(), u64::MAX)], "at most").await;
    check(|says| says.valves = Some("{".into()), "valves").await;
    check(|says| says.valves = Some("[]".into()), "valves").await;
    check(|says| says.valves = Some(format!("{}{}", "[".repeat(50_000), "]".repeat(50_000))), "valves").await;
    check(|says| says.tools = Vec::new(), "`tool`").await;
    check(|says| says.tools = vec![says.tools[0].clone(); 2], "twice").await;
    check(|says| says.tools[0].0 = "has blanks".into(), "has blanks").await;
    check(|says| says.tools[0].1 = "\"object\"".into(), "parameters").await;
    check(|says| says.jobs = vec![("j".into(), "* * * * *".into())], "does not export `job`").await;
}

#[tokio::test]
async fn a_manifest_beyond_what_one_call_may_carry_is_refused() {
    let guest = Guest::says(|says| {
        says.valves = Some(format!("{{\"type\":\"object\",\"d\":\"{}\"}}", "x".repeat(9 << 20)))
    });
    let error = described(&guest).await.unwrap_err();
    assert!(matches!(error, LoadError::Describe(CallError::Limit("transfer"))), "{error}");
    let error = described(&Guest::says(|says| says.name = String::new())).await.unwrap_err();
    assert!(matches!(error, LoadError::Manifest(ManifestError::Text { .. })), "{error}");
}
