//! Cursors of pages: the last item's key, as text that a guest can keep and may forge.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use innkeeper_model::page::{Page, PageRequest};
use sea_query::{Expr, Func};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;

/// Longest cursor that is looked at, in bytes. The longest key of ours has 512 bytes.
const MAX: usize = 4096;

/// The key of a page request's cursor, where it has one.
pub(crate) fn read<K: DeserializeOwned>(page: &PageRequest) -> Result<Option<K>, StoreError> {
    let Some(cursor) = &page.cursor else { return Ok(None) };
    let forged = || {
        StoreError::Invalid(
            "the cursor is not one that this list gave out; begin again without one".to_owned(),
        )
    };
    if cursor.len() > MAX {
        return Err(forged());
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| forged())?;
    serde_json::from_slice(&bytes).map(Some).map_err(|_| forged())
}

/// A page of `items`, of which one more than the limit was asked for.
pub(crate) fn page<T, K: Serialize>(
    mut items: Vec<T>,
    request: &PageRequest,
    key: impl FnOnce(&T) -> K,
) -> Page<T> {
    let limit = request.effective_limit() as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let last = if more { items.last() } else { None };
    let next =
        last.and_then(|item| serde_json::to_vec(&key(item)).ok()).map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    Page { items, next }
}

/// A time by which pages are ordered. Upstream's may be NULL, which no comparison finds and which servers sort to either
/// end; it counts as 0, as it is read.
pub(crate) fn time(column: (&'static str, &'static str)) -> Expr {
    Expr::expr(Func::coalesce([Expr::col(column), Expr::cust("0")]))
}

/// How many rows a statement asks for, so that it shows whether there are more.
pub(crate) fn limit(request: &PageRequest) -> u64 {
    u64::from(request.effective_limit()) + 1
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_a_forged_one_is_refused() {
        let request = PageRequest { cursor: None, limit: 2 };
        let full = page(vec![1_i64, 2, 3], &request, |item| (*item, "id"));
        assert_eq!(full.items, [1, 2]);
        let next = PageRequest { cursor: full.next, limit: 2 };
        assert_eq!(read::<(i64, String)>(&next).unwrap(), Some((2, "id".to_owned())));
        assert_eq!(page(vec![1_i64, 2], &request, |item| *item).next, None);
        for forged in ["", "%", "bnVsbA", "WzEsMl0", "AAAA", &"A".repeat(5000)] {
            let request = PageRequest { cursor: Some(forged.to_owned()), limit: 0 };
            assert!(matches!(read::<(i64, String)>(&request), Err(StoreError::Invalid(_))), "{forged}");
        }
    }
}
