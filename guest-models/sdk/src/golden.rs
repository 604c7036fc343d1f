//! Checks a model against its `golden.json`: requests, with the responses of the library in which
//! it was trained. The host checks the same file before it publishes a version; this module does so
//! under `cargo test`.
//!
//! ```json
//! {"tolerance": {"relative": 1e-6, "absolute": 0.0},
//!  "cases": [{
//!      "request": {"inputs": [
//!          {"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]},
//!      "response": {"outputs": [
//!          {"name": "y", "shape": [1], "datatype": "FP64", "data": [2.0]}]}}]}
//! ```
//!
//! In tensors of floating-point numbers, the texts `NaN`, `Infinity` and `-Infinity` stand for what
//! JSON has no number for.

use serde_json::Value;

use crate::{
    Datatype, Element, Error, Model, OrError, Parameter, Request, Response, Tensor, artifacts,
};

/// Loads the model and runs every case of the `golden.json` in its crate's folder.
///
/// # Errors
/// Fails with the first response that differs by more than the tolerance, or with any other error.
pub fn check<M: Model>() -> Result<(), Error> {
    let model = M::load()?;
    check_file(&artifacts::read("golden.json")?, |request| model.infer(request))
}

/// Runs every case of a `golden.json` on a function that answers requests.
///
/// # Errors
/// Fails with the first response that differs by more than the tolerance, or with any other error.
pub fn check_file(
    golden: &[u8],
    infer: impl Fn(Request) -> Result<Response, Error>,
) -> Result<(), Error> {
    let golden: Value = serde_json::from_slice(golden).or_failed("golden.json")?;
    let tolerance = Tolerance::from_json(&golden["tolerance"]);
    for (index, case) in elements(&golden["cases"])?.iter().enumerate() {
        check_case(&infer, case, &tolerance).or_failed(format_args!("case {index}"))?;
    }
    Ok(())
}

fn check_case(
    infer: impl Fn(Request) -> Result<Response, Error>,
    case: &Value,
    tolerance: &Tolerance,
) -> Result<(), Error> {
    // The host begins each case with an empty store too.
    #[cfg(not(target_family = "wasm"))]
    crate::key_value::forget_all();
    let response = infer(request(&case["request"])?)?;
    for expected in elements(&case["response"]["outputs"])? {
        let name = text(&expected["name"])?;
        let output = response.outputs.iter().find(|output| output.name == name);
        let output = output.or_failed(format_args!("no output {name:?}"))?;
        check_output(output, expected, tolerance).or_failed(format_args!("output {name:?}"))?;
    }
    Ok(())
}

fn check_output(output: &Tensor, expected: &Value, tolerance: &Tolerance) -> Result<(), Error> {
    let wanted = tensor(expected)?;
    if (output.datatype, &output.shape) != (wanted.datatype, &wanted.shape) {
        let (datatype, shape) = (output.datatype, &output.shape);
        return Err(Error::failed(format_args!(
            "got {datatype} {shape:?}, not {} {:?}",
            wanted.datatype, wanted.shape
        )));
    }
    let (Some(got), Some(wanted_numbers)) = (float_values(output)?, float_values(&wanted)?) else {
        return check_equal(output, &wanted);
    };
    let pairs = got.iter().zip(&wanted_numbers);
    match pairs.clone().position(|(got, wanted)| !tolerance.allows(*got, *wanted)) {
        Some(index) => Err(Error::failed(format_args!(
            "got {} at {index}, not {}",
            got[index], wanted_numbers[index]
        ))),
        None => Ok(()),
    }
}

fn check_equal(output: &Tensor, wanted: &Tensor) -> Result<(), Error> {
    let (got, wanted) = (values(output)?, values(wanted)?);
    match got.iter().zip(&wanted).position(|(got, wanted)| got != wanted) {
        Some(index) => {
            Err(Error::failed(format_args!("got {} at {index}, not {}", got[index], wanted[index])))
        }
        None => Ok(()),
    }
}

struct Tolerance {
    relative: f64,
    absolute: f64,
}

impl Tolerance {
    fn from_json(json: &Value) -> Self {
        let part = |name: &str| json[name].as_f64().unwrap_or(0.0);
        Self { relative: part("relative"), absolute: part("absolute") }
    }

    fn allows(&self, got: f64, wanted: f64) -> bool {
        let same = got == wanted || (got.is_nan() && wanted.is_nan());
        let bound = self.absolute + self.relative * wanted.abs();
        same || ((got - wanted).abs() <= bound && bound.is_finite())
    }
}

// === From and to JSON ===

fn request(json: &Value) -> Result<Request, Error> {
    let inputs = elements(&json["inputs"])?.iter().map(tensor).collect::<Result<_, _>>()?;
    let parameters = json["parameters"].as_object().into_iter().flatten();
    let parameters =
        parameters.map(|(name, value)| parameter(name, value)).collect::<Result<_, _>>()?;
    Ok(Request { id: String::new(), parameters, inputs, outputs: Vec::new() })
}

fn parameter(name: &str, json: &Value) -> Result<Parameter, Error> {
    let value = match json {
        Value::Bool(boolean) => (*boolean).into(),
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        _ => {
            return Err(Error::failed(format_args!(
                "golden.json: parameter {name:?} is a list or an object"
            )));
        }
    };
    Ok(Parameter { name: name.to_owned(), value })
}

fn tensor(json: &Value) -> Result<Tensor, Error> {
    let name = text(&json["name"])?;
    let shape =
        elements(&json["shape"])?.iter().map(|extent| extent.as_u64().unwrap_or(0) as usize);
    let data = elements(&json["data"])?;
    Ok(match text(&json["datatype"])? {
        "FP64" => Tensor::new(name, shape, floats(data)),
        "FP32" => Tensor::new(name, shape, floats(data).map(|value| value as f32)),
        "INT64" => Tensor::new(name, shape, data.iter().filter_map(Value::as_i64)),
        "BOOL" => Tensor::new(name, shape, data.iter().filter_map(Value::as_bool)),
        "BYTES" => Tensor::from_strings(name, shape, data.iter().filter_map(Value::as_str)),
        other => {
            return Err(Error::failed(format_args!(
                "golden.json: datatype {other} is unknown here"
            )));
        }
    })
}

/// Returns the elements of a floating-point tensor; `None` for other datatypes.
fn float_values(tensor: &Tensor) -> Result<Option<Vec<f64>>, Error> {
    Ok(match tensor.datatype {
        Datatype::Fp64 => Some(tensor.view::<f64>()?.iter().collect()),
        Datatype::Fp32 => Some(tensor.view::<f32>()?.iter().map(f64::from).collect()),
        _ => None,
    })
}

fn values(tensor: &Tensor) -> Result<Vec<Value>, Error> {
    match tensor.datatype {
        Datatype::Int64 => numbers::<i64>(tensor),
        Datatype::Bool => numbers::<bool>(tensor),
        _ => Ok(tensor.strings()?.into_iter().map(Value::from).collect()),
    }
}

fn numbers<T: Element + Into<Value>>(tensor: &Tensor) -> Result<Vec<Value>, Error> {
    Ok(tensor.view::<T>()?.iter().map(T::into).collect())
}

fn floats(data: &[Value]) -> impl Iterator<Item = f64> {
    data.iter().filter_map(|value| match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    })
}

fn elements(json: &Value) -> Result<&Vec<Value>, Error> {
    json.as_array().or_failed(format_args!("golden.json: {json} is not an array"))
}

fn text(json: &Value) -> Result<&str, Error> {
    json.as_str().or_failed(format_args!("golden.json: {json} is not a text"))
}
