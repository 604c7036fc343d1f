//! The curves over their whole range.

use kernel_checks::activate;
use wardian_kernels::{Activation, Matmul, MatmulData, Right, Strides, run_to_end};

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
