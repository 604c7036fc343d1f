//! From `NAME=JSON` to a tensor of the protocol.

use std::fs;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::model::nearest;

/// A tensor given on the command line.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Input {
    name: String,
    value: Value,
}

/// An input as the command line has it, whose value may be in a file that has not been read yet.
#[derive(Clone, Debug)]
pub(in crate::cli) enum InputArg {
    Given(Input),
    InFile { name: String, file: String },
}

impl InputArg {
    /// Reads `NAME=JSON` or `NAME=@FILE`.
    pub(in crate::cli) fn parse(text: &str) -> Result<InputArg> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| anyhow!("'{text}' is not NAME=JSON, such as 'x=[1, 2]'"))?;
        match value.strip_prefix('@') {
            Some(file) => Ok(InputArg::InFile { name: name.into(), file: file.into() }),
            None => Input::parse(name, value).map(InputArg::Given),
        }
    }

    /// The input, read from its file if it is in one.
    pub(in crate::cli) fn read(&self) -> Result<Input> {
        match self {
            InputArg::Given(input) => Ok(input.clone()),
            InputArg::InFile { name, file } => {
                let read = fs::read_to_string(file);
                Input::parse(name, &read.with_context(|| format!("cannot read {file} for input '{name}'"))?)
            }
        }
    }
}

impl Input {
    fn parse(name: &str, json: &str) -> Result<Input> {
        let hint = r#"; a text goes in double quotes, and all of it in single ones: 'text="hello"'"#;
        let value = serde_json::from_str(json).map_err(|error| anyhow!("input '{name}' is not JSON: {error}{hint}"))?;
        Ok(Input { name: name.into(), value })
    }

    /// What it is called, and its value as it was given.
    pub(in crate::cli) fn into_field(self) -> (String, Value) {
        (self.name, self.value)
    }
}

/// The body of a request with these inputs, for the model whose metadata the server gave.
pub(in crate::cli) fn request(inputs: Vec<Input>, metadata: &Value) -> Result<Value> {
    let tensors = inputs.into_iter().map(|input| tensor(input, metadata)).collect::<Result<Vec<_>>>()?;
    Ok(json!({ "inputs": tensors }))
}

fn tensor(Input { name, value }: Input, metadata: &Value) -> Result<Value> {
    let specs = metadata["inputs"].as_array().map_or(&[][..], Vec::as_slice);
    let spec = specs.iter().find(|spec| spec["name"] == name.as_str());
    let spec = spec.ok_or_else(|| unknown_input(&name, specs))?;
    let expected: Vec<i64> = spec["shape"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
    let nesting = nesting(&value).with_context(|| format!("input '{name}'"))?;
    let shape = fit(nesting, &expected);
    let mut data = Vec::new();
    flatten(value, &mut data);
    if spec["datatype"] == "BYTES" && !data.iter().all(Value::is_string) {
        bail!("input '{name}' takes texts; write them in double quotes: '{name}=[\"hello\"]'");
    }
    Ok(json!({"name": name, "datatype": spec["datatype"], "shape": shape, "data": data}))
}

fn unknown_input(name: &str, specs: &[Value]) -> anyhow::Error {
    let near = nearest(name, specs.iter().filter_map(|spec| spec["name"].as_str()));
    let meant = near.first().map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
    anyhow!("the model has no input '{name}'; it takes {}{meant}", names(specs))
}

fn names(specs: &[Value]) -> String {
    let describe = |spec: &Value| {
        let text = |key: &str| spec[key].as_str().unwrap_or("?").to_owned();
        format!("'{}' ({} {})", text("name"), text("datatype"), spec["shape"])
    };
    let names: Vec<_> = specs.iter().map(describe).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// Elements along each dimension of nested arrays; none for a single element.
fn nesting(value: &Value) -> Result<Vec<u64>> {
    let Value::Array(items) = value else {
        let element = value.is_number() || value.is_string() || value.is_boolean();
        return if element { Ok(Vec::new()) } else { Err(anyhow!("{value} is no element of a tensor")) };
    };
    let mut shapes = items.iter().map(nesting);
    let first = shapes.next().transpose()?.unwrap_or_default();
    for (shape, index) in shapes.zip(1..) {
        let shape = shape?;
        if shape != first {
            bail!("its nesting is ragged: item {index} has the shape {shape:?}, those before it {first:?}");
        }
    }
    Ok([vec![items.len() as u64], first].concat())
}

/// Puts dimensions of one element in front where the model has dimensions that may be 1, so that a single
/// number serves as a list of one, and one row as a batch of one. What then does not fit is for the server
/// to say.
fn fit(shape: Vec<u64>, expected: &[i64]) -> Vec<u64> {
    let missing = expected.len().saturating_sub(shape.len());
    match expected[..missing].iter().all(|&dimension| dimension == -1 || dimension == 1) {
        true => [vec![1; missing], shape].concat(),
        false => shape,
    }
}

fn flatten(value: Value, data: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.into_iter().for_each(|item| flatten(item, data)),
        element => data.push(element),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(input: &str, datatype: &str, shape: &[i64]) -> Result<Value> {
        let metadata = json!({"inputs": [{"name": "x", "datatype": datatype, "shape": shape}]});
        Ok(request(vec![InputArg::parse(input)?.read()?], &metadata)?["inputs"][0].take())
    }

    #[test]
    fn the_nesting_gives_the_shape() {
        for (input, expected, shape, data) in [
            ("x=1", &[-1][..], json!([1]), json!([1])),
            ("x=1", &[1], json!([1]), json!([1])),
            ("x=1", &[], json!([]), json!([1])),
            ("x=1", &[3], json!([]), json!([1])),
            ("x=[1,2.5]", &[-1], json!([2]), json!([1, 2.5])),
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
