//! A file that has been read.

use model_file::scratch;
use wardian_sdk::{Error, Metadata, OrError, Request, Response, Tensor};

use super::document::{ColumnFields, Document};
use super::{LastStep, tree};
use crate::classes::{Classes, of_both};
use crate::frame::{Categories, Column, Inputs};
use crate::number_lists::doubles;
use crate::refusal::refusal;
use crate::trees::{Ensemble, EnsembleBuilder};
use crate::{Predictor, SavedMetadata};

/// A model of trees, ready to answer.
struct WardianTrees {
    library: String,
    objective: String,
    inputs: Inputs,
    trees: Ensemble<f64>,
    /// The numbers that the sums begin with.
    baseline: Vec<f64>,
    last_step: LastStep,
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
        Err(fault) => Err(refusal("the wardian-trees file cannot be served", fault)),
    }
}

fn read(file: &[u8], saved: &SavedMetadata) -> Result<WardianTrees, Error> {
    let document = Document::read(file)?;
    let columns = document.columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let outputs = document.baseline.split_ascii_whitespace().count();
    let baseline = doubles("baseline", &document.baseline, outputs)?;
    if !baseline.iter().all(|number| number.is_finite()) {
        return Err(Error::failed("baseline has a number that is not finite"));
    }

    let trees = scratch(|| read_trees(&document, &columns, outputs))?;
    let classes = classes(&document, outputs, saved)?;
    Ok(WardianTrees {
        inputs: Inputs::new(columns, saved.missing)?,
        trees,
        baseline,
        last_step: document.last_step,
        classes,
        library: document.library,
        objective: document.objective,
        saved: saved.clone(),
    })
}

fn column(fields: &ColumnFields<'_>) -> Result<Column, Error> {
    let categories = fields.categories.as_ref().map(|list| Categories::read(list));
    let categories = categories.transpose().or_failed(format_args!("column {:?}", fields.name))?;
    Ok(Column { name: fields.name.clone(), categories })
}

fn read_trees(
    document: &Document<'_>,
    columns: &[Column],
    outputs: usize,
) -> Result<Ensemble<f64>, Error> {
    let count = document.trees.len();
    if outputs == 0 || !count.is_multiple_of(outputs) {
        return Err(Error::failed(format_args!(
            "the file has {count} trees, which are not whole rounds of the {outputs} numbers of \
             baseline"
        )));
    }
    let mut trees = EnsembleBuilder::new(columns.len(), outputs);
    for (index, fields) in document.trees.iter().enumerate() {
        let nodes = tree::nodes(fields, columns, index % outputs);
        trees.add(0, nodes.or_failed(format_args!("tree {index}"))?)?;
    }
    Ok(trees.build())
}

fn classes(
    document: &Document<'_>,
    outputs: usize,
    saved: &SavedMetadata,
) -> Result<Option<Classes>, Error> {
    let Some(named) = &document.classes else { return Ok(None) };
    let count = document.last_step.classes(outputs).or_failed(format_args!(
        "the file has classes, and its last step with {outputs} outputs gives no probabilities"
    ))?;
    Classes::named(count, saved.classes.as_ref().unwrap_or(named)).map(Some)
}

// === impl WardianTrees ===

impl Predictor for WardianTrees {
    fn metadata(&self) -> Metadata {
        let metadata = Metadata::new()
            .max_batch_size(4096)
            .property("format", "wardian-trees")
            .property("library", self.library.as_str())
            .property("objective", self.objective.as_str());
        let metadata = self.inputs.describe(metadata);
        let metadata = match &self.classes {
            Some(classes) => classes.describe(metadata),
            None if self.baseline.len() == 1 => metadata.output::<f64>("prediction", [-1]),
            None => metadata.output::<f64>("prediction", [-1, self.baseline.len() as i64]),
        };
        self.saved.add_to(metadata)
    }

    fn predict(&self, request: &Request) -> Result<Response, Error> {
        let rows = self.inputs.rows(request)?;
        let (count, outputs) = (rows.len() / self.inputs.width(), self.baseline.len());
        count.checked_mul(outputs).or_rejected("there are too many rows")?;
        let mut sums = self.baseline.repeat(count);
        self.trees.add_to(&rows, &mut sums);

        let each = sums.chunks_exact(outputs);
        let labels: Vec<_> = each.map(|row| self.last_step.label(row)).collect();
        sums.chunks_exact_mut(outputs).for_each(|row| self.last_step.apply(row));
        Ok(match &self.classes {
            Some(classes) if outputs == 1 => classes.response(&labels, of_both(&sums)),
            Some(classes) => classes.response(&labels, sums),
            None => {
                let shape = [count, outputs].into_iter().take(if outputs == 1 { 1 } else { 2 });
                Response::new().output(Tensor::new("prediction", shape, sums))
            }
        })
    }
}
