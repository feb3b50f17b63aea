//! `innkeeper key`.

use anyhow::{Context, bail};
use innkeeper_store::{ApiKey, ApiKeyId, StoreError};
use serde_json::{Value, json};

use crate::args::Key;
use crate::config::Settings;
use crate::output::{Output, cell, table};
use crate::{data_dir, database, person, stack};

/// Runs a command.
pub(crate) fn run(command: Key, settings: &Settings, output: &Output) -> anyhow::Result<()> {
    data_dir::prepare(&settings.data_dir)?;
    stack::small_runtime()?.block_on(async {
        let store = database::store(settings).await?;
        match command {
            Key::Create { user, name } => {
                let user = person::find(&store, &user).await?;
                let made = store.api_keys().create(&user.id, &name).await;
                if let Err(StoreError::NotFound(_)) = made {
                    bail!(
                        "`{}` is `{}` and may have no key; admit them first",
                        cell(&user.email),
                        cell(&user.role)
                    );
                }
                let (key, secret) = made.context("the key could not be made")?;
                let ApiKey { id, user: owner, name, created_at } = &key;
                let value =
                    json!({ "id": id.as_str(), "user": owner, "name": name, "created_at": created_at, "secret": secret });
                output.say(&value, || {
                    format!(
                        "{secret}\nThis key of `{}` is shown only now; its id is {}.",
                        cell(&user.email),
                        key.id
                    )
                })
            }
            Key::List => {
                let keys = store.api_keys().list(None).await?;
                let data: Vec<Value> = keys.iter().map(shown).collect();
                output.say(&json!({ "data": data }), || {
                    let row = |key: &ApiKey| vec![key.id.to_string(), key.user.to_string(), cell(&key.name)];
                    table(&["ID", "USER", "NAME"], &keys.iter().map(row).collect::<Vec<_>>())
                })
            }
            Key::Revoke { key } => {
                if !store.api_keys().revoke(&ApiKeyId::new(key.clone())).await? {
                    bail!("there is no key `{}`; `innkeeper key list` shows ids", cell(&key));
                }
                output.say(&json!({ "revoked": key }), || {
                    "revoked; what runs by it ends within two seconds".to_owned()
                })
            }
        }
    })
}

fn shown(key: &ApiKey) -> Value {
    json!({ "id": key.id.as_str(), "user": key.user, "name": key.name, "created_at": key.created_at })
}
