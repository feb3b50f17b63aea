//! `GET /api/receipts/{id}`.

use axum::Json;
use axum::extract::State;
use innkeeper_store::StoreError;

use super::ReceiptView;
use crate::app::App;
use crate::caller::Caller;
use crate::failure::{ErrorBody, Failure, answers};
use crate::params::InPath;

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// None of that id, or another person's.
    #[error("there is no such receipt among yours")]
    Unknown,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown => Self::not_found("unknown-receipt", error.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}

answers!(Error);

/// One receipt: one's own, or any for an admin.
#[utoipa::path(
    get, path = "/api/receipts/{id}", tag = "receipts", params(("id" = String, Path, description = "Id of a call")),
    responses((status = OK, body = ReceiptView), (status = NOT_FOUND, body = ErrorBody))
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    InPath(id): InPath<String>,
) -> Result<Json<ReceiptView>, Error> {
    app.dispatch().receipts().flush().await;
    let found = app.store().invocations().get(&id).await?;
    let visible =
        found.filter(|stored| caller.is_admin() || stored.receipt.user.as_ref() == Some(&caller.user.id));
    visible.map(|stored| Json(stored.into())).ok_or(Error::Unknown)
}
