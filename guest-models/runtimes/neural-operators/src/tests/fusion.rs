//! Nodes that become one step: they answer as they do one by one.

use onnx_executor::graph::{GraphInput, Language, Opsets, compile};
use onnx_executor::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use onnx_executor::tensor::{ElementType, Tensor};
use onnx_executor::testing::files::{FLOAT, file, floats, node, value};
use onnx_executor::testing::tensor;
use onnx_executor::value_type::ValueType;

use super::assert_close;
use crate::OPERATORS;

/// Numbers that differ.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|index| (index * 7 % 11) as f32 * 0.25 - 1.0).collect()
}

fn constant(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>() as usize;
    let least = if name == "variance" { 2.0 } else { 0.0 };
    let values: Vec<f32> = numbers(count).iter().map(|number| number + least).collect();
    floats(name, dims, &values)
}

/// Runs the nodes from `x` and `z` to the last output, once as they are and once with every value
/// as an output, so that each is a step. Returns the number of steps of the first run.
fn steps(nodes: &[NodeProto], constants: &[TensorProto], [x, z]: [&Tensor; 2]) -> usize {
    let names: Vec<_> = nodes.iter().map(|node| node.output[0].clone()).collect();
    let (fused, count) = run(nodes, constants, [x, z], &names[names.len() - 1..]);
    let (apart, all) = run(nodes, constants, [x, z], &names);
    assert_eq!(all, nodes.len(), "every value is an output");

    let (fused, apart) = (&fused[0], &apart[apart.len() - 1]);
    assert_eq!(fused.shape(), apart.shape());
    assert_close(fused.values().unwrap(), apart.values().unwrap());
    count
}

fn run(
    nodes: &[NodeProto],
    constants: &[TensorProto],
    inputs: [&Tensor; 2],
    outputs: &[String],
) -> (Vec<Tensor>, usize) {
    let graph = GraphProto {
        node: nodes.to_vec(),
        initializer: constants.to_vec(),
        output: outputs.iter().map(|name| value(name, FLOAT, &[])).collect(),
        ..GraphProto::default()
    };
    let language = Language { opsets: Opsets::read(&file()).unwrap(), registry: OPERATORS };
    let given = ["x", "z"].map(|name| GraphInput {
        name: name.to_owned(),
        value_type: ValueType::Tensor(ElementType::F32),
    });
    let program = compile(&graph, &given, &language).unwrap().program;
    (program.run(inputs.map(Tensor::clone).to_vec()).unwrap(), program.steps.len())
}

fn image(channels: usize) -> Tensor {
    tensor(&[2, channels, 5, 5], &numbers(2 * channels * 25))
}

#[test]
fn a_convolution_takes_in_normalization_residual_and_activation() {
    let nodes = [
        node("Conv", &["x", "w", "b"], &["sums"]),
        node("BatchNormalization", &["sums", "scale", "shift", "mean", "variance"], &["normal"]),
        node("Add", &["z", "normal"], &["added"]),
        node("Relu", &["added"], &["y"]),
    ];
    let channels = ["b", "scale", "shift", "mean", "variance"].map(|name| constant(name, &[3]));
    let mut constants = channels.to_vec();
    constants.push(constant("w", &[3, 2, 1, 1]));

    let (x, z) = (image(2), image(3));
    assert_eq!(steps(&nodes, &constants, [&x, &z]), 1);
    let row = tensor(&[1, 1, 5], &numbers(5));
    assert_eq!(steps(&nodes, &constants, [&x, &row]), 1, "the sum is broadcast");
}

#[test]
fn a_convolution_takes_in_constants_of_channels_alone() {
    let nodes = |constant| {
        [
            node("Conv", &["x", "w"], &["sums"]),
            node("Mul", &["sums", constant], &["scaled"]),
            node("Add", &[constant, "scaled"], &["y"]),
        ]
    };
    let constants = [
        constant("w", &[3, 2, 1, 1]),
        constant("channels", &[3, 1, 1]),
        constant("columns", &[5]),
        constant("one", &[]),
    ];
    let x = image(2);
    assert_eq!(steps(&nodes("channels"), &constants, [&x, &x]), 1);
    assert_eq!(steps(&nodes("one"), &constants, [&x, &x]), 1);
    assert_eq!(steps(&nodes("columns"), &constants, [&x, &x]), 3);
}

#[test]
fn a_product_takes_in_biases_residual_and_activation() {
    let nodes = [
        node("MatMul", &["x", "w"], &["sums"]),
        node("Add", &["sums", "b"], &["biased"]),
        node("Add", &["biased", "z"], &["added"]),
        node("Sigmoid", &["added"], &["y"]),
    ];
    let constants = [constant("w", &[4, 3]), constant("b", &[3])];
    let x = tensor(&[2, 5, 4], &numbers(40));
    let z = tensor(&[2, 5, 3], &numbers(30));
    assert_eq!(steps(&nodes, &constants, [&x, &z]), 1);
    let row = tensor(&[3], &numbers(3));
    assert_eq!(steps(&nodes, &constants, [&x, &row]), 1, "the sum is broadcast");
}

#[test]
fn a_product_of_values_takes_in_a_factor() {
    let nodes = [node("MatMul", &["x", "z"], &["sums"]), node("Div", &["sums", "four"], &["y"])];
    let constants = [floats("four", &[], &[4.0])];
    let (x, z) = (tensor(&[2, 3], &numbers(6)), tensor(&[3, 2], &numbers(6)));
    assert_eq!(steps(&nodes, &constants, [&x, &z]), 1);
}

/// Nodes that compute an activation of `x` in the ways that files have it, and the name of each.
fn activations() -> Vec<(&'static str, Vec<NodeProto>)> {
    let clip = || node("Clip", &["shifted", "zero", "six"], &["bounded"]);
    let shift = || node("Add", &["x", "three"], &["shifted"]);
    let gate = |name| AttributeProto { f: Some(1.0 / 6.0), ..float(name) };
    let hard = NodeProto {
        attribute: vec![gate("alpha"), AttributeProto { f: Some(0.5), ..float("beta") }],
        ..node("HardSigmoid", &["x"], &["bounded"])
    };
    let erf = |input| {
        [
            node("Div", &["x", "root of 2"], &["small"]),
            node("Erf", &["small"], &["erf"]),
            node("Add", &[input, "erf"], &["sum"]),
        ]
    };
    let cubic = |cube: NodeProto| {
        vec![
            cube,
            node("Mul", &["cube", "c"], &["small"]),
            node("Add", &["x", "small"], &["inner"]),
            node("Mul", &["root of 2 / pi", "inner"], &["scaled"]),
            node("Tanh", &["scaled"], &["tanh"]),
            node("Add", &["tanh", "one of 3 axes"], &["sum"]),
            node("Mul", &["sum", "half"], &["halved"]),
            node("Mul", &["x", "halved"], &["y"]),
        ]
    };
    let joined = |first: &[NodeProto], last: &[NodeProto]| [first, last].concat();

    vec![
        (
            "the product, then divided",
            vec![
                shift(),
                clip(),
                node("Mul", &["x", "bounded"], &["product"]),
                node("Div", &["product", "six"], &["y"]),
            ],
        ),
        (
            "divided, then the product",
            vec![
                shift(),
                clip(),
                node("Mul", &["sixth", "bounded"], &["gate"]),
                node("Mul", &["gate", "x"], &["y"]),
            ],
        ),
        ("HardSigmoid", vec![hard, node("Mul", &["x", "bounded"], &["y"])]),
        ("Sigmoid", vec![node("Sigmoid", &["x"], &["gate"]), node("Mul", &["x", "gate"], &["y"])]),
        (
            "Erf, half of x",
            joined(
                &erf("one"),
                &[
                    node("Mul", &["half", "x"], &["halved"]),
                    node("Mul", &["halved", "sum"], &["y"]),
                ],
            ),
        ),
        (
            "Erf, half of the product",
            joined(
                &erf("one"),
                &[
                    node("Mul", &["sum", "x"], &["product"]),
                    node("Mul", &["product", "half"], &["y"]),
                ],
            ),
        ),
        ("Tanh of a power", cubic(node("Pow", &["x", "three"], &["cube"]))),
        (
            "Tanh of products",
            joined(
                &[node("Mul", &["x", "x"], &["square"])],
                &cubic(node("Mul", &["square", "x"], &["cube"])),
            ),
        ),
    ]
}

fn float(name: &str) -> AttributeProto {
    AttributeProto { name: name.to_owned(), ..AttributeProto::default() }
}

fn constants_of_activations() -> Vec<TensorProto> {
    let scalars = [
        ("zero", 0.0),
        ("one", 1.0),
        ("three", 3.0),
        ("six", 6.0),
        ("half", 0.5),
        ("sixth", 1.0 / 6.0),
        ("root of 2", std::f32::consts::SQRT_2),
        ("root of 2 / pi", 0.797_884_6),
        ("c", 0.044_715),
        ("two", 2.0),
    ];
    let constants = scalars.map(|(name, value)| floats(name, &[], &[value])).into_iter();
    constants.chain([floats("one of 3 axes", &[1, 1, 1], &[1.0])]).collect()
}

#[test]
fn the_nodes_of_an_activation_are_one_step() {
    let x = tensor(&[3, 4], &numbers(12).iter().map(|x| x * 6.0).collect::<Vec<_>>());
    for (name, nodes) in activations() {
        assert_eq!(steps(&nodes, &constants_of_activations(), [&x, &x]), 1, "{name}");
    }
}

#[test]
fn a_convolution_takes_in_the_nodes_of_an_activation() {
    let z = image(2);
    for (name, mut nodes) in activations() {
        nodes.insert(0, node("Conv", &["z", "w"], &["x"]));
        let mut constants = constants_of_activations();
        constants.push(constant("w", &[3, 2, 1, 1]));
        // An input of the graph has that name.
        rename(&mut nodes, "x", "sums");
        assert_eq!(steps(&nodes, &constants, [&z, &z]), 1, "{name}");
    }
}

fn rename(nodes: &mut [NodeProto], from: &str, to: &str) {
    let names = nodes.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output));
    names.filter(|name| *name == from).for_each(|name| *name = to.to_owned());
}

#[test]
fn nodes_that_only_resemble_an_activation_stay() {
    let (x, z) = (tensor(&[2, 2], &numbers(4)), tensor(&[2, 2], &numbers(4)));
    let changes = [("three", "two"), ("six", "two"), ("half", "two"), ("c", "two"), ("one", "two")];
    for (name, nodes) in activations() {
        let stays = nodes.len();
        for (from, to) in changes {
            let mut other = nodes.clone();
            rename(&mut other, from, to);
            if other != nodes && !(name == "Tanh of a power" && from == "three") {
                assert_eq!(steps(&other, &constants_of_activations(), [&x, &z]), stays, "{name}");
            }
        }

        // The factor is another value.
        let mut other = nodes.clone();
        let last = stays - 1;
        rename(&mut other[last..], "x", "z");
        if other != nodes {
            assert_eq!(steps(&other, &constants_of_activations(), [&x, &z]), stays, "{name}");
        }
    }
}

#[test]
fn a_value_inside_an_activation_that_is_used_elsewhere_stays() {
    let (x, z) = (tensor(&[2, 2], &numbers(4)), tensor(&[2, 2], &numbers(4)));
    for (name, mut nodes) in activations() {
        let inner = nodes[nodes.len() - 2].output[0].clone();
        rename(&mut nodes, "y", "activated");
        nodes.push(node("Add", &["activated", &inner], &["y"]));
        let count = steps(&nodes, &constants_of_activations(), [&x, &z]);
        assert_eq!(count, nodes.len(), "{name}");
    }
}

#[test]
fn a_file_cannot_have_the_operators_of_joined_nodes() {
    let gelu = NodeProto { domain: "wardian".to_owned(), ..node("Gelu", &["x"], &["y"]) };
    let graph = GraphProto {
        node: vec![gelu],
        output: vec![value("y", FLOAT, &[])],
        ..GraphProto::default()
    };
    let language = Language { opsets: Opsets::read(&file()).unwrap(), registry: OPERATORS };
    let value_type = ValueType::Tensor(ElementType::F32);
    let error = compile(&graph, &[GraphInput { name: "x".to_owned(), value_type }], &language);
    let error = error.err().unwrap().to_string();
    assert!(error.contains("operator Gelu (wardian) of node 'Gelu node' is not served"), "{error}");
}

#[test]
fn a_value_that_is_used_twice_stays() {
    let nodes = [
        node("MatMul", &["x", "w"], &["sums"]),
        node("Relu", &["sums"], &["bounded"]),
        node("Mul", &["sums", "bounded"], &["y"]),
    ];
    let x = tensor(&[2, 4], &numbers(8));
    assert_eq!(steps(&nodes, &[constant("w", &[4, 3])], [&x, &x]), 3);
}

#[test]
fn a_value_with_a_second_name_stays() {
    let nodes = [
        node("MatMul", &["x", "w"], &["sums"]),
        node("Identity", &["sums"], &["named"]),
        node("Relu", &["named"], &["bounded"]),
        node("Mul", &["named", "bounded"], &["y"]),
    ];
    let x = tensor(&[2, 4], &numbers(8));
    let names = ["y".to_owned()];
    let (answers, count) = run(&nodes, &[constant("w", &[4, 3])], [&x, &x], &names);
    assert_eq!(count, 3);
    let sums = run(&nodes[..1], &[constant("w", &[4, 3])], [&x, &x], &["sums".to_owned()]).0;
    let squares: Vec<f32> =
        sums[0].values::<f32>().unwrap().iter().map(|sum| sum * sum.max(0.0)).collect();
    assert_close(answers[0].values().unwrap(), &squares);
}
