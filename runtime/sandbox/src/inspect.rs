//! Looks at a stranger's bytes without an engine: whether they are a component for this server, and which kinds of plugin it is.

use std::collections::BTreeSet;

use innkeeper_model::manifest::Kinds;
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

/// The contract's package, and the version of it that this server speaks.
const PACKAGE: &str = "innkeeper:plugin/";
const VERSION: (u64, u64) = (0, 1);

/// Largest component that is looked at, in bytes.
pub const COMPONENT_MAX: usize = 64 << 20;

/// Deepest nesting of components that is looked at.
const NESTING_MAX: usize = 16;

/// Why bytes are not a plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// Nothing like WebAssembly.
    #[error(
        "not a WebAssembly component: the file does not begin with `\\0asm`; upload the `.wasm` file that the build made"
    )]
    NotWasm,
    /// A module without the component's wrapping.
    #[error(
        "this is a core WebAssembly module, not a component; build for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Cut off, or damaged.
    #[error("component is damaged at byte {offset}: {problem}; upload it again")]
    Malformed {
        /// Where.
        offset: u64,
        /// What, in the parser's words.
        problem: String,
    },
    /// Beyond what is looked at.
    #[error("component has {size} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// Too deep.
    #[error("component nests more than {NESTING_MAX} components")]
    TooDeep,
    /// No exports of the contract.
    #[error("component exports nothing of `innkeeper:plugin`; it is for another world (it exports {found})")]
    WrongWorld {
        /// What it exports instead.
        found: String,
    },
    /// Exports of the contract in another version.
    #[error(
        "component is built for version {found} of `innkeeper:plugin`; this server speaks 0.1; rebuild it with a matching SDK"
    )]
    WrongVersion {
        /// Which version.
        found: String,
    },
    /// `plugin` is missing.
    #[error("component does not export `innkeeper:plugin/plugin`, which describes it")]
    NoDescription,
    /// `plugin` alone.
    #[error(
        "component exports `plugin` but none of `tool`, `pipe`, `filter`, `action`, `job`; there is nothing to call"
    )]
    NoKind,
    /// An import that no server of this version has.
    #[error("component imports `{0}`, which this server does not have")]
    UnknownImport(String),
}

/// What is known of a component before it is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What it exports besides `plugin`.
    pub kinds: Kinds,
    /// BLAKE3 of the bytes, 64 hexadecimal digits.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Looks at a component of at most `max` bytes. Validates it whole, so that the compiler sees only what is valid.
pub fn inspect(bytes: &[u8], max: usize) -> Result<Inspection, InspectError> {
    if bytes.len() > max {
        return Err(InspectError::TooLarge { size: bytes.len(), max });
    }
    if bytes.get(..4) != Some(b"\0asm") {
        return Err(InspectError::NotWasm);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(InspectError::CoreModule);
    }
    let names = names(bytes)?;
    let kinds = kinds(&names.exports)?;
    check_imports(&names.imports)?;
    Validator::new_with_features(features()).validate_all(bytes).map_err(malformed)?;
    Ok(Inspection { kinds, digest: blake3::hash(bytes).to_hex().to_string(), size: bytes.len() as u64 })
}

/// What plugins may use: the same as the engine has on.
fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::CALL_INDIRECT_OVERLONG
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::BULK_MEMORY_OPT
        | WasmFeatures::SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::FLOATS
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::GC_TYPES
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::CM_ASYNC
}

#[derive(Default)]
struct Names {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

/// Names of the outermost component's imports and exports.
fn names(bytes: &[u8]) -> Result<Names, InspectError> {
    let mut names = Names::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(InspectError::CoreModule);
            }
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    names.imports.insert(import.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    names.exports.insert(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            _ => {}
        }
        if depth > NESTING_MAX {
            return Err(InspectError::TooDeep);
        }
    }
    Ok(names)
}

fn kinds(exports: &BTreeSet<String>) -> Result<Kinds, InspectError> {
    let ours: Vec<(&str, &str)> = exports
        .iter()
        .filter_map(|name| name.strip_prefix(PACKAGE))
        .map(|name| name.split_once('@').unwrap_or((name, "")))
        .collect();
    if ours.is_empty() {
        let found =
            exports.iter().take(8).map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>().join(", ");
        return Err(InspectError::WrongWorld {
            found: if found.is_empty() { "nothing".to_owned() } else { found },
        });
    }
    if let Some((_, version)) = ours.iter().find(|(_, version)| !speaks(version)) {
        return Err(InspectError::WrongVersion { found: shown(version) });
    }
    let has = |interface: &str| ours.iter().any(|(name, _)| *name == interface);
    if !has("plugin") {
        return Err(InspectError::NoDescription);
    }
    let kinds = Kinds {
        tool: has("tool"),
        pipe: has("pipe"),
        filter: has("filter"),
        action: has("action"),
        job: has("job"),
    };
    if kinds == Kinds::default() {
        return Err(InspectError::NoKind);
    }
    Ok(kinds)
}

/// Whether this server speaks a version: the same minor; pre-releases are nobody's but their author's.
fn speaks(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u64>);
    let mut next = || parts.next().and_then(Result::ok);
    (next(), next()) == (Some(VERSION.0), Some(VERSION.1)) && next().is_some() && parts.next().is_none()
}

fn check_imports(imports: &BTreeSet<String>) -> Result<(), InspectError> {
    let known = |name: &str| {
        let ours =
            ["innkeeper:plugin/", "innkeeper:types/"].iter().find_map(|package| name.strip_prefix(package));
        match ours {
            Some(rest) => rest.split_once('@').is_some_and(|(_, version)| speaks(version)),
            None => name.starts_with("wasi:") && name.contains("@0.2."),
        }
    };
    match imports.iter().find(|name| !known(name)) {
        Some(name) => Err(InspectError::UnknownImport(shown(name))),
        None => Ok(()),
    }
}

fn malformed(error: wasmparser::BinaryReaderError) -> InspectError {
    InspectError::Malformed { offset: error.offset() as u64, problem: shown(error.message()) }
}

/// A stranger's text made fit for a message.
fn shown(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}
