//! The answers of `:classify` and `:regress`, from the outputs of a model that has no signatures.

use crate::api::class_names::class_names;
use crate::api::json::{shorten, write_string};
use crate::api::table::{Layout, PredictionWriter, elements_by_row};
use crate::model::{
    Datatype, InferError, InferResponse, Metadata, Tensor, TensorSpec, bytes_elements,
};

/// Fails with a text for the caller if the model has no scores.
pub(super) fn check_classifier(metadata: &Metadata) -> Result<(), String> {
    scores(metadata).map(drop).ok_or_else(|| {
        "the model does not classify: it needs a single output of floating-point numbers; use :predict".into()
    })
}

/// Fails with a text for the caller if the model has no single number to answer with.
pub(super) fn check_regressor(metadata: &Metadata) -> Result<(), String> {
    number(metadata).map(drop).ok_or_else(|| {
        "the model does not regress: it needs a single output of numbers; use :predict".into()
    })
}

/// The only output of scores.
fn scores(metadata: &Metadata) -> Option<&TensorSpec> {
    only(metadata, |datatype| {
        matches!(datatype, Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64)
    })
}

/// The only output of numbers.
fn number(metadata: &Metadata) -> Option<&TensorSpec> {
    only(metadata, |datatype| !matches!(datatype, Datatype::Bytes | Datatype::Bool))
}

fn only(metadata: &Metadata, fits: impl Fn(Datatype) -> bool) -> Option<&TensorSpec> {
    let mut fitting = metadata.outputs.iter().filter(|spec| fits(spec.datatype));
    fitting.next().filter(|_| fitting.next().is_none())
}

/// Writes the pairs of each row.
pub(super) fn write_classes(
    writer: &mut PredictionWriter<'_>,
    metadata: &Metadata,
    response: &InferResponse,
    layout: Layout,
) -> Result<(), InferError> {
    let scores = find(response, scores(metadata))?;
    let (rows, width) = elements_by_row(scores, layout)?;
    let labels = Labels::find(metadata, response, rows, width);
    let mut rest = scores.data.as_slice();

    write_list(writer, rows, |writer, row| {
        write_list(writer, width, |writer, class| {
            writer.out.push(b'[');
            write_string(&mut writer.out, labels.of(row, width, class));
            writer.out.push(b',');
            writer.write_element(scores, &mut rest)?;
            writer.out.push(b']');
            Ok(())
        })
    })
}

/// Writes the number of each row.
pub(super) fn write_numbers(
    writer: &mut PredictionWriter<'_>,
    metadata: &Metadata,
    response: &InferResponse,
    layout: Layout,
) -> Result<(), InferError> {
    let numbers = find(response, number(metadata))?;
    let (rows, width) = elements_by_row(numbers, layout)?;
    if width != 1 {
        let name = shorten(&numbers.name);
        let text = format!("output '{name}' has {width} numbers a row; use :predict");
        return Err(InferError::InvalidInput(text));
    }

    let mut rest = numbers.data.as_slice();
    write_list(writer, rows, |writer, _| writer.write_element(numbers, &mut rest))
}

fn find<'r>(
    response: &'r InferResponse,
    spec: Option<&TensorSpec>,
) -> Result<&'r Tensor, InferError> {
    let found =
        spec.and_then(|spec| response.outputs.iter().find(|output| output.name == spec.name));
    found.ok_or_else(|| InferError::BadOutput("an output that was needed is missing".into()))
}

fn write_list(
    writer: &mut PredictionWriter<'_>,
    length: u64,
    mut write: impl FnMut(&mut PredictionWriter<'_>, u64) -> Result<(), InferError>,
) -> Result<(), InferError> {
    writer.out.push(b'[');
    for index in 0..length {
        if index > 0 {
            writer.out.push(b',');
        }
        write(writer, index)?;
    }
    writer.out.push(b']');

    writer.check_length()
}

/// The labels of the scores.
enum Labels<'r> {
    /// One for each score of each row.
    Own(Vec<&'r str>),
    /// One for each class.
    Classes(Vec<String>),
    Unknown,
}

impl<'r> Labels<'r> {
    /// Takes a text for each score from an output, or else the names of the classes.
    fn find(metadata: &Metadata, response: &'r InferResponse, rows: u64, width: u64) -> Self {
        let is_own = |output: &&Tensor| {
            output.datatype == Datatype::Bytes && output.elements() == rows.checked_mul(width)
        };
        if let Some(output) = response.outputs.iter().find(is_own) {
            let texts = bytes_elements(&output.data);
            let texts: Option<Vec<&str>> =
                texts.map(|text| std::str::from_utf8(text.ok()?).ok()).collect();
            return texts.map_or(Labels::Unknown, Labels::Own);
        }

        let classes = class_names(metadata);
        if classes.len() as u64 == width { Labels::Classes(classes) } else { Labels::Unknown }
    }

    /// The label of a score; empty if it has none.
    fn of(&self, row: u64, width: u64, class: u64) -> &str {
        let at = |index: u64| usize::try_from(index).unwrap_or(usize::MAX);
        match self {
            Labels::Own(texts) => texts
                .get(at(row.saturating_mul(width).saturating_add(class)))
                .copied()
                .unwrap_or_default(),
            Labels::Classes(names) => names.get(at(class)).map(String::as_str).unwrap_or_default(),
            Labels::Unknown => "",
        }
    }
}
