//! Events for a person's windows, and the answers that come back.

pub(crate) mod answer;
mod origin;
pub(crate) mod socket;
pub(crate) mod subscribe;

use std::sync::Arc;

use axum::http::StatusCode;
use innkeeper_dispatch::{Delivery, TooManySubscriptions};
use innkeeper_model::event::WireEvent;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::failure::Failure;

/// An event as it reaches a window.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivered {
    /// Ascends within a subscription; a gap means that events were missed.
    sequence: u64,
    /// Which chat it is about.
    chat_id: Option<String>,
    /// Which message it is about.
    message_id: Option<String>,
    /// Which turn it comes from.
    turn: String,
    /// The event.
    event: Event,
    /// Id under which an answer is awaited.
    ask: Option<String>,
    /// Milliseconds for which an answer is awaited.
    expires_in_ms: Option<u64>,
}

/// Type and data.
#[derive(Debug, Serialize, ToSchema)]
struct Event {
    /// Such as `status`.
    #[serde(rename = "type")]
    kind: String,
    /// Depends on the type.
    #[schema(value_type = Object)]
    data: Value,
}

impl From<Delivery> for Delivered {
    fn from(delivery: Delivery) -> Self {
        let WireEvent { kind, data } = Arc::unwrap_or_clone(delivery.event);
        Self {
            sequence: delivery.sequence,
            chat_id: delivery.chat.map(innkeeper_model::ChatId::into_string),
            message_id: delivery.message.map(innkeeper_model::MessageId::into_string),
            turn: delivery.turn,
            event: Event { kind, data },
            ask: delivery.ask,
            expires_in_ms: delivery.expires_in_ms,
        }
    }
}

impl From<TooManySubscriptions> for Failure {
    fn from(error: TooManySubscriptions) -> Self {
        let failure = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-subscriptions", error.to_string());
        Self { retry_after: Some(5), ..failure }
    }
}
