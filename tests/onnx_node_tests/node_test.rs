//! One node test: a model, its inputs, and the outputs that it must give.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use serde_json::{Value, json};

use super::stored_file::{ModelFile, Named, TensorFile};
use super::tensor::{Tensor, Tolerance};
use crate::harness::{Models, Response, Server};

/// A node test.
pub(super) struct NodeTest {
    name: String,
    model: Vec<u8>,
    inputs: Vec<(String, Tensor)>,
    outputs: Vec<(String, Tensor)>,
    tolerance: Tolerance,
}

impl NodeTest {
    /// Reads the folder of a test.
    pub(super) fn read(folder: &Path) -> Self {
        let model = read(&folder.join("model.onnx"));
        let graph = ModelFile::decode(model.as_slice()).unwrap().graph.unwrap();
        NodeTest {
            name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
            inputs: tensors(folder, "input", &graph.inputs),
            outputs: tensors(folder, "output", &graph.outputs),
            tolerance: Tolerance::read(&read(&folder.join("tolerance.txt"))),
            model,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Puts the model into a repository.
    pub(super) fn put(&self, models: &Models) {
        models.put(&format!("{}/1/model.onnx", self.name), &self.model);
    }

    /// Sends the inputs and compares the answer. Returns the first difference as an error.
    pub(super) fn run(&self, server: &Server) -> Result<(), String> {
        let response = self.send(server);
        if response.status != 200 {
            return Err(response.to_string());
        }

        let given = outputs(&response);
        for (name, wanted) in &self.outputs {
            let found = given.iter().find(|(given, _)| given == name);
            let (_, tensor) = found.ok_or_else(|| format!("there is no output {name}"))?;
            wanted.compare(tensor, self.tolerance).map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(())
    }

    /// Sends the inputs as binary tensors.
    fn send(&self, server: &Server) -> Response {
        let input = |(name, tensor): &(String, Tensor)| {
            json!({
                "name": name,
                "datatype": tensor.datatype,
                "shape": tensor.shape,
                "parameters": { "binary_data_size": tensor.data.len() },
            })
        };
        let inputs: Vec<Value> = self.inputs.iter().map(input).collect();
        let head = json!({ "inputs": inputs, "parameters": { "binary_data_output": true } });
        let head = head.to_string();

        let mut body = head.clone().into_bytes();
        self.inputs.iter().for_each(|(_, tensor)| body.extend(&tensor.data));
        let call = server.call("POST", &format!("/v2/models/{}/infer", self.name));
        call.header("inference-header-content-length", &head.len().to_string()).body(body).send()
    }
}

/// Reads the stored tensors of a graph's inputs or outputs.
fn tensors(folder: &Path, kind: &str, values: &[Named]) -> Vec<(String, Tensor)> {
    let path = |index| -> PathBuf { folder.join(format!("test_data_set_0/{kind}_{index}.pb")) };
    let tensor = |index| TensorFile::decode(read(&path(index)).as_slice()).unwrap().into();
    let named = |(index, value): (usize, &Named)| (value.name.clone(), tensor(index));
    values.iter().enumerate().map(named).collect()
}

/// Returns the outputs of a response, all of which are binary.
fn outputs(response: &Response) -> Vec<(String, Tensor)> {
    let head = response.header("inference-header-content-length").unwrap().parse().unwrap();
    let (head, mut rest) = response.body.split_at(head);
    let head: Value = serde_json::from_slice(head).unwrap();

    let mut output = |output: &Value| {
        let size = output["parameters"]["binary_data_size"].as_u64().unwrap() as usize;
        let data = rest.split_off(..size).unwrap().to_vec();
        let shape = serde_json::from_value(output["shape"].clone()).unwrap();
        let text = |key: &str| output[key].as_str().unwrap().to_owned();
        (text("name"), Tensor { datatype: text("datatype"), shape, data })
    };
    let outputs = head["outputs"].as_array().unwrap().iter().map(&mut output).collect();
    assert!(rest.is_empty(), "{} bytes belong to no output", rest.len());
    outputs
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
