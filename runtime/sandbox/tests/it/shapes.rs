//! Hostile shapes in memory: lists and texts that are too long, lie elsewhere, are of another encoding, or become large in the host.

use innkeeper_host::bindings::innkeeper::types::chat_request::{Chunk, StreamEvent};
use innkeeper_host::convert::chat_request::chunk_from_guest;
use innkeeper_model::receipt::Outcome;
use innkeeper_model::tool::ToolContent;
use innkeeper_model::{Permission, event, json as json_text};
use innkeeper_sandbox::CallError;
use serde_json::json;
use wit_component::StringEncoding;

use crate::contract::Rows;
use crate::guests::{Guest, PART_SIZE};
use crate::world::{World, tool};

const ENCODINGS: [StringEncoding; 3] =
    [StringEncoding::UTF8, StringEncoding::UTF16, StringEncoding::CompactUTF16];

/// A place in the guest's memory where nothing else is.
const FREE: u32 = 65_536;

/// Fills memory from `FREE` on with `{first}0,0,…,0,0{last}`, in all `values` zeros; leaves its length to `$length`.
fn zeros(values: u32) -> (String, u32) {
    let length = values * 2 + 1;
    let fill = format!(
        "(drop (memory.grow (i32.const {pages})))
         (local.set $at (i32.const {FREE}))
         (loop $fill
           (i32.store (local.get $at) (i32.const 0x2c302c30))
           (local.set $at (i32.add (local.get $at) (i32.const 4)))
           (br_if $fill (i32.lt_u (local.get $at) (i32.const {end}))))
         (memory.copy (i32.const {begun}) (i32.const {FREE}) (i32.const {body}))
         (i32.store8 (i32.const {FREE}) (i32.const 91))
         (i32.store8 (i32.const {close}) (i32.const 93))",
        pages = length / 65_536 + 2,
        end = FREE + length + 8,
        begun = FREE + 1,
        body = length - 1,
        close = FREE + length - 1,
    );
    (fill, length)
}

/// A guest whose tool answers with an array of so many zeros, as JSON.
fn table(values: u32) -> Guest {
    let (fill, length) = zeros(values);
    let mut guest =
        Guest::answers(1, &format!("(i32.const {FREE})"), &format!("(i32.const {length})")).local("$at i32");
    guest.call.insert_str(0, &fill);
    guest
}

#[tokio::test]
async fn json_of_very_many_values_is_refused_before_it_is_taken_apart() {
    let world = World::new().await;
    let most = u32::try_from(json_text::MAX_VALUES).unwrap();
    // With the array itself one value more than there are zeros.
    for (zeros, fits) in [(most - 1, true), (most, false), (3 << 20, false)] {
        let plugin = world.sandbox.load(&table(zeros).build()).await.unwrap();
        let (result, receipt) = world.call(&plugin).tool("run", json!({})).await;
        if fits {
            let ToolContent::Json { value } = result.unwrap().content.remove(0) else { panic!("no JSON") };
            assert_eq!(value.as_array().unwrap().len(), zeros as usize);
        } else {
            assert!(matches!(&result, Err(CallError::Invalid(why)) if why.contains("values")), "{result:?}");
            assert_eq!(receipt.outcome, Outcome::Invalid);
        }
    }
}

#[tokio::test]
async fn the_parts_of_a_result_share_one_bound_on_their_values() {
    let world = World::new().await;
    let half = u32::try_from(json_text::MAX_VALUES).unwrap() / 2;
    for (zeros, fits) in [(half - 1, true), (half, false)] {
        let mut guest = table(zeros);
        // The same part twice.
        guest.call.push_str(&format!(
            "(memory.copy (i32.const {}) (i32.const 512) (i32.const {PART_SIZE})) (i32.store (i32.const 12) (i32.const 2))",
            512 + PART_SIZE,
        ));
        let plugin = world.sandbox.load(&guest.build()).await.unwrap();
        let (result, _) = world.call(&plugin).tool("run", json!({})).await;
        assert_eq!(
            result.as_ref().map(|result| result.content.len()).ok(),
            fits.then_some(2),
            "{:?}",
            result.err()
        );
    }
}

#[tokio::test]
async fn imports_refuse_json_of_very_many_values() {
    let world = World::new().await;
    let rows = Rows::of(&world.store, world.ada()).await;
    let probe = world.load("probe").await;
    let zeros = |values: usize| format!("[{}0]", "0,".repeat(values - 2));
    let call = |permissions| {
        world.call(&probe).grant(permissions).limit("memory", 256 << 20).limit("fuel", u64::MAX / 4)
    };
    let files = |values| {
        json!({
            "chat": rows.chat, "id": rows.message, "version": rows.message_version,
            "change": {"files": zeros(values)},
        })
    };
    let update = async |values| {
        call(&[Permission::ChatMessagesWrite]).probe("chat-messages.update", files(values)).await
    };
    let refused = update(json_text::MAX_VALUES + 1).await;
    assert_eq!(
        (&refused["error"]["code"], &refused["error"]["subject"]),
        (&json!("invalid"), &json!("files"))
    );
    let taken = update(json_text::MAX_VALUES).await;
    assert!(
        taken.get("ok").is_some() || taken["error"]["subject"] == "transfer",
        "{:.300}",
        taken.to_string()
    );

    let arguments = json!({"plugin": "p", "name": "n", "arguments": zeros(json_text::MAX_VALUES + 1)});
    let refused = call(&[Permission::Toolbox]).probe("toolbox.call", arguments).await;
    assert_eq!(refused["error"]["subject"], "arguments", "{:.300}", refused.to_string());

    let title = |values: usize| json!({"event": {"Other": {"kind": "chat:title", "data": zeros(values)}}});
    let refused = call(&[Permission::EventsEmit]).probe("events.emit", title(event::MAX_VALUES + 1)).await;
    assert_eq!(
        (&refused["error"]["code"], &refused["error"]["subject"]),
        (&json!("invalid"), &json!("data"))
    );
    let shown = call(&[Permission::EventsEmit]).probe("events.emit", title(event::MAX_VALUES)).await;
    assert!(shown.get("ok").is_some(), "{:.300}", shown.to_string());
    let extra = format!("{{\"x\":{}}}", zeros(event::MAX_VALUES));
    let status =
        json!({"event": {"Status": {"description": "d", "done": false, "hidden": false, "extra": extra}}});
    let refused = call(&[Permission::EventsEmit]).probe("events.emit", status).await;
    assert_eq!(refused["error"]["subject"], "status.extra", "{:.300}", refused.to_string());

    let streamed =
        |values| Chunk::Event(StreamEvent { kind: "status".into(), data: zeros(values), extra: None });
    assert!(chunk_from_guest(streamed(event::MAX_VALUES)).is_ok());
    let refused = chunk_from_guest(streamed(event::MAX_VALUES + 1)).unwrap_err();
    assert_eq!(refused.subject.as_deref(), Some("event.data"));
    let extra = |text: &str| {
        let event = StreamEvent { kind: "status".into(), data: "{}".into(), extra: Some(text.into()) };
        chunk_from_guest(Chunk::Event(event)).map_err(|error| error.subject)
    };
    assert!(extra("{}").is_ok());
    assert_eq!(extra("[]"), Err(Some("event.extra".to_owned())));
}

#[tokio::test]
async fn lists_and_texts_that_lie_outside_of_memory_end_the_call() {
    let world = World::new().await;
    // Place and length of the list of parts.
    for (at, length) in [
        (0_u32, u32::MAX),
        (u32::MAX, 1),
        (u32::MAX - 7, 1),
        (512, u32::MAX / PART_SIZE),
        (512, u32::MAX / PART_SIZE + 2),
        (512, 1 << 31),
        (513, 1),
        (131_064, 1),
    ] {
        let guest = Guest::calls(&format!(
            "(i32.store (i32.const 8) (i32.const {at})) (i32.store (i32.const 12) (i32.const {length}))"
        ));
        let plugin = world.sandbox.load(&guest.build()).await.unwrap();
        let (result, receipt) = world.call(&plugin).tool("run", json!({})).await;
        assert!(matches!(result, Err(CallError::Trap(_))), "{at} {length}: {result:?}");
        assert!(matches!(receipt.outcome, Outcome::Trapped { .. }), "{at} {length}: {receipt:?}");
    }
    // The same for a text in it, in each encoding; and a case that the contract does not have.
    for encoding in ENCODINGS {
        for (case, at, length) in [
            (0, 0, u32::MAX),
            (0, u32::MAX, 1),
            (0, u32::MAX, u32::MAX),
            (0, 131_072, 1),
            (0, 0, 1 << 31 | 1 << 30),
            (5, 0, 0),
            (255, 0, 0),
        ] {
            let (at, length) = (format!("(i32.const {at})"), format!("(i32.const {length})"));
            let guest = Guest { encoding, ..Guest::answers(case, &at, &length) };
            let plugin = world.sandbox.load(&guest.build()).await.unwrap();
            let (result, _) = world.call(&plugin).tool("run", json!({})).await;
            assert!(
                matches!(result, Err(CallError::Trap(_))),
                "{encoding:?} {case} {at} {length}: {result:?}"
            );
        }
    }
    world.assert_idle(16).await;
}

#[tokio::test]
async fn long_lists_of_empty_elements_never_reach_the_host_whole() {
    let world = World::new().await;
    // Half a million parts of a result, each an empty text.
    let result = Guest::calls(
        "(drop (memory.grow (i32.const 300)))
         (i32.store (i32.const 8) (i32.const 65536)) (i32.store (i32.const 12) (i32.const 500000))",
    );
    // A million ids, each an empty text.
    let ids = Guest {
        imports: "import innkeeper:plugin/users@0.1.0;",
        fields: r#"(import "innkeeper:plugin/users@0.1.0" "get-many" (func $get_many (param i32 i32 i32)))"#
            .into(),
        ..Guest::calls(
            "(drop (memory.grow (i32.const 200)))
             (call $get_many (i32.const 65536) (i32.const 1000000) (i32.const 512))",
        )
    };
    for (guest, what) in [(result, "a result"), (ids, "an import")] {
        let plugin = world.sandbox.load(&guest.build()).await.unwrap();
        let (result, receipt) = world.call(&plugin).tool("run", json!({})).await;
        assert_eq!(result.err(), Some(CallError::Limit("transfer")), "{what}");
        assert_eq!(receipt.outcome, Outcome::LimitExceeded { limit: "transfer".into() }, "{what}");
    }
}

#[tokio::test]
async fn texts_come_back_from_guests_of_each_encoding() {
    let world = World::new().await;
    let narrow = "caf\u{e9} \u{a3}5 \u{ff}".to_owned();
    let texts = [
        String::new(),
        "plain".to_owned(),
        narrow.clone(),
        format!("{narrow} \u{540d}\u{524d} \u{1f600}\u{10ffff}"),
        "\u{0}\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}".to_owned(),
        "\u{1f600}".repeat(50_000),
        "\u{e9}".repeat(200_000),
    ];
    for encoding in ENCODINGS {
        let mut guest = Guest::echo(encoding);
        guest.says.name = format!("Name {} \u{540d}\u{524d} \u{1f600}", texts[2]);
        guest.says.permissions = vec![("kv".into(), narrow.clone())];
        let plugin = world.sandbox.load(&guest.build()).await.unwrap();
        let manifest = world.sandbox.describe(&plugin).await.unwrap();
        assert_eq!(manifest.name, guest.says.name, "{encoding:?}");
        assert_eq!(manifest.permissions[0].reason, narrow, "{encoding:?}");
        for text in &texts {
            let (result, _) = world.call(&plugin).tool("run", json!({ "text": text })).await;
            let ToolContent::Text { text: back } = result.unwrap().content.remove(0) else {
                panic!("no text")
            };
            assert_eq!(back, json!({ "text": text }).to_string(), "{encoding:?}");
        }
    }
}

#[tokio::test]
async fn texts_that_are_no_unicode_end_the_call_in_each_encoding() {
    let world = World::new().await;
    let wide = 1_u32 << 31;
    for (encoding, bytes, length) in [
        (StringEncoding::UTF8, "\\ff\\fe", 2),
        (StringEncoding::UTF8, "\\ed\\a0\\80", 3),
        (StringEncoding::UTF8, "\\c0\\80", 2),
        // Half of a pair, alone and the wrong way round.
        (StringEncoding::UTF16, "\\00\\d8", 1),
        (StringEncoding::UTF16, "\\00\\dc\\00\\d8", 2),
        (StringEncoding::CompactUTF16, "\\00\\d8", wide | 1),
        (StringEncoding::CompactUTF16, "\\3d\\d8x\\00", wide | 2),
    ] {
        let answers = Guest::answers(0, "(i32.const 768)", &format!("(i32.const {length})"));
        // Fields come before the memory that is exported, so what they say of memory 0 is said of it.
        let guest = Guest { encoding, ..answers }.with(&format!("(data (i32.const 768) \"{bytes}\")"));
        let plugin = world.sandbox.load(&guest.build()).await.unwrap();
        let (result, _) = world.call(&plugin).tool("run", json!({})).await;
        assert!(matches!(result, Err(CallError::Trap(_))), "{encoding:?} {bytes}: {result:?}");
    }
    // A text of 16-bit units must lie at an even place.
    for encoding in [StringEncoding::UTF16, StringEncoding::CompactUTF16] {
        let guest = Guest { encoding, ..Guest::answers(0, "(i32.const 769)", "(i32.const 1)") };
        let plugin = world.sandbox.load(&guest.build()).await.unwrap();
        let (result, _) = world.call(&plugin).tool("run", json!({})).await;
        assert!(matches!(result, Err(CallError::Trap(_))), "{encoding:?}: {result:?}");
    }
}

#[tokio::test]
async fn a_text_that_grows_in_the_host_is_weighed_by_what_it_became() {
    let world = World::new().await;
    // Two bytes for each character in the guest, three in the host: 6 MiB become 9.
    let units = 3 << 20;
    let mut guest = Guest {
        encoding: StringEncoding::UTF16,
        imports: "import innkeeper:plugin/log@0.1.0;",
        fields: r#"(import "innkeeper:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))"#
            .into(),
        ..Guest::calls(&format!(
            "(drop (memory.grow (i32.const 200)))
             (local.set $at (i32.const {FREE}))
             (loop $fill
               (i32.store16 (local.get $at) (i32.const 0x540d))
               (local.set $at (i32.add (local.get $at) (i32.const 2)))
               (br_if $fill (i32.lt_u (local.get $at) (i32.const {}))))
             (call $log (i32.const 0) (i32.const {FREE}) (i32.const {units}) (i32.const 0) (i32.const 0))",
            FREE + units * 2
        ))
    };
    guest = guest.local("$at i32");
    let plugin = world.sandbox.load(&guest.build()).await.unwrap();
    let (result, receipt) = world.call(&plugin).tool("run", json!({})).await;
    result.unwrap();
    assert_eq!(receipt.delivered.host_bytes["log"], 9 << 20, "{receipt:?}");
    let limited = world.call(&plugin).limit("host-bytes", 8 << 20).ask(tool("run", json!({}))).await;
    assert_eq!(limited.0.err(), Some(CallError::Limit("host-bytes")));
}
