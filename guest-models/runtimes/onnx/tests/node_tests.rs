//! The node tests of the package `onnx`, in the folders below `$WARDIAN_ONNX_NODE_TESTS`, which
//! `../conformance/onnx_node_tests.py` writes.
//!
//! A test passes, or its file is refused when it is opened. Those in `node_tests.txt` have to pass,
//! and the list only grows. A wrong answer is a failure, whatever the list says.

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use model_file::testing::{folders, skip};
use onnx_executor::proto::{ModelProto, TensorProto};
use onnx_executor::tensor::{Data, ElementType, Tensor};
use prost::Message;
use wardian_sdk::{Datatype, Error, OrError, Request};

/// The tests that pass.
const LIST: &str = include_str!("node_tests.txt");

/// The result of a test.
enum Outcome {
    Passed,
    Refused,
    Wrong(String),
}

#[test]
fn node_tests_pass_or_are_refused() {
    let Some(root) = env::var_os("WARDIAN_ONNX_NODE_TESTS") else {
        let reason = "WARDIAN_ONNX_NODE_TESTS names no folder made by onnx_node_tests.py";
        return skip("onnx: node_tests_pass_or_are_refused", reason).unwrap();
    };
    let is_case = |path: &Path| path.join("model.onnx").is_file();
    let expected: BTreeSet<_> = LIST.lines().collect();
    let (mut passed, mut refused, mut wrong) = (BTreeSet::new(), 0, Vec::new());
    for folder in folders(Path::new(&root), is_case).unwrap() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match run(&folder).unwrap_or_else(|error| Outcome::Wrong(error.to_string())) {
            Outcome::Passed => drop(passed.insert(name)),
            Outcome::Refused => refused += 1,
            Outcome::Wrong(text) => wrong.push(format!("{name}: {text}")),
        }
    }

    println!("{} node tests pass, {refused} are refused", passed.len());
    assert!(wrong.is_empty(), "wrong answers:\n{}", wrong.join("\n"));
    let lost: Vec<_> = expected.iter().filter(|name| !passed.contains(**name)).collect();
    assert!(lost.is_empty(), "they passed before: {lost:?}");
    let fresh: Vec<_> = passed.iter().filter(|name| !expected.contains(name.as_str())).collect();
    assert!(fresh.is_empty(), "they pass now; add them to node_tests.txt: {fresh:?}");
}

fn run(folder: &Path) -> Result<Outcome, Error> {
    let file = fs::read(folder.join("model.onnx")).or_failed("model.onnx")?;
    let graph = ModelProto::decode(file.as_slice()).or_failed("model.onnx")?.graph;
    let graph = graph.or_failed("there is no graph")?;
    let Ok(model) = onnx::open(file, &Default::default()) else { return Ok(Outcome::Refused) };

    let mut inputs = Vec::new();
    for (index, input) in graph.input.iter().enumerate() {
        if let Some(tensor) = stored(folder, "input", index)? {
            inputs.push(sent(&input.name, &tensor?));
        }
    }
    let request =
        Request { id: String::new(), parameters: Vec::new(), inputs, outputs: Vec::new() };
    let response = match model.predict(&request) {
        Ok(response) => response,
        Err(error) => return Ok(Outcome::Wrong(error.to_string())),
    };

    let tolerance = tolerance(folder)?;
    for (index, output) in graph.output.iter().enumerate() {
        let Some(wanted) = stored(folder, "output", index)? else { continue };
        // Values of types that no request has stand for themselves in no test that passes.
        let Ok(wanted) = wanted else { return Ok(Outcome::Wrong(format!("{:?}", wanted.err()))) };
        let given = response.outputs.iter().find(|given| given.name == output.name);
        let given = given.or_failed(format_args!("there is no output {:?}", output.name))?;
        if let Some(difference) = difference(given, &wanted, tolerance) {
            return Ok(Outcome::Wrong(format!("{}: {difference}", output.name)));
        }
    }
    Ok(Outcome::Passed)
}

/// Reads a stored tensor; the inner result is an error if its type is not served.
fn stored(folder: &Path, kind: &str, index: usize) -> Result<Option<Result<Tensor, Error>>, Error> {
    let path = folder.join(format!("test_data_set_0/{kind}_{index}.pb"));
    let Ok(bytes) = fs::read(path) else { return Ok(None) };
    let proto = TensorProto::decode(bytes.as_slice()).or_failed("a stored tensor")?;
    Ok(Some(Tensor::read(&proto)))
}

/// Returns the relative and the absolute tolerance.
fn tolerance(folder: &Path) -> Result<(f64, f64), Error> {
    let text = fs::read_to_string(folder.join("tolerance.txt")).or_failed("tolerance.txt")?;
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    numbers.next().zip(numbers.next()).or_failed("tolerance.txt")
}

/// Returns a tensor of a request.
fn sent(name: &str, tensor: &Tensor) -> wardian_sdk::Tensor {
    let shape = tensor.shape().iter().copied();
    macro_rules! sent {
        ($($variant:ident),*) => {
            match tensor.data() {
                $(Data::$variant(values) => wardian_sdk::Tensor::new(name, shape, values.iter().copied()),)*
                Data::Text(values) => wardian_sdk::Tensor::from_strings(name, shape, values.iter().map(|text| text.as_bytes())),
                Data::F16(values) => halves(name, tensor, values.iter().map(|value| value.to_bits())),
                Data::Bf16(values) => halves(name, tensor, values.iter().map(|value| value.to_bits())),
            }
        };
    }
    sent!(F32, F64, I64, I32, I16, I8, U64, U32, U16, U8, Bool)
}

fn halves(
    name: &str,
    tensor: &Tensor,
    bits: impl ExactSizeIterator<Item = u16>,
) -> wardian_sdk::Tensor {
    let bits = wardian_sdk::Tensor::new(name, tensor.shape().iter().copied(), bits);
    wardian_sdk::Tensor { datatype: tensor.element_type().datatype(), ..bits }
}

/// Returns the first difference of an output; `None` if it is as it should be.
fn difference(
    given: &wardian_sdk::Tensor,
    wanted: &Tensor,
    (relative, absolute): (f64, f64),
) -> Option<String> {
    let expected = sent("", wanted);
    if (given.datatype, &given.shape) != (expected.datatype, &expected.shape) {
        return Some(format!(
            "{} {:?} in place of {} {:?}",
            given.datatype, given.shape, expected.datatype, expected.shape
        ));
    }
    // Numbers of 16 bits may be rounded the other way.
    let relative = match wanted.element_type() {
        ElementType::F16 => relative.max(4e-3),
        ElementType::Bf16 => relative.max(2e-2),
        _ => relative,
    };
    let absolute = absolute.max(1e-6);
    let (Some(numbers), Some(expected_numbers)) = (floats(given), floats(&expected)) else {
        return (given.data != expected.data).then(|| "another value".to_owned());
    };
    let differs = |(given, wanted): &(f64, f64)| {
        let is_same = given == wanted || (given.is_nan() && wanted.is_nan());
        // Beside an infinite value, every finite one would be near.
        let is_near =
            wanted.is_finite() && (given - wanted).abs() <= absolute + relative * wanted.abs();
        !is_same && !is_near
    };
    let found = numbers.into_iter().zip(expected_numbers).find(differs);
    found.map(|(given, wanted)| format!("{given} in place of {wanted}"))
}

/// Returns numbers with a fraction; `None` for tensors of other types.
fn floats(tensor: &wardian_sdk::Tensor) -> Option<Vec<f64>> {
    let halves = || tensor.data.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
    match tensor.datatype {
        Datatype::Fp32 => Some(tensor.view::<f32>().ok()?.iter().map(f64::from).collect()),
        Datatype::Fp64 => Some(tensor.view::<f64>().ok()?.to_vec()),
        Datatype::Fp16 => Some(halves().map(|bits| half::f16::from_bits(bits).to_f64()).collect()),
        Datatype::Bf16 => Some(halves().map(|bits| half::bf16::from_bits(bits).to_f64()).collect()),
        _ => None,
    }
}
