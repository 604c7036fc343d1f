//! A file that has been read.

use model_file::scratch;
use wardian_sdk::{Error, Metadata, OrError, Request, Response, Tensor};

use super::lines::Line;
use super::objective::LastStep;
use super::{Header, Lines, Objective, columns, tree_section};
use crate::classes::{Classes, of_both};
use crate::frame::Inputs;
use crate::links::highest;
use crate::number_lists::shortened;
use crate::refusal::refusal;
use crate::trees::{Ensemble, EnsembleBuilder, Missing};
use crate::{Predictor, SavedMetadata};

/// A model of LightGBM, ready to answer.
struct Lightgbm {
    version: String,
    inputs: Inputs,
    trees: Ensemble<f64>,
    /// The number of rounds if the answer is their mean.
    average_of: Option<usize>,
    objective: Objective,
    /// The classes of a classifier.
    classes: Option<Classes>,
    saved: SavedMetadata,
}

/// Reads a file.
///
/// # Errors
/// Failed with the field that is damaged or not served.
pub(crate) fn open(file: &[u8], saved: &SavedMetadata) -> Result<Box<dyn Predictor>, Error> {
    match read(file, saved) {
        Ok(model) => Ok(Box::new(model)),
        Err(fault) => Err(refusal("the file is not a LightGBM model that can be served", fault)),
    }
}

fn read(file: &[u8], saved: &SavedMetadata) -> Result<Lightgbm, Error> {
    let mut lines = Lines::new(file)?;
    let header = Header::read(&mut lines)?;
    let trees = scratch(|| read_trees(&header, &mut lines))?;
    let inputs = Inputs::new(columns::read(&header, &lines, saved)?, saved.missing)?;

    let rounds = trees.trees() / header.outputs;
    let count = header.objective.classes(header.outputs);
    let classes = count.map(|count| Classes::new(count, saved)).transpose()?;
    Ok(Lightgbm {
        version: header.version.to_owned(),
        inputs,
        trees,
        average_of: header.is_average.then_some(rounds),
        objective: header.objective,
        classes,
        saved: saved.clone(),
    })
}

fn read_trees(header: &Header<'_>, lines: &mut Lines<'_>) -> Result<Ensemble<f64>, Error> {
    let mut trees = EnsembleBuilder::new(header.features.len(), header.outputs);
    let mut count = 0;
    loop {
        match lines.next()? {
            Line::Blank => {}
            Line::End => break,
            Line::Field(key, _) => {
                let key = shortened(key);
                return Err(Error::failed(format_args!("the line {key} belongs to no tree")));
            }
            Line::Tree => {
                let nodes = tree_section::read(lines, count % header.outputs);
                trees.add(0, nodes.or_failed(format_args!("tree {count}"))?)?;
                count += 1;
            }
        }
    }
    check_count(header, count)?;
    Ok(trees.build())
}

fn check_count(header: &Header<'_>, count: usize) -> Result<(), Error> {
    if count == 0 {
        return Err(Error::failed("the file has no trees; train at least one round"));
    }
    if header.trees.is_some_and(|told| told != count) {
        let told = header.trees.unwrap_or_default();
        return Err(Error::failed(format_args!(
            "the file has {count} of {told} trees: it was cut; copy it again"
        )));
    }
    if !count.is_multiple_of(header.outputs) {
        return Err(Error::failed(format_args!(
            "the file has {count} trees, which are not whole rounds of {}",
            header.outputs
        )));
    }
    Ok(())
}

// === impl Lightgbm ===

impl Predictor for Lightgbm {
    fn metadata(&self) -> Metadata {
        let metadata = Metadata::new()
            .max_batch_size(4096)
            .property("format", "lightgbm")
            .property("library", format!("LightGBM, format {}", self.version))
            .property("objective", self.objective.line.as_str());
        let metadata = self.inputs.describe(metadata);
        let metadata = match &self.classes {
            Some(classes) => classes.describe(metadata),
            None if self.trees.outputs() == 1 => metadata.output::<f64>("prediction", [-1]),
            None => metadata.output::<f64>("prediction", [-1, self.trees.outputs() as i64]),
        };
        self.saved.add_to(metadata)
    }

    fn predict(&self, request: &Request) -> Result<Response, Error> {
        let mut rows = self.inputs.rows(request)?;
        // The library drops such values from its rows, which leaves zeros.
        let zeros = rows.iter_mut().filter(|value| value.abs() <= Missing::ZERO);
        zeros.for_each(|value| *value = 0.0);
        let count = rows.len() / self.trees.features();
        let answers = self.answers(&rows, count)?;
        Ok(match &self.classes {
            Some(classes) => {
                let is_binary = matches!(self.objective.last_step, LastStep::Binary { .. });
                let probabilities = if is_binary { of_both(&answers) } else { answers };
                let rows = probabilities.chunks_exact(classes.len());
                let labels: Vec<_> = rows.map(highest).collect();
                classes.response(&labels, probabilities)
            }
            None => {
                let outputs = self.trees.outputs();
                let shape = [count, outputs].into_iter().take(if outputs == 1 { 1 } else { 2 });
                Response::new().output(Tensor::new("prediction", shape, answers))
            }
        })
    }
}

impl Lightgbm {
    /// Returns the library's answer: one number for each row and output.
    fn answers(&self, rows: &[f64], count: usize) -> Result<Vec<f64>, Error> {
        let outputs = self.trees.outputs();
        let length = count.checked_mul(outputs).or_rejected("there are too many rows")?;
        let mut sums = vec![0.0; length];
        self.trees.add_to(rows, &mut sums);

        if let Some(rounds) = self.average_of {
            sums.iter_mut().for_each(|sum| *sum /= rounds as f64);
        }
        sums.chunks_exact_mut(outputs).for_each(|row| self.objective.last_step.apply(row));
        Ok(sums)
    }
}
