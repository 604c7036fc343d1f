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

use serde_json::Value;

use crate::{Element, Error, Model, OrError, Parameter, Request, Tensor, artifacts};

/// Loads the model and runs every case of the `golden.json` in its crate's folder.
///
/// # Errors Fails with the first response that differs by more than the tolerance, or with any
/// other error.
pub fn check<M: Model>() -> Result<(), Error> {
    let model = M::load()?;
    let file = artifacts::read("golden.json")?;
    let golden: Value = serde_json::from_slice(&file).or_failed("golden.json")?;
    let tolerance = Tolerance::from_json(&golden["tolerance"]);
    for (index, case) in elements(&golden["cases"])?.iter().enumerate() {
        check_case(&model, case, &tolerance).or_failed(format_args!("case {index}"))?;
    }
    Ok(())
}

fn check_case<M: Model>(model: &M, case: &Value, tolerance: &Tolerance) -> Result<(), Error> {
    // The host begins each case with an empty store too.
    #[cfg(not(target_family = "wasm"))]
    crate::key_value::forget_all();
    let response = model.infer(request(&case["request"])?)?;
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
    for (got, wanted) in values(output)?.iter().zip(values(&wanted)?) {
        if !tolerance.allows(got, &wanted) {
            return Err(Error::failed(format_args!("got {got}, not {wanted}")));
        }
    }
    Ok(())
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

    fn allows(&self, got: &Value, wanted: &Value) -> bool {
        match (got.as_f64(), wanted.as_f64()) {
            (Some(got), Some(wanted)) => {
                (got - wanted).abs() <= self.absolute + self.relative * wanted.abs()
            }
            _ => got == wanted,
        }
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

fn values(tensor: &Tensor) -> Result<Vec<Value>, Error> {
    match tensor.datatype {
        crate::Datatype::Fp64 => numbers::<f64>(tensor),
        crate::Datatype::Fp32 => numbers::<f32>(tensor),
        crate::Datatype::Int64 => numbers::<i64>(tensor),
        crate::Datatype::Bool => numbers::<bool>(tensor),
        _ => Ok(tensor.strings()?.into_iter().map(Value::from).collect()),
    }
}

fn numbers<T: Element + Into<Value>>(tensor: &Tensor) -> Result<Vec<Value>, Error> {
    Ok(tensor.view::<T>()?.iter().map(T::into).collect())
}

fn floats(data: &[Value]) -> impl Iterator<Item = f64> {
    data.iter().filter_map(Value::as_f64)
}

fn elements(json: &Value) -> Result<&Vec<Value>, Error> {
    json.as_array().or_failed(format_args!("golden.json: {json} is not an array"))
}

fn text(json: &Value) -> Result<&str, Error> {
    json.as_str().or_failed(format_args!("golden.json: {json} is not a text"))
}
