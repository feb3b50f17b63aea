//! Lines for the operator's log. They carry the plugin's and the call's id by themselves.

use crate::bindings::innkeeper::plugin::log as imported;
pub use crate::bindings::innkeeper::types::log::Level;

/// Writes a line with fields.
pub fn line(level: Level, message: &str, fields: &[(&str, &str)]) {
    let fields: Vec<_> = fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    imported::log(level, message, &fields);
}

macro_rules! levels {
    ($($name:ident = $level:ident, $doc:literal;)*) => {$(
        #[doc = $doc]
        pub fn $name(message: impl AsRef<str>) {
            imported::log(Level::$level, message.as_ref(), &[]);
        }
    )*};
}

levels! {
    trace = Trace, "Writes a line of the least importance.";
    debug = Debug, "Writes a line for those who look for a fault.";
    info = Info, "Writes a line that says what happened.";
    warn = Warn, "Writes a line about something that may become a fault.";
    error = Error, "Writes a line about a fault.";
}
