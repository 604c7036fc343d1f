//! Right values of operators, where implementations are known to differ.

mod fusion;
mod pools;
mod resize;
mod transposed;

use onnx_executor::testing::{Case, tensor};

use crate::OPERATORS;

fn case(operator: &str, version: i64) -> Case {
    Case::new(OPERATORS, operator, version)
}

fn assert_close(given: &[f32], wanted: &[f32]) {
    let is_close = |(given, wanted): (&f32, &f32)| (given - wanted).abs() < 1e-5;
    assert!(given.len() == wanted.len() && given.iter().zip(wanted).all(is_close), "{given:?}");
}

#[test]
fn quantizing_rounds_halves_to_even_and_saturates() {
    let values = [0.25_f32, 0.75, 1.25, 1.75, -0.25, -0.75, 60.0, 64.0, 63.75, -70.0, 1e9, -1e9];
    let inputs = [tensor(&[12], &values), tensor(&[], &[0.5_f32]), tensor(&[], &[3_u8])];
    let naturals = case("QuantizeLinear", 13).values::<u8>(&inputs);
    assert_eq!(naturals, [3, 5, 5, 7, 3, 1, 123, 131, 131, 0, 255, 0]);

    let inputs = [tensor(&[12], &values), tensor(&[], &[0.5_f32]), tensor(&[], &[-1_i8])];
    let integers = case("QuantizeLinear", 13).values::<i8>(&inputs);
    assert_eq!(integers, [-1, 1, 1, 3, -1, -3, 119, 127, 127, -128, 127, -128]);
}

#[test]
fn dynamic_quantization_takes_its_range_from_the_numbers() {
    let values = tensor(&[5], &[-127_f32, 128.0, 0.5, 1.5, 2.5]);
    let outputs = case("DynamicQuantizeLinear", 11).outputs(3).run(&[values]).unwrap();
    assert_eq!(outputs[0].values::<u8>().unwrap(), [0, 255, 127, 129, 129]);
    assert_eq!(outputs[1].values::<f32>().unwrap(), [1.0]);
    assert_eq!(outputs[2].values::<u8>().unwrap(), [127]);
}

#[test]
fn products_of_extreme_integers_are_exact() {
    let left = tensor(&[1, 40], &[255_u8; 40]);
    let right = tensor(&[40, 1], &[-128_i8; 40]);
    let zeros = (tensor(&[], &[7_u8]), tensor(&[], &[0_i8]));
    let sums = case("MatMulInteger", 10).values::<i32>(&[left, right, zeros.0, zeros.1]);
    assert_eq!(sums, [-1_269_760]);
}

#[test]
fn means_at_the_border_count_what_the_attributes_say() {
    let pool = case("AveragePool", 11)
        .ints("kernel_shape", &[2])
        .ints("strides", &[2])
        .int("ceil_mode", 1)
        .int("count_include_pad", 1);
    let means = pool.values::<f32>(&[tensor(&[1, 1, 5], &[1_f32, 2.0, 3.0, 4.0, 5.0])]);
    assert_close(&means, &[1.5, 3.5, 5.0]);
}

#[test]
fn odd_padding_is_at_the_end_or_at_the_start() {
    let image = || tensor(&[1, 1, 1, 3], &[1_f32, 2.0, 3.0]);
    let filter = || tensor(&[1, 1, 1, 2], &[1_f32, 10.0]);
    let conv = |padding| case("Conv", 11).text("auto_pad", padding);
    assert_eq!(conv("SAME_UPPER").values::<f32>(&[image(), filter()]), [21.0, 32.0, 3.0]);
    assert_eq!(conv("SAME_LOWER").values::<f32>(&[image(), filter()]), [10.0, 21.0, 32.0]);
}

#[test]
fn resizing_before_version_11_is_asymmetric_and_rounds_down() {
    let image = tensor(&[4], &[0_f32, 1.0, 2.0, 3.0]);
    let halves = case("Resize", 10).values::<f32>(&[image.clone(), tensor(&[1], &[0.5_f32])]);
    assert_eq!(halves, [0.0, 2.0]);
    let larger = case("Resize", 10).values::<f32>(&[image, tensor(&[1], &[2.5_f32])]);
    assert_eq!(larger, [0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0]);
}

#[test]
fn suppression_keeps_boxes_that_overlap_by_exactly_the_limit() {
    let corners = [
        [0.0, 0.0, 2.0, 2.0],
        [0.0, 0.0, 2.0, 1.0],
        [2.0, 2.0, 0.0, 0.0],
        [5.0, 5.0, 6.0, 6.0],
        [0.0, 1.0, 2.0, 2.0_f32],
    ];
    let boxes = tensor(&[1, 5, 4], corners.as_flattened());
    let scores = tensor(&[1, 1, 5], &[0.9_f32, 0.9, 0.8, 0.3, 0.9]);
    let most = tensor(&[1], &[9_i64]);
    let inputs = [boxes, scores, most, tensor(&[1], &[0.5_f32]), tensor(&[1], &[0.3_f32])];
    let selected = case("NonMaxSuppression", 11).values::<i64>(&inputs);
    assert_eq!(selected, [0, 0, 0, 0, 0, 1, 0, 0, 4]);
    let none = case("NonMaxSuppression", 11).values::<i64>(&inputs[..2]);
    assert!(none.is_empty());
}

#[test]
fn training_is_refused() {
    let inputs: Vec<_> =
        (0..5).map(|index| tensor(if index == 0 { &[1, 1] } else { &[1] }, &[1_f32])).collect();
    let training = case("BatchNormalization", 15).int("training_mode", 1).error(&inputs);
    assert!(training.contains("as in training"), "{training}");
    let given = case("BatchNormalization", 9).float("momentum", 0.5).values::<f32>(&inputs);
    assert_close(&given, &[1.0]);
}
