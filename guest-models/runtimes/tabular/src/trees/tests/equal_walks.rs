//! The fast walk answers as a plain one does, for any tree and row.

use std::ops::Range;

use proptest::prelude::*;

use crate::trees::{Categories, EnsembleBuilder, Leaf, Missing, Node, Number, Split, Test};

const FEATURES: usize = 3;
const OUTPUTS: usize = 2;

/// Numbers that meet each other often, and all that are special.
const NUMBERS: [f64; 13] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    1e-36,
    -1.0,
    -0.5,
    0.25,
    1.0,
    2.0,
    3.7,
    1e30,
];

/// The kinds that a random tree is drawn from.
#[derive(Clone, Debug)]
struct Kinds {
    tests: u32,
    leaves: Range<u32>,
    depth: u32,
}

/// Draws numbers from a sequence that proptest chooses and shrinks.
struct Draws<'a>(std::slice::Iter<'a, u32>);

impl Draws<'_> {
    fn below(&mut self, bound: u32) -> u32 {
        self.0.next().copied().unwrap_or_default() % bound
    }

    fn number(&mut self) -> f64 {
        NUMBERS[self.below(NUMBERS.len() as u32) as usize]
    }
}

fn test<T>(draws: &mut Draws<'_>, kinds: &Kinds, convert: fn(f64) -> T) -> Test<T> {
    let number = convert(draws.number());
    match draws.below(kinds.tests) {
        0 => Test::LessOrEqual(number),
        1 => Test::Less(number),
        2 => Test::Greater(number),
        3 => Test::GreaterOrEqual(number),
        4 => Test::Equal(number),
        5 => Test::NotEqual(number),
        6 => Test::OneOf(vec![number, convert(draws.number())]),
        _ => Test::Category(Categories {
            members: vec![draws.below(16)],
            known: (draws.below(2) == 0).then(|| vec![draws.below(16)]),
            below_zero_is_zero: draws.below(2) == 0,
        }),
    }
}

fn missing(draws: &mut Draws<'_>) -> Missing {
    let all = [
        Missing::Never,
        Missing::NanIsYes,
        Missing::NanIsNo,
        Missing::NanIsZero,
        Missing::ZeroIsYes,
        Missing::ZeroIsNo,
    ];
    all[draws.below(6) as usize]
}

fn leaf<T: Copy>(draws: &mut Draws<'_>, kinds: &Kinds, convert: fn(f64) -> T) -> Leaf<T> {
    let mut value = || convert(f64::from(draws.below(1000).saturating_sub(300)) / 8.0);
    let (one, two) = (value(), value());
    match kinds.leaves.start + draws.below(kinds.leaves.len() as u32) {
        0 => Leaf::One { output: 1, value: one },
        1 => Leaf::One { output: 0, value: one },
        2 => Leaf::All(vec![one, two]),
        3 => Leaf::Some(vec![(1, one), (0, two)]),
        _ => Leaf::Linear { output: 0, constant: one, terms: vec![(1, two)], otherwise: one },
    }
}

/// Adds a tree's nodes and returns its root.
fn grow<T: Copy>(
    nodes: &mut Vec<Node<T>>,
    draws: &mut Draws<'_>,
    kinds: &Kinds,
    convert: fn(f64) -> T,
) -> usize {
    if kinds.depth == 0 || draws.below(5) == 0 {
        nodes.push(Node::Leaf(leaf(draws, kinds, convert)));
        return nodes.len() - 1;
    }
    let below = &Kinds { depth: kinds.depth - 1, ..kinds.clone() };
    let yes = grow(nodes, draws, below, convert);
    let no = grow(nodes, draws, below, convert);
    let feature = draws.below(FEATURES as u32) as usize;
    let split =
        Split { feature, test: test(draws, kinds, convert), missing: missing(draws), yes, no };
    nodes.push(Node::Split(split));
    nodes.len() - 1
}

/// Adds the leaves of one tree by the plainest walk.
fn add_plainly<T: Number>(nodes: &[Node<T>], root: usize, row: &[T], sums: &mut [T]) {
    match &nodes[root] {
        Node::Leaf(leaf) => leaf.visit(row, &mut |output, values| {
            sums[output..].iter_mut().zip(values).for_each(|(sum, value)| *sum += *value);
        }),
        Node::Split(split) => {
            let next = if split.answer(row[split.feature]) { split.yes } else { split.no };
            add_plainly(nodes, next, row, sums);
        }
    }
}

fn check<T: Number>(
    draws: &[u32],
    kinds: &Kinds,
    rows: &[f64],
    trees: usize,
    convert: fn(f64) -> T,
) {
    let mut draws = Draws(draws.iter());
    let rows: Vec<T> = rows.iter().map(|number| convert(*number)).collect();
    let mut expected = vec![T::default(); rows.len() / FEATURES * OUTPUTS];
    let mut builders = [(); 2].map(|()| EnsembleBuilder::new(FEATURES, OUTPUTS));
    for _ in 0..trees {
        let mut nodes = Vec::new();
        let root = grow(&mut nodes, &mut draws, kinds, convert);
        for (row, sums) in rows.chunks(FEATURES).zip(expected.chunks_mut(OUTPUTS)) {
            add_plainly(&nodes, root, row, sums);
        }
        for builder in &mut builders {
            builder.add(root, nodes.clone()).unwrap();
        }
    }

    let [all, for_sums] = builders;
    for ensemble in [all.build(), for_sums.build_for_sums()] {
        let mut sums = vec![T::default(); expected.len()];
        ensemble.add_to(&rows, &mut sums);
        let bits = |sums: &[T]| sums.iter().map(|sum| sum.widen().to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&sums), bits(&expected), "{sums:?} {expected:?}");
    }
}

fn rows() -> impl Strategy<Value = Vec<f64>> {
    let number = prop_oneof![
        proptest::sample::select(NUMBERS.to_vec()),
        -4.0..4.0_f64,
        proptest::num::f64::ANY,
    ];
    (0..90_usize)
        .prop_flat_map(move |rows| proptest::collection::vec(number.clone(), rows * FEATURES))
}

proptest! {
    #[test]
    fn of_comparisons_and_leaves_of_one_kind(
        draws in proptest::collection::vec(any::<u32>(), 2000),
        rows in rows(),
        trees in 0..20_usize,
        leaves in proptest::sample::select(vec![0..1, 0..2, 2..3]),
        depth in 0..7_u32,
    ) {
        let kinds = &Kinds { tests: 4, leaves, depth };
        check(&draws, kinds, &rows, trees, |number| number as f32);
        check(&draws, kinds, &rows, trees, |number| number);
    }

    #[test]
    fn of_all_kinds(
        draws in proptest::collection::vec(any::<u32>(), 2000),
        rows in rows(),
        trees in 0..12_usize,
        leaves in 1..6_u32,
        tests in 1..9_u32,
        depth in 0..12_u32,
    ) {
        let kinds = &Kinds { tests, leaves: 0..leaves, depth };
        check(&draws, kinds, &rows, trees, |number| number as f32);
        check(&draws, kinds, &rows, trees, |number| number);
    }
}
