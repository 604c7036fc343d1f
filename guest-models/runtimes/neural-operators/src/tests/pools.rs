//! Pools: each way to compute one answers as the general one.

use onnx_executor::testing::{Case, tensor};

use super::{assert_close, case};

/// Numbers that differ.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|index| (index * 31 % 67) as f32 / 8.0 - 3.0).collect()
}

/// Calls a function with windows of many kinds: its extents, strides, dilations and pads.
fn for_each_window(check: impl Fn([i64; 2], [i64; 2], [i64; 2], [i64; 4])) {
    for kernel in [[1, 1], [2, 2], [3, 3], [3, 5]] {
        for strides in [[1, 1], [2, 2], [3, 1], [1, 4]] {
            for dilations in [[1, 1], [2, 1], [1, 2]] {
                for pads in [[0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 1, 1]] {
                    if pads.iter().all(|pad| *pad < kernel[0]) {
                        check(kernel, strides, dilations, pads);
                    }
                }
            }
        }
    }
}

#[test]
fn highest_numbers_are_those_of_a_pool_with_indices() {
    let mut values = numbers(2 * 3 * 9 * 12);
    values[77] = f32::NAN;
    values[200] = f32::NEG_INFINITY;
    let image = tensor(&[2, 3, 9, 12], &values);
    for_each_window(|kernel, strides, dilations, pads| {
        for rounds_up in [0, 1] {
            let pool = |outputs| {
                let case = case("MaxPool", 12).outputs(outputs).int("ceil_mode", rounds_up);
                let case = case.ints("kernel_shape", &kernel).ints("strides", &strides);
                let case = case.ints("dilations", &dilations).ints("pads", &pads);
                case.values::<f32>(std::slice::from_ref(&image))
            };
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(pool(1)), bits(pool(2)));
        }
    });
}

#[test]
fn means_are_those_of_images_of_three_axes() {
    let values = numbers(2 * 3 * 9 * 12);
    let plane = tensor(&[2, 3, 9, 12], &values);
    let space = tensor(&[2, 3, 1, 9, 12], &values);
    let pool = |rounds_up, counts_padding| {
        let case = case("AveragePool", 19).int("ceil_mode", rounds_up);
        case.int("count_include_pad", counts_padding)
    };
    let with = |case: Case, [kernel, strides, dilations, pads]: [&[i64]; 4]| {
        let case = case.ints("kernel_shape", kernel).ints("strides", strides);
        case.ints("dilations", dilations).ints("pads", pads)
    };
    for_each_window(|kernel, strides, dilations, pads| {
        for (rounds_up, counts_padding) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let case =
                with(pool(rounds_up, counts_padding), [&kernel, &strides, &dilations, &pads]);
            let given = case.values::<f32>(std::slice::from_ref(&plane));

            let further = |[one, other]: [i64; 2]| [1, one, other];
            let [kernel, strides, dilations] = [kernel, strides, dilations].map(further);
            let pads = [0, pads[0], pads[1], 0, pads[2], pads[3]];
            let case =
                with(pool(rounds_up, counts_padding), [&kernel, &strides, &dilations, &pads]);
            assert_eq!(given, case.values::<f32>(std::slice::from_ref(&space)));
        }
    });
}

#[test]
fn pools_of_whole_images_take_each_pixel() {
    for size in 1..70 {
        let values = numbers(3 * size);
        let image = tensor(&[1, 3, size], &values);
        let images = || values.chunks_exact(size);
        let highest: Vec<_> = images().map(|v| v.iter().copied().fold(-9.0, f32::max)).collect();
        let given = case("GlobalMaxPool", 1).values::<f32>(std::slice::from_ref(&image));
        assert_eq!(given, highest);
        let means: Vec<_> = images().map(|v| v.iter().sum::<f32>() / size as f32).collect();
        assert_close(&case("GlobalAveragePool", 1).values::<f32>(&[image]), &means);
    }
}

#[test]
fn a_pixel_that_is_no_number_makes_none_of_its_image() {
    for place in 0..40 {
        let mut values = numbers(80);
        values[place] = f32::NAN;
        let given = case("GlobalMaxPool", 1).values::<f32>(&[tensor(&[1, 2, 40], &values)]);
        assert!(given[0].is_nan() && !given[1].is_nan(), "{given:?}");
    }
}
