//! Every import is denied without its grant and works with it, for each sort of principal.

use std::collections::BTreeSet;

use innkeeper_model::permission::{Grant, Scope};
use innkeeper_model::principal::Role;
use innkeeper_model::{Permission, Principal};
use serde_json::{Value, json};

use crate::contract::{Case, Rows, answer, cases, imports};
use crate::world::{Call, World};

/// A grant of a permission that is as wide as can be.
fn wide(permission: Permission) -> Grant {
    let event_types = if permission == Permission::EventsOther { vec!["listed".into()] } else { Vec::new() };
    Grant { scope: Scope::All, unattended: false, event_types }
}

fn all_but<'a>(call: Call<'a>, missing: Option<Permission>, unattended: bool) -> Call<'a> {
    let granted = Permission::ALL.iter().copied().filter(|&permission| Some(permission) != missing);
    granted.fold(call, |call, permission| call.grant_as(permission, Grant { unattended, ..wide(permission) }))
}

async fn world() -> (World, Rows) {
    let world = World::new().await;
    let rows = Rows::of(&world.store, world.ada()).await;
    world.script.on_request(answer);
    *world.audience.answer.lock().unwrap() = Some(json!(true));
    (world, rows)
}

fn assert_denied(answer: &Value, case: &Case) {
    let needs = case.needs.unwrap().as_str();
    assert_eq!(answer["error"]["code"], "denied", "{} {answer}", case.import);
    // Who may not use plugins at all is told so by the first permission that is looked at.
    let subject = answer["error"]["subject"].as_str().unwrap();
    let first = needs.starts_with("events.") && subject.starts_with("events.");
    assert!(subject == needs || first, "{} {answer}", case.import);
}

#[tokio::test]
async fn every_import_of_the_contract_is_tested_here() {
    let (_world, rows) = world().await;
    let tested: BTreeSet<String> = cases(&rows).iter().map(|case| case.import.to_owned()).collect();
    assert_eq!(tested, imports(), "a new import needs a row in `contract.rs`");
    let needed: BTreeSet<&str> =
        cases(&rows).iter().filter_map(|case| case.needs).map(Permission::as_str).collect();
    let permissions: BTreeSet<&str> = Permission::ALL.iter().map(|permission| permission.as_str()).collect();
    let elsewhere = BTreeSet::from(["act-as-admin", "email.read"]);
    assert_eq!(permissions.difference(&needed).copied().collect::<BTreeSet<_>>(), elsewhere);
}

#[tokio::test]
async fn an_import_without_its_grant_is_denied_whatever_else_is_granted() {
    let (world, rows) = world().await;
    let probe = world.load("probe").await;
    for case in cases(&rows) {
        let answer =
            all_but(world.call(&probe), case.needs, false).probe(case.import, case.args.clone()).await;
        if let Some(needs) = case.needs {
            assert_eq!(answer["error"]["code"], "denied", "{} {answer}", case.import);
            assert_eq!(answer["error"]["subject"], needs.as_str(), "{} {answer}", case.import);
        }
    }
    assert!(
        world.audience.shown.lock().unwrap().is_empty() && world.audience.asked.lock().unwrap().is_empty()
    );
}

#[tokio::test]
async fn an_import_with_its_grant_alone_works() {
    let (world, rows) = world().await;
    let probe = world.load("probe").await;
    for case in cases(&rows) {
        let mut call = world.call(&probe);
        if let Some(permission) = case.needs {
            call = call.grant_as(permission, wide(permission));
            if permission.as_str().starts_with("events.") {
                call = call.grant(&[Permission::EventsEmit, Permission::EventsCall]);
            }
        }
        let answer = call.probe(case.import, case.args.clone()).await;
        let works = answer.get("ok").is_some() || case.import == "context.read-blob";
        assert!(works, "{} {answer}", case.import);
    }
}

#[tokio::test]
async fn without_any_grant_only_what_is_free_answers() {
    let (world, rows) = world().await;
    let probe = world.load("probe").await;
    for case in cases(&rows) {
        let answer = world.call(&probe).probe(case.import, case.args.clone()).await;
        match case.needs {
            Some(_) => assert_denied(&answer, &case),
            None => assert_ne!(answer["error"]["code"], "denied", "{} {answer}", case.import),
        }
    }
}

#[tokio::test]
async fn a_person_who_was_not_admitted_gets_nothing() {
    let (world, rows) = world().await;
    let probe = world.load("probe").await;
    let pending = Principal::person(world.person("Pen", Role::Pending).await, Role::Pending);
    for case in cases(&rows) {
        let call = all_but(world.call(&probe), None, true).principal(pending.clone());
        let answer = call.probe(case.import, case.args.clone()).await;
        if case.needs.is_some() {
            assert_denied(&answer, &case);
        }
    }
    assert!(
        world.audience.shown.lock().unwrap().is_empty() && world.audience.asked.lock().unwrap().is_empty()
    );
}

#[tokio::test]
async fn a_job_has_only_what_was_granted_as_unattended() {
    let (world, rows) = world().await;
    let probe = world.load("probe").await;
    for case in cases(&rows) {
        let call = all_but(world.call(&probe), None, false).principal(Principal::Service);
        let answer = call.probe(case.import, case.args.clone()).await;
        if case.needs.is_some() {
            assert_denied(&answer, &case);
        }
        // With it, rows that have an owner are still like absent, and nobody can be asked.
        let call = all_but(world.call(&probe), None, true).principal(Principal::Service);
        let answer = call.probe(case.import, case.args.clone()).await;
        assert_ne!(answer["error"]["code"], "denied", "{} {answer}", case.import);
        assert!(!answer.to_string().contains("secret"), "{} {answer}", case.import);
    }
    assert!(world.audience.asked.lock().unwrap().is_empty());
    let kept = Rows::of(&world.store, world.ada()).await;
    assert_eq!(kept.owner, rows.owner);
    let own = innkeeper_model::authority::Authority::Own(rows.owner.clone());
    assert!(world.store.chats().get(&own, &rows.chat.as_str().into()).await.unwrap().is_some());
    assert!(world.store.memories().get(&own, &rows.memory.as_str().into()).await.unwrap().is_some());
}

#[tokio::test]
async fn an_address_needs_a_permission_of_its_own() {
    let (world, rows) = world().await;
    let probe = world.load("probe").await;
    for (import, args) in [
        ("users.me", json!({})),
        ("users.get", json!({"id": rows.owner})),
        ("users.get-many", json!({"ids": [rows.owner]})),
        ("users.list", json!({"page": {"limit": 10}})),
    ] {
        let call = || world.call(&probe).grant(&[Permission::UsersRead]);
        let without = call().probe(import, args.clone()).await.to_string();
        assert!(without.contains("Ada") && !without.contains("ada@example.org"), "{import} {without}");
        let with = call().grant(&[Permission::EmailRead]).probe(import, args).await.to_string();
        assert!(with.contains("ada@example.org"), "{import} {with}");
    }
}

#[tokio::test]
async fn only_listed_settings_of_the_server_are_readable() {
    let (world, _) = world().await;
    let probe = world.load("probe").await;
    for key in ["openai.api_keys", "", "version ", "VERSION", "version\0", "*"] {
        let answer = world
            .call(&probe)
            .grant(&[Permission::ConfigRead])
            .probe("config.get", json!({"key": key}))
            .await;
        assert_eq!(answer["error"]["code"], "denied", "{key} {answer}");
    }
}

#[tokio::test]
async fn events_are_judged_by_their_type_on_the_wire() {
    let (world, _) = world().await;
    let misbehave = world.load("misbehave").await;
    let call =
        world.call(&misbehave).grant(&[Permission::EventsEmit, Permission::EventsCall, Permission::Kv]);
    let text = call.misbehave("forbidden-events", 0).await.0.unwrap();
    for line in text.lines() {
        assert!(line.contains("denied"), "{line}");
    }
    assert!(world.audience.shown.lock().unwrap().is_empty());
}

#[tokio::test]
async fn html_in_a_stored_message_needs_the_permission_for_html() {
    let (world, rows) = world().await;
    let probe = world.load("probe").await;
    let args = |change: Value| json!({"chat": rows.chat, "id": rows.message, "version": rows.message_version, "change": change});
    let embeds = json!({"embeds": "[\"<script>alert(1)</script>\"]"});
    let others = Permission::ALL.iter().copied().filter(|&permission| permission != Permission::EventsHtml);
    let call = others.fold(world.call(&probe), |call, permission| call.grant(&[permission]));
    let answer = call.probe("chat-messages.update", args(embeds.clone())).await;
    assert_eq!(answer["error"]["code"], "denied", "{answer}");
    assert_eq!(answer["error"]["subject"], "events.html", "{answer}");
    let own = innkeeper_model::authority::Authority::Own(rows.owner.clone());
    let messages = world.store.chat_messages();
    let stored = messages.get(&own, &rows.chat.as_str().into(), &rows.message.as_str().into()).await;
    assert_eq!(stored.unwrap().unwrap().embeds, None);
    // Removing what is there shows nothing, but what is an empty list today is another rule tomorrow: any list needs it.
    let call = world.call(&probe).grant(&[Permission::ChatMessagesWrite]);
    let answer = call.probe("chat-messages.update", args(json!({"embeds": "[]"}))).await;
    assert_eq!(answer["error"]["subject"], "events.html", "{answer}");
    let document = |html: bool| json!({"sources": json!([{"document": ["<script>"], "metadata": [{"html": html}]}]).to_string()});
    let call = world.call(&probe).grant(&[Permission::ChatMessagesWrite]);
    let answer = call.probe("chat-messages.update", args(document(true))).await;
    assert_eq!(answer["error"]["subject"], "events.html", "{answer}");
    let call = world.call(&probe).grant(&[Permission::ChatMessagesWrite]);
    let mut answer = call.probe("chat-messages.update", args(document(false))).await;
    for shown in [document(true), embeds] {
        let mut args = args(shown);
        args["version"] = answer["ok"]["version"].clone();
        let call = world.call(&probe).grant(&[Permission::ChatMessagesWrite, Permission::EventsHtml]);
        answer = call.probe("chat-messages.update", args).await;
        assert!(answer.get("ok").is_some(), "{answer}");
    }
}

#[tokio::test]
async fn no_grant_opens_a_socket() {
    let (world, _) = world().await;
    let probe = world.load("probe").await;
    for import in ["wasi.udp", "wasi.listen"] {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0", "127.0.0.1:53"] {
            let call = all_but(world.call(&probe), None, true);
            let answer = call.probe(import, json!({"address": address})).await;
            assert_eq!(answer["ok"], "permission denied", "{import} {address}: {answer}");
        }
    }
}
