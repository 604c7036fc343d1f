#![allow(clippy::unwrap_used)]

use crate::{Datatype, Error, Tensor};

#[test]
fn numbers_survive_a_round_trip() {
    let tensor = Tensor::new("x", [2, 3], [1.5_f32, -2.0, 3.0, 4.0, f32::MAX, 6.0]);
    assert_eq!(tensor.data[..4], 1.5_f32.to_le_bytes());
    let view = tensor.view::<f32>().unwrap();
    assert_eq!(view.to_vec(), [1.5, -2.0, 3.0, 4.0, f32::MAX, 6.0]);
    assert_eq!((view.len(), view.get(1), view.get(6)), (6, Some(-2.0), None));
}

#[test]
fn booleans_are_one_byte_each() {
    let tensor = Tensor::new("x", [2], [true, false]);
    assert_eq!(tensor.data, [1, 0]);
    assert_eq!(tensor.view::<bool>().unwrap().to_vec(), [true, false]);
}

#[test]
fn rows_follow_the_first_dimension() {
    let tensor = Tensor::new("x", [2, 2, 2], 0_i64..8);
    let rows = tensor.view::<i64>().unwrap().rows();
    assert_eq!(rows.len(), 2);
    let rows: Vec<_> = rows.map(|row| (row.shape().to_vec(), row.to_vec())).collect();
    assert_eq!(rows, [(vec![2, 2], vec![0, 1, 2, 3]), (vec![2, 2], vec![4, 5, 6, 7])]);
}

#[test]
fn rows_of_edge_shapes() {
    let rows_of = |shape: Vec<usize>, values: Vec<u8>| {
        let tensor = Tensor::new("x", shape, values);
        let rows = tensor.view::<u8>().unwrap().rows();
        rows.map(|row| row.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(rows_of(vec![], vec![7]), [vec![7]], "a scalar is one row");
    assert_eq!(rows_of(vec![3], vec![1, 2, 3]), [vec![1], vec![2], vec![3]]);
    assert_eq!(rows_of(vec![0, 4], vec![]), Vec::<Vec<u8>>::new());
    assert_eq!(
        rows_of(vec![2, 0], vec![]),
        [Vec::<u8>::new(), vec![]],
        "rows without elements are rows"
    );
}

#[test]
fn another_datatype_is_rejected_by_name() {
    let tensor = Tensor::new("x", [1], [1_i32]);
    let error = tensor.view::<f64>().err().unwrap();
    assert!(
        matches!(error, Error::Rejected(text) if text == r#""x" is of datatype INT32, not FP64"#)
    );
}

#[test]
fn data_must_fill_the_shape_exactly() {
    for shape in [vec![3], vec![], vec![2, 2], vec![u64::MAX, 2]] {
        let tensor =
            Tensor { name: "x".into(), datatype: Datatype::Uint8, shape, data: vec![1, 2] };
        assert!(matches!(tensor.view::<u8>(), Err(Error::Rejected(_))), "{:?}", tensor.shape);
    }
}

#[test]
fn texts_survive_a_round_trip() {
    let tensor = Tensor::from_strings("x", [3], ["", "grün", "b"]);
    assert_eq!(tensor.data[..8], [0, 0, 0, 0, 5, 0, 0, 0]);
    assert_eq!(tensor.strings().unwrap(), ["", "grün", "b"]);
}

#[test]
fn non_utf8_blobs_are_rejected_as_text() {
    let tensor = Tensor::from_strings("x", [2], [&b"a"[..], &[0xff]]);
    assert_eq!(tensor.blobs().unwrap(), [&b"a"[..], &[0xff]]);
    let error = tensor.strings().err().unwrap();
    assert!(
        matches!(error, Error::Rejected(text) if text.starts_with(r#"element 1 of "x" is not UTF-8"#))
    );
}

#[test]
fn truncated_or_missing_blobs_are_rejected() {
    for data in [vec![2, 0, 0, 0, b'a'], vec![1, 0, 0], vec![], vec![0; 8], vec![255; 8]] {
        let tensor = Tensor { name: "x".into(), datatype: Datatype::Bytes, shape: vec![1], data };
        assert!(matches!(tensor.blobs(), Err(Error::Rejected(_))), "{:?}", tensor.data);
    }
}
