//! The log: lines on the error output, for people or for programs.

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogFormat, Settings};

/// Below this level the library for WebSockets logs what is sent, people's answers among it.
const NO_MESSAGES: &str = "tungstenite=info";

/// Starts the log. Commands that do one thing say in their output what they did, so their log is short.
pub(crate) fn start(settings: &Settings, serves: bool) -> anyhow::Result<()> {
    let filter = settings.log_filter.as_deref().unwrap_or(if serves { "info" } else { "warn" });
    // One that was set has been read before, with its place at hand.
    let filter = EnvFilter::try_new(filter)?.add_directive(NO_MESSAGES.parse()?);
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.log_format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(false).try_init(),
    };
    started.map_err(|error| anyhow!("the log cannot be started: {error}"))
}
