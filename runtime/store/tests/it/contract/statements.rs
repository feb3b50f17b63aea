//! How many statements each method sends: a number that does not grow with what is stored.

use innkeeper_model::chat::{ChatFilter, ChatUpdate};
use innkeeper_model::chat_message::MessageUpdate;
use innkeeper_model::kv::KvScope;
use innkeeper_model::permission::{Grant, Permission};
use innkeeper_model::plugin::PluginSettings;
use innkeeper_model::principal::Role;
use innkeeper_store::ReceiptFilter;
use serde_json::json;

use super::invocations::receipt;
use super::plugins::revision;
use super::*;

claims! {
    methods_of_the_shared_tables_send_a_constant_number_of_statements,
    methods_of_our_tables_send_a_constant_number_of_statements,
}

macro_rules! sends {
    ($world:ident, $expected:literal, $work:expr) => {{
        let (statements, done) = $world.count($work).await;
        assert_eq!(statements, $expected, "{}", stringify!($work));
        done.unwrap()
    }};
}

pub(super) async fn methods_of_the_shared_tables_send_a_constant_number_of_statements(world: &World) {
    let (store, alice, me) = (&world.store, &world.alice, own(&world.alice));
    for round in 0..2 {
        let users = store.users();
        sends!(world, 1, users.get(&me, alice));
        sends!(world, 1, users.list(&me, Some("a"), &first(0)));
        sends!(world, 1, users.find(alice));
        sends!(world, 3, users.set_role(&world.pending, Role::Pending));
        let chats = store.chats();
        let chat = sends!(world, 1, chats.create(alice, &me, NewChat { title: "t".into(), folder: None }));
        sends!(world, 1, chats.get(&me, &chat.id));
        sends!(world, 1, chats.list(&me, &ChatFilter::default(), &first(0)));
        sends!(world, 1, chats.may_see(&me, &chat.id));
        let tags = Some(vec!["a".to_owned(), format!("b{round}"), "c".to_owned()]);
        let change = ChatUpdate { title: Some("u".into()), tags, ..ChatUpdate::default() };
        sends!(world, 3, chats.update(&me, &chat.id, &change, &chat.version));
        let messages = store.chat_messages();
        let one = sends!(world, 3, messages.append(&me, &chat.id, message("user", "x")));
        for _ in 0..10 * round {
            sends!(world, 3, messages.append(&me, &chat.id, message("user", "x")));
        }
        let question = Some(message("user", "y"));
        let two = sends!(world, 3, messages.append_turn(&me, &chat.id, question, message("assistant", "")));
        sends!(world, 1, messages.get(&me, &chat.id, &one.id));
        sends!(world, 1, messages.list(&me, &chat.id, &first(0)));
        sends!(world, 1, messages.branch(&me, &chat.id, None));
        let change =
            MessageUpdate { content: Some("y".into()), files: Some("[]".into()), ..MessageUpdate::default() };
        let changed = sends!(world, 4, messages.set(&me, &chat.id, &one.id, &change));
        let changed = sends!(world, 4, messages.update(&me, &chat.id, &one.id, &change, &changed.version));
        let changes = [(one.id, changed.version, change.clone()), (two.id, two.version, change)];
        sends!(world, 5, messages.update_all(&me, &chat.id, &changes));
        let files = store.files();
        let data = stream::iter([Ok(bytes::Bytes::from_static(b"x"))]);
        let file = sends!(world, 1, files.create(alice, &me, new_file("f"), data, 10));
        sends!(world, 1, files.get(&me, &file.id));
        sends!(world, 1, files.list(&me, None, &first(0)));
        sends!(world, 4, files.delete(&me, &file.id));
        let memories = store.memories();
        let memory = sends!(world, 1, memories.add(alice, &me, "x"));
        sends!(world, 1, memories.get(&me, &memory.id));
        sends!(world, 1, memories.list(&me, &first(0)));
        sends!(world, 2, memories.update(&me, &memory.id, "y", &memory.version));
        sends!(world, 1, memories.delete(&me, &memory.id));
        sends!(world, 6, chats.delete(&me, &chat.id));
        sends!(world, 1, store.config().get("ui.name"));
        // Whoever reaches nothing costs nothing.
        sends!(world, 0, chats.list(&Authority::Nothing, &ChatFilter::default(), &first(0)));
        sends!(world, 0, messages.branch(&Authority::Unattended, &chat.id, None));
    }
}

async fn methods_of_our_tables_send_a_constant_number_of_statements(world: &World) {
    let store = &world.store;
    for round in 0..2_u8 {
        let keys = store.api_keys();
        let (key, secret) = sends!(world, 3, keys.create(&world.alice, "k"));
        sends!(world, 1, keys.verify(&secret));
        sends!(world, 2, keys.revoke(&key.id));
        let (plugins, id) = (store.plugins(), plugin("echo"));
        plugins.install(revision("echo", &[round])).await.unwrap();
        plugins.install(revision(&format!("other{round}"), &[round])).await.unwrap();
        sends!(world, 2, plugins.list());
        sends!(world, 2, plugins.get(&id));
        sends!(world, 1, plugins.component(&id, 1));
        sends!(world, 1, plugins.generation());
        sends!(world, 2, plugins.set_settings(&id, &PluginSettings::default()));
        sends!(world, 3, plugins.set_grant(&id, Permission::Kv, &Grant::default()));
        sends!(world, 3, plugins.revoke_grant(&id, Permission::Kv));
        let valves = store.valves();
        sends!(world, 2, valves.set(&id, &json!({})));
        sends!(world, 4, valves.set_user(&id, &world.alice, &json!({})));
        sends!(world, 1, valves.get(&id));
        sends!(world, 1, valves.get_user(&id, &world.alice));
        let (kv, scope) = (store.kv(), KvScope::User(id.clone(), world.alice.clone()));
        for number in 0..10 * u32::from(round) {
            sends!(world, 4, kv.set(&scope, &number.to_string(), b"x", None, &QUOTA));
        }
        let version = sends!(world, 4, kv.set(&scope, "k", b"x", None, &QUOTA));
        sends!(world, 4, kv.put_if(&scope, "k", b"y", Some(version), None, &QUOTA));
        sends!(world, 4, kv.increment(&scope, "n", 1, None, &QUOTA));
        sends!(world, 1, kv.get(&scope, "k"));
        sends!(world, 1, kv.keys(&scope, "", &first(0)));
        sends!(world, 4, kv.delete(&scope, "k"));
        let invocations = store.invocations();
        let group: Vec<_> = (0..100).map(|n| receipt(&format!("{round}-{n}"), Some(&world.alice))).collect();
        invocations.record(&[receipt(&format!("{round}-first"), Some(&world.alice))]).await.unwrap();
        sends!(world, 2, invocations.record(&group));
        sends!(world, 1, invocations.get("0-1"));
        sends!(world, 1, invocations.list(&ReceiptFilter::default(), &first(0)));
    }
}
