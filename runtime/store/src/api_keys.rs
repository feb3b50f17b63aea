//! Keys for HTTP clients: 256 random bits, shown once, kept as a hash.
//! Open WebUI's own `api_key` table holds clear keys and is not used.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use innkeeper_model::UserId;
use innkeeper_model::time::UnixSeconds;
use innkeeper_model::user::User;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sea_query::{Expr, ExprTrait, JoinType, Order, Query};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::authority::ADMITTED;
use crate::error::StoreError;
use crate::names::{can_name, clean};
use crate::pool::known::{self, Known};
use crate::pool::{Row, Tx, bigint};
use crate::store::Store;
use crate::{counter, transaction, users};

/// Keys that one person may have.
pub const KEYS_MAX: i64 = 100;

/// Most keys that are looked for by one statement.
const AT_ONCE: usize = 1_000;

/// What every key begins with, so that one that leaked is recognised.
const PREFIX: &str = "ik_";
/// Bytes of a secret in base64.
const SECRET_LENGTH: usize = 43;

/// Id of a key; no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKeyId(String);

impl ApiKeyId {
    /// Takes any text as an id.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Which.
    pub id: ApiKeyId,
    /// Whose.
    pub user: UserId,
    /// What its owner calls it.
    pub name: String,
    /// Made.
    pub created_at: UnixSeconds,
}

/// Keys for HTTP clients.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    pub(crate) store: Store,
}

impl ApiKeys {
    /// Makes a key for a person who was admitted; the secret is returned this once.
    ///
    /// # Errors
    /// `NotFound` for nobody or somebody who is pending, `Invalid` for a name of more than 255 bytes, `Quota` for somebody
    /// who has `KEYS_MAX` keys, `Storage` where the system gives no random bytes.
    pub async fn create(&self, user: &UserId, name: &str) -> Result<(ApiKey, String), StoreError> {
        let name = clean(name).trim().to_owned();
        if name.is_empty() || name.len() > 255 {
            return Err(StoreError::Invalid("a key's name needs 1 to 255 bytes".to_owned()));
        }
        if !can_name(user.as_str()) {
            return Err(StoreError::NotFound("person"));
        }
        let mut bytes = [0_u8; 32];
        OsRng.try_fill_bytes(&mut bytes).map_err(std::io::Error::other)?;
        let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let id = ApiKeyId(Uuid::new_v4().to_string());
        let key = ApiKey { id, user: user.clone(), name, created_at: self.store.now() };
        let mut tx = self.store.db().begin().await?;
        let outcome = insert(&mut tx, &key, hash(&secret)).await;
        transaction::end(tx, outcome).await?;
        Ok((key, secret))
    }

    /// The key and the person that a secret stands for; none for a secret that is unknown or revoked, and for a person
    /// who is pending or gone. One statement.
    pub async fn verify(&self, secret: &str) -> Result<Option<(ApiKeyId, User)>, StoreError> {
        // Anything else cannot be a key, and need not reach the database.
        if secret.strip_prefix(PREFIX).is_none_or(|random| random.len() != SECRET_LENGTH) {
            return Ok(None);
        }
        let hash = hash(secret);
        static READ: Known = Known::new();
        let make = || {
            Query::select()
                .columns(users::COLUMNS.map(|column| ("user", column)))
                .expr_as(Expr::col(("innkeeper_api_key", "id")), "key_id")
                .expr_as(Expr::col(("innkeeper_api_key", "hash")), "key_hash")
                .from("innkeeper_api_key")
                .join(
                    JoinType::InnerJoin,
                    "user",
                    Expr::col(("user", "id")).equals(("innkeeper_api_key", "user_id")),
                )
                .and_where(Expr::col(("innkeeper_api_key", "hash")).eq(known::text(0)))
                .and_where(Expr::col(("user", "role")).is_in(ADMITTED))
                .take()
        };
        let arguments = [hash.as_str().into()];
        let found = self.store.db().fetch_known_optional(&READ, make, &arguments, |row| {
            Ok((ApiKeyId(row.text("key_id")?), users::read(row)?, row.text("key_hash")?))
        });
        // The index finds a hash, not a secret, so its timing tells nothing; this guards against a server that compares loosely.
        let same = |stored: &str| bool::from(stored.as_bytes().ct_eq(hash.as_bytes()));
        Ok(found.await?.filter(|(_, _, stored)| same(stored)).map(|(id, user, _)| (id, user)))
    }

    /// Keys of a person, or all, oldest first.
    ///
    /// # Errors
    /// `ByteLimit` for more than fit into the memory of one answer; no key is left out without a word.
    pub async fn list(&self, user: Option<&UserId>) -> Result<Vec<ApiKey>, StoreError> {
        let mut select = Query::select()
            .columns(["id", "user_id", "name", "created_at"])
            .from("innkeeper_api_key")
            .order_by("created_at", Order::Asc)
            .order_by("id", Order::Asc)
            .take();
        if let Some(user) = user {
            if !can_name(user.as_str()) {
                return Ok(Vec::new());
            }
            select.and_where(Expr::col("user_id").eq(user.as_str()));
        }
        self.store.reads().fetch_all(&mut select, u64::from(u32::MAX), read).await
    }

    /// Those of these keys that are there, for the server's own use. One statement for up to 1,000 keys.
    pub async fn existing(&self, ids: &[ApiKeyId]) -> Result<HashSet<ApiKeyId>, StoreError> {
        let mut there = HashSet::new();
        for ids in ids.chunks(AT_ONCE) {
            let mut select = Query::select()
                .column("id")
                .from("innkeeper_api_key")
                .and_where(Expr::col("id").is_in(ids.iter().map(ApiKeyId::as_str)))
                .take();
            let found = self.store.db().fetch_all(&mut select, AT_ONCE as u64, |row| row.text("id"));
            there.extend(found.await?.into_iter().map(ApiKeyId));
        }
        Ok(there)
    }

    /// Ends a key; false where there is none of that id.
    pub async fn revoke(&self, id: &ApiKeyId) -> Result<bool, StoreError> {
        if !can_name(id.as_str()) {
            return Ok(false);
        }
        let mut tx = self.store.db().begin().await?;
        let outcome = delete(&mut tx, id).await;
        transaction::end(tx, outcome).await
    }
}

/// Adds a key. The person's row is locked, so that keys made at the same moment are counted one after the other.
async fn insert(tx: &mut Tx, key: &ApiKey, hash: String) -> Result<(), StoreError> {
    let mut owner = Query::select()
        .column("id")
        .from("user")
        .and_where(Expr::col("id").eq(key.user.as_str()))
        .and_where(Expr::col("role").is_in(ADMITTED))
        .take();
    if tx.fetch_optional(owner.lock_exclusive(), |_| Ok(())).await?.is_none() {
        return Err(StoreError::NotFound("person"));
    }
    let mut count = Query::select()
        .expr_as(bigint(tx.backend(), Expr::col("id").count()), "keys")
        .from("innkeeper_api_key")
        .and_where(Expr::col("user_id").eq(key.user.as_str()))
        .take();
    if tx.fetch_optional(&mut count, |row| row.int("keys")).await? >= Some(KEYS_MAX) {
        return Err(StoreError::Quota("api-keys"));
    }
    let insert = Query::insert()
        .into_table("innkeeper_api_key")
        .columns(["id", "user_id", "name", "hash", "created_at"])
        .values([
            key.id.as_str().into(),
            key.user.as_str().into(),
            key.name.as_str().into(),
            hash.into(),
            key.created_at.into(),
        ])
        .map_err(|error| StoreError::Invalid(error.to_string()))?
        .take();
    tx.execute(&insert).await?;
    Ok(())
}

async fn delete(tx: &mut Tx, id: &ApiKeyId) -> Result<bool, StoreError> {
    let delete =
        Query::delete().from_table("innkeeper_api_key").and_where(Expr::col("id").eq(id.as_str())).take();
    if tx.execute(&delete).await? == 0 {
        return Ok(false);
    }
    counter::bump(tx, counter::GENERATION).await?;
    Ok(true)
}

/// What is kept of a secret. It has 256 random bits, so a fast hash without salt is enough.
fn hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

fn read(row: &Row<'_>) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: ApiKeyId(row.text("id")?),
        user: UserId::new(row.text("user_id")?),
        name: row.text("name")?,
        created_at: row.int("created_at")?,
    })
}
