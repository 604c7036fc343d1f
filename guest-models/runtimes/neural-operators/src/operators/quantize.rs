//! Quantization: numbers as 8-bit and 16-bit integers with a scale and a zero point.

use std::sync::Arc;

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{Data, ElementType, Shape, Tensor, collect};

const FLOAT: &[ElementType] = &[ElementType::F32];
/// Quantized types.
pub(super) const QUANTIZED: &[ElementType] =
    &[ElementType::U8, ElementType::I8, ElementType::U16, ElementType::I16, ElementType::I32];

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx("QuantizeLinear", 10, &[ElementType::F32, ElementType::I32], quantize),
    Operator::onnx("DequantizeLinear", 10, QUANTIZED, dequantize),
    Operator { domain: Domain::Microsoft, ..Operator::onnx("QuantizeLinear", 1, FLOAT, quantize) },
    Operator {
        domain: Domain::Microsoft,
        ..Operator::onnx("DequantizeLinear", 1, QUANTIZED, dequantize)
    },
    Operator::onnx("DynamicQuantizeLinear", 11, FLOAT, |_| {
        let outputs = [ElementType::U8, ElementType::F32, ElementType::U8];
        Ok(Kernel::many(outputs, |arguments| {
            let tensor = arguments.get(0)?;
            let (values, scale, zero) = dynamic(tensor.values::<f32>()?)?;
            let shape = *tensor.shape();
            Ok(vec![Tensor::new(shape, values)?, Tensor::scalar(scale), Tensor::scalar(zero)])
        }))
    }),
];

/// Quantizes numbers by their own range. Returns integers, scale and zero point.
///
/// # Errors
/// Rejected if there is not enough memory.
pub(super) fn dynamic(values: &[f32]) -> Result<(Vec<u8>, f32, u8), Error> {
    let low = values.iter().copied().fold(0.0, f32::min);
    let high = values.iter().copied().fold(0.0, f32::max);
    let scale = if high == low { 1.0 } else { (high - low) / 255.0 };
    let zero = (-low / scale).clamp(0.0, 255.0).round_ties_even();
    let quantized = values
        .iter()
        .map(|value| ((value / scale).round_ties_even() + zero).clamp(0.0, 255.0) as u8);
    Ok((collect(quantized)?, scale, zero as u8))
}

/// The scale of each element: one for all, for each place along an axis, or for each block of them.
#[derive(Clone, Copy)]
struct Scales {
    outer: usize,
    extent: usize,
    inner: usize,
    /// Elements of a block along the axis.
    block: usize,
    /// Scales along the axis.
    count: usize,
}

impl Scales {
    fn new(shape: &Shape, scales: &Shape, axis: i64, block: usize) -> Result<Self, Error> {
        let misfit = || format!("scales of {scales:?} for {shape:?}");
        if scales.elements() == 1 && block == 0 {
            return Ok(Self { outer: 1, extent: 1, inner: shape.elements(), block: 1, count: 1 });
        }
        let axis = shape.axis(axis)?;
        let (outer, _) = shape.split_at_axis(axis);
        let (_, inner) = shape.split_at_axis(axis + 1);
        let extent = shape[axis];
        if block == 0 {
            let fits = **scales == [extent];
            let whole = Self { outer, extent, inner, block: 1, count: extent };
            return fits.then_some(whole).or_rejected(misfit());
        }
        let count = extent.div_ceil(block);
        let fits = *scales == shape.with(axis, count)?;
        fits.then_some(Self { outer, extent, inner, block, count }).or_rejected(misfit())
    }

    /// Calls a function with each run of elements and the place of its scale.
    fn for_each_run(&self, is_blocked: bool, mut visit: impl FnMut(std::ops::Range<usize>, usize)) {
        for outer in 0..self.outer {
            for place in 0..self.extent {
                let start = (outer * self.extent + place) * self.inner;
                if is_blocked {
                    let scale = (outer * self.count + place / self.block) * self.inner;
                    (0..self.inner).for_each(|i| visit(start + i..start + i + 1, scale + i));
                } else {
                    visit(start..start + self.inner, place);
                }
            }
        }
    }
}

/// Reads the attributes about scales.
fn axis_and_block(node: &Node<'_>) -> Result<(i64, usize), Error> {
    let block = node.integer("block_size", 0);
    let block = usize::try_from(block).or_failed(format_args!("a block_size of {block}"))?;
    Ok((node.integer("axis", 1), block))
}

fn quantize(node: &Node<'_>) -> Result<Kernel, Error> {
    let (axis, block) = axis_and_block(node)?;
    let _ = node.attribute("saturate");
    if !matches!(node.integer("precision", 1), 0 | 1) {
        return Err(Error::failed("a precision other than float is not served"));
    }
    node.expect(1, FLOAT)?;
    let given = node.find_integer("output_dtype").filter(|code| *code != 0);
    let element = match (node.has_input(2), given) {
        (true, _) => node.input_type(2)?,
        (false, Some(code)) => ElementType::from_code(code).or_failed("an output_dtype")?,
        (false, None) => ElementType::U8,
    };
    if !QUANTIZED[..4].contains(&element) {
        return Err(Error::failed(format_args!("quantizing to {element} is not served")));
    }
    let is_whole = node.input_type(0)? == ElementType::I32;
    Ok(Kernel::new(element, move |arguments| {
        let tensor = arguments.get(0)?;
        let whole;
        let values = if is_whole {
            whole = tensor.values::<i32>()?.iter().map(|value| *value as f32).collect::<Vec<_>>();
            &whole
        } else {
            tensor.values::<f32>()?
        };
        let scale = arguments.get(1)?;
        let scales = Scales::new(tensor.shape(), scale.shape(), axis, block)?;
        let zeros = zero_points(arguments, 2, scale.len())?;
        let scale = scale.values::<f32>()?;
        let (low, high) = range(element);
        macro_rules! quantized {
            ($($variant:ident($integer:ty)),*) => {
                match element {
                    $(ElementType::$variant => {
                        let mut results: Vec<$integer> = onnx_executor::tensor::filled(values.len(), 0)?;
                        scales.for_each_run(block > 0, |run, place| {
                            let (scale, zero) = (scale[place], zeros[place] as f32);
                            let pairs = results[run.clone()].iter_mut().zip(&values[run]);
                            for (result, value) in pairs {
                                let number = (value / scale).round_ties_even() + zero;
                                *result = number.clamp(low, high) as $integer;
                            }
                        });
                        Data::$variant(results)
                    })*
                    _ => return Err(Error::failed("a type that is not quantized")),
                }
            };
        }
        let data = quantized!(U8(u8), I8(i8), U16(u16), I16(i16));
        Tensor::from_data(*tensor.shape(), data)
    }))
}

fn range(element: ElementType) -> (f32, f32) {
    match element {
        ElementType::U8 => (0.0, 255.0),
        ElementType::I8 => (-128.0, 127.0),
        ElementType::U16 => (0.0, 65535.0),
        _ => (-32768.0, 32767.0),
    }
}

/// Returns the zero points, as many as there are scales; 0 if they are left out.
fn zero_points(arguments: &Arguments<'_>, index: usize, count: usize) -> Result<Vec<i32>, Error> {
    let Some(tensor) = arguments.find(index) else { return Ok(vec![0; count]) };
    let zeros = whole(tensor)?;
    if zeros.len() != count {
        return Err(Error::rejected(format_args!(
            "{} zero points for {count} scales",
            zeros.len()
        )));
    }
    Ok(zeros)
}

/// Returns quantized integers as wide ones.
///
/// # Errors
/// Failed if they are of another type.
pub(super) fn whole(tensor: &Tensor) -> Result<Vec<i32>, Error> {
    match tensor.data() {
        Data::U8(values) => collect(values.iter().map(|value| i32::from(*value))),
        Data::I8(values) => collect(values.iter().map(|value| i32::from(*value))),
        Data::U16(values) => collect(values.iter().map(|value| i32::from(*value))),
        Data::I16(values) => collect(values.iter().map(|value| i32::from(*value))),
        Data::I32(values) => Ok(values.clone()),
        _ => Err(Error::failed("a type that is not quantized")),
    }
}

fn dequantize(node: &Node<'_>) -> Result<Kernel, Error> {
    let (axis, block) = axis_and_block(node)?;
    node.expect(1, FLOAT)?;
    node.expect(2, &[node.input_type(0)?])?;
    if node.integer("output_dtype", 1) > 1 {
        return Err(Error::failed("an output_dtype other than float is not served"));
    }
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let tensor = arguments.get(0)?;
        let values = whole(tensor)?;
        let scale = arguments.get(1)?;
        let scales = Scales::new(tensor.shape(), scale.shape(), axis, block)?;
        let zeros = zero_points(arguments, 2, scale.len())?;
        let scale = scale.values::<f32>()?;
        let mut results = onnx_executor::tensor::filled(values.len(), 0.0_f32)?;
        scales.for_each_run(block > 0, |run, place| {
            let (scale, zero) = (scale[place], zeros[place]);
            let pairs = results[run.clone()].iter_mut().zip(&values[run]);
            pairs.for_each(|(result, value)| *result = value.wrapping_sub(zero) as f32 * scale);
        });
        Tensor::new(*tensor.shape(), results)
    }))
}

/// Returns a scale or zero point of all elements as floats or integers of one element.
///
/// # Errors
/// Rejected if it is not one number.
pub(super) fn only<T: Copy>(values: &[T]) -> Result<T, Error> {
    match values {
        [only] => Ok(*only),
        _ => Err(Error::rejected(format_args!("{} numbers where one belongs", values.len()))),
    }
}

/// Returns the bits of 8-bit integers, and true if they are signed.
///
/// # Errors
/// Failed if they are of another type.
pub(super) fn bytes(tensor: &Tensor) -> Result<(Arc<[u8]>, bool), Error> {
    match tensor.data() {
        Data::U8(values) => Ok((values.as_slice().into(), false)),
        Data::I8(values) => Ok((values.iter().map(|value| *value as u8).collect(), true)),
        _ => Err(Error::failed("integers that are not of 8 bits")),
    }
}
