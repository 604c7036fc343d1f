//! Files of any bytes.

use proptest::prelude::*;
use prost::Message;
use wardian_sdk::Tensor;

use super::{open, request};
use crate::proto::ModelProto;
use crate::testing::files::{file, floats, graph, integer, node, value};

/// A valid file with nodes of many kinds.
fn valid() -> Vec<u8> {
    let mut concat = node("Concat", &["a", "x"], &["b"]);
    concat.attribute.push(integer("axis", 1));
    let mut gather = node("Gather", &["b", "index"], &["g"]);
    gather.attribute.push(integer("axis", 1));
    let mut graph = graph(vec![
        node("MatMul", &["x", "w"], &["a"]),
        concat,
        node("Shape", &["b"], &["shape"]),
        node("ConstantOfShape", &["shape"], &["zeros"]),
        node("ArgMax", &["zeros"], &["place"]),
        node("Cast", &["b"], &["index"]),
        gather,
        node("Softmax", &["a"], &["y"]),
    ]);
    graph.node[5].attribute.push(integer("to", 7));
    graph.initializer.push(floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]));
    graph.output.push(value("g", 1, &[]));
    ModelProto { graph: Some(graph), ..file() }.encode_to_vec()
}

/// Opens a file and, if it is served, asks it.
fn try_file(bytes: &[u8]) {
    let Ok(model) = open(bytes) else { return };
    let _ = model.predict(&request(Tensor::new("x", [2, 2], [0.0_f32, 1.0, f32::NAN, -3.0])));
}

#[test]
fn the_valid_file_is_served() {
    assert_eq!(open(&valid()).err(), None);
}

proptest! {
    #[test]
    fn changed_files_are_refused_or_served_and_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = valid();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        try_file(&bytes);
    }

    #[test]
    fn cut_files_are_refused_or_served_and_never_panic(end in any::<prop::sample::Index>()) {
        let bytes = valid();
        try_file(&bytes[..end.index(bytes.len())]);
    }

    #[test]
    fn any_bytes_are_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut file = vec![8];
        file.extend(bytes);
        try_file(&file);
    }
}
