//! The boosters `gbtree` and `dart`: trees.

use model_file::scratch;
use wardian_sdk::{Error, OrError};

use super::booster::Context;
use super::categories::{self, Categories};
use super::document::{Fields, Value};
use super::tree::TreeReader;
use crate::trees::{Ensemble, EnsembleBuilder};

/// Words of categories that any file may have. A set of categories takes as many bits as its
/// largest code.
const WORDS: usize = 16 << 20;

/// The trees of a file.
pub(super) struct Forest {
    /// The trees that are asked.
    pub(super) ensemble: Ensemble<f32>,
    /// The numbers that each row's sums start with.
    pub(super) base: Vec<f32>,
    /// The rounds that are asked.
    pub(super) rounds: usize,
    /// The categories of each column, if the file names them.
    pub(super) categories: Vec<Categories>,
}

/// The fields of the model, before its trees are read.
struct Parts {
    trees: Vec<Value>,
    /// The output that each tree is for.
    outputs: Vec<usize>,
    /// The number of trees before each round, and of all.
    starts: Vec<usize>,
    weights: Weights,
    categories: Vec<Categories>,
}

/// The weights of trees, of which training has dropped some at times.
#[derive(Default)]
struct Weights {
    /// One for each tree; otherwise each counts 1.
    of_trees: Vec<f32>,
    /// True if a leaf is added to the base, and the base taken away again, before it is weighted.
    /// The classes of scikit-learn did so before 3.3, which rounds.
    through_base: bool,
}

impl Forest {
    /// Reads the fields of the booster.
    ///
    /// # Errors
    /// Failed if they are not valid.
    pub(super) fn read(booster: Fields, name: &str, context: &Context) -> Result<Self, Error> {
        let mut parts = Parts::read(booster, name == "dart", context)?;
        let base = context.base(!parts.trees.is_empty())?;
        let rounds = context.asked_rounds(parts.starts.len().saturating_sub(1))?;
        let asked = parts.starts.get(rounds).copied().unwrap_or_default();

        let categories = std::mem::take(&mut parts.categories);
        let ensemble = scratch(|| parts.ensemble(asked, &base, context))?;
        Ok(Self { ensemble, base, rounds, categories })
    }
}

// === impl Parts ===

impl Parts {
    /// Makes the first trees, so many, an ensemble.
    fn ensemble(
        self,
        asked: usize,
        base: &[f32],
        context: &Context,
    ) -> Result<Ensemble<f32>, Error> {
        let words = WORDS.saturating_add(context.file_size.saturating_mul(2));
        let mut reader = TreeReader { outputs: context.outputs, words };
        let mut builder = EnsembleBuilder::new(context.features, context.outputs);
        for (index, (tree, output)) in self.trees.into_iter().zip(self.outputs).enumerate() {
            let base = base.get(output).copied().unwrap_or_default();
            let weight = |leaf| self.weights.apply(leaf, index, base);
            let nodes =
                reader.read(tree, output, weight).or_failed(format_args!("tree {index}"))?;
            if index < asked {
                builder.add(0, nodes)?;
            }
        }
        Ok(builder.build())
    }

    fn read(mut booster: Fields, is_dart: bool, context: &Context) -> Result<Self, Error> {
        let weights = booster.find("weight_drop");
        let mut model =
            if is_dart { inner_model(&mut booster)? } else { booster.fields("model")? };
        booster.finish()?;
        let weights = weights.or_else(|| model.find("weight_drop"));
        if is_dart && weights.is_none() {
            return Err(Error::failed("the field \"weight_drop\" of dart is missing"));
        }

        let mut sizes = model.fields("gbtree_model_param")?;
        let count = sizes.count("num_trees", 0)? as usize;
        let parallel = sizes.count("num_parallel_tree", 1)? as usize;
        sizes.ignore(&["size_leaf_vector", "num_roots", "num_feature", "num_output_group"]);
        sizes.finish()?;

        let trees = ordered(model.array("trees")?)?;
        let outputs = outputs(&model.integers("tree_info")?, context.outputs)?;
        if trees.len() != count || outputs.len() != count {
            return Err(Error::failed(format_args!(
                "num_trees is {count}, but there are {} trees and {} numbers of tree_info",
                trees.len(),
                outputs.len()
            )));
        }
        let starts = match model.find("iteration_indptr") {
            Some(starts) => written_starts(starts, count),
            None => counted_starts(&outputs, parallel),
        };
        let starts = starts.or_failed(format_args!(
            "iteration_indptr, or num_parallel_tree, does not divide the {count} trees into rounds"
        ))?;
        let weights = Weights::read(weights, count, is_dart && context.is_estimator)?;
        let categories = match model.find("cats") {
            Some(categories) => categories::read(categories, context.features, context.version)?,
            None => Vec::new(),
        };
        model.finish()?;
        Ok(Self { trees, outputs, starts, weights, categories })
    }
}

fn inner_model(booster: &mut Fields) -> Result<Fields, Error> {
    let mut inner = booster.fields("gbtree")?;
    let model = inner.fields("model")?;
    inner.ignore(&["name"]);
    inner.finish()?;
    Ok(model)
}

/// Puts trees in the order of their ids.
fn ordered(trees: Vec<Value>) -> Result<Vec<Value>, Error> {
    let mut places: Vec<Option<Value>> = Vec::new();
    places.resize_with(trees.len(), || None);
    for tree in trees {
        let id = match &tree {
            Value::Object(fields) => fields.get("id").cloned().and_then(Value::into_integer),
            _ => None,
        };
        let place = id.and_then(|id| places.get_mut(usize::try_from(id).ok()?));
        let place = place.filter(|place| place.is_none());
        *place.or_failed("the ids of the trees are not the numbers from 0, each once")? =
            Some(tree);
    }
    Ok(places.into_iter().flatten().collect())
}

fn outputs(numbers: &[i64], outputs: usize) -> Result<Vec<usize>, Error> {
    let output = |(tree, number): (usize, &i64)| {
        let output = usize::try_from(*number).ok().filter(|output| *output < outputs);
        output.or_failed(format_args!(
            "tree_info says that tree {tree} is for output {number}, of {outputs}"
        ))
    };
    numbers.iter().enumerate().map(output).collect()
}

fn written_starts(starts: Value, trees: usize) -> Option<Vec<usize>> {
    let starts = starts.into_integers()?;
    let starts: Option<Vec<_>> =
        starts.into_iter().map(|start| usize::try_from(start).ok()).collect();
    starts.filter(|starts| {
        starts.first() == Some(&0) && starts.last() == Some(&trees) && starts.is_sorted()
    })
}

/// Counts the rounds of a file that does not have them.
fn counted_starts(outputs: &[usize], parallel: usize) -> Option<Vec<usize>> {
    let groups = outputs.iter().max().map_or(1, |last| last + 1);
    let of_round = parallel.checked_mul(groups).filter(|trees| *trees > 0)?;
    let is_whole = outputs.len().is_multiple_of(of_round);
    is_whole.then(|| (0..=outputs.len()).step_by(of_round).collect())
}

// === impl Weights ===

impl Weights {
    fn read(weights: Option<Value>, trees: usize, through_base: bool) -> Result<Self, Error> {
        let Some(weights) = weights else { return Ok(Self::default()) };
        let of_trees =
            weights.into_numbers().or_failed("weight_drop is not an array of numbers")?;
        if of_trees.len() != trees && !of_trees.is_empty() {
            let found = of_trees.len();
            let text = format!("weight_drop has {found} numbers for {trees} trees");
            return Err(Error::failed(text));
        }
        Ok(Self { of_trees, through_base })
    }

    /// Returns what a leaf of a tree adds.
    fn apply(&self, leaf: f32, tree: usize, base: f32) -> f32 {
        let Some(weight) = self.of_trees.get(tree) else { return leaf };
        if self.through_base { ((base + leaf) - base) * weight } else { leaf * weight }
    }
}
