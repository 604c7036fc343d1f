//! The names that a node uses, also in the graphs inside it.

use std::collections::BTreeSet;

use crate::proto::{GraphProto, NodeProto};

/// Returns the names of values that a node needs: its inputs, and what its graphs take from around.
pub(super) fn used(node: &NodeProto) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    add_used(node, &mut names);
    names
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
