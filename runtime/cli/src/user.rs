//! `innkeeper user`.

use anyhow::Context;
use innkeeper_model::user::User as Person;
use innkeeper_store::NewUser;
use serde_json::{Value, json};

use crate::args::User;
use crate::config::Settings;
use crate::output::{Output, cell};
use crate::{data_dir, database, stack};

/// Runs a command.
pub(crate) fn run(command: User, settings: &Settings, output: &Output) -> anyhow::Result<()> {
    data_dir::prepare(&settings.data_dir)?;
    stack::small_runtime()?.block_on(async {
        let store = database::store(settings).await?;
        match command {
            User::Add { name, email, role } => {
                let new = NewUser { name, email: email.clone(), role: role.into() };
                let added = store.users().insert(new).await;
                let taken = added.as_ref().is_err_and(database::is_conflict);
                let user = if taken {
                    added.with_context(|| format!("somebody has the address `{}` already", cell(&email)))?
                } else {
                    added?
                };
                output.say(&shown(&user), || {
                    format!("added `{}` ({}) with the id {}", cell(&user.email), user.role, user.id)
                })
            }
        }
    })
}

fn shown(user: &Person) -> Value {
    json!({ "id": user.id, "name": user.name, "email": user.email, "role": user.role })
}
