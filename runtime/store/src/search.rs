//! Looking for a part of a text. No LIKE, so nothing that a guest writes is a wildcard.

use sea_query::{Expr, ExprTrait, Func};

use crate::pool::Backend;

/// Whether a column contains a text, without regard to ASCII case; servers fold further letters too.
pub(crate) fn contains(backend: Backend, column: (&'static str, &'static str), part: &str) -> Expr {
    if part.contains('\0') {
        // No stored text has NUL.
        return Expr::cust("1 = 0");
    }
    let position = match backend {
        Backend::Sqlite | Backend::MySql => "instr",
        Backend::Postgres => "strpos",
    };
    let folded = Func::lower(Expr::val(part));
    Expr::expr(Func::cust(position).arg(Func::lower(Expr::col(column))).arg(folded)).gt(0)
}
