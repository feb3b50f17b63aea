//! `GET /api/receipts` and `GET /api/plugins/{plugin}/receipts`.

use axum::Json;
use axum::extract::State;
use innkeeper_store::ReceiptFilter;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ReceiptView;
use crate::app::App;
use crate::caller::{Admin, Caller};
use crate::failure::{ErrorBody, Failure};
use crate::params::{InPath, InQuery, List, Paging, page_request, plugin_id};

/// Which receipts.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Of one turn.
    turn: Option<String>,
    /// Of one plugin.
    plugin: Option<String>,
    /// Of calls that ended so, such as `ok` or `trapped`.
    outcome: Option<String>,
    /// Of one person; only for admins.
    user: Option<String>,
    /// How many at most; 50 where it is left out, at most 200.
    limit: Option<u32>,
    /// `next` of the part before.
    cursor: Option<String>,
}

/// Lists receipts, newest first: one's own, or all for an admin.
#[utoipa::path(
    get, path = "/api/receipts", tag = "receipts", params(Which),
    responses((status = OK, body = List<ReceiptView>), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    InQuery(which): InQuery<Which>,
) -> Result<Json<List<ReceiptView>>, Failure> {
    let others = || Failure::forbidden("only an admin may see other people's receipts; leave `user` out");
    let user = match which.user {
        None if caller.is_admin() => None,
        named => Some(caller.whose(named).ok_or_else(others)?),
    };
    let plugin = which.plugin.as_deref().map(plugin_id).transpose()?;
    let filter = ReceiptFilter { user, plugin, outcome: which.outcome, turn: which.turn };
    find(&app, filter, which.limit, which.cursor).await
}

/// Lists a plugin's receipts, newest first.
#[utoipa::path(
    get, path = "/api/plugins/{plugin}/receipts", tag = "receipts",
    params(("plugin" = String, Path, description = "Id of a plugin"), Paging),
    responses((status = OK, body = List<ReceiptView>), (status = FORBIDDEN, body = ErrorBody))
)]
pub(crate) async fn of_plugin(
    State(app): State<App>,
    _admin: Admin,
    InPath(plugin): InPath<String>,
    InQuery(paging): InQuery<Paging>,
) -> Result<Json<List<ReceiptView>>, Failure> {
    let filter = ReceiptFilter { plugin: Some(plugin_id(&plugin)?), ..ReceiptFilter::default() };
    find(&app, filter, paging.limit, paging.cursor).await
}

async fn find(
    app: &App,
    filter: ReceiptFilter,
    limit: Option<u32>,
    cursor: Option<String>,
) -> Result<Json<List<ReceiptView>>, Failure> {
    // Receipts are written in groups; whoever asks after a call should find it.
    app.dispatch().receipts().flush().await;
    let page = app.store().invocations().list(&filter, &page_request(limit, cursor)).await?;
    Ok(Json(List::part(page, ReceiptView::from)))
}
