//! `log`: the guest's lines in the operator's log. Guest text is escaped, bounded and counted.

use crate::bindings::innkeeper::plugin::log::Host;
pub use crate::bindings::innkeeper::types::log::Level;
use crate::call::{CallHandle, Interface, Phase};
use crate::fault::Fault;
use crate::state::State;
use crate::weigh::Weigh;

/// Longest message of a line, and longest of all its fields together, in bytes as they are written.
pub(crate) const LINE_MAX: usize = 4096;

/// Most fields of a line.
const FIELDS_MAX: usize = 16;

/// Writes a line, or counts it as dropped.
pub(crate) fn write(call: &CallHandle, level: Level, message: &str, fields: &[(String, String)]) {
    if matches!(call.setup().phase, Phase::Describe) || !call.count_log_line() {
        return;
    }
    let (span, message) = (call.span(), escape(message));
    let fields =
        fields.iter().take(FIELDS_MAX).map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    let mut fields = fields.collect::<Vec<_>>().join(" ");
    fields.truncate(fields.floor_char_boundary(LINE_MAX));
    match level {
        Level::Trace => tracing::trace!(target: "plugin", parent: span, fields, "{message}"),
        Level::Debug => tracing::debug!(target: "plugin", parent: span, fields, "{message}"),
        Level::Info => tracing::info!(target: "plugin", parent: span, fields, "{message}"),
        Level::Warn => tracing::warn!(target: "plugin", parent: span, fields, "{message}"),
        Level::Error => tracing::error!(target: "plugin", parent: span, fields, "{message}"),
    }
}

/// Guest text made fit for a log line or a terminal: control, invisible and reordering characters escaped, cut to `LINE_MAX` bytes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LINE_MAX));
    for c in text.chars() {
        if out.len() >= LINE_MAX {
            out.push('…');
            break;
        }
        let hides = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || hides { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

impl Host for State {
    fn log(&mut self, level: Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        // Counted as a host call, so that a flood of lines ends as any flood does.
        match self.call.enter(Interface::Log, message.len() as u64 + fields.weigh()) {
            Ok(_counted) => write(&self.call, level, &message, &fields),
            Err(Fault::Stop(stop)) => return Err(wasmtime::Error::new(stop)),
            Err(Fault::Guest(_)) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_text_cannot_forge_lines_or_colours() {
        assert_eq!(escape("a\nb\u{1b}[31m\u{202e}x"), "a\\nb\\u{1b}[31m\\u{202e}x");
        for hidden in
            ['\u{61c}', '\u{200b}', '\u{200d}', '\u{2028}', '\u{2060}', '\u{2064}', '\u{2066}', '\u{feff}']
        {
            assert!(escape(&hidden.to_string()).starts_with("\\u{"), "{hidden:?}");
        }
        assert!(escape(&"x".repeat(100_000)).len() < LINE_MAX + 8);
    }
}
