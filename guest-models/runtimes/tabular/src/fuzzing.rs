//! The property that the fuzz targets in `fuzz/` check. Exists only in builds with `--cfg fuzzing`.

use wardian_sdk::{Datatype, Error, Metadata, Request, Tensor, TensorSpec};

use crate::{Format, Predictor, SavedMetadata, open};

/// The most bytes of an error text, however much the file would repeat.
const MAX_TEXT: usize = 1500;

/// The rows of a request.
const ROWS: usize = 3;

/// The most numbers of a request. A file may ask for any number of columns.
const MAX_VALUES: u64 = 1 << 20;

/// Checks a file of these formats: it is refused with a short text, or answers a small request as
/// its metadata say.
pub fn model_file(file: &[u8], formats: &[Format]) {
    if !Format::detect(file).is_some_and(|format| formats.contains(&format)) {
        return;
    }
    match open(file, &SavedMetadata::default()) {
        Ok(predictor) => check_answer(&*predictor),
        Err(error) => {
            assert!(matches!(error, Error::Failed(_)), "it blames a caller: {error}");
            check_text(&error.to_string());
        }
    }
}

fn check_answer(predictor: &dyn Predictor) {
    let metadata = predictor.metadata();
    if metadata.inputs.iter().map(values).sum::<u64>() > MAX_VALUES {
        return;
    }
    let inputs = metadata.inputs.iter().map(tensor).collect();
    let request = Request { id: String::new(), parameters: vec![], inputs, outputs: vec![] };
    match predictor.predict(&request) {
        Err(error) => check_text(&error.to_string()),
        Ok(response) => check_outputs(&metadata, &response.outputs),
    }
}

fn check_outputs(metadata: &Metadata, outputs: &[Tensor]) {
    assert_eq!(outputs.len(), metadata.outputs.len());
    for (output, spec) in outputs.iter().zip(&metadata.outputs) {
        assert_eq!((&output.name, output.datatype), (&spec.name, spec.datatype));
        assert_eq!(output.shape.len(), spec.shape.len(), "{:?}", output.shape);
        let fits =
            |(extent, expected): (&u64, &i64)| *expected == -1 || *expected as u64 == *extent;
        assert!(output.shape.iter().zip(&spec.shape).all(fits), "{:?}", output.shape);
        let elements = output.shape.iter().product::<u64>() as usize;
        match output.datatype {
            Datatype::Bytes => assert_eq!(output.blobs().map(|blobs| blobs.len()), Ok(elements)),
            Datatype::Fp32 => assert_eq!(output.data.len(), elements * 4),
            Datatype::Fp64 | Datatype::Int64 => assert_eq!(output.data.len(), elements * 8),
            _ => {}
        }
    }
}

/// Returns the number of values of an input.
fn values(spec: &TensorSpec) -> u64 {
    shape(spec).iter().map(|extent| *extent as u64).product()
}

fn shape(spec: &TensorSpec) -> Vec<usize> {
    let extent = |extent: &i64| usize::try_from(*extent).unwrap_or(ROWS);
    spec.shape.iter().map(extent).collect()
}

/// Makes an input of missing values and small numbers; texts are empty.
fn tensor(spec: &TensorSpec) -> Tensor {
    let count = values(spec) as usize;
    let numbers = [f64::NAN, -1.0, 0.0, 0.5, 1.0, 2.0, 1e30].into_iter().cycle().take(count);
    match spec.datatype {
        Datatype::Bytes => Tensor::from_strings(&spec.name, shape(spec), vec![""; count]),
        Datatype::Fp64 => Tensor::new(&spec.name, shape(spec), numbers),
        Datatype::Int64 => Tensor::new(&spec.name, shape(spec), numbers.map(|of| of as i64)),
        Datatype::Bool => Tensor::new(&spec.name, shape(spec), numbers.map(|of| of > 0.0)),
        _ => Tensor::new(&spec.name, shape(spec), numbers.map(|of| of as f32)),
    }
}

fn check_text(text: &str) {
    assert!(!text.is_empty(), "an error without a text");
    assert!(text.len() <= MAX_TEXT, "an error text of {} bytes: {text}", text.len());
    assert!(!text.contains(char::is_control), "an error text with control characters: {text:?}");
}
