use super::{leaf, split};
use crate::trees::{EnsembleBuilder, Leaf, MAX_DEPTH, Missing, Node, Test};

fn fault(nodes: Vec<Node<f32>>) -> String {
    let added = EnsembleBuilder::new(2, 2).add(0, nodes);
    added.map_err(|error| error.to_string()).unwrap_err()
}

fn below(feature: usize, yes: usize, no: usize) -> Node<f32> {
    split(feature, Test::Less(0.5), Missing::Never, yes, no)
}

#[test]
fn an_index_out_of_range_is_refused() {
    assert_eq!(fault(vec![]), "tree 0: a split leads to node 0, of 0");
    assert_eq!(fault(vec![below(0, 1, 2), leaf(1.0)]), "tree 0: a split leads to node 2, of 2");
    assert_eq!(fault(vec![below(2, 1, 2)]), "tree 0: a node asks for feature 2, of 2");
    assert_eq!(fault(vec![below(usize::MAX, 1, 2)]).split(", of").count(), 2);
}

#[test]
fn a_leaf_for_an_unknown_output_is_refused() {
    let leaf = |leaf| fault(vec![Node::Leaf(leaf)]);
    let one = Leaf::One { output: 2, value: 1.0 };
    assert_eq!(leaf(one), "tree 0: a leaf is for output 2, of 2");
    assert_eq!(leaf(Leaf::Some(vec![(1, 1.0), (9, 1.0)])), "tree 0: a leaf is for output 9, of 2");
    assert_eq!(leaf(Leaf::All(vec![1.0])), "tree 0: a leaf has 1 values for 2 outputs");
    let terms = vec![(2, 1.0)];
    let linear = Leaf::Linear { output: 0, constant: 1.0, terms, otherwise: 1.0 };
    assert_eq!(leaf(linear), "tree 0: a node asks for feature 2, of 2");
}

#[test]
fn cycles_and_shared_nodes_are_refused() {
    assert_eq!(fault(vec![below(0, 0, 0)]), "tree 0: two splits lead to node 0");
    assert_eq!(fault(vec![below(0, 1, 1), leaf(1.0)]), "tree 0: two splits lead to node 1");
    let cycle = vec![below(0, 1, 2), below(0, 3, 0), leaf(1.0), leaf(2.0)];
    assert_eq!(fault(cycle), "tree 0: two splits lead to node 0");
}

/// A tree of that many splits, one below the other.
fn chain(splits: usize) -> Vec<Node<f32>> {
    let mut nodes: Vec<_> =
        (0..splits).map(|split| below(0, split + 1, splits + 1 + split)).collect();
    nodes.extend((0..=splits).map(|_| leaf(1.0)));
    nodes
}

#[test]
fn a_tree_that_is_too_deep_is_refused() {
    assert_eq!(fault(chain(MAX_DEPTH + 1)), "tree 0: it is deeper than 4096 splits");
    let mut builder = EnsembleBuilder::new(1, 1);
    builder.add(0, chain(MAX_DEPTH)).unwrap();
    let mut sums = [0.0; 9];
    builder.build().add_to(&[0.0; 9], &mut sums);
    assert_eq!(sums, [1.0; 9]);
}

#[test]
fn the_number_of_the_tree_is_named() {
    let mut builder = EnsembleBuilder::new(1, 1);
    builder.add(0, vec![leaf(1.0)]).unwrap();
    let error = builder.add(3, vec![leaf(1.0)]).unwrap_err();
    assert_eq!(error.to_string(), "tree 1: a split leads to node 3, of 1");
}

#[test]
fn a_hundred_thousand_trees_of_one_leaf_are_served() {
    let mut builder = EnsembleBuilder::new(0, 1);
    for _ in 0..100_000 {
        builder.add(0, vec![leaf(1.0_f64)]).unwrap();
    }
    let mut sums = [0.5; 2];
    builder.build().add_to(&[], &mut sums);
    assert_eq!(sums, [100_000.5; 2]);
}
