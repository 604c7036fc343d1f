//! The curves over their whole range.

use kernel_checks::activate;
use wardian_kernels::{Activation, Matmul, MatmulData, Right, Strides, functions, run_to_end};

#[test]
fn curves_agree_with_their_definitions() {
    let xs: Vec<f32> = (-40_000..=40_000).map(|step| step as f32 / 400.0).collect();
    let mut ys = vec![0.0; xs.len()];

    for activation in [
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Silu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::HardSwish,
        Activation::LeakyRelu(0.25),
    ] {
        let right = Right::Plain(Strides::dense(1, 1));
        let operation = Matmul { activation, right, ..Matmul::dense(xs.len() as u32, 1, 1) };
        let data =
            MatmulData { left: &xs, right: &[1.0], bias: &[], residual: &[], output: &mut ys };
        operation.run(data, 0, &mut run_to_end).unwrap();

        for (x, y) in xs.iter().zip(&ys) {
            let expected = activate(activation, f64::from(*x));
            let allowed = 1e-6 * expected.abs() + 4e-7;
            assert!(
                (f64::from(*y) - expected).abs() <= allowed,
                "{activation:?} {x}: {y} {expected}"
            );
        }
    }
}

#[test]
fn functions_keep_their_digits_at_both_ends() {
    let near = |given: f32, wanted: f64| {
        let distance = (f64::from(given) - wanted).abs();
        assert!(distance <= 1e-6 * wanted.abs() + 1e-45, "{given} in place of {wanted}");
    };
    for x in [-103.0_f32, -90.0, -20.0, -1e-6, 0.0, 1e-3, 1.0, 20.0, 88.0, 88.7] {
        near(functions::exp(x), f64::from(x).exp());
    }
    for x in [1e-30_f32, -1e-6, 1e-3, 0.2] {
        near(functions::tanh(x), f64::from(x).tanh());
        // The first terms of the series.
        let (x64, root) = (f64::from(x), std::f64::consts::FRAC_2_SQRT_PI);
        let terms = 1.0 - x64.powi(2) / 3.0 + x64.powi(4) / 10.0 - x64.powi(6) / 42.0;
        near(functions::erf(x), root * x64 * terms);
    }

    assert_eq!([-200.0, f32::NEG_INFINITY].map(functions::exp), [0.0, 0.0]);
    assert_eq!([89.0, f32::INFINITY].map(functions::exp), [f32::INFINITY; 2]);
    assert_eq!([f32::NEG_INFINITY, f32::INFINITY].map(functions::tanh), [-1.0, 1.0]);
    assert_eq!([f32::NEG_INFINITY, f32::INFINITY].map(functions::erf), [-1.0, 1.0]);
    let all =
        [functions::exp, functions::sigmoid, functions::tanh, functions::erf, functions::gelu];
    assert!(all.iter().all(|function| function(f32::NAN).is_nan()));
}
