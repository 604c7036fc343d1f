//! Products and convolutions of 8-bit integers.

use wardian_sdk::kernels::{
    Activation, IntegerData, IntegerMatmul, IntegerOutput, IntegerPacking, Strides,
};
use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::matmul::Product;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{ElementType, Shape, Tensor, collect, filled};

use super::conv::{Convolution, Plan};
use super::quantize::{bytes, dynamic, only, whole};
use crate::kernels::{integer_matmul, pack_integers, size};

const BYTES: &[ElementType] = &[ElementType::U8, ElementType::I8];
const FLOAT: &[ElementType] = &[ElementType::F32];

const fn microsoft(
    name: &'static str,
    accepts: &'static [ElementType],
    build: fn(&Node<'_>) -> Result<Kernel, Error>,
) -> Operator {
    Operator { domain: Domain::Microsoft, ..Operator::onnx(name, 1, accepts, build) }
}

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx("MatMulInteger", 10, BYTES, matmul_integer),
    Operator::onnx("QLinearMatMul", 10, BYTES, quantized_matmul),
    Operator::onnx("ConvInteger", 10, BYTES, conv_integer),
    Operator::onnx("QLinearConv", 10, BYTES, quantized_conv),
    microsoft("DynamicQuantizeMatMul", FLOAT, dynamic_matmul),
    microsoft("MatMulIntegerToFloat", BYTES, matmul_to_float),
];

/// A right matrix that is packed.
struct PackedIntegers {
    shape: Shape,
    values: Vec<u8>,
    is_signed: bool,
}

impl PackedIntegers {
    /// Packs a matrix of two dimensions; `None` for other ones.
    fn of(matrix: &Tensor) -> Result<Option<Self>, Error> {
        let shape = *matrix.shape();
        let [inner, columns] = *shape else { return Ok(None) };
        let fits = matrix.len() > 0 && inner <= IntegerMatmul::MAX_INNER as usize;
        if !fits {
            return Ok(None);
        }
        let (bytes, is_signed) = bytes(matrix)?;
        let strides = Strides::dense(size(inner)?, size(columns)?);
        let packing = IntegerPacking {
            inner: size(inner)?,
            columns: size(columns)?,
            strides,
            signed: is_signed,
        };
        Ok(Some(Self { shape, values: pack_integers(&packing, &bytes)?, is_signed }))
    }

    /// Returns zero points as the packed matrix has them, in which all integers are signed.
    fn zeros(&self, zeros: &[i32]) -> Vec<i32> {
        let shift = if self.is_signed { 0 } else { 128 };
        match zeros {
            [] => vec![-shift],
            zeros => zeros.iter().map(|zero| zero - shift).collect(),
        }
    }
}

/// Packs a node's right input, if it is a constant matrix.
fn packed(node: &Node<'_>, index: usize) -> Result<Option<PackedIntegers>, Error> {
    let packed = node.constant(index).map(|matrix| PackedIntegers::of(matrix));
    Ok(packed.transpose()?.flatten())
}

/// The left matrix of a product.
struct Left<'a> {
    bytes: &'a [u8],
    is_signed: bool,
    rows: usize,
    zero: i32,
}

fn multiply(
    left: &Left<'_>,
    right: &PackedIntegers,
    right_zeros: &[i32],
    output: IntegerOutput<'_>,
) -> Result<(), Error> {
    let operation = IntegerMatmul {
        rows: size(left.rows)?,
        inner: size(right.shape[0])?,
        columns: size(right.shape[1])?,
        left_stride: size(right.shape[0])?,
        left_signed: left.is_signed,
        left_zero: left.zero,
        activation: Activation::None,
    };
    let right_zero = right.zeros(right_zeros);
    let data =
        IntegerData { left: left.bytes, right: &right.values, right_zero: &right_zero, output };
    integer_matmul(&operation, data)
}

fn zero_points(arguments: &Arguments<'_>, index: usize) -> Result<Vec<i32>, Error> {
    arguments.find(index).map_or(Ok(Vec::new()), whole)
}

/// The sums of a product, for matrices and zero points of any shape.
fn sums(
    arguments: &mut Arguments<'_>,
    packed: Option<&PackedIntegers>,
    [right_index, left_zero, right_zero]: [usize; 3],
) -> Result<Tensor, Error> {
    let left_zeros = zero_points(arguments, left_zero)?;
    let right_zeros = zero_points(arguments, right_zero)?;
    let right_shape = match packed {
        Some(packed) => packed.shape,
        None => *arguments.get(right_index)?.shape(),
    };
    let plan = Product::new(arguments.get(0)?.shape(), &right_shape)?;
    arguments.charge(plan.work())?;
    let fresh;
    let packed = match packed {
        Some(packed) => Some(packed),
        None => {
            fresh = PackedIntegers::of(arguments.get(right_index)?)?;
            fresh.as_ref()
        }
    };
    let rows = plan.rows * plan.stack.elements();
    let mut results = filled(plan.shape.elements(), 0)?;
    if results.is_empty() {
        return Tensor::new(plan.shape, results);
    }
    let fits_columns = right_zeros.len() <= 1 || right_zeros.len() == plan.columns;
    if let (Some(packed), [] | [_], true) = (packed, left_zeros.as_slice(), fits_columns) {
        let (bytes, is_signed) = bytes(arguments.get(0)?)?;
        let zero = left_zeros.first().copied().unwrap_or(0);
        let left = Left { bytes: &bytes, is_signed, rows, zero };
        multiply(&left, packed, &right_zeros, IntegerOutput::Int32(&mut results))?;
        return Tensor::new(plan.shape, results);
    }
    slow_sums(arguments, right_index, &plan, &left_zeros, &right_zeros, &mut results)?;
    Tensor::new(plan.shape, results)
}

/// Sums with a zero point of each row, or of stacks of matrices.
fn slow_sums(
    arguments: &Arguments<'_>,
    right_index: usize,
    plan: &Product,
    left_zeros: &[i32],
    right_zeros: &[i32],
    results: &mut [i32],
) -> Result<(), Error> {
    let (left, right) = (whole(arguments.get(0)?)?, whole(arguments.get(right_index)?)?);
    let (rows, inner, columns) = (plan.rows, plan.inner, plan.columns);
    let zero = |zeros: &[i32], place: usize, extent: usize, matrix: usize| match zeros.len() {
        0 => Some(0),
        1 => Some(zeros[0]),
        length if length == extent => Some(zeros[place]),
        _ => zeros.get(matrix * extent + place).copied(),
    };
    for (matrix, result) in results.chunks_exact_mut((rows * columns).max(1)).enumerate() {
        let [left_start, right_start] = plan.starts(matrix);
        for (place, sum) in result.iter_mut().enumerate() {
            let (row, column) = (place / columns, place % columns);
            let left_zero = zero(left_zeros, row, rows, matrix);
            let right_zero = zero(right_zeros, column, columns, matrix);
            let zeros = left_zero.zip(right_zero);
            let (left_zero, right_zero) = zeros.or_rejected("a zero point is missing")?;
            let row = left.get(left_start + row * inner..).unwrap_or_default();
            let column = right.get(right_start + column..).unwrap_or_default();
            let pairs = row.iter().take(inner).zip(column.iter().step_by(columns));
            *sum = pairs.fold(0, |sum: i32, (a, b)| {
                sum.wrapping_add((a - left_zero).wrapping_mul(b - right_zero))
            });
        }
    }
    Ok(())
}

fn matmul_integer(node: &Node<'_>) -> Result<Kernel, Error> {
    node.expect(1, BYTES)?;
    node.expect(2, &[node.input_type(0)?])?;
    node.expect(3, &[node.input_type(1)?])?;
    let packed = packed_for_columns(node, 1, 3)?;
    let consumed = packed.is_some().then_some(1);
    let kernel =
        Kernel::new(ElementType::I32, move |arguments| sums(arguments, packed.as_ref(), [1, 2, 3]));
    Ok(kernel.consuming(consumed))
}

/// Packs a node's right input, if it is a constant matrix whose zero point and that of the left
/// matrix are such that the packed form is enough.
fn packed_for_columns(
    node: &Node<'_>,
    index: usize,
    zero: usize,
) -> Result<Option<PackedIntegers>, Error> {
    let Some(packed) = packed(node, index)? else { return Ok(None) };
    let is_single = |zero: usize, columns: usize| match node.find_input(zero) {
        None => true,
        Some(input) => input.constant.as_ref().is_some_and(|z| z.len() == 1 || z.len() == columns),
    };
    let left = zero - 1;
    let left_is_scalar = match node.find_input(left) {
        None => true,
        Some(input) => match &input.constant {
            Some(constant) => constant.len() == 1,
            // The zero point of a dynamic quantization is one number.
            None => true,
        },
    };
    Ok((left_is_scalar && is_single(zero, packed.shape[1])).then_some(packed))
}

/// Scales of the columns of a product, from those of both matrices.
fn scales(left: f32, right: &[f32], columns: usize) -> Result<Vec<f32>, Error> {
    let fits = right.len() == 1 || right.len() == columns;
    let scales = fits.then(|| right.iter().map(|right| left * right).collect());
    scales.or_rejected(format_args!("{} scales for {columns} columns", right.len()))
}

fn dynamic_matmul(node: &Node<'_>) -> Result<Kernel, Error> {
    node.expect(1, BYTES)?;
    node.expect(2, FLOAT)?;
    node.expect(3, &[node.input_type(1)?])?;
    node.expect(4, FLOAT)?;
    let packed = packed(node, 1)?;
    let consumed = packed.is_some().then_some(1);
    let kernel = Kernel::new(ElementType::F32, move |arguments| {
        let tensor = arguments.get(0)?;
        let shape = *tensor.shape();
        let (bytes, scale, zero) = dynamic(tensor.values::<f32>()?)?;
        let left = (shape, bytes.as_slice(), false, i32::from(zero));
        to_float(arguments, packed.as_ref(), left, scale, [2, 3, 4])
    });
    Ok(kernel.consuming(consumed))
}

fn matmul_to_float(node: &Node<'_>) -> Result<Kernel, Error> {
    node.expect(1, BYTES)?;
    node.expect(2, FLOAT)?;
    node.expect(3, FLOAT)?;
    node.expect(4, &[node.input_type(0)?])?;
    node.expect(5, &[node.input_type(1)?])?;
    node.expect(6, FLOAT)?;
    let packed = packed(node, 1)?;
    let consumed = packed.is_some().then_some(1);
    let kernel = Kernel::new(ElementType::F32, move |arguments| {
        let tensor = arguments.get(0)?;
        let shape = *tensor.shape();
        let (bytes, is_signed) = bytes(tensor)?;
        let scale = only(arguments.values::<f32>(2)?)?;
        let zeros = zero_points(arguments, 4)?;
        let zero = if zeros.is_empty() { 0 } else { only(&zeros)? };
        to_float(arguments, packed.as_ref(), (shape, &*bytes, is_signed, zero), scale, [3, 5, 6])
    });
    Ok(kernel.consuming(consumed))
}

/// A product of integers as floats: with the scale, zero point and bias of these inputs.
fn to_float(
    arguments: &mut Arguments<'_>,
    packed: Option<&PackedIntegers>,
    (shape, bytes, is_signed, zero): (Shape, &[u8], bool, i32),
    left_scale: f32,
    [scale, right_zero, bias]: [usize; 3],
) -> Result<Tensor, Error> {
    let fresh;
    let packed = match packed {
        Some(packed) => Some(packed),
        None => {
            fresh = PackedIntegers::of(arguments.get(1)?)?;
            fresh.as_ref()
        }
    };
    let packed = packed.or_rejected("it takes a right matrix of two dimensions")?;
    let plan = Product::new(&shape, &packed.shape)?;
    arguments.charge(plan.work())?;
    let rows = plan.rows * plan.stack.elements();
    let scale = scales(left_scale, arguments.values::<f32>(scale)?, plan.columns)?;
    let zeros = zero_points(arguments, right_zero)?;
    let bias = arguments.find(bias).map(|bias| bias.values::<f32>()).transpose()?;
    let mut output = filled(plan.shape.elements(), 0.0)?;
    if !output.is_empty() {
        let left = Left { bytes, is_signed, rows, zero };
        let bias = bias.unwrap_or_default();
        let whole =
            IntegerOutput::Float { scale: &scale, bias, residual: &[], output: &mut output };
        multiply(&left, packed, &zeros, whole)?;
    }
    Tensor::new(plan.shape, output)
}

/// Returns 8-bit integers of sums that are scaled.
fn requantized(
    sums: &[i32],
    scale: impl Fn(usize) -> f32,
    zero: i32,
    element: ElementType,
    shape: Shape,
) -> Result<Tensor, Error> {
    let (low, high) = if element == ElementType::U8 { (0.0, 255.0) } else { (-128.0, 127.0) };
    let number = |(index, sum): (usize, &i32)| {
        let number = (*sum as f32 * scale(index)).round_ties_even() + zero as f32;
        number.clamp(low, high)
    };
    let numbers = sums.iter().enumerate().map(number);
    match element {
        ElementType::U8 => Tensor::new(shape, collect(numbers.map(|number| number as u8))?),
        _ => Tensor::new(shape, collect(numbers.map(|number| number as i8))?),
    }
}

fn quantized_matmul(node: &Node<'_>) -> Result<Kernel, Error> {
    for index in [1, 4, 6] {
        node.expect(index, FLOAT)?;
    }
    node.expect(2, &[node.input_type(0)?])?;
    node.expect(3, BYTES)?;
    node.expect(5, &[node.input_type(3)?])?;
    node.expect(7, BYTES)?;
    let element = node.input_type(7)?;
    Ok(Kernel::new(element, move |arguments| {
        let sums = sums(arguments, None, [3, 2, 5])?;
        let shape = *sums.shape();
        let columns = shape.last().copied().unwrap_or(1);
        let (left, right) = (arguments.values::<f32>(1)?, arguments.values::<f32>(4)?);
        let output = only(arguments.values::<f32>(6)?)?;
        let zero = only(&whole(arguments.get(7)?)?)?;
        let left = only(left)?;
        if right.len() != 1 && right.len() != columns {
            return Err(Error::rejected("scales that are not of the columns"));
        }
        let scale = |index: usize| left * right[index % columns % right.len()] / output;
        requantized(sums.values::<i32>()?, scale, zero, element, shape)
    }))
}

/// The sums of a convolution of integers.
fn convolved(
    arguments: &mut Arguments<'_>,
    convolution: &Convolution,
    [filters, image_zero, filter_zero]: [usize; 3],
) -> Result<(Plan, Vec<i32>), Error> {
    let plan = convolution.plan(arguments.get(0)?.shape(), arguments.get(filters)?.shape())?;
    plan.charge(arguments)?;
    let zeros = zero_points(arguments, image_zero)?;
    let zero = if zeros.is_empty() { 0 } else { only(&zeros)? };
    let filter_zeros = zero_points(arguments, filter_zero)?;
    let channels = plan.groups * plan.outputs;
    let mut filters = whole(arguments.get(filters)?)?;
    match filter_zeros.as_slice() {
        [] => {}
        [zero] => filters.iter_mut().for_each(|value| *value -= zero),
        zeros if zeros.len() == channels => {
            let each = (filters.len() / channels.max(1)).max(1);
            for (filter, zero) in filters.chunks_exact_mut(each).zip(zeros) {
                filter.iter_mut().for_each(|value| *value -= zero);
            }
        }
        zeros => {
            let text = format!("{} zero points for {channels} channels", zeros.len());
            return Err(Error::rejected(text));
        }
    }
    let mut images = whole(arguments.get(0)?)?;
    images.iter_mut().for_each(|value| *value -= zero);
    let mut sums = filled(plan.shape.elements(), 0_i32)?;
    plan.add(&images, &filters, &mut sums, |sum: i32, pixel, weight: i32| {
        sum.wrapping_add(weight.wrapping_mul(pixel))
    });
    Ok((plan, sums))
}

fn conv_integer(node: &Node<'_>) -> Result<Kernel, Error> {
    let convolution = Convolution::read(node)?;
    node.expect(1, BYTES)?;
    node.expect(2, &[node.input_type(0)?])?;
    node.expect(3, &[node.input_type(1)?])?;
    Ok(Kernel::new(ElementType::I32, move |arguments| {
        let (plan, sums) = convolved(arguments, &convolution, [1, 2, 3])?;
        Tensor::new(plan.shape, sums)
    }))
}

fn quantized_conv(node: &Node<'_>) -> Result<Kernel, Error> {
    let convolution = Convolution::read(node)?;
    for index in [1, 4, 6] {
        node.expect(index, FLOAT)?;
    }
    node.expect(2, &[node.input_type(0)?])?;
    node.expect(3, BYTES)?;
    node.expect(5, &[node.input_type(3)?])?;
    node.expect(7, &[node.input_type(0)?])?;
    node.expect(8, &[ElementType::I32])?;
    let element = node.input_type(7)?;
    Ok(Kernel::new(element, move |arguments| {
        let (plan, mut sums) = convolved(arguments, &convolution, [3, 2, 5])?;
        let pixels = plan.geometry.output_size().max(1);
        let channels = (plan.groups * plan.outputs).max(1);
        if let Some(bias) = arguments.find(8) {
            let bias = bias.values::<i32>()?;
            if bias.len() != channels {
                return Err(Error::rejected("biases that are not of the channels"));
            }
            for (channel, bias) in sums.chunks_exact_mut(pixels).zip(bias.iter().cycle()) {
                channel.iter_mut().for_each(|sum| *sum = sum.wrapping_add(*bias));
            }
        }
        let (image, filters) = (only(arguments.values::<f32>(1)?)?, arguments.values::<f32>(4)?);
        let output = only(arguments.values::<f32>(6)?)?;
        let zero = only(&whole(arguments.get(7)?)?)?;
        if filters.len() != 1 && filters.len() != channels {
            return Err(Error::rejected("scales that are not of the channels"));
        }
        let scale = |index: usize| {
            let channel = index / pixels % channels;
            image * filters[channel % filters.len()] / output
        };
        requantized(&sums, scale, zero, element, plan.shape)
    }))
}
