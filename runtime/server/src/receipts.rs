//! Receipts: what calls cost and how they ended.

pub(crate) mod list;
pub(crate) mod show;

use innkeeper_model::receipt::Receipt;
use innkeeper_store::StoredReceipt;
use serde::Serialize;
use utoipa::ToSchema;

/// A receipt with its number.
#[derive(Serialize, ToSchema)]
pub struct ReceiptView {
    /// Ascends; a gap shows that receipts were lost in a crash.
    sequence: i64,
    /// The receipt.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    receipt: Receipt,
}

impl From<StoredReceipt> for ReceiptView {
    fn from(stored: StoredReceipt) -> Self {
        Self { sequence: stored.sequence, receipt: stored.receipt }
    }
}
