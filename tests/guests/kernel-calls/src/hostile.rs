//! Calls as they should not be, past the SDK. A result is the host's error.

use wardian_sdk::bindings::model::wardian::kernels::arithmetic::{
    Activation, Buffer, Conv2dOperation, Conv2dShape, Failure, MatmulOperation, Packing, Strides,
    conv2d, matmul, pack_matrix, packed_matrix_size, softmax,
};

/// Returns a product of 4 by 4 matrices that is valid, in that memory.
fn valid(memory: &mut [f32; 128]) -> MatmulOperation {
    let start = memory.as_mut_ptr().expose_provenance() as u32;
    let strides = Strides { batch: 16, row: 4, column: 1 };

    MatmulOperation {
        batch: 1,
        rows: 4,
        inner: 4,
        columns: 4,
        left: Buffer { address: start, length: 64 },
        left_strides: strides,
        right: Buffer { address: start + 64, length: 64 },
        right_strides: Some(strides),
        scale: 1.0,
        column_bias: None,
        row_bias: None,
        residual: None,
        activation: Activation::None,
        output: Buffer { address: start + 128, length: 64 },
        output_strides: strides,
    }
}

fn text(result: Result<Option<u64>, Failure>) -> String {
    match result {
        Ok(None) => "done".to_owned(),
        Ok(Some(next)) => format!("continue at {next}"),
        Err(Failure::Invalid(text)) => text,
        Err(Failure::NotGranted) => "not granted".to_owned(),
    }
}

pub(crate) fn take(word: &str) -> String {
    let mut memory = [1.0; 128];
    let mut call = valid(&mut memory);
    let mut start = 0;

    match word {
        "valid" => {}
        "overlap" => call.output.address = call.left.address + 4,
        "same" => call.output = call.left,
        "outside" => call.left.address = u32::MAX - 63,
        "beyond" => call.output.length = u32::MAX,
        "unaligned" => call.left.address += 1,
        "torn" => call.right.length = 63,
        "short" => call.left.length = 60,
        "zero" => call.inner = 0,
        "huge" => (call.rows, call.inner, call.columns) = (u32::MAX, u32::MAX, u32::MAX),
        "wrap" => call.left_strides = Strides { batch: u32::MAX, row: 1 << 30, column: 1 << 30 },
        "interleaved" => call.output_strides.row = 3,
        "packed" => call.right_strides = None,
        "late" => start = u64::MAX,
        "two-biases" => (call.column_bias, call.row_bias) = (Some(call.left), Some(call.left)),
        "null" => {
            let nothing = Buffer { address: 0, length: 0 };
            (call.left, call.right, call.output) = (nothing, nothing, nothing);
        }
        _ => return take_other(word, &call),
    }

    text(matmul(call, start))
}

fn take_other(word: &str, call: &MatmulOperation) -> String {
    let strides = Strides { batch: 0, row: u32::MAX, column: u32::MAX };
    let packing = Packing { inner: u32::MAX, columns: u32::MAX, strides };

    match word {
        "pack" => text(pack_matrix(packing, call.left, call.output, 0)),
        "size" => match packed_matrix_size(packing) {
            Ok(size) => size.to_string(),
            Err(failure) => text(Err(failure)),
        },
        "convolution" => {
            let shape = Conv2dShape {
                batch: u32::MAX,
                input_channels: u32::MAX,
                input_size: (u32::MAX, u32::MAX),
                output_channels: u32::MAX,
                kernel: (1, 1),
                strides: (1, 1),
                dilations: (1, 1),
                pads: (u32::MAX, 0, u32::MAX, 0),
                groups: 1,
            };
            let call = Conv2dOperation {
                shape,
                input: call.left,
                filters: call.right,
                bias: None,
                residual: None,
                activation: Activation::None,
                output: call.output,
            };
            text(conv2d(call, 0))
        }
        "softmax-outside" => {
            let beyond = Buffer { address: u32::MAX - 3, length: 8 };
            text(softmax(1, 2, beyond, 0))
        }
        "softmax-short" => text(softmax(u32::MAX, 2, call.output, 0)),
        "softmax-wide" => text(softmax(1, u32::MAX, call.output, 0)),
        "softmax-zero" => text(softmax(0, 16, call.output, 0)),
        _ => "no such step".to_owned(),
    }
}
