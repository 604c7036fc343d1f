//! Pad: more elements around a tensor.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::Operator;
use onnx_executor::tensor::{Data, Element, ElementType, Shape, Tensor, allocate};

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator { versions: (2, 10), ..Operator::onnx("Pad", 2, ElementType::FLOATS, by_attributes) },
    Operator::onnx("Pad", 11, ElementType::ALL, by_inputs),
];

/// The element that a place in the padding has.
#[derive(Clone, Copy)]
enum Mode {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

fn mode(node: &Node<'_>) -> Result<Mode, Error> {
    Ok(match node.text("mode", "constant")? {
        "constant" => Mode::Constant,
        "reflect" => Mode::Reflect,
        "edge" => Mode::Edge,
        "wrap" if node.version() >= 19 => Mode::Wrap,
        other => return Err(Error::failed(format_args!("the mode {other:?} is not known"))),
    })
}

fn by_attributes(node: &Node<'_>) -> Result<Kernel, Error> {
    let mode = mode(node)?;
    let pads = node.integers("pads").to_vec();
    let value = node.float("value", 0.0);
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.get(0)?;
        let value = match tensor.data() {
            Data::F64(_) => Tensor::scalar(f64::from(value)),
            _ => Tensor::scalar(value),
        };
        let axes: Vec<_> = (0..tensor.shape().len()).collect();
        padded(tensor, &pads, &axes, mode, Some(&value))
    }))
}

fn by_inputs(node: &Node<'_>) -> Result<Kernel, Error> {
    let mode = mode(node)?;
    node.expect(1, &[ElementType::I64])?;
    node.expect(2, &[node.input_type(0)?])?;
    node.expect(3, &[ElementType::I64, ElementType::I32])?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.get(0)?;
        let axes = axes(arguments, tensor.shape())?;
        padded(tensor, &arguments.get(1)?.integers()?, &axes, mode, arguments.find(2))
    }))
}

fn axes(arguments: &Arguments<'_>, shape: &Shape) -> Result<Vec<usize>, Error> {
    match arguments.find(3) {
        Some(axes) => axes.integers()?.into_iter().map(|axis| shape.axis(axis)).collect(),
        None => Ok((0..shape.len()).collect()),
    }
}

fn padded(
    tensor: &Tensor,
    pads: &[i64],
    axes: &[usize],
    mode: Mode,
    value: Option<&Tensor>,
) -> Result<Tensor, Error> {
    if pads.len() != axes.len() * 2 {
        return Err(Error::rejected(format_args!("{} pads for {} axes", pads.len(), axes.len())));
    }
    let mut result = tensor.clone();
    for (index, axis) in axes.iter().enumerate() {
        let (begin, end) = (pads[index], pads[axes.len() + index]);
        if begin == 0 && end == 0 {
            continue;
        }
        let extent = result.shape()[*axis] as i64;
        let padded = begin.checked_add(end).and_then(|pads| extent.checked_add(pads));
        let padded = padded.and_then(|extent| usize::try_from(extent).ok());
        let padded = padded.or_rejected(format_args!("pads of {begin} and {end} for {extent}"))?;
        let shape = result.shape().with(*axis, padded)?;

        let mut places = allocate(padded)?;
        for place in 0..padded as i64 {
            places.push(source(place - begin, extent, mode)?);
        }
        result = along(&result, *axis, shape, &places, value)?;
    }
    Ok(result)
}

/// Returns the element that a place outside of an axis has; `None` for the value.
fn source(place: i64, extent: i64, mode: Mode) -> Result<Option<usize>, Error> {
    if (0..extent).contains(&place) {
        return Ok(Some(place as usize));
    }
    if extent == 0 && !matches!(mode, Mode::Constant) {
        return Err(Error::rejected("an axis without elements has none to repeat"));
    }
    let found = match mode {
        Mode::Constant => return Ok(None),
        Mode::Edge => place.clamp(0, extent - 1),
        Mode::Wrap => place.rem_euclid(extent),
        Mode::Reflect if extent == 1 => 0,
        Mode::Reflect => {
            let folded = place.rem_euclid(2 * (extent - 1));
            if folded < extent { folded } else { 2 * (extent - 1) - folded }
        }
    };
    Ok(usize::try_from(found).ok())
}

/// Returns a tensor with other elements along an axis.
fn along(
    tensor: &Tensor,
    axis: usize,
    shape: Shape,
    places: &[Option<usize>],
    value: Option<&Tensor>,
) -> Result<Tensor, Error> {
    fn blocks<T: Element>(
        values: &[T],
        value: T,
        (outer, block, inner): (usize, usize, usize),
        places: &[Option<usize>],
    ) -> Result<Vec<T>, Error> {
        let mut results = allocate(outer * places.len() * inner)?;
        for outer in 0..outer {
            for place in places {
                match place {
                    Some(place) => {
                        let start = outer * block + place * inner;
                        let block = values.get(start..start + inner).or_rejected("an index")?;
                        results.extend_from_slice(block);
                    }
                    None => results.extend(std::iter::repeat_n(value.clone(), inner)),
                }
            }
        }
        Ok(results)
    }
    let (outer, block) = tensor.shape().split_at_axis(axis);
    let (_, inner) = tensor.shape().split_at_axis(axis + 1);
    macro_rules! for_all {
        ($($variant:ident),*) => {
            match tensor.data() {
                $(Data::$variant(values) => {
                    let value = value.and_then(|value| Element::values(value.data())).and_then(|v| v.first());
                    let value = value.cloned().unwrap_or_default();
                    Data::$variant(blocks(values, value, (outer, block, inner), places)?)
                })*
            }
        };
    }
    let data = for_all!(F32, F64, I64, I32, I16, I8, U64, U32, U16, U8, Bool, Text, F16, Bf16);
    Tensor::from_data(shape, data)
}
