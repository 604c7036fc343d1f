//! Resizing: each way to compute it answers as a plain sum over all pixels.

use onnx_executor::tensor::Tensor;
use onnx_executor::testing::{Case, tensor};

use super::{assert_close, case};

/// Numbers that differ.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|index| (index * 31 % 67) as f32 / 8.0 - 3.0).collect()
}

fn resize(mode: &str, coordinates: &str) -> Case {
    case("Resize", 13).text("mode", mode).text("coordinate_transformation_mode", coordinates)
}

/// Runs a node on an image, which is resized to these extents.
fn resized(case: &Case, image: &Tensor, region: &[f32], extents: &[usize]) -> Tensor {
    let sizes: Vec<_> = extents.iter().map(|extent| *extent as i64).collect();
    let region = tensor(&[region.len()], region);
    let scales = tensor(&[0], &[0_f32; 0]);
    let inputs = [image.clone(), region, scales, tensor(&[sizes.len()], &sizes)];
    case.output(&inputs)
}

/// The sums over all pixels with the products of the weights along the axes.
fn plain(
    image: &[f32],
    shape: &[usize],
    extents: &[usize],
    weight: fn(f64, usize) -> f64,
) -> Vec<f32> {
    let [Some((from, from_rest)), Some((to, to_rest))] =
        [shape.split_first(), extents.split_first()]
    else {
        return image.to_vec();
    };
    let block = from_rest.iter().product::<usize>();
    let rows: Vec<_> =
        image.chunks_exact(block).map(|row| plain(row, from_rest, to_rest, weight)).collect();
    let row = |x: usize| {
        let place =
            ((x as f64 + 0.5) * *from as f64 / *to as f64 - 0.5).clamp(0.0, *from as f64 - 1.0);
        let sum = |index: usize| {
            let terms = rows.iter().enumerate();
            terms.map(|(y, row)| weight(place, y) * f64::from(row[index])).sum::<f64>() as f32
        };
        (0..rows[0].len()).map(sum).collect::<Vec<_>>()
    };
    (0..*to).flat_map(row).collect()
}

const SIZES: [[[usize; 4]; 2]; 8] = [
    [[1, 3, 5, 7], [1, 3, 10, 14]],
    [[2, 2, 5, 6], [2, 2, 20, 24]],
    [[1, 3, 5, 7], [1, 3, 15, 7]],
    [[1, 3, 5, 7], [1, 3, 5, 11]],
    [[1, 3, 9, 8], [1, 3, 4, 3]],
    [[1, 4, 6, 3], [1, 8, 13, 3]],
    [[2, 3, 4, 1], [4, 5, 4, 1]],
    [[1, 2, 1, 1], [1, 2, 3, 5]],
];

#[test]
fn nearest_pixels_are_those_of_a_plain_search() {
    for [from, to] in SIZES {
        let values = numbers(from.iter().product());
        let image = tensor(&from, &values);
        // The place that is rounded down if it is a half.
        let is_nearest = |place: f64, y: usize| f64::from((place - 0.5).ceil() as usize == y);
        let given = resized(&resize("nearest", "half_pixel"), &image, &[], &to);
        assert_eq!(**given.shape(), to);
        assert_eq!(given.values::<f32>().unwrap(), plain(&values, &from, &to, is_nearest));
    }
}

#[test]
fn linear_sums_are_those_of_a_plain_sum() {
    for [from, to] in SIZES {
        let values = numbers(from.iter().product());
        let image = tensor(&from, &values);
        let hat = |place: f64, y: usize| (1.0 - (place - y as f64).abs()).max(0.0);
        let given = resized(&resize("linear", "half_pixel"), &image, &[], &to);
        assert_eq!(**given.shape(), to);
        assert_close(given.values().unwrap(), &plain(&values, &from, &to, hat));
    }
}

#[test]
fn copies_are_the_sums_of_one_pixel() {
    // The whole image as a region has the corners aligned, and is computed as sums.
    for rounding in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] {
        for [from, to] in SIZES {
            let image = tensor(&from, &numbers(from.iter().product()));
            let nearest = |name| resize("nearest", name).text("nearest_mode", rounding);
            let region = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
            // Of a single pixel a region takes the middle.
            if from.iter().zip(to).any(|(from, to)| to == 1 && *from > 1) {
                continue;
            }
            let sums = resized(&nearest("tf_crop_and_resize"), &image, &region, &to);
            let copies = resized(&nearest("align_corners"), &image, &[], &to);
            assert_eq!(copies.values::<f32>().unwrap(), sums.values::<f32>().unwrap());
        }
    }
}

#[test]
fn integers_are_copied_and_rounded() {
    let image = tensor(&[1, 4], &[0_u8, 1, 4, 255]);
    let nearest = resized(&resize("nearest", "asymmetric"), &image, &[], &[2, 8]);
    let row = [0, 0, 1, 1, 4, 4, 255, 255];
    assert_eq!(nearest.values::<u8>().unwrap(), [row, row].as_flattened());
    let linear = resized(&resize("linear", "asymmetric"), &image, &[], &[1, 8]);
    assert_eq!(linear.values::<u8>().unwrap(), [0, 0, 1, 2, 4, 130, 255, 255]);
}

#[test]
fn pixels_outside_of_a_region_have_their_own_value() {
    let image = tensor(&[2, 3], &[1_f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
    for mode in ["nearest", "linear"] {
        let case = resize(mode, "tf_crop_and_resize").float("extrapolation_value", 0.1);
        let given = resized(&case, &image, &[0.0, -0.5, 2.0, 1.0], &[3, 4]);
        let (out, none) = (0.1, [0.1; 4]);
        let wanted = [[out, 1.0, 2.0, 3.0], [out, 4.0, 5.0, 6.0], none];
        assert_eq!(given.values::<f32>().unwrap(), wanted.as_flattened(), "{mode}");
    }
}

#[test]
fn an_axis_is_given_once() {
    let case = resize("nearest", "asymmetric").ints("axes", &[1, -1]);
    let none = tensor(&[0], &[0_f32; 0]);
    let image = tensor(&[2, 2], &numbers(4));
    let error = case.error(&[image, none.clone(), none, tensor(&[2], &[4_i64, 4])]);
    assert!(error.contains("twice"), "{error}");
}

#[test]
fn empty_images_stay_empty() {
    let image = tensor(&[0, 2, 2], &[0_f32; 0]);
    for mode in ["nearest", "linear", "cubic"] {
        let given = resized(&resize(mode, "half_pixel"), &image, &[], &[0, 4, 3]);
        assert_eq!(**given.shape(), [0, 4, 3]);
    }
}
