//! Many calls.

use wardian_sdk::bindings::model::wardian::kernels::arithmetic::{
    Activation, Buffer, MatmulOperation, Packing, Strides, matmul, pack_matrix,
};
use wardian_sdk::kernels::{Matmul, MatmulData, matmul as run_matmul};

/// Multiplies matrices with one element, `count` times.
pub(crate) fn many(count: usize) -> String {
    let operation = Matmul::dense(1, 1, 1);
    let right = [1.0; 16];
    let mut sum = 0.0;

    for _ in 0..count {
        let mut output = [0.0];
        let data = MatmulData {
            left: &[1.0],
            right: &right,
            bias: &[],
            residual: &[],
            output: &mut output,
        };
        if let Err(error) = run_matmul(&operation, data) {
            return error.to_string();
        }
        sum += output[0];
    }

    sum.to_string()
}

/// The rows and columns of a product that takes a second or more.
const LARGE: u32 = 4096;

/// A large product without its memory: strides of 0 read one row again and again. The output is
/// what takes memory.
fn large(output: &mut [f32]) -> MatmulOperation {
    let place = output.as_mut_ptr().expose_provenance() as u32;
    let length = size_of_val(output) as u32;
    let input = Buffer { address: place, length: LARGE * 4 };
    let strides = Strides { batch: 0, row: 0, column: 1 };

    MatmulOperation {
        batch: 1,
        rows: LARGE / 16,
        inner: LARGE,
        columns: LARGE,
        left: input,
        left_strides: strides,
        right: input,
        right_strides: Some(strides),
        scale: 1.0,
        column_bias: None,
        row_bias: None,
        residual: None,
        activation: Activation::None,
        output: Buffer { address: place + LARGE * 4, length: length - LARGE * 4 },
        output_strides: Strides { batch: 0, row: LARGE, column: 1 },
    }
}

/// The input, and behind it the output.
fn memory() -> Vec<f32> {
    vec![0.0; (LARGE + LARGE * LARGE / 16) as usize]
}

/// Multiplies without end.
pub(crate) fn endless() -> String {
    let mut memory = memory();
    let call = large(&mut memory);
    let mut start = 0;
    loop {
        match matmul(call, start) {
            Ok(next) => start = next.unwrap_or(0),
            Err(_) => return "refused".to_owned(),
        }
    }
}

/// Makes 1024 calls without a loop in between, where no clock of the engine interrupts the guest.
#[inline(never)]
pub(crate) fn straight() -> String {
    let mut memory = memory();
    let place = memory.as_mut_ptr().expose_provenance() as u32;
    let packing = Packing {
        inner: LARGE,
        columns: LARGE / 16,
        strides: Strides { batch: 0, row: 0, column: 1 },
    };
    let values = Buffer { address: place, length: LARGE * 4 };
    let packed = Buffer { address: place + LARGE * 4, length: LARGE * LARGE / 16 * 4 };
    let mut failed = 0;

    macro_rules! repeat {
        () => { failed += u32::from(pack_matrix(packing, values, packed, 0).is_err()); };
        ($first:tt $($rest:tt)*) => {
            repeat!($($rest)*); repeat!($($rest)*); repeat!($($rest)*); repeat!($($rest)*);
        };
    }
    repeat!(1 2 3 4 5);

    failed.to_string()
}
