//! The `limits` block: the same names, units and defaults in the configuration file, in manifests and in receipts.
//!
//! A plugin's limit is what the operator set for it, else what its manifest asks for, else the default; never more than the operator's ceiling.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

macro_rules! limits {
    ($($(#[doc = $about:literal])* $field:ident: $name:literal, $unit:literal, $default:expr, $ceiling:expr;)*) => {
        /// One value for each limit.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits { $($(#[doc = $about])* pub $field: u64,)* }

        impl Limits {
            /// What there is to know about each limit.
            pub const ALL: &[LimitInfo] = &[$(LimitInfo {
                name: $name, unit: $unit, default: $default, ceiling: $ceiling,
                about: concat!($($about),*).trim_ascii_start(),
            },)*];

            /// The value of a limit by its name.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name { $($name => Some(self.$field),)* _ => None }
            }

            /// Sets a limit by its name; false where there is none of that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name { $($name => { self.$field = value; true })* _ => false }
            }
        }

        impl Default for Limits {
            fn default() -> Self { Self { $($field: $default,)* } }
        }

        impl Limits {
            /// The highest ceilings that an operator may set.
            pub fn ceilings() -> Self { Self { $($field: $ceiling,)* } }
        }
    };
}

/// How many times its default a limit may be where an operator has set no ceiling.
const HEADROOM: u64 = 4;

/// Limits that share the server out among plugins and people, so that no plugin may wish for more of them.
pub const OPERATORS_ONLY: &[&str] =
    &["calls-per-plugin", "calls-per-user", "queue", "queue-wait", "describe", "describe-fuel"];

impl Limits {
    /// The ceilings of a server whose operator has set none.
    pub fn default_ceilings() -> Self {
        let mut ceilings = Self::default();
        for info in Self::ALL {
            ceilings.set(info.name, info.default.saturating_mul(HEADROOM).min(info.ceiling));
        }
        ceilings
    }
}

/// What there is to know about a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LimitInfo {
    /// Its name in files, manifests and messages.
    pub name: &'static str,
    /// What its number counts.
    pub unit: &'static str,
    /// What holds where nobody says otherwise.
    pub default: u64,
    /// What an operator's ceiling may not exceed.
    pub ceiling: u64,
    /// What it bounds, in a sentence or two.
    pub about: &'static str,
}

const MIB: u64 = 1 << 20;
const MINUTE: u64 = 60_000;

limits! {
    /// What a call may compute. One unit is about one WebAssembly instruction.
    fuel: "fuel", "units", 500_000_000, 1_000_000_000_000;
    /// Fuel added for each KiB of the request's body.
    fuel_per_kib: "fuel-per-kib", "units", 1_000_000, 100_000_000;
    /// How long a call may compute and wait for host calls other than those of `waiting`.
    active: "active", "milliseconds", 30_000, 60 * MINUTE;
    /// How long a call may wait for people, models, other plugins and clients that read slowly.
    waiting: "waiting", "milliseconds", 10 * MINUTE, 24 * 60 * MINUTE;
    /// How long one filter hook may take.
    hook: "hook", "milliseconds", 10_000, 10 * MINUTE;
    /// How long a call may go on after it delivered its result.
    background: "background", "milliseconds", 30_000, 60 * MINUTE;
    /// What a call may compute after it delivered its result.
    background_fuel: "background-fuel", "units", 200_000_000, 1_000_000_000_000;
    /// Memories and tables of a call, summed.
    memory: "memory", "bytes", 64 * MIB, 512 * MIB;
    /// Core instances that one component may have; it has 2 memories and 8 tables at most.
    instances: "instances", "instances", 32, 32;
    /// Resources, streams, futures and tasks that a call may have open.
    handles: "handles", "handles", 2_000, 100_000;
    /// Host calls of one call.
    host_calls: "host-calls", "calls", 20_000, 10_000_000;
    /// Host calls of one call that run at once.
    concurrent_host_calls: "concurrent-host-calls", "calls", 32, 1_000;
    /// Bytes that pass through host calls, both ways together.
    host_bytes: "host-bytes", "bytes", 64 * MIB, 4096 * MIB;
    /// Bytes that one host call or result may carry.
    transfer: "transfer", "bytes", 8 * MIB, 128 * MIB;
    /// Database rows that a call may read.
    rows: "rows", "rows", 20_000, 10_000_000;
    /// Bytes of database rows that a call may read.
    row_bytes: "row-bytes", "bytes", 32 * MIB, 4096 * MIB;
    /// Events that a call may emit.
    events: "events", "events", 1_000, 1_000_000;
    /// Bytes of one event.
    event_bytes: "event-bytes", "bytes", MIB, 64 * MIB;
    /// Log lines that a call may write; further ones are counted and dropped.
    log_lines: "log-lines", "lines", 200, 100_000;
    /// Chunks that an answer may have.
    chunks: "chunks", "chunks", 200_000, 100_000_000;
    /// Bytes of one chunk.
    chunk_bytes: "chunk-bytes", "bytes", MIB, 64 * MIB;
    /// Bytes of all chunks of an answer.
    answer_bytes: "answer-bytes", "bytes", 16 * MIB, 512 * MIB;
    /// Completions and embeddings that a call may ask for.
    completions: "completions", "calls", 16, 10_000;
    /// How deep plugins may call plugins.
    nesting: "nesting", "levels", 4, 16;
    /// Calls of one plugin that run at once.
    calls_per_plugin: "calls-per-plugin", "calls", 256, 100_000;
    /// Calls of one person that run at once.
    calls_per_user: "calls-per-user", "calls", 64, 100_000;
    /// Calls that wait for an instance.
    queue: "queue", "calls", 1_000, 100_000;
    /// How long a call waits for an instance.
    queue_wait: "queue-wait", "milliseconds", 10_000, 10 * MINUTE;
    /// How long `describe` may take.
    describe: "describe", "milliseconds", 5_000, MINUTE;
    /// What `describe` may compute.
    describe_fuel: "describe-fuel", "units", 100_000_000, 10_000_000_000;
    /// Entries of one scope of `kv`.
    kv_entries: "kv-entries", "entries", 10_000, 10_000_000;
    /// Bytes of one scope of `kv`.
    kv_bytes: "kv-bytes", "bytes", 16 * MIB, 4096 * MIB;
    /// Bytes of one file that a call stores.
    file_bytes: "file-bytes", "bytes", 32 * MIB, 4096 * MIB;
}

/// A limit that cannot be set so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// There is none of that name.
    #[error("unknown limit `{0}`; `innkeeper plugin show` lists the names")]
    Unknown(String),
    /// Beyond what may be.
    #[error("limit `{name}` is {value} {unit}; at most {ceiling} is possible")]
    TooHigh {
        /// Which limit.
        name: &'static str,
        /// What was asked.
        value: u64,
        /// What it counts.
        unit: &'static str,
        /// The ceiling.
        ceiling: u64,
    },
}

/// Values by name, as files and manifests hold them.
pub type LimitMap = BTreeMap<String, u64>;

impl Limits {
    /// These limits with some values replaced; each must exist and be within `ceilings`.
    pub fn with(mut self, values: &LimitMap, ceilings: &Self) -> Result<Self, LimitError> {
        for (name, &value) in values {
            let info = Self::ALL.iter().find(|info| info.name == name);
            let info = info.ok_or_else(|| LimitError::Unknown(name.clone()))?;
            let ceiling = ceilings.get(name).unwrap_or(info.ceiling);
            if value > ceiling {
                return Err(LimitError::TooHigh { name: info.name, value, unit: info.unit, ceiling });
            }
            self.set(name, value);
        }
        Ok(self)
    }

    /// The values by name.
    pub fn to_map(&self) -> LimitMap {
        Self::ALL.iter().filter_map(|info| Some((info.name.to_owned(), self.get(info.name)?))).collect()
    }
}

impl Serialize for Limits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_map().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = LimitMap::deserialize(deserializer)?;
        Self::default().with(&values, &Self::ceilings()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_default_within_its_ceiling() {
        for info in Limits::ALL {
            assert!(info.default > 0 && info.default <= info.ceiling, "{}", info.name);
            assert_eq!(Limits::default().get(info.name), Some(info.default));
        }
    }

    #[test]
    fn every_limit_says_what_it_bounds() {
        for info in Limits::ALL {
            assert!(info.about.starts_with(char::is_uppercase) && info.about.ends_with('.'), "{info:?}");
        }
    }

    #[test]
    fn a_wrong_limit_names_itself() {
        let with = |name: &str, value| {
            Limits::default().with(&LimitMap::from([(name.to_owned(), value)]), &Limits::default())
        };
        assert_eq!(with("fuel", 5).unwrap().fuel, 5);
        assert_eq!(with("fule", 5), Err(LimitError::Unknown("fule".to_owned())));
        assert!(matches!(with("fuel", u64::MAX), Err(LimitError::TooHigh { name: "fuel", .. })));
    }
}
