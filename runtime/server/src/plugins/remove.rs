//! `DELETE /api/plugins/{plugin}`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::caller::Admin;
use crate::failure::{ErrorBody, Failure};
use crate::params::{InPath, plugin_id};

/// Removes a plugin with its grants, valves and data.
#[utoipa::path(
    delete, path = "/api/plugins/{plugin}", tag = "plugins",
    params(("plugin" = String, Path, description = "Id of a plugin")),
    responses((status = NO_CONTENT), (status = NOT_FOUND, body = ErrorBody), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    _admin: Admin,
    InPath(plugin): InPath<String>,
) -> Result<StatusCode, Failure> {
    app.registry().remove(&plugin_id(&plugin)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
