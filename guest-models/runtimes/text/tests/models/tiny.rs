//! A network whose embeddings show the numbers of the tokens, and folders around it.

use std::collections::BTreeMap;

use model_file::SavedMetadata;
use onnx_executor::proto::{
    DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use prost::Message;
use serde_json::{Value, json};
use text::{Folder, TextModel};
use wardian_sdk::{Error, Request, Response, Tensor};

const FLOAT: i32 = 1;
const INT64: i32 = 7;

/// Tokens that the network knows.
pub(crate) const TOKENS: usize = 12;

/// A folder with a network.
#[derive(Clone)]
pub(crate) struct Tiny {
    network: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Tiny {
    /// A network whose output `name` has the numbers of the tokens, and a tokenizer of single
    /// words: `a` is 3, `b` is 4 and so on, between the tokens 1 and 2.
    pub(crate) fn new(name: &str) -> Self {
        let words = ["[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let vocabulary: BTreeMap<_, _> = words.iter().zip(0..TOKENS).collect();
        let tokenizer = json!({
            "version": "1.0",
            "added_tokens": [
                {"id": 1, "content": "[CLS]", "special": true, "single_word": false,
                 "lstrip": false, "rstrip": false, "normalized": false},
            ],
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
        });
        let tiny = Self {
            network: network(name, &["input_ids", "attention_mask"]),
            files: BTreeMap::new(),
        };
        tiny.with("tokenizer.json", &tokenizer)
    }

    /// A network with other inputs.
    pub(crate) fn inputs(mut self, inputs: &[&str]) -> Self {
        self.network = network("last_hidden_state", inputs);
        self
    }

    /// With a file beside it.
    pub(crate) fn with(self, name: &str, content: &Value) -> Self {
        self.with_bytes(name, content.to_string().into_bytes())
    }

    /// With a file beside it.
    pub(crate) fn with_bytes(mut self, name: &str, content: Vec<u8>) -> Self {
        self.files.insert(name.to_owned(), content);
        self
    }

    /// With a part of the tokenizer replaced.
    pub(crate) fn tokenizer(self, part: &str, value: Value) -> Self {
        let mut tokenizer: Value = serde_json::from_slice(&self.files["tokenizer.json"]).unwrap();
        tokenizer[part] = value;
        self.with("tokenizer.json", &tokenizer)
    }

    /// Opens the folder.
    pub(crate) fn open(&self) -> Result<TextModel, Error> {
        let find = |name: &str| Ok(self.files.get(name).cloned());
        text::open(self.network.clone(), &Folder::new(&find), &SavedMetadata::default())
    }

    /// Returns the reason why the folder is not served.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        match self.open() {
            Ok(_) => panic!("it is served"),
            Err(Error::Failed(reason)) => reason,
            Err(Error::Rejected(reason)) => panic!("blamed on the caller: {reason}"),
        }
    }
}

/// A request with texts.
pub(crate) fn request(texts: &[&str]) -> Request {
    let inputs = vec![Tensor::from_strings("text", [texts.len()], texts)];
    Request { id: String::new(), parameters: Vec::new(), inputs, outputs: Vec::new() }
}

/// The numbers of an output.
pub(crate) fn numbers(response: &Response, name: &str) -> Vec<f32> {
    let output = response.outputs.iter().find(|output| output.name == name).unwrap();
    output.view().unwrap().to_vec()
}

fn network(output: &str, inputs: &[&str]) -> Vec<u8> {
    let table = TensorProto {
        dims: vec![TOKENS as i64, 2],
        data_type: FLOAT,
        name: "table".into(),
        float_data: (0..TOKENS).flat_map(|id| [id as f32, -(id as f32)]).collect(),
        ..Default::default()
    };
    let gather = NodeProto {
        input: vec!["table".into(), "input_ids".into()],
        output: vec![output.into()],
        op_type: "Gather".into(),
        ..Default::default()
    };
    let graph = GraphProto {
        node: vec![gather],
        initializer: vec![table],
        input: inputs.iter().map(|name| value(name, INT64, &[None, None])).collect(),
        output: vec![value(output, FLOAT, &[None, None, Some(2)])],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: String::new(), version: 17 };
    let model = ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![opset],
        ..Default::default()
    };
    model.encode_to_vec()
}

fn value(name: &str, elem_type: i32, extents: &[Option<i64>]) -> ValueInfoProto {
    let dim = extents.iter().map(|dim_value| DimensionProto { dim_value: *dim_value }).collect();
    let shape = Some(TensorShapeProto { dim });
    let tensor_type = Some(TensorTypeProto { elem_type, shape });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}
