//! Converts `NAME=JSON` into a tensor of the protocol. Numbers are sent with the digits that were
//! typed.

use std::fs;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cli::npy::Array;
use crate::model::nearest;

/// A tensor given on the command line.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Input {
    name: String,
    value: Box<RawValue>,
}

/// An input argument. Its value may be in a file that has not been read yet.
#[derive(Clone, Debug)]
pub(in crate::cli) enum InputArg {
    Given(Input),
    InFile { name: String, file: String },
}

impl InputArg {
    /// Parses `NAME=JSON` or `NAME=@FILE`.
    pub(in crate::cli) fn parse(text: &str) -> Result<InputArg> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| anyhow!("'{text}' is not NAME=JSON, such as 'x=[1, 2]'"))?;
        match value.strip_prefix('@') {
            Some(file) => Ok(InputArg::InFile { name: name.into(), file: file.into() }),
            None => Input::parse(name, value).map(InputArg::Given),
        }
    }

    /// Returns the input, with its value from the file if there is one.
    pub(in crate::cli) fn read(&self) -> Result<Input> {
        match self {
            InputArg::Given(input) => Ok(input.clone()),
            InputArg::InFile { name, file } if file.ends_with(".npy") => {
                let read = fs::read(file)
                    .map_err(anyhow::Error::from)
                    .and_then(|bytes| Array::parse(&bytes)?.to_json(None));
                Input::parse(
                    name,
                    &read.with_context(|| format!("cannot use {file} for input '{name}'"))?,
                )
            }
            InputArg::InFile { name, file } => {
                let read = fs::read_to_string(file);
                Input::parse(
                    name,
                    &read.with_context(|| format!("cannot read {file} for input '{name}'"))?,
                )
            }
        }
    }
}

impl Input {
    fn parse(name: &str, json: &str) -> Result<Input> {
        let hint =
            r#"; a text goes in double quotes, and all of it in single ones: 'text="hello"'"#;
        let value = serde_json::from_str(json)
            .map_err(|error| anyhow!("input '{name}' is not JSON: {error}{hint}"))?;
        Ok(Input { name: name.into(), value })
    }

    /// Returns the name and the value, as typed.
    pub(in crate::cli) fn into_field(self) -> (String, Box<RawValue>) {
        (self.name, self.value)
    }
}

/// Builds the body of a request for the model with that metadata.
pub(in crate::cli) fn request_body(inputs: &[Input], metadata: &Value) -> Result<Vec<u8>> {
    let inputs =
        inputs.iter().map(|input| build_tensor(input, metadata)).collect::<Result<Vec<_>>>()?;
    Ok(serde_json::to_vec(&Request { inputs })?)
}

#[derive(Serialize)]
struct Request<'a> {
    inputs: Vec<Tensor<'a>>,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    datatype: &'a Value,
    shape: Vec<u64>,
    data: Vec<&'a RawValue>,
}

fn build_tensor<'a>(Input { name, value }: &'a Input, metadata: &'a Value) -> Result<Tensor<'a>> {
    let specs = metadata["inputs"].as_array().map_or(&[][..], Vec::as_slice);
    let spec = specs.iter().find(|spec| spec["name"] == name.as_str());
    let spec = spec.ok_or_else(|| unknown_input(name, specs))?;
    let expected: Vec<i64> =
        spec["shape"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
    let mut data = Vec::new();
    let nesting =
        nested_shape(value, MAX_DEPTH, &mut data).with_context(|| format!("input '{name}'"))?;

    if spec["datatype"] == "BYTES" && !data.iter().all(|element| element.get().starts_with('"')) {
        bail!("input '{name}' takes texts; write them in double quotes: '{name}=[\"hello\"]'");
    }
    Ok(Tensor { name, datatype: &spec["datatype"], shape: fit_shape(nesting, &expected), data })
}

fn unknown_input(name: &str, specs: &[Value]) -> anyhow::Error {
    let near = nearest(name, specs.iter().filter_map(|spec| spec["name"].as_str()));
    let meant = near.first().map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
    anyhow!("the model has no input '{name}'; it takes {}{meant}", describe_inputs(specs))
}

fn describe_inputs(specs: &[Value]) -> String {
    let describe = |spec: &Value| {
        let text = |key: &str| spec[key].as_str().unwrap_or("?").to_owned();
        format!("'{}' ({} {})", text("name"), text("datatype"), spec["shape"])
    };
    let names: Vec<_> = specs.iter().map(describe).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// A bound on recursion that is deeper than the server allows.
pub(in crate::cli) const MAX_DEPTH: usize = 64;

/// Returns the shape of nested arrays, which is empty for a single element. Appends the elements to
/// `data`.
pub(in crate::cli) fn nested_shape<'a>(
    value: &'a RawValue,
    depth: usize,
    data: &mut Vec<&'a RawValue>,
) -> Result<Vec<u64>> {
    let text = value.get();
    if text.starts_with('{') || text == "null" {
        bail!("{text} is no element of a tensor");
    }
    if !text.starts_with('[') {
        data.push(value);
        return Ok(Vec::new());
    }

    let Some(depth) = depth.checked_sub(1) else {
        bail!("its arrays are nested deeper than {MAX_DEPTH} levels")
    };
    let items: Vec<&RawValue> = serde_json::from_str(text)?;
    let mut first = Vec::new();
    for (item, index) in items.iter().zip(0..) {
        let shape = nested_shape(item, depth, data)?;
        if index == 0 {
            first = shape;
        } else if shape != first {
            bail!(
                "its nesting is ragged: item {index} has the shape {shape:?}, those before it {first:?}"
            );
        }
    }
    Ok([vec![items.len() as u64], first].concat())
}

/// Adds dimensions of one element: in front if the model's dimensions there may be 1, so that a
/// number serves as a list of one and a row as a batch of one; or behind, so that a list serves as
/// a batch of single elements. The server refuses a shape that does not fit then.
fn fit_shape(shape: Vec<u64>, expected: &[i64]) -> Vec<u64> {
    let is_column = expected.len() == shape.len() + 1 && expected.last() == Some(&1);
    if is_column && shape.last().is_some_and(|&last| last != 1) {
        return [shape, vec![1]].concat();
    }
    let missing = expected.len().saturating_sub(shape.len());
    match expected[..missing].iter().all(|&dimension| dimension == -1 || dimension == 1) {
        true => [vec![1; missing], shape].concat(),
        false => shape,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sent(input: &str, datatype: &str, shape: &[i64]) -> Result<Vec<u8>> {
        let metadata = json!({"inputs": [{"name": "x", "datatype": datatype, "shape": shape}]});
        request_body(&[InputArg::parse(input)?.read()?], &metadata)
    }

    fn built(input: &str, datatype: &str, shape: &[i64]) -> Result<Value> {
        let mut request: Value = serde_json::from_slice(&sent(input, datatype, shape)?)?;
        Ok(request["inputs"][0].take())
    }

    proptest! {
        #[test]
        fn a_number_is_sent_as_it_was_typed(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?(e-?[0-9]{1,3})?") {
            let request = sent(&format!("x=[[{text}, 1]]"), "FP64", &[-1, 2]).unwrap();
            let data = format!("\"data\":[{text},1]");
            prop_assert!(String::from_utf8(request).unwrap().contains(&data), "{data}");
        }
    }

    #[test]
    fn the_nesting_gives_the_shape() {
        for (input, expected, shape, data) in [
            ("x=1", &[-1][..], json!([1]), json!([1])),
            ("x=1", &[1], json!([1]), json!([1])),
            ("x=1", &[], json!([]), json!([1])),
            ("x=1", &[3], json!([]), json!([1])),
            ("x=[1,2.5]", &[-1], json!([2]), json!([1, 2.5])),
            ("x=[1,2.5]", &[-1, 1], json!([2, 1]), json!([1, 2.5])),
            ("x=[1]", &[-1, 1], json!([1, 1]), json!([1])),
            ("x=[]", &[-1, 1], json!([0, 1]), json!([])),
            ("x=[1,2]", &[-1, 2], json!([1, 2]), json!([1, 2])),
            ("x=[[1,2],[3,4]]", &[-1, 2], json!([2, 2]), json!([1, 2, 3, 4])),
            ("x=[[[1],[2]]]", &[-1], json!([1, 2, 1]), json!([1, 2])),
            ("x=[]", &[-1], json!([0]), json!([])),
            ("x=18446744073709551615", &[1], json!([1]), json!([u64::MAX])),
        ] {
            let tensor = built(input, "FP64", expected).unwrap();
            assert_eq!((&tensor["shape"], &tensor["data"]), (&shape, &data), "{input}");
        }
    }

    #[test]
    fn what_is_no_tensor_is_refused() {
        for (input, says) in [
            ("x", "not NAME=JSON"),
            ("x=hello", "double quotes"),
            ("x=[[1,2],[3]]", "ragged: item 1 has the shape [1]"),
            ("x=[1,[2]]", "ragged"),
            ("x={}", "no element"),
            ("x=[null]", "no element"),
            (
                &format!("x={}1{}", "[".repeat(100_000), "]".repeat(100_000)),
                "nested deeper than 64",
            ),
            ("y=1", "it takes 'x' (FP64 [-1])"),
            ("X=1", "did you mean 'x'?"),
            ("x=@/absent", "cannot read /absent"),
        ] {
            let error = format!("{:#}", built(input, "FP64", &[-1]).unwrap_err());
            assert!(error.contains(says), "{input}: {error}");
        }
        assert!(built("x=1", "BYTES", &[1]).is_err());
        assert!(built("x=\"1\"", "BYTES", &[1]).is_ok());
    }
}
