//! Settings of the server.

use innkeeper_store::pool::json;
use sea_query::Query;
use serde_json::{Value, json as value};

use super::*;

claims! {
    settings_come_back_as_they_were_written,
}

async fn settings_come_back_as_they_were_written(world: &World) {
    let config = world.store.config();
    let settings: [(&str, Value); 5] = [
        ("ui.name", value!("The \u{1f3e8} Inn")),
        ("rag.top_k", value!(3)),
        ("audio.rate", value!(1.5)),
        ("ui.banners", value!([{"id": "a", "type": "info"}, null])),
        ("task.model", value!({"default": "echo", "external": null})),
    ];
    for (key, setting) in &settings {
        assert_eq!(config.get(key).await.unwrap(), None, "{key}");
        let insert = Query::insert()
            .into_table("config")
            .columns(["key", "value"])
            .values_panic([(*key).into(), json(world.store.pool().backend(), setting.to_string())])
            .take();
        world.run(&insert).await;
    }
    for (key, setting) in &settings {
        assert_eq!(config.get(key).await.unwrap().as_ref(), Some(setting), "{key}");
    }
    // Keys are names, and not parts or patterns of names.
    for other in ["UI.NAME", "ui.", "ui.%", "task.model.default"] {
        assert_eq!(config.get(other).await.unwrap(), None, "{other}");
    }
}
