//! Puts nodes in the order in which they apply to one value, and refuses schemas for which there is none or which multiply.

use super::{Flaw, Node};

/// Most subschemas in a row that apply to one value, each because of the one before.
const CHAIN_MAX: u64 = 32;
/// Most subschemas that apply to one value, counted as often as they do.
const WEIGHT_MAX: u64 = 10_000;

/// The nodes in order, and where the root is then.
pub(super) fn ordered(nodes: Vec<Node>, root: usize) -> Result<(Vec<Node>, usize), Flaw> {
    let order = order(&nodes)?;
    bounded(&nodes, &order)?;
    let mut moved = vec![0_usize; nodes.len()];
    for (new, &old) in order.iter().enumerate() {
        if let Some(place) = moved.get_mut(old) {
            *place = new;
        }
    }
    let to = |old: usize| moved.get(old).copied().unwrap_or(old);
    let mut all: Vec<(usize, Node)> =
        nodes.into_iter().enumerate().map(|(old, node)| (to(old), node)).collect();
    all.sort_by_key(|(new, _)| *new);
    let all = all.into_iter().map(|(_, mut node)| {
        let lists = [
            &mut node.in_place,
            &mut node.required,
            &mut node.matching,
            &mut node.other_properties,
            &mut node.names,
            &mut node.prefix,
            &mut node.items,
        ];
        for position in lists.into_iter().flatten().chain(node.properties.values_mut()) {
            *position = to(*position);
        }
        node
    });
    Ok((all.collect(), to(root)))
}

/// Positions, each before those that apply to the same value because of it.
fn order(nodes: &[Node]) -> Result<Vec<usize>, Flaw> {
    let mut before = vec![0_usize; nodes.len()];
    for &next in nodes.iter().flat_map(|node| &node.in_place) {
        if let Some(count) = before.get_mut(next) {
            *count = count.saturating_add(1);
        }
    }
    let mut free: Vec<usize> =
        before.iter().enumerate().filter(|(_, count)| **count == 0).map(|(at, _)| at).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(position) = free.pop() {
        order.push(position);
        for &next in nodes.get(position).into_iter().flat_map(|node| &node.in_place) {
            let Some(count) = before.get_mut(next) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                free.push(next);
            }
        }
    }
    if order.len() == nodes.len() {
        return Ok(order);
    }
    let endless = nodes.iter().zip(&before).find(|(_, count)| **count > 0).map(|(node, _)| node.at.clone());
    let problem =
        "its references lead back to itself for the same value; checking a value would never end".to_owned();
    Err(Flaw { at: endless.unwrap_or_default(), problem })
}

fn bounded(nodes: &[Node], order: &[usize]) -> Result<(), Flaw> {
    let mut weights = vec![(1_u64, 1_u64); nodes.len()];
    for &position in order.iter().rev() {
        let Some(node) = nodes.get(position) else { continue };
        let (mut weight, mut chain) = (0_u64, 0_u64);
        for &(next, length) in node.in_place.iter().filter_map(|&next| weights.get(next)) {
            weight = weight.saturating_add(next);
            chain = chain.max(length);
        }
        let weight = weight.saturating_mul(node.times).saturating_add(1);
        let chain = chain.saturating_add(1);
        let problem = if chain > CHAIN_MAX {
            format!("more than {CHAIN_MAX} subschemas in a row apply to one value; make it flatter")
        } else if weight > WEIGHT_MAX {
            format!("more than {WEIGHT_MAX} subschemas apply to one value; make it smaller")
        } else {
            if let Some(place) = weights.get_mut(position) {
                *place = (weight, chain);
            }
            continue;
        };
        return Err(Flaw { at: node.at.clone(), problem });
    }
    Ok(())
}
