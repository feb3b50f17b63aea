//! How much work it is to check a value, counted before it is done: a schema of few bytes can make a check double with every level of the value.

use std::collections::BTreeMap;

use serde_json::Value;

use super::graph::{Graph, size};
use crate::error::ValueProblem;

/// Most work for one check; each unit takes about 50 ns, so that the longest check takes some tens of milliseconds.
const WORK_MAX: u64 = 1_000_000;
/// Deepest nesting of a value.
const DEPTH_MAX: u32 = 64;
/// Deepest nesting of checks, each inside the one before; each takes a few hundred bytes of stack.
const STACK_MAX: u32 = 300;
/// Bytes that a pattern goes through at a cost of one in the time of one unit of work.
const BYTES_PER_UNIT: u64 = 8;

/// What is looked at: a value, or the name of a property.
#[derive(Clone, Copy)]
enum Looked<'v> {
    Value(&'v Value),
    Name(&'v str),
}

/// How often a node applies, and how deep.
type Applied = BTreeMap<usize, (u64, u32)>;

impl Graph {
    /// Refuses a value whose check would take too long or go too deep.
    pub(super) fn weigh(&self, value: &Value) -> Result<(), ValueProblem> {
        let mut work = Work(0);
        let mut waiting = vec![(Looked::Value(value), Applied::from([(self.root, (1, 1))]), 1_u32)];
        while let Some((looked, applied, depth)) = waiting.pop() {
            if depth > DEPTH_MAX {
                return Err(ValueProblem::new(
                    "",
                    format!("it is nested deeper than {DEPTH_MAX} levels; make it flatter"),
                ));
            }
            let all = self.applied(applied, looked, &mut work)?;
            self.inside(&all, looked, depth, &mut work, &mut waiting)?;
        }
        Ok(())
    }

    /// All nodes that apply to one value, those that follow from others included.
    fn applied(
        &self,
        mut open: Applied,
        looked: Looked<'_>,
        work: &mut Work,
    ) -> Result<Applied, ValueProblem> {
        let mut all = Applied::new();
        // A node comes before those that follow from it, so its count is complete when it is first.
        while let Some((position, (count, stack))) = open.pop_first() {
            let Some(node) = self.nodes.get(position) else { continue };
            if stack > STACK_MAX {
                return Err(ValueProblem::new("", "it is nested too deep for this schema; make it flatter"));
            }
            let text = |text: &str| node.pattern.saturating_mul(text.len() as u64) / BYTES_PER_UNIT;
            let own = match looked {
                Looked::Name(name) => text(name),
                Looked::Value(Value::String(value)) => text(value).saturating_add(value.len() as u64 / 256),
                Looked::Value(Value::Array(items)) if node.unique => {
                    items.iter().map(size).fold(0, u64::saturating_add).saturating_mul(8)
                }
                Looked::Value(Value::Object(values)) if node.name_pattern > 0 => {
                    let bytes = values.keys().map(String::len).fold(0, usize::saturating_add) as u64;
                    node.name_pattern.saturating_mul(bytes) / BYTES_PER_UNIT
                }
                Looked::Value(_) => 0,
            };
            work.add(count.saturating_mul(node.steps.saturating_add(own)))?;
            for &next in &node.in_place {
                work.add(1)?;
                apply(&mut open, next, count.saturating_mul(node.times), stack);
            }
            all.insert(position, (count, stack));
        }
        Ok(all)
    }

    /// Which nodes apply to the values inside.
    fn inside<'v>(
        &self,
        all: &Applied,
        looked: Looked<'v>,
        depth: u32,
        work: &mut Work,
        waiting: &mut Vec<(Looked<'v>, Applied, u32)>,
    ) -> Result<(), ValueProblem> {
        let depth = depth.saturating_add(1);
        let nodes =
            || all.iter().filter_map(|(&position, &applied)| Some((self.nodes.get(position)?, applied)));
        match looked {
            Looked::Value(Value::Object(values)) => {
                for (name, value) in values {
                    let mut to_value = Applied::new();
                    let mut to_name = Applied::new();
                    for (node, (count, stack)) in nodes() {
                        let others =
                            if node.properties.contains_key(name) { &[][..] } else { &node.other_properties };
                        let positions =
                            node.properties.get(name).into_iter().chain(&node.matching).chain(others);
                        positions.for_each(|&next| apply(&mut to_value, next, count, stack));
                        node.names.iter().for_each(|&next| apply(&mut to_name, next, count, stack));
                        work.add(1)?;
                    }
                    if !to_name.is_empty() {
                        waiting.push((Looked::Name(name), to_name, depth));
                    }
                    waiting.push((Looked::Value(value), to_value, depth));
                }
            }
            Looked::Value(Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let mut to_item = Applied::new();
                    for (node, (count, stack)) in nodes() {
                        let positions = node.prefix.get(index).into_iter().chain(&node.items);
                        positions.for_each(|&next| apply(&mut to_item, next, count, stack));
                        work.add(1)?;
                    }
                    waiting.push((Looked::Value(item), to_item, depth));
                }
            }
            Looked::Value(_) | Looked::Name(_) => {}
        }
        Ok(())
    }
}

fn apply(applied: &mut Applied, position: usize, count: u64, stack: u32) {
    let entry = applied.entry(position).or_insert((0, 0));
    entry.0 = entry.0.saturating_add(count);
    entry.1 = entry.1.max(stack.saturating_add(1));
}

struct Work(u64);

impl Work {
    fn add(&mut self, more: u64) -> Result<(), ValueProblem> {
        self.0 = self.0.saturating_add(more);
        if self.0 <= WORK_MAX {
            return Ok(());
        }
        Err(ValueProblem::new(
            "",
            "checking it against the plugin's schema takes too long; make it smaller or flatter",
        ))
    }
}
