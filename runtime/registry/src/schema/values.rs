//! Values of valves: defaults filled in, secrets hidden and put back.
//! The value was weighed before, so its depth is bounded and recursion along it is safe.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::graph::{Graph, Node, escape, size};
use super::{MASK, PROBLEMS_MAX};
use crate::error::{ValueProblem, shown};

impl Graph {
    /// Fills in defaults of properties that are missing, also in objects inside that are there. What a default holds is taken as it is.
    pub(super) fn fill(&self, value: &mut Value, max: usize) -> Result<(), ValueProblem> {
        let mut left = (max as u64 / 16).saturating_sub(size(value));
        self.fill_in(self.root, value, &mut left)
    }

    fn fill_in(&self, position: usize, value: &mut Value, left: &mut u64) -> Result<(), ValueProblem> {
        let Some(values) = value.as_object_mut() else { return Ok(()) };
        for node in self.closure(&[position], |node| &node.required) {
            for (name, &child) in &node.properties {
                if let Some(value) = values.get_mut(name) {
                    self.fill_in(child, value, left)?;
                    continue;
                }
                let Some(default) = self.nodes.get(child).and_then(|node| node.default.as_deref()) else {
                    continue;
                };
                *left = left.checked_sub(size(default)).ok_or_else(|| {
                    ValueProblem::new("", "with its defaults filled in it is too large; make it smaller")
                })?;
                values.insert(name.clone(), default.clone());
            }
        }
        Ok(())
    }

    /// Names that the schema does not have, where it has some and does not say what others may be.
    /// Those that `old` has may stay: an earlier revision had them.
    pub(super) fn unknown(&self, value: &Value, old: Option<&Value>) -> Vec<ValueProblem> {
        let nodes = self.closure(&[self.root], |node| &node.in_place);
        let known: BTreeSet<&str> =
            nodes.iter().flat_map(|node| node.properties.keys()).map(String::as_str).collect();
        let takes_others = |node: &&Node| {
            !(node.matching.is_empty() && node.other_properties.is_empty() && node.names.is_empty())
        };
        if known.is_empty() || nodes.iter().any(takes_others) {
            return Vec::new();
        }
        let is_new = |name: &&String| {
            !known.contains(name.as_str()) && old.and_then(|old| old.get(name.as_str())).is_none()
        };
        let unknown = value.as_object().into_iter().flat_map(|values| values.keys()).filter(is_new);
        let names = shown(&known.iter().copied().collect::<Vec<_>>().join(", "));
        let problem = |name: &String| {
            let message = format!("the plugin has no value of this name; it has: {names}");
            ValueProblem::new(format!("/{}", shown(&escape(name))), message)
        };
        unknown.take(PROBLEMS_MAX).map(problem).collect()
    }

    /// Puts the mask in place of secrets. Where some alternative of the schema says that a value is secret, it is.
    pub(super) fn mask(&self, value: &mut Value) {
        self.mask_in(&[self.root], value);
    }

    fn mask_in(&self, positions: &[usize], value: &mut Value) {
        let nodes = self.closure(positions, |node| &node.in_place);
        if nodes.iter().any(|node| node.secret) {
            if !is_nothing(value) {
                *value = Value::String(MASK.to_owned());
            }
            return;
        }
        match value {
            Value::Object(values) => {
                values.iter_mut().for_each(|(name, value)| self.mask_in(&of_property(&nodes, name), value));
            }
            Value::Array(items) => {
                items
                    .iter_mut()
                    .enumerate()
                    .for_each(|(index, item)| self.mask_in(&of_item(&nodes, index), item));
            }
            _ => {}
        }
    }

    /// Puts old secrets in place of the mask; a mask for a secret that was never set is left out.
    pub(super) fn unmask(&self, value: &mut Value, old: Option<&Value>) -> Result<(), ValueProblem> {
        self.unmask_in(&[self.root], "", value, old).map(drop)
    }

    /// Whether the value stays.
    fn unmask_in(
        &self,
        positions: &[usize],
        at: &str,
        value: &mut Value,
        old: Option<&Value>,
    ) -> Result<bool, ValueProblem> {
        let nodes = self.closure(positions, |node| &node.in_place);
        if nodes.iter().any(|node| node.secret) {
            if value.as_str() != Some(MASK) {
                return Ok(true);
            }
            let Some(old) = old.filter(|old| !is_nothing(old)) else { return Ok(false) };
            *value = old.clone();
            return Ok(true);
        }
        match value {
            Value::Object(values) => {
                let mut gone = HashSet::new();
                for (name, value) in values.iter_mut() {
                    let at = format!("{at}/{}", escape(name));
                    let old = old.and_then(|old| old.get(name));
                    if !self.unmask_in(&of_property(&nodes, name), &at, value, old)? {
                        gone.insert(name.clone());
                    }
                }
                values.retain(|name, _| !gone.contains(name.as_str()));
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let at = format!("{at}/{index}");
                    let old = old.and_then(|old| old.get(index));
                    if !self.unmask_in(&of_item(&nodes, index), &at, item, old)? {
                        return Err(ValueProblem::new(
                            at,
                            "there is no old value in the place of this mask; give the value",
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(true)
    }

    /// These nodes and all that follow from them for the same value.
    fn closure(&self, positions: &[usize], next: impl Fn(&Node) -> &Vec<usize>) -> Vec<&Node> {
        let mut open: BTreeSet<usize> = positions.iter().copied().collect();
        let mut all = Vec::new();
        while let Some(position) = open.pop_first() {
            let Some(node) = self.nodes.get(position) else { continue };
            open.extend(next(node));
            all.push(node);
        }
        all
    }
}

fn of_property(nodes: &[&Node], name: &str) -> Vec<usize> {
    let positions = nodes.iter().flat_map(|node| {
        let others = if node.properties.contains_key(name) { &[][..] } else { &node.other_properties };
        node.properties.get(name).into_iter().chain(&node.matching).chain(others).copied()
    });
    positions.collect()
}

fn of_item(nodes: &[&Node], index: usize) -> Vec<usize> {
    nodes.iter().flat_map(|node| node.prefix.get(index).into_iter().chain(&node.items).copied()).collect()
}

/// Nothing that could be a secret.
fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}
