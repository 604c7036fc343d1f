//! Inputs, outputs and properties of served files, and what is refused.

use model_file::Predictor;
use wardian_sdk::{Error, Tensor};

use super::{ask, open_file, open_graph, refusal, request};
use crate::proto::{AttributeProto, GraphProto, ModelProto, StringStringEntryProto};
use crate::testing::files::{FLOAT, INT64, file, floats, graph, integer, node, value};

#[test]
fn nodes_run_after_those_they_need_in_whatever_order_they_stand() {
    let nodes = vec![node("Add", &["a", "x"], &["y"]), node("Neg", &["x"], &["a"])];
    let model = open_graph(graph(nodes)).unwrap();
    assert_eq!(ask(&*model, &[1.0, -2.0]), [0.0, 0.0]);

    let metadata = model.metadata();
    assert_eq!((metadata.inputs[0].name.as_str(), &*metadata.inputs[0].shape), ("x", &[-1, 2][..]));
    assert_eq!(metadata.outputs[0].shape, [-1, 2]);
    assert_eq!(metadata.max_batch_size, 4096);
    let properties = metadata.properties.iter();
    let operators = properties.clone().find(|property| property.name == "operators").unwrap();
    assert_eq!(operators.value.as_text(), Some("Add 1, Neg 1"));
}

#[test]
fn a_model_whose_rows_depend_on_each_other_takes_no_joined_requests() {
    let mut sum = node("ReduceMean", &["x"], &["mean"]);
    sum.attribute.push(AttributeProto {
        name: "axes".into(),
        ints: vec![0],
        ..AttributeProto::default()
    });
    let nodes = vec![sum, node("Sub", &["x", "mean"], &["y"])];
    assert_eq!(open_graph(graph(nodes)).unwrap().metadata().max_batch_size, 0);
}

#[test]
fn a_constant_that_is_an_input_too_may_be_left_out_or_given() {
    let served = |ir_version| {
        let mut graph = graph(vec![node("Add", &["x", "c"], &["y"])]);
        graph.input.push(value("c", FLOAT, &[Some(2)]));
        graph.initializer.push(floats("c", &[2], &[1.0, 2.0]));
        open_file(&ModelProto { ir_version, graph: Some(graph), ..file() }).unwrap()
    };
    for ir_version in [3, 4] {
        assert_eq!(ask(&*served(ir_version), &[0.0, 0.0]), [1.0, 2.0]);
    }
    assert_eq!(served(3).metadata().inputs.len(), 1);

    let model = served(4);
    assert!(model.metadata().inputs[1].optional);
    let mut request = request(Tensor::new("x", [1, 2], [0.0_f32, 0.0]));
    request.inputs.push(Tensor::new("c", [2], [5.0_f32, 6.0]));
    let response = model.predict(&request).unwrap();
    assert_eq!(response.outputs[0].view::<f32>().unwrap().to_vec(), [5.0, 6.0]);
}

#[test]
fn values_may_decide_the_shape_of_an_output() {
    let served = |keepdims| {
        let mut sum = node("ReduceSum", &["x", "axes"], &["y"]);
        sum.attribute.push(integer("keepdims", keepdims));
        let input = vec![value("x", FLOAT, &[Some(2), Some(3)]), value("axes", INT64, &[Some(2)])];
        let shape: &[_] = if keepdims == 1 { &[Some(2), Some(1)] } else { &[] };
        let output = vec![value("y", FLOAT, shape)];
        open_graph(GraphProto { input, output, ..graph(vec![sum]) }).unwrap()
    };
    let sums = |model: &dyn Predictor, axes: [i64; 2]| {
        let mut request = request(Tensor::new("x", [2, 3], [1.0_f32; 6]));
        request.inputs.push(Tensor::new("axes", [2], axes));
        model.predict(&request).map(|response| response.outputs[0].shape.clone())
    };

    // Two axes of zero are one axis.
    let model = served(1);
    assert_eq!(model.metadata().outputs[0].shape, [-1, -1]);
    assert_eq!(sums(&*model, [0, 0]).unwrap(), [1, 3]);
    assert_eq!(sums(&*model, [1, 1]).unwrap(), [2, 1]);

    let model = served(0);
    assert!(sums(&*model, [0, 1]).unwrap().is_empty());
    let error = sums(&*model, [0, 0]).unwrap_err();
    let text = "with these values, the output 'y' has the shape [3] in place of []";
    assert!(matches!(&error, Error::Rejected(said) if said == text), "{error:?}");
}

#[test]
fn a_sequence_of_tensors_becomes_one_output_for_each() {
    let nodes = vec![node("Neg", &["x"], &["a"]), node("SequenceConstruct", &["x", "a"], &["y"])];
    let model = open_graph(graph(nodes)).unwrap();
    let names: Vec<_> = model.metadata().outputs.into_iter().map(|output| output.name).collect();
    assert_eq!(names, ["y_0", "y_1"]);
    assert_eq!(ask(&*model, &[1.0, 2.0]), [1.0, 2.0]);
}

#[test]
fn graphs_inside_nodes_use_values_around_them() {
    let body = |operator: &str| GraphProto {
        node: vec![node(operator, &["x", "c"], &["out"])],
        output: vec![value("out", FLOAT, &[None, Some(2)])],
        ..GraphProto::default()
    };
    let graph_of = |name: &str, graph| AttributeProto {
        name: name.into(),
        g: Some(graph),
        ..AttributeProto::default()
    };
    let mut branch = node("If", &["positive"], &["y"]);
    branch.attribute.push(graph_of("then_branch", body("Mul")));
    branch.attribute.push(graph_of("else_branch", body("Add")));
    let mut sum = node("ReduceSum", &["x"], &["sum"]);
    sum.attribute.push(integer("keepdims", 0));
    let mut graph = graph(vec![sum, node("Greater", &["sum", "zero"], &["positive"]), branch]);
    graph.initializer.push(floats("zero", &[], &[0.0]));
    graph.initializer.push(floats("c", &[1], &[10.0]));

    let model = open_graph(graph).unwrap();
    assert_eq!(ask(&*model, &[1.0, 2.0]), [10.0, 20.0]);
    assert_eq!(ask(&*model, &[-1.0, -2.0]), [9.0, 8.0]);
}

#[test]
fn versions_that_are_not_known_are_refused_by_name() {
    let opened = |change: fn(&mut ModelProto)| {
        let mut file =
            ModelProto { graph: Some(graph(vec![node("Neg", &["x"], &["y"])])), ..file() };
        change(&mut file);
        open_file(&file).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(opened(|_| ()), "");
    let text = opened(|file| file.opset_import[0].version = 99);
    assert!(text.starts_with("version 99 of the operators of ai.onnx is not served"), "{text}");
    let text = opened(|file| file.ir_version = 99);
    assert!(text.starts_with("ONNX files of IR version 99 are not served"), "{text}");
    let text = opened(|file| file.opset_import.clear());
    assert!(text.contains("for which the file imports no version"), "{text}");
    assert_eq!(opened(|file| file.graph = None), "the file has no graph");
}

#[test]
fn operators_that_are_not_served_are_refused_with_node_and_domain() {
    let text = refusal(graph(vec![node("Conv", &["x"], &["y"])]));
    assert!(
        text.starts_with("operator Conv (ai.onnx 17) of node 'Conv node' is not served"),
        "{text}"
    );

    let mut own = node("Foo", &["x"], &["y"]);
    own.domain = "my.own".into();
    let mut file = ModelProto { graph: Some(graph(vec![own])), ..file() };
    file.opset_import
        .push(crate::proto::OperatorSetIdProto { domain: "my.own".into(), version: 2 });
    let text = open_file(&file).err().unwrap().to_string();
    assert!(text.starts_with("operator Foo (my.own 2) of node 'Foo node' is not served"), "{text}");
}

#[test]
fn circles_and_missing_or_double_values_are_refused() {
    let nodes = vec![node("Add", &["x", "b"], &["a"]), node("Add", &["x", "a"], &["b"])];
    assert!(refusal(graph(nodes)).starts_with("nodes need each other in a circle"));
    assert!(
        refusal(graph(vec![node("Neg", &["z"], &["y"])])).contains("nothing makes the value 'z'")
    );
    assert!(refusal(graph(vec![])).contains("nothing makes the value 'y'"));
    let nodes = vec![node("Neg", &["x"], &["y"]), node("Abs", &["x"], &["y"])];
    assert!(refusal(graph(nodes)).starts_with("two nodes make the value 'y'"));
    let text = refusal(graph(vec![node("Neg", &["x"], &["x"]), node("Abs", &["x"], &["y"])]));
    assert!(text.contains("circle") || text.contains("twice"), "{text}");
}

#[test]
fn damaged_constants_are_refused() {
    let refused = |change: fn(&mut crate::proto::TensorProto)| {
        let mut constant = floats("c", &[2], &[1.0, 2.0]);
        change(&mut constant);
        let mut graph = graph(vec![node("Add", &["x", "c"], &["y"])]);
        graph.initializer.push(constant);
        refusal(graph)
    };
    let text = refused(|constant| constant.data_location = 1);
    assert!(text.contains("its data have no location"), "{text}");
    let text = refused(|constant| constant.external_data.push(StringStringEntryProto::default()));
    assert!(text.contains("its data are in another file"), "{text}");
    let text = refused(|constant| constant.raw_data = Some(vec![0; 7].into()));
    assert!(text.contains("7 bytes for 2 elements of 4 bytes"), "{text}");
    for dims in [&[-1][..], &[i64::MAX, i64::MAX], &[3], &[1 << 31, 1 << 31, 0]] {
        let mut constant = floats("c", dims, &[1.0, 2.0]);
        constant.name = "c".into();
        let mut graph = graph(vec![node("Add", &["x", "c"], &["y"])]);
        graph.initializer.push(constant);
        assert!(refusal(graph).starts_with("the tensor \"c\": "));
    }
    let text = refused(|constant| constant.data_type = 17);
    assert!(text.contains("elements of ONNX's type 17 are not served"), "{text}");
}

#[test]
fn graphs_that_grow_without_end_are_rejected_by_request() {
    let shape = crate::proto::TensorProto {
        name: "shape".into(),
        dims: vec![2],
        data_type: INT64,
        int64_data: vec![1 << 20, 1 << 20],
        ..Default::default()
    };
    let mut graph = graph(vec![node("Expand", &["sum", "shape"], &["y"]), {
        let mut sum = node("ReduceSum", &["x"], &["sum"]);
        sum.attribute.push(integer("keepdims", 0));
        sum
    }]);
    graph.initializer.push(shape);
    let model = open_graph(graph).unwrap();
    let error = model.predict(&request(Tensor::new("x", [1, 2], [0.0_f32, 0.0]))).unwrap_err();
    assert!(error.to_string().contains("is larger than"), "{error}");
}
