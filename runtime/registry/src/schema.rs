//! JSON Schemas that strangers wrote, made safe to use: nothing is fetched, patterns run in linear time, and the work of a check is known before it is done.
//!
//! `graph` reads a schema and refuses what has no bound, `weigh` counts the work that a value would make, `values` fills in defaults and hides secrets.
//! What a keyword means is left to the `jsonschema` crate.

mod graph;
mod values;
mod weigh;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use innkeeper_model::manifest::Manifest;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::error::{SchemaError, ValueProblem, shown};
use graph::Graph;

/// What stands for a secret where values are read, and keeps the old value where it is written back.
pub const MASK: &str = "********";

/// Largest regular expression, compiled, in bytes; also what its automaton may keep.
const PATTERN_MAX: usize = 1 << 20;
/// Patterns of all schemas of a manifest together.
const PATTERNS_MAX: usize = 64;
/// Subschemas of all schemas of a manifest together.
const SUBSCHEMAS_MAX: usize = 16_000;
/// Problems that are reported at once.
const PROBLEMS_MAX: usize = 20;
/// Largest values of valves with defaults filled in, in bytes of JSON.
const FILLED_MAX: usize = 1 << 20;

/// A schema that is ready for use.
pub(crate) struct Schema {
    graph: Graph,
    validator: Validator,
}

impl Schema {
    /// Compiles a schema; `field` is where in the manifest it is.
    pub(crate) fn compile(field: &str, source: &Value) -> Result<Self, SchemaError> {
        let wrong = |at: String, problem: String| SchemaError { field: field.to_owned(), at, problem };
        let graph = Graph::of(source).map_err(|flaw| wrong(flaw.at, flaw.problem))?;
        let mut source = source.clone();
        if let Some(root) = source.as_object_mut() {
            // An address of its own would only change what references are relative to, and all of them are local.
            root.remove("$id");
        }
        let pattern = PatternOptions::regex().size_limit(PATTERN_MAX).dfa_size_limit(PATTERN_MAX);
        let built = catch_unwind(AssertUnwindSafe(|| {
            jsonschema::options()
                .offline()
                .with_pattern_options(pattern)
                .should_validate_formats(false)
                .build(&source)
        }));
        match built {
            Ok(Ok(validator)) => Ok(Self { graph, validator }),
            Ok(Err(error)) => {
                let at = error.instance_path().to_string();
                let hint = match at.rsplit('/').next() {
                    Some("pattern") => {
                        "; look-around, back-references and very large repetitions are not allowed here"
                    }
                    _ => "",
                };
                Err(wrong(at, format!("{}{hint}", shown(&error.to_string()))))
            }
            Err(_) => Err(wrong(String::new(), "it cannot be compiled".to_owned())),
        }
    }

    /// What is wrong with a value; nothing if it fits.
    pub(crate) fn problems(&self, value: &Value) -> Vec<ValueProblem> {
        if let Err(problem) = self.graph.weigh(value) {
            return vec![problem];
        }
        let problems = catch_unwind(AssertUnwindSafe(|| {
            let problem = |error: jsonschema::ValidationError<'_>| {
                let message = shown(&error.masked_with("the value").to_string());
                ValueProblem::new(shown(error.instance_path().as_str()), message)
            };
            self.validator.iter_errors(value).take(PROBLEMS_MAX).map(problem).collect()
        }));
        problems.unwrap_or_else(|_| vec![ValueProblem::new("", "the value cannot be checked")])
    }

    /// The value with defaults filled in where the schema has some, checked.
    pub(crate) fn complete(&self, mut value: Value) -> Result<Value, Vec<ValueProblem>> {
        self.graph.weigh(&value).map_err(|problem| vec![problem])?;
        self.graph.fill(&mut value, FILLED_MAX).map_err(|problem| vec![problem])?;
        let problems = self.problems(&value);
        if problems.is_empty() { Ok(value) } else { Err(problems) }
    }

    /// Defaults filled in as far as they go and secrets hidden, whether the value fits or not.
    pub(crate) fn masked(&self, mut value: Value) -> Value {
        if self.graph.weigh(&value).is_err() || self.graph.fill(&mut value, FILLED_MAX).is_err() {
            return Value::Object(serde_json::Map::new());
        }
        self.graph.mask(&mut value);
        value
    }

    /// Problems of names that the schema does not have and the old value has not either.
    pub(crate) fn unknown(&self, value: &Value, old: Option<&Value>) -> Vec<ValueProblem> {
        self.graph.unknown(value, old)
    }

    /// Puts old secrets back where the value has the mask in their place.
    pub(crate) fn unmasked(&self, mut value: Value, old: Option<&Value>) -> Result<Value, Vec<ValueProblem>> {
        self.graph.weigh(&value).map_err(|problem| vec![problem])?;
        self.graph.unmask(&mut value, old).map_err(|problem| vec![problem])?;
        Ok(value)
    }
}

type Compiled = OnceLock<Result<Schema, SchemaError>>;

/// All schemas of a manifest, each compiled when it is first used.
pub(crate) struct Schemas {
    manifest: Arc<Manifest>,
    valves: Compiled,
    user_valves: Compiled,
    /// By name; the position is that in the manifest.
    tools: BTreeMap<String, (usize, Compiled)>,
}

impl Schemas {
    pub(crate) fn of(manifest: Arc<Manifest>) -> Self {
        let tools = manifest.tools.iter().enumerate();
        let tools = tools.map(|(position, tool)| (tool.name.clone(), (position, OnceLock::new()))).collect();
        Self { manifest, valves: OnceLock::new(), user_valves: OnceLock::new(), tools }
    }

    /// Compiles all of them, and refuses what is too much together. May take a few hundred milliseconds; not for a thread that serves others.
    pub(crate) fn check(&self) -> Result<(), SchemaError> {
        let mut sum = Sum::default();
        sum.add("valves", self.valves()?)?;
        sum.add("user-valves", self.user_valves()?)?;
        for tool in &self.manifest.tools {
            sum.add(&tool.name, self.tool(&tool.name)?)?;
        }
        Ok(())
    }

    /// The schema of the operator's values; none where the plugin has none.
    pub(crate) fn valves(&self) -> Result<Option<&Schema>, SchemaError> {
        compiled(&self.valves, "valves", self.manifest.valves.as_ref())
    }

    /// The schema of each person's values; none where the plugin has none.
    pub(crate) fn user_valves(&self) -> Result<Option<&Schema>, SchemaError> {
        compiled(&self.user_valves, "user-valves", self.manifest.user_valves.as_ref())
    }

    /// The schema of a tool's arguments; none where there is no such tool.
    pub(crate) fn tool(&self, name: &str) -> Result<Option<&Schema>, SchemaError> {
        let Some((position, cell)) = self.tools.get(name) else { return Ok(None) };
        let source = self.manifest.tools.get(*position).map(|tool| &tool.parameters);
        compiled(cell, &format!("tools.{name}.parameters"), source)
    }
}

/// What all schemas of a manifest have together.
#[derive(Default)]
struct Sum {
    patterns: usize,
    subschemas: usize,
}

impl Sum {
    fn add(&mut self, field: &str, schema: Option<&Schema>) -> Result<(), SchemaError> {
        let Some(graph) = schema.map(|schema| &schema.graph) else { return Ok(()) };
        self.patterns = self.patterns.saturating_add(graph.patterns);
        self.subschemas = self.subschemas.saturating_add(graph.nodes.len());
        if self.patterns <= PATTERNS_MAX && self.subschemas <= SUBSCHEMAS_MAX {
            return Ok(());
        }
        let problem = format!(
            "with it the schemas have more than {PATTERNS_MAX} patterns or {SUBSCHEMAS_MAX} subschemas together"
        );
        Err(SchemaError { field: field.to_owned(), at: String::new(), problem })
    }
}

fn compiled<'a>(
    cell: &'a Compiled,
    field: &str,
    source: Option<&Value>,
) -> Result<Option<&'a Schema>, SchemaError> {
    let Some(source) = source else { return Ok(None) };
    match cell.get_or_init(|| Schema::compile(field, source)) {
        Ok(schema) => Ok(Some(schema)),
        Err(error) => Err(error.clone()),
    }
}

#[cfg(test)]
mod tests;
