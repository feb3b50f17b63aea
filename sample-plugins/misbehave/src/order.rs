//! Orders in messages: `how`, `how amount` or `place:how amount`.

use innkeeper_sdk::serde_json;

use crate::how::How;

/// Where to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// While the pipe works out its reply.
    Run,
    /// While the pipe feeds its stream.
    Feed,
    /// The filter's hooks.
    Inlet,
    Request,
    Chunk,
    Outlet,
}

/// What to do, where, and how much.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) place: Place,
    pub(crate) how: How,
    pub(crate) amount: u64,
}

impl Order {
    /// `None` for text that is no order.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (order, amount) = text.trim().split_once(' ').unwrap_or((text.trim(), "0"));
        let (place, how) = order.split_once(':').unwrap_or(("run", order));
        let place = match place {
            "run" => Place::Run,
            "feed" => Place::Feed,
            "inlet" => Place::Inlet,
            "request" => Place::Request,
            "chunk" => Place::Chunk,
            "outlet" => Place::Outlet,
            _ => return None,
        };
        let how = serde_json::from_value(serde_json::Value::String(how.to_owned())).ok()?;
        Some(Self { place, how, amount: amount.trim().parse().ok()? })
    }
}
