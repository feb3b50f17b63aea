//! A schema as a graph of its subschemas: which apply to the same value, and which to the values inside it.
//!
//! Whoever wrote the schema may mean harm: references that never end, subschemas that multiply, patterns without end. What has no bound is refused here, with its place.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::shown;

mod order;
mod reference;

/// Deepest place of a subschema, in steps of its JSON pointer.
const DEPTH_MAX: usize = 96;
/// Most subschemas.
const NODES_MAX: usize = 4_000;
/// Most patterns.
const PATTERNS_MAX: usize = 64;
/// Most bytes of a pattern.
const PATTERN_BYTES: usize = 1_024;
/// What matching a pattern costs at most for each byte of the value; larger ones do not compile.
const PATTERN_STEPS: u64 = 4_000;

/// Keywords that give names to subschemas, or take them from elsewhere.
const REFUSED: [&str; 6] =
    ["$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef", "$vocabulary"];

/// Dialects that are understood.
const DIALECTS: [&str; 4] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
];

/// What is wrong with a schema.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// JSON pointer.
    pub(super) at: String,
    pub(super) problem: String,
}

/// A schema. A node comes before all nodes that apply to the same value because of it.
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) root: usize,
    pub(super) patterns: usize,
}

/// A subschema. Numbers are positions of nodes.
#[derive(Default)]
pub(super) struct Node {
    /// JSON pointer.
    pub(super) at: String,
    /// Apply to the same value.
    pub(super) in_place: Vec<usize>,
    /// Those of `in_place` that a value must fit: by reference, and all of `allOf`.
    pub(super) required: Vec<usize>,
    /// Apply to the property of that name.
    pub(super) properties: BTreeMap<String, usize>,
    /// Apply to properties whose names fit a pattern.
    pub(super) matching: Vec<usize>,
    /// Apply to properties that are not in `properties`.
    pub(super) other_properties: Vec<usize>,
    /// Apply to names of properties.
    pub(super) names: Vec<usize>,
    /// Apply to the item at that position.
    pub(super) prefix: Vec<usize>,
    /// Apply to any item.
    pub(super) items: Vec<usize>,
    /// Work for each value: keywords and listed values.
    pub(super) steps: u64,
    /// How often the subschemas of `in_place` are gone through.
    pub(super) times: u64,
    /// Work for each byte of a string.
    pub(super) pattern: u64,
    /// Work for each byte of a property's name.
    pub(super) name_pattern: u64,
    /// Whether items are compared with each other.
    pub(super) unique: bool,
    /// What stands in for a missing value; its own, or that of a node it requires.
    pub(super) default: Option<Arc<Value>>,
    /// Whether the value is hidden from those who read it.
    pub(super) secret: bool,
}

impl Graph {
    /// Reads a schema.
    pub(super) fn of(schema: &Value) -> Result<Self, Flaw> {
        dialect(schema)?;
        let mut reader = Reader {
            root: schema,
            places: HashMap::new(),
            waiting: Vec::new(),
            nodes: Vec::new(),
            patterns: 0,
        };
        let root = reader.node(String::new(), schema)?;
        while let Some((position, value)) = reader.waiting.pop() {
            reader.read(position, value)?;
        }
        let Reader { nodes, patterns, .. } = reader;
        let (nodes, root) = order::ordered(nodes, root)?;
        let mut graph = Self { nodes, root, patterns };
        graph.hand_on_defaults();
        Ok(graph)
    }

    /// A property that only refers to a schema has that schema's default.
    fn hand_on_defaults(&mut self) {
        for position in (0..self.nodes.len()).rev() {
            let Some(node) = self.nodes.get(position).filter(|node| node.default.is_none()) else { continue };
            let default = node.required.iter().find_map(|&next| self.nodes.get(next)?.default.clone());
            if let Some(node) = self.nodes.get_mut(position) {
                node.default = default;
            }
        }
    }
}

fn dialect(schema: &Value) -> Result<(), Flaw> {
    let Some(named) = schema.get("$schema") else { return Ok(()) };
    let known = named.as_str().is_some_and(|named| DIALECTS.contains(&named.trim_end_matches('#')));
    if known {
        return Ok(());
    }
    let problem = format!(
        "`{}` is not a dialect that this server knows; use `{}`",
        shown(&named.to_string()),
        DIALECTS[0]
    );
    Err(Flaw { at: "/$schema".to_owned(), problem })
}

/// Walks a schema without recursion: its depth is the stranger's choice.
struct Reader<'a> {
    root: &'a Value,
    places: HashMap<String, usize>,
    waiting: Vec<(usize, &'a Value)>,
    nodes: Vec<Node>,
    patterns: usize,
}

impl<'a> Reader<'a> {
    /// The node of the subschema at `at`, read later if it is new.
    fn node(&mut self, at: String, value: &'a Value) -> Result<usize, Flaw> {
        if let Some(&position) = self.places.get(&at) {
            return Ok(position);
        }
        if !value.is_object() && !value.is_boolean() {
            return Err(Flaw { at, problem: "a schema is an object, `true` or `false`".to_owned() });
        }
        if at.matches('/').count() > DEPTH_MAX {
            return Err(Flaw {
                at: shown(&at),
                problem: format!("it is deeper than {DEPTH_MAX} steps; make it flatter"),
            });
        }
        if self.nodes.len() >= NODES_MAX {
            return Err(Flaw {
                at,
                problem: format!("there are more than {NODES_MAX} subschemas; make it smaller"),
            });
        }
        let position = self.nodes.len();
        self.nodes.push(Node { at: at.clone(), steps: 1, times: 1, ..Node::default() });
        self.places.insert(at, position);
        self.waiting.push((position, value));
        Ok(position)
    }

    fn read(&mut self, position: usize, value: &'a Value) -> Result<(), Flaw> {
        let Some(keywords) = value.as_object() else { return Ok(()) };
        let at = self.nodes.get(position).map(|node| node.at.clone()).unwrap_or_default();
        refuse(&at, keywords)?;
        let mut node = Node { at: at.clone(), steps: steps(keywords), times: 1, ..Node::default() };
        for (keyword, value) in keywords {
            let at = format!("{at}/{}", escape(keyword));
            self.keyword(&mut node, keyword, &at, value)?;
        }
        node.secret = secret(keywords);
        node.default = keywords.get("default").cloned().map(Arc::new);
        if let Some(place) = self.nodes.get_mut(position) {
            *place = node;
        }
        Ok(())
    }

    /// Notes what a keyword's subschemas apply to. Values of the wrong type are left to the check against the dialect.
    fn keyword(&mut self, node: &mut Node, keyword: &str, at: &str, value: &'a Value) -> Result<(), Flaw> {
        match keyword {
            "$ref" => {
                let (at, target) = reference::resolve(self.root, at, value)?;
                let target = self.node(at, target)?;
                node.in_place.push(target);
                node.required.push(target);
            }
            "allOf" | "anyOf" | "oneOf" => {
                let all = self.listed(at, value)?;
                if keyword == "allOf" {
                    node.required.extend(&all);
                }
                node.in_place.extend(all);
            }
            "not" | "if" | "then" | "else" => node.in_place.push(self.node(at.to_owned(), value)?),
            "dependentSchemas" | "dependencies" => {
                node.in_place.extend(self.named(at, value, true)?.into_iter().map(|(_, position)| position));
            }
            "properties" => node.properties = self.named(at, value, false)?.into_iter().collect(),
            "patternProperties" => {
                for (pattern, position) in self.named(at, value, false)? {
                    node.name_pattern = node.name_pattern.saturating_add(self.pattern(at, &pattern)?);
                    node.matching.push(position);
                }
            }
            "additionalProperties" | "unevaluatedProperties" => {
                node.other_properties.push(self.node(at.to_owned(), value)?);
            }
            "propertyNames" => node.names.push(self.node(at.to_owned(), value)?),
            "prefixItems" => node.prefix = self.listed(at, value)?,
            "items" if value.is_array() => node.prefix = self.listed(at, value)?,
            "items" | "additionalItems" | "contains" | "unevaluatedItems" => {
                node.items.push(self.node(at.to_owned(), value)?);
            }
            // Not applied by anything by themselves, but their insides must be as harmless as the rest.
            "$defs" | "definitions" => drop(self.named(at, value, true)?),
            "contentSchema" => drop(self.node(at.to_owned(), value)?),
            "pattern" => {
                if let Some(pattern) = value.as_str() {
                    node.pattern = self.pattern(at, pattern)?;
                }
            }
            "uniqueItems" => node.unique = value == &Value::Bool(true),
            _ => {}
        }
        if keyword.starts_with("unevaluated") {
            // What the other subschemas have seen is found by going through them again.
            node.times = node.times.saturating_add(2);
        }
        Ok(())
    }

    fn listed(&mut self, at: &str, value: &'a Value) -> Result<Vec<usize>, Flaw> {
        let items = value.as_array().into_iter().flatten().enumerate();
        items.map(|(index, item)| self.node(format!("{at}/{index}"), item)).collect()
    }

    /// Subschemas by name. `lists` says that there may be lists of names among them, which are no schemas.
    fn named(&mut self, at: &str, value: &'a Value, lists: bool) -> Result<Vec<(String, usize)>, Flaw> {
        let items = value.as_object().into_iter().flatten().filter(|(_, item)| !(lists && item.is_array()));
        items
            .map(|(name, item)| Ok((name.clone(), self.node(format!("{at}/{}", escape(name)), item)?)))
            .collect()
    }

    /// What a pattern costs for each byte of text.
    fn pattern(&mut self, at: &str, pattern: &str) -> Result<u64, Flaw> {
        self.patterns = self.patterns.saturating_add(1);
        let flaw = |problem| Err(Flaw { at: at.to_owned(), problem });
        if self.patterns > PATTERNS_MAX {
            return flaw(format!("there are more than {PATTERNS_MAX} patterns"));
        }
        if pattern.len() > PATTERN_BYTES {
            return flaw(format!(
                "the pattern has {} bytes; at most {PATTERN_BYTES} are allowed",
                pattern.len()
            ));
        }
        let repeated = pattern.split('{').skip(1).filter_map(|rest| {
            let counts = rest.split('}').next()?;
            counts.split(',').filter_map(|count| count.trim().parse::<u64>().ok()).max()
        });
        let repeated = repeated.fold(1_u64, |product, count| product.saturating_mul(count.max(1)));
        Ok(repeated.saturating_mul(pattern.len() as u64).clamp(1, PATTERN_STEPS))
    }
}

fn refuse(at: &str, keywords: &Map<String, Value>) -> Result<(), Flaw> {
    let refused = keywords.keys().find(|keyword| {
        let keyword = keyword.as_str();
        REFUSED.contains(&keyword) || (!at.is_empty() && (keyword == "$id" || keyword == "$schema"))
    });
    let Some(keyword) = refused else { return Ok(()) };
    let problem = format!("`{keyword}` is not allowed here; refer to subschemas as `#/$defs/name`");
    Err(Flaw { at: format!("{at}/{}", escape(keyword)), problem })
}

/// Keywords, and values that a value is compared with one by one.
fn steps(keywords: &Map<String, Value>) -> u64 {
    let listed = ["enum", "const", "required", "dependentRequired", "dependencies"].into_iter();
    let listed =
        listed.filter_map(|keyword| keywords.get(keyword)).map(size).fold(0_u64, u64::saturating_add);
    let names = keywords.get("properties").and_then(Value::as_object).map_or(0, Map::len);
    listed.saturating_add(keywords.len() as u64).saturating_add(names as u64).saturating_add(1)
}

/// Values in a value, and 16 bytes of text counted as one.
pub(super) fn size(value: &Value) -> u64 {
    let mut waiting = vec![value];
    let mut size = 0_u64;
    while let Some(value) = waiting.pop() {
        size = size.saturating_add(1);
        match value {
            Value::String(text) => size = size.saturating_add(text.len() as u64 / 16),
            Value::Array(items) => waiting.extend(items),
            Value::Object(items) => waiting.extend(items.values()),
            _ => {}
        }
    }
    size
}

/// As JSON Schema, OpenAPI and Open WebUI's forms mark what is not to be shown.
fn secret(keywords: &Map<String, Value>) -> bool {
    let text = |value: Option<&Value>, text| value.and_then(Value::as_str) == Some(text);
    let input = keywords.get("input").and_then(|input| input.get("type"));
    text(keywords.get("format"), "password")
        || keywords.get("writeOnly") == Some(&Value::Bool(true))
        || text(input, "password")
}

/// A name as a step of a JSON pointer.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
