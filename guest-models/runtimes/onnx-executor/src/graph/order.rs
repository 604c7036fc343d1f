//! The order of nodes, and those that nothing needs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use wardian_sdk::Error;

use super::names::used;
use crate::proto::{GraphProto, NodeProto};

/// Returns the nodes that the outputs need, each after those whose outputs it uses. Nodes that
/// stand in such an order in the file keep it.
///
/// # Errors
/// Failed if a value is made twice, or nodes need each other in a circle.
pub(super) fn ordered(graph: &GraphProto) -> Result<Vec<&NodeProto>, Error> {
    let makers = makers(graph)?;
    let needs = needs(graph, &makers);
    let order = sort(graph, &needs)?;

    let mut is_needed = vec![false; graph.node.len()];
    for output in &graph.output {
        if let Some(maker) = makers.get(output.name.as_str()) {
            is_needed[*maker] = true;
        }
    }
    for index in order.iter().rev().filter(|index| graph.node.get(**index).is_some()) {
        if is_needed[*index] {
            needs[*index].iter().for_each(|need| is_needed[*need] = true);
        }
    }
    let needed = order.into_iter().filter(|index| is_needed[*index]);
    Ok(needed.map(|index| &graph.node[index]).collect())
}

/// By value, the index of the node that makes it.
fn makers(graph: &GraphProto) -> Result<BTreeMap<&str, usize>, Error> {
    let mut makers = BTreeMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            if makers.insert(output.as_str(), index).is_some() {
                let text = format!("two nodes make the value '{output}'; the file is damaged");
                return Err(Error::failed(text));
            }
        }
    }
    Ok(makers)
}

/// By node, the indices of the nodes whose outputs it uses.
fn needs(graph: &GraphProto, makers: &BTreeMap<&str, usize>) -> Vec<Vec<usize>> {
    let needs_of = |node| used(node).into_iter().filter_map(|name| makers.get(name).copied());
    graph.node.iter().map(|node| needs_of(node).collect()).collect()
}

/// Sorts the nodes; of those that could be next, the first in the file is.
fn sort(graph: &GraphProto, needs: &[Vec<usize>]) -> Result<Vec<usize>, Error> {
    let mut users = vec![Vec::new(); needs.len()];
    let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
    for (index, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|need| users[*need].push(index));
    }

    let indices = 0..needs.len();
    let mut ready: BinaryHeap<_> =
        indices.filter(|index| missing[*index] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for user in &users[index] {
            missing[*user] -= 1;
            if missing[*user] == 0 {
                ready.push(Reverse(*user));
            }
        }
    }

    match missing.iter().position(|missing| *missing > 0) {
        None => Ok(order),
        Some(index) => {
            let NodeProto { name, op_type, .. } = &graph.node[index];
            let text = format!(
                "nodes need each other in a circle, operator {op_type} of node '{name}' among them"
            );
            Err(Error::failed(text))
        }
    }
}
