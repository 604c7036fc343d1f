mod equal_walks;
mod refusals;
mod values;

use super::{Leaf, Missing, Node, Split, Test};

fn leaf<T>(value: T) -> Node<T> {
    Node::Leaf(Leaf::One { output: 0, value })
}

fn split<T>(feature: usize, test: Test<T>, missing: Missing, yes: usize, no: usize) -> Node<T> {
    Node::Split(Split { feature, test, missing, yes, no })
}
