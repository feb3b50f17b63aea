//! `GET /v1/models` and `GET /v1/models/{model}`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use innkeeper_dispatch::ModelEntry;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::Caller;
use crate::failure::{Failure, answers};
use crate::params::InPath;

/// A model.
#[derive(Serialize, ToSchema)]
pub(crate) struct Model {
    /// What requests name.
    #[schema(example = "echo")]
    id: String,
    /// Always `model`.
    object: &'static str,
    /// Seconds since 1970.
    created: i64,
    /// Who runs it.
    owned_by: String,
    /// What to call it.
    name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// What a plugin or provider says besides.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    extra: BTreeMap<String, Value>,
}

/// All models.
#[derive(Serialize, ToSchema)]
pub(crate) struct Models {
    /// Always `list`.
    object: &'static str,
    /// The models.
    data: Vec<Model>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such model.
    #[error("there is no model `{0}`; `GET /v1/models` lists those that there are")]
    Unknown(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown(_) => Self::not_found("unknown-model", error.to_string()).about("model"),
        }
    }
}

answers!(Error);

/// Lists pipes and the models of providers.
#[utoipa::path(get, path = "/v1/models", tag = "openai", responses((status = OK, body = Models)))]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Json<Models> {
    let models = app.dispatch().models(&caller.principal()).await;
    Json(Models { object: "list", data: models.into_iter().map(shown).collect() })
}

/// One model.
#[utoipa::path(
    get, path = "/v1/models/{model}", tag = "openai",
    params(("model" = String, Path, description = "Id of a model")),
    responses((status = OK, body = Model), (status = NOT_FOUND, description = "No such model"))
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<String>,
) -> Result<Json<Model>, Error> {
    let models = app.dispatch().models(&caller.principal()).await;
    let found = models.into_iter().find(|model| model.id == id);
    found.map(|model| Json(shown(model))).ok_or_else(|| Error::Unknown(innkeeper_host::log::escape(&id)))
}

fn shown(model: ModelEntry) -> Model {
    let extra = model.extra.as_deref().and_then(|extra| serde_json::from_str(extra).ok());
    let mut extra: BTreeMap<String, Value> = extra.unwrap_or_default();
    for own in ["id", "object", "created", "owned_by", "name", "description"] {
        extra.remove(own);
    }
    Model {
        id: model.id,
        object: "model",
        created: model.created,
        owned_by: model.owned_by,
        name: model.name,
        description: model.description,
        extra,
    }
}
