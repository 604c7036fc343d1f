//! A graph as a model. `open` compiles a file into a program; `OnnxModel` turns requests into the
//! inputs of the program, and its values into responses.

mod batch;
mod inputs;
mod metadata;
mod outputs;
mod probe;

use bytes::Bytes;
use model_file::{Predictor, SavedMetadata};
use prost::Message;
use wardian_sdk::{Error, Metadata, OrError, Request, Response};

use super::Program;
use super::graph::{Language, Opsets, ReadFile, compile, inline, resolve};
use super::proto::ModelProto;
use super::text::shown;
use crate::Registry;
use inputs::ModelInput;
use outputs::ModelOutput;

/// A graph that is ready to answer requests.
pub struct OnnxModel {
    program: Program,
    inputs: Vec<ModelInput>,
    outputs: Vec<ModelOutput>,
    metadata: Metadata,
    missing: Option<f64>,
}

/// Reads an ONNX file.
///
/// # Errors
/// Failed if it is damaged, or has something that is not served; the text names the operator and
/// node, and what to do.
pub fn open(
    file: Bytes,
    saved: &SavedMetadata,
    registry: Registry,
    read: ReadFile<'_>,
) -> Result<OnnxModel, Error> {
    let proto = model_file::scratch(|| ModelProto::decode(file));
    let mut proto = proto.or_failed("this is no ONNX file, or it is damaged")?;
    let mut graph = proto.graph.take().or_failed("the file has no graph")?;
    inline(&mut proto, &mut graph)?;
    resolve(&mut graph, read)?;
    let language = Language { opsets: Opsets::read(&proto)?, registry };

    let inputs = inputs::read(&graph, proto.ir_version)?;
    let named = outputs::flatten_sequences(&mut graph)?;
    let graph_inputs: Vec<_> = inputs.iter().map(ModelInput::graph_input).collect();
    let compiled = compile(&graph, &graph_inputs, &language)?;
    let mut outputs = outputs::read(&graph, named, &compiled.program)?;
    probe::shapes(&compiled, &inputs, &mut outputs);

    let is_batchable = batch::is_batchable(&compiled.program, &inputs, &outputs);
    let described = metadata::Described { inputs: &inputs, outputs: &outputs, is_batchable };
    let metadata = described.metadata(&proto, &compiled.operators, saved)?;
    let program = compiled.program;
    Ok(OnnxModel { program, inputs, outputs, metadata, missing: saved.missing })
}

impl Predictor for OnnxModel {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn predict(&self, request: &Request) -> Result<Response, Error> {
        let inputs = self.inputs.iter().map(|input| input.tensor(request, self.missing));
        let values = self.program.run(inputs.collect::<Result<_, _>>()?);
        let values = values.map_err(|error| match error {
            Error::Rejected(text) => Error::rejected(shown(&text)),
            Error::Failed(text) => Error::failed(shown(&text)),
        })?;

        let mut response = Response::new();
        for (output, value) in self.outputs.iter().zip(values) {
            if request.wants(&output.name) {
                response = response.output(output.tensor(&value)?);
            }
        }
        Ok(response)
    }
}
