//! Convolutions backwards of floats: their sums are those of doubles, which are added one by one.

use onnx_executor::testing::{Case, tensor};

use super::{assert_close, case};

/// Numbers that differ.
fn numbers(count: usize) -> Vec<f64> {
    (0..count).map(|index| (index * 31 % 67) as f64 / 64.0 - 0.5).collect()
}

/// Runs a node with floats and with doubles; both have to be the same.
fn check(case: &Case, image: &[usize], filters: &[usize], biases: usize) {
    let shapes = [image, filters, &[biases]];
    let shapes = &shapes[..if biases > 0 { 3 } else { 2 }];
    let values: Vec<_> = shapes.iter().map(|shape| numbers(shape.iter().product())).collect();
    let doubles: Vec<_> = shapes.iter().zip(&values).map(|(s, v)| tensor(s, v)).collect();
    let floats = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<_>>();
    let given: Vec<_> = shapes.iter().zip(&values).map(|(s, v)| tensor(s, &floats(v))).collect();

    let (wanted, given) = (case.output(&doubles), case.output(&given));
    assert_eq!(given.shape(), wanted.shape());
    assert_close(given.values().unwrap(), &floats(wanted.values().unwrap()));
}

fn transposed(strides: &[i64], dilations: &[i64], pads: &[i64]) -> Case {
    let case = case("ConvTranspose", 11).ints("strides", strides);
    case.ints("dilations", dilations).ints("pads", pads)
}

#[test]
fn sums_are_right_for_all_strides_dilations_and_pads() {
    for stride in 1..=5 {
        for dilation in 1..=3 {
            for (begin, end) in [(0, 0), (1, 0), (0, 2), (3, 1)] {
                for extents in [[5, 7, 3, 3], [6, 9, 2, 2], [4, 5, 4, 4], [3, 11, 2, 5]] {
                    let [height, width, rows, columns] = extents;
                    let pads = [begin, end, end, begin];
                    let case = transposed(&[stride, stride], &[dilation, dilation], &pads);
                    check(&case, &[1, 3, height, width], &[3, 2, rows, columns], 2);
                }
            }
        }
    }
}

#[test]
fn sums_are_right_for_groups_batches_and_output_padding() {
    let case = transposed(&[3, 2], &[1, 1], &[1, 0, 0, 1]).int("group", 3);
    check(&case.ints("output_padding", &[2, 1]), &[2, 6, 5, 4], &[6, 2, 3, 3], 6);
    let depthwise = transposed(&[2, 2], &[1, 1], &[1, 1, 1, 1]).int("group", 5);
    check(&depthwise, &[3, 5, 6, 7], &[5, 1, 4, 4], 0);
}

#[test]
fn sums_are_right_for_one_and_three_axes() {
    check(&transposed(&[8], &[1], &[4, 4]), &[2, 3, 50], &[3, 2, 16], 2);
    check(&transposed(&[4], &[1], &[1, 2]), &[1, 2, 37], &[2, 3, 9], 0);
    let cube = transposed(&[2, 3, 2], &[1, 1, 1], &[1, 0, 1, 0, 1, 1]);
    check(&cube, &[2, 4, 4, 3, 5], &[4, 3, 2, 3, 3], 3);
}

#[test]
fn sums_are_right_for_shapes_that_are_given() {
    let strides = |case: Case| case.ints("strides", &[2, 2]);
    for shape in [[9, 12], [8, 15], [20, 3], [1, 1]] {
        let case = strides(case("ConvTranspose", 11)).ints("output_shape", &shape);
        check(&case, &[1, 2, 5, 6], &[2, 3, 3, 4], 3);
    }
    for padding in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
        let case = strides(case("ConvTranspose", 11)).text("auto_pad", padding);
        check(&case, &[1, 2, 5, 6], &[2, 3, 3, 3], 0);
    }
}

#[test]
fn sums_are_right_in_several_blocks() {
    // Blocks of channels, of pixels that end within a row, and of one pixel.
    check(&transposed(&[2, 2], &[1, 1], &[0; 4]), &[1, 2, 40, 33], &[2, 70, 2, 2], 70);
    check(&transposed(&[2, 2], &[1, 1], &[1; 4]), &[2, 1, 51, 333], &[1, 1, 4, 4], 1);
    check(&transposed(&[1, 1], &[1, 1], &[200; 4]), &[1, 1, 2, 3], &[1, 1, 400, 400], 1);
}

#[test]
fn without_products_the_biases_remain() {
    check(&transposed(&[2, 2], &[1, 1], &[0; 4]), &[1, 0, 3, 3], &[0, 2, 2, 2], 2);
    check(&transposed(&[2, 2], &[1, 1], &[0; 4]), &[0, 2, 3, 3], &[2, 2, 2, 2], 2);
    check(&transposed(&[2, 2], &[1, 1], &[0; 4]), &[1, 2, 3, 3], &[2, 0, 2, 2], 0);
}
