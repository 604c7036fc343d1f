//! Gradient-boosted regression trees, in plain Rust without dependencies, so that a benchmark can
//! run the same code natively.
//!
//! Every tree is stored as a full one of [`DEPTH`] levels: where the trained tree ends earlier, its
//! value fills all leaves below. So a walk has a fixed number of steps and no branches, and the
//! processor works on several trees at once.

/// Levels of splits in every tree.
pub const DEPTH: usize = 3;

/// The most features of a model: a power of two, so that masking an index keeps it in bounds.
pub const MAX_FEATURES: usize = 16;

const LEAVES: usize = 1 << DEPTH;

/// Trees in one iteration of the loop. In the sandbox every iteration checks the time; this many
/// make it a third faster than one by one.
const GROUP: usize = 8;

/// An ensemble: its prediction is `start` plus one leaf of every tree.
pub struct Trees {
    features: usize,
    start: f64,
    trees: Vec<Tree>,
}

/// Splits are numbered from the root, 1; those below split `n` are `2n` (left) and `2n + 1`
/// (right). The number after the last step, less [`LEAVES`], is the index of the leaf.
#[derive(Clone)]
struct Tree {
    splits: [Split; LEAVES],
    leaves: [f64; LEAVES],
}

/// Goes left if the feature is at most the threshold.
#[derive(Clone, Copy)]
struct Split {
    feature: u32,
    threshold: f32,
}

/// A node in the file.
enum Node {
    Split { split: Split, left: usize, right: usize },
    Leaf(f64),
}

// === impl Trees ===

impl Trees {
    /// Parses the text that train.py writes; its head describes the format.
    ///
    /// # Errors
    /// Fails with the fault and its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = Lines { lines: text.lines(), number: 0 };
        let (features, count, start) = lines.next(|fields| match fields {
            [features, count, start] => {
                Some((features.parse().ok()?, count.parse().ok()?, start.parse().ok()?))
            }
            _ => None,
        })?;
        if features > MAX_FEATURES {
            return Err(format!("{features} features are more than {MAX_FEATURES}"));
        }
        let trees = (0..count)
            .map(|_: usize| Tree::parse(&mut lines, features))
            .collect::<Result<_, _>>()?;
        Ok(Self { features, start, trees })
    }

    /// Returns the number of numbers in a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Returns the prediction for one row of features. A row that is too short is filled with
    /// zeros.
    pub fn predict(&self, row: &[f64]) -> f64 {
        // The library in which these trees were trained compares 32-bit features too.
        let mut features = [0.0; MAX_FEATURES];
        for (feature, value) in features.iter_mut().zip(row) {
            *feature = *value as f32;
        }
        let (groups, rest) = self.trees.as_chunks::<GROUP>();
        let sum = groups.iter().fold(self.start, |sum, group| {
            // Added in the order of the trees, as the library does: the sum is the same to the last
            // bit.
            let leaves = group.each_ref().map(|tree| tree.leaf(&features));
            leaves.iter().fold(sum, |sum, leaf| sum + leaf)
        });
        rest.iter().fold(sum, |sum, tree| sum + tree.leaf(&features))
    }
}

// === impl Tree ===

impl Tree {
    #[inline]
    fn leaf(&self, features: &[f32; MAX_FEATURES]) -> f64 {
        let mut node = 1;
        for _ in 0..DEPTH {
            let split = self.splits[node % LEAVES];
            let right = features[split.feature as usize % MAX_FEATURES] > split.threshold;
            node = node << 1 | usize::from(right);
        }
        self.leaves[node % LEAVES]
    }

    fn parse(lines: &mut Lines, features: usize) -> Result<Self, String> {
        let count = lines.next(|fields| fields.first()?.parse().ok())?;
        let nodes: Vec<Node> = (0..count)
            .map(|_: usize| lines.next(|fields| Node::parse(fields, features)))
            .collect::<Result<_, _>>()?;
        let unused = Split { feature: 0, threshold: f32::INFINITY };
        let mut tree = Self { splits: [unused; LEAVES], leaves: [0.0; LEAVES] };
        tree.place(&nodes, 0, 1)?;
        Ok(tree)
    }

    /// Puts the file's node `index`, and all nodes below it, at number `place`.
    fn place(&mut self, nodes: &[Node], index: usize, place: usize) -> Result<(), String> {
        match nodes.get(index) {
            None => return Err(format!("a split leads to node {index}, of {}", nodes.len())),
            Some(Node::Leaf(value)) => self.fill(*value, place),
            Some(Node::Split { split, left, right }) => {
                let free = self.splits.get_mut(place);
                *free.ok_or(format!("a tree is deeper than {DEPTH} levels"))? = *split;
                self.place(nodes, *left, 2 * place)?;
                self.place(nodes, *right, 2 * place + 1)?;
            }
        }
        Ok(())
    }

    fn fill(&mut self, value: f64, place: usize) {
        if place >= LEAVES {
            self.leaves[place - LEAVES] = value;
        } else {
            self.fill(value, 2 * place);
            self.fill(value, 2 * place + 1);
        }
    }
}

// === impl Node ===

impl Node {
    fn parse(fields: &[&str], features: usize) -> Option<Self> {
        match fields {
            ["leaf", value] => Some(Node::Leaf(value.parse().ok()?)),
            [feature, threshold, left, right] => {
                let feature: u32 = feature.parse().ok()?;
                let threshold = round_down(threshold.parse().ok()?);
                let split =
                    ((feature as usize) < features).then_some(Split { feature, threshold })?;
                Some(Node::Split { split, left: left.parse().ok()?, right: right.parse().ok()? })
            }
            _ => None,
        }
    }
}

/// Returns the largest `f32` that is not above the threshold. An `f32` is at most this number
/// exactly if it is at most the threshold.
fn round_down(threshold: f64) -> f32 {
    let nearest = threshold as f32;
    if f64::from(nearest) > threshold { nearest.next_down() } else { nearest }
}

// === Lines ===

struct Lines<'a> {
    lines: std::str::Lines<'a>,
    number: usize,
}

impl Lines<'_> {
    fn next<T>(&mut self, read: impl FnOnce(&[&str]) -> Option<T>) -> Result<T, String> {
        self.number += 1;
        let line = self.lines.next().unwrap_or("");
        let fields: Vec<&str> = line.split_whitespace().collect();
        read(&fields).ok_or_else(|| format!("line {}: cannot read {line:?}", self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::{Trees, round_down};

    const TWO_TREES: &str = "2 2 10.0\n3\n0 1.5 1 2\nleaf 1.0\n1 0.5 3 4\n";

    #[test]
    fn a_walk_ends_at_the_right_leaf() {
        let text = TWO_TREES.replace("\n3\n", "\n5\n") + "leaf 2.0\nleaf 3.0\n1\nleaf 100.0\n";
        let trees = Trees::parse(&text).ok();
        let predict = |row: [f64; 2]| trees.as_ref().map(|trees| trees.predict(&row));
        assert_eq!(predict([1.5, 9.0]), Some(111.0), "equal goes left");
        assert_eq!(predict([1.6, 0.0]), Some(112.0));
        assert_eq!(predict([1.6, 0.6]), Some(113.0));
    }

    #[test]
    fn a_faulty_file_is_refused_with_its_line() {
        let error = |text: &str| Trees::parse(text).err().unwrap_or_default();
        assert_eq!(error("2 1"), r#"line 1: cannot read "2 1""#);
        assert_eq!(error(TWO_TREES), "a split leads to node 3, of 3");
        assert_eq!(
            error("1 1 0\n1\n7 0.5 1 2"),
            r#"line 3: cannot read "7 0.5 1 2""#,
            "no such feature"
        );
        assert_eq!(error("1 1 0\n1\n0 0.5 0 0"), "a tree is deeper than 3 levels", "a cycle");
    }

    #[test]
    fn thresholds_are_rounded_down() {
        assert_eq!(round_down(0.5), 0.5);
        assert!(f64::from(round_down(0.1)) <= 0.1 && f64::from(round_down(0.1).next_up()) > 0.1);
    }
}
