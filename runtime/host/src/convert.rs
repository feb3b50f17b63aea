//! Between the generated types of the contract and the plain types of the model. Nothing is decided here.

pub mod chat_request;
pub mod common;
pub mod data;
pub mod event;
pub mod json;
pub mod manifest;
#[cfg(test)]
mod round_trip;
pub mod tool;

/// Converts between two records whose fields have the same names; `into` names the direction.
macro_rules! record {
    ($from:path => $to:path { $($field:ident),* $(,)? } $(+ { $($extra:ident: $value:expr),* $(,)? })?) => {
        impl From<$from> for $to {
            fn from(value: $from) -> Self {
                Self { $($field: value.$field.into(),)* $($($extra: $value,)*)? }
            }
        }
    };
}

/// Converts each item of a list.
pub fn all<A, B: From<A>>(items: Vec<A>) -> Vec<B> {
    items.into_iter().map(B::from).collect()
}

pub(crate) use record;
