//! The names that a node uses, also in the graphs inside it.

use std::collections::{BTreeMap, BTreeSet};

use crate::proto::{GraphProto, NodeProto};

/// Returns the names of values that a node needs: its inputs, and what its graphs take from around.
pub(super) fn used(node: &NodeProto) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    add_used(node, &mut names);
    names
}

/// Returns the number of nodes that use each value of a graph. An output is used by what is around
/// the graph.
pub(super) fn count_uses<'a>(
    graph: &'a GraphProto,
    nodes: impl Iterator<Item = &'a NodeProto>,
) -> BTreeMap<&'a str, usize> {
    let mut uses = BTreeMap::new();
    let outputs = graph.output.iter().map(|output| output.name.as_str());
    for name in nodes.flat_map(used).chain(outputs) {
        *uses.entry(name).or_default() += 1;
    }
    uses
}

fn add_used<'a>(node: &'a NodeProto, names: &mut BTreeSet<&'a str>) {
    names.extend(node.input.iter().map(String::as_str).filter(|name| !name.is_empty()));
    let graphs = node.attribute.iter().filter_map(|attribute| attribute.g.as_ref());
    graphs.for_each(|graph| names.extend(free(graph)));
}

/// Returns the names that a graph uses and does not define. Its depth is bounded by the parser.
fn free(graph: &GraphProto) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    graph.node.iter().for_each(|node| add_used(node, &mut names));
    names.extend(graph.output.iter().map(|output| output.name.as_str()));

    let inputs = graph.input.iter().map(|input| &input.name);
    let initializers = graph.initializer.iter().map(|initializer| &initializer.name);
    let outputs = graph.node.iter().flat_map(|node| &node.output);
    for name in inputs.chain(initializers).chain(outputs) {
        names.remove(name.as_str());
    }
    names
}
