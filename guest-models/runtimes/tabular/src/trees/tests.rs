use super::{EnsembleBuilder, Leaf, Missing, Node, Split, Test};

fn leaf(value: f32) -> Node<f32> {
    Node::Leaf(Leaf::One { output: 0, value })
}

fn split(feature: usize, test: Test<f32>, yes: usize, no: usize) -> Node<f32> {
    Node::Split(Split { feature, test, missing: Missing::NanIsYes, yes, no })
}

#[test]
fn leaves_are_added_to_what_the_sums_start_with() {
    let mut builder = EnsembleBuilder::new(1, 1);
    builder.add(0, vec![split(0, Test::Less(0.5), 1, 2), leaf(1.0), leaf(2.0)]).unwrap();
    builder.add(0, vec![leaf(10.0)]).unwrap();
    let mut sums = [100.0; 3];
    builder.build().add_to(&[0.4, 0.5, f32::NAN], &mut sums);
    assert_eq!(sums, [111.0, 112.0, 111.0]);
}

#[test]
fn a_faulty_tree_is_refused_with_its_number() {
    let fault = |nodes| {
        let added = EnsembleBuilder::new(2, 1).add(0, nodes);
        added.map_err(|error| error.to_string()).unwrap_err()
    };
    let test = || Test::Less(0.5);
    assert_eq!(fault(vec![]), "tree 0: a split leads to node 0, of 0");
    assert_eq!(fault(vec![split(0, test(), 0, 0)]), "tree 0: two splits lead to node 0");
    assert_eq!(fault(vec![split(0, test(), 1, 1), leaf(1.0)]), "tree 0: two splits lead to node 1");
    assert_eq!(fault(vec![split(2, test(), 1, 2)]), "tree 0: a node asks for feature 2, of 2");
}
