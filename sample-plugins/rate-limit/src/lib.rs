//! A filter that limits how often a person may ask.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use innkeeper_sdk::prelude::*;

const KEY: &str = "requests";

/// Limits how often a person may ask.
#[derive(Plugin)]
#[plugin(
    id = "rate-limit",
    permissions(kv = "counts each person's requests for the length of the window"),
    valves = Settings
)]
struct RateLimit;

/// How often.
#[valves]
struct Settings {
    /// Requests that a person may make in one window; 0 for no limit.
    #[valve(default = 20)]
    #[schemars(range(min = 0))]
    requests: i64,
    /// Length of the window, in seconds. It begins with the first request.
    #[valve(default = 60)]
    #[schemars(range(min = 1))]
    seconds: u64,
}

#[filter(priority = -100)]
impl Filter for RateLimit {
    async fn inlet(&self, _invocation: Invocation, request: ChatRequest) -> Result<ChatRequest, PluginError> {
        let Settings { requests, seconds } = config::valves()?;
        if requests <= 0 {
            return Ok(request);
        }
        // One step, so that requests at the same moment cannot both be the last one allowed.
        let made = kv::User.increment(KEY, 1, Some(Duration::from_secs(seconds.max(1)))).await?;
        if made <= requests {
            return Ok(request);
        }
        let wait = remaining().await.unwrap_or(seconds);
        Err(PluginError::rejected(message(requests, seconds, wait)))
    }
}

/// Seconds until the window ends.
async fn remaining() -> Option<u64> {
    let ends = kv::User.entry(KEY).await.ok()??.expires_at?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(u64::try_from(ends).ok()?.saturating_sub(now).max(1))
}

fn message(requests: i64, window: u64, wait: u64) -> String {
    format!(
        "You have reached the limit of {requests} requests in {}. Please try again in {}.",
        spell(window),
        spell(wait)
    )
}

fn spell(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds.div_ceil(60), "minute"),
        _ => (seconds.div_ceil(3600), "hour"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn the_message_says_when_to_come_back() {
        let expected =
            "You have reached the limit of 20 requests in 60 seconds. Please try again in 1 second.";
        assert_eq!(message(20, 60, 1), expected);
        let expected = "You have reached the limit of 5 requests in 24 hours. Please try again in 3 minutes.";
        assert_eq!(message(5, 86_400, 121), expected);
    }
}
