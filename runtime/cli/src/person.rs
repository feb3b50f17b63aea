//! Finds the person that a flag names.

use std::collections::BTreeSet;

use anyhow::{anyhow, bail};
use innkeeper_model::UserId;
use innkeeper_model::user::User;
use innkeeper_store::Store;

use crate::output::cell;

/// The person of an id or address.
pub(crate) async fn find(store: &Store, named: &str) -> anyhow::Result<User> {
    let users = store.users();
    let found = match users.find(&UserId::from(named)).await? {
        Some(user) => Some(user),
        None => users.find_by_email(named).await?,
    };
    found.ok_or_else(|| {
        anyhow!(
            "there is nobody with the id or address `{}`; add them with `innkeeper user add`",
            cell(named)
        )
    })
}

/// The person that is named, or the only one who has keys.
pub(crate) async fn named_or_only(store: &Store, named: Option<&str>) -> anyhow::Result<User> {
    if let Some(named) = named {
        return find(store, named).await;
    }
    let keys = store.api_keys().list(None).await?;
    let mut owners: BTreeSet<UserId> = keys.into_iter().map(|key| key.user).collect();
    match (owners.pop_first(), owners.pop_first()) {
        (Some(only), None) => find(store, only.as_str()).await,
        (None, _) => bail!("nobody has a key yet, so say for whom with `--user`"),
        (Some(_), Some(_)) => bail!("several people have keys; say for whom with `--user`"),
    }
}
