//! Tests of files with operators of this runtime.

use model_file::SavedMetadata;
use onnx_executor::proto::{AttributeProto, ModelProto};
use onnx_executor::testing::files::{file, graph, node};
use prost::Message;
use wardian_sdk::{Datatype, Tensor};

use crate::testing::request;

#[test]
fn zip_map_is_a_tensor_and_its_classes_are_a_property() {
    let mut zip = node("ZipMap", &["x"], &["y"]);
    zip.domain = "ai.onnx.ml".into();
    zip.attribute.push(AttributeProto {
        name: "classlabels_strings".into(),
        strings: vec![b"no".to_vec(), b"yes".to_vec()],
        ..AttributeProto::default()
    });
    let mut graph = graph(vec![zip]);
    graph.output[0].r#type = None;
    let file = ModelProto { graph: Some(graph), ..file() };
    let model = super::open(&file.encode_to_vec(), &SavedMetadata::default()).unwrap();

    let request = request(vec![Tensor::new("x", [1, 2], [0.25_f32, 0.75])]);
    let response = model.predict(&request).unwrap();
    assert_eq!(response.outputs[0].view::<f32>().unwrap().to_vec(), [0.25, 0.75]);
    let metadata = model.metadata();
    assert_eq!(metadata.outputs[0].datatype, Datatype::Fp32);
    assert_eq!(metadata.outputs[0].shape, [-1, 2]);
    let classes = metadata.properties.iter().find(|property| property.name == "classes").unwrap();
    assert_eq!(classes.value.as_text(), Some(r#"["no","yes"]"#));
}
