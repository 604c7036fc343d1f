//! Pools: one number of each window.

mod global;
mod plane;

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::number::Number;
use onnx_executor::operators::{Operator, for_types};
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled};

use self::global::global;
use self::plane::Plane;
use super::window::{Geometry, Window, sizes};

const FLOATS: &[ElementType] = ElementType::FLOATS;
/// The types of MaxPool.
const COMPARED: &[ElementType] =
    &[ElementType::F32, ElementType::F64, ElementType::I8, ElementType::U8];

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx(
        "MaxPool",
        1,
        COMPARED,
        |node| for_types!(node.input_type(0)?, T in [F32(f32), F64(f64), I8(i8), U8(u8)] => max_pool::<T>(node)),
    ),
    Operator::onnx(
        "AveragePool",
        1,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => average_pool::<T>(node)),
    ),
    Operator::onnx(
        "LpPool",
        2,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => lp_pool::<T>(node)),
    ),
    Operator::onnx("GlobalMaxPool", 1, FLOATS, |node| {
        for_types!(node.input_type(0)?, T in floats => {
            global(node, global::highest::<T>)
        })
    }),
    Operator::onnx("GlobalAveragePool", 1, FLOATS, |node| {
        for_types!(node.input_type(0)?, T in floats => {
            global(node, global::mean::<T>)
        })
    }),
    Operator::onnx("GlobalLpPool", 2, FLOATS, |node| {
        let power = power(node)?;
        for_types!(node.input_type(0)?, T in floats => {
            global::<T>(node, move |image| T::from_f64(norm(image.iter().map(|v| v.to_f64()), power)))
        })
    }),
    Operator::onnx("MaxUnpool", 9, FLOATS, |node| {
        node.expect(1, &[ElementType::I64])?;
        node.expect(2, &[ElementType::I64])?;
        for_types!(node.input_type(0)?, T in floats => unpool::<T>(node))
    }),
];

/// The attributes of a pool.
struct Pool {
    window: Window,
    kernel: Vec<usize>,
}

impl Pool {
    fn read(node: &Node<'_>) -> Result<Self, Error> {
        let kernel = sizes("kernel_shape", node.integers("kernel_shape"), 1)?;
        if kernel.is_empty() {
            return Err(Error::failed("it has no kernel_shape"));
        }
        Ok(Self { window: Window::read(node)?.rounding(node), kernel })
    }

    /// Plans the pool of the first argument, and charges its windows. Returns the geometry, the
    /// images and the shape of the result.
    fn over(&self, arguments: &mut Arguments<'_>) -> Result<(Geometry, usize, Shape), Error> {
        let shape = arguments.get(0)?.shape();
        let [batch, channels, image @ ..] = &**shape else {
            return Err(Error::rejected(format_args!("{shape:?} is no shape of images")));
        };
        let geometry = self.window.over(image, &self.kernel)?;
        let extents = [*batch, *channels].into_iter().chain(geometry.output.clone());
        let result = Shape::new(&extents.collect::<Vec<_>>())?;
        let images = batch * channels;

        let places = geometry.kernel_size() as u64;
        arguments.charge((result.elements() as u64).saturating_mul(places))?;
        Ok((geometry, images, result))
    }
}

fn max_pool<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let pool = Pool::read(node)?;
    let is_column_major = node.flag("storage_order", false);
    let (element, has_indices) = (node.input_type(0)?, node.has_output(1));
    Ok(Kernel::many([element, ElementType::I64], move |arguments| {
        let (geometry, images, shape) = pool.over(arguments)?;
        let input = geometry.input_size();
        let values = arguments.values::<T>(0)?;
        if let (Some(plane), false) = (Plane::of(&geometry), has_indices) {
            let results = plane.highest(values, shape.elements())?;
            let none = Tensor::new(Shape::new(&[0])?, Vec::<i64>::new())?;
            return Ok(vec![Tensor::new(shape, results)?, none]);
        }
        let mut results = filled(shape.elements(), T::LOWEST)?;
        let mut indices = filled(if has_indices { shape.elements() } else { 0 }, 0_i64)?;
        let output = geometry.output_size();
        geometry.for_each_block(|block| {
            for image in 0..images {
                let values = &values[image * input..(image + 1) * input];
                let results = &mut results[image * output..];
                for (position, pairs) in block.positions() {
                    let highest = pairs.iter().map(|(_, place)| values[*place]);
                    results[position] = highest.fold(T::LOWEST, |most, value| most.larger(value));
                    if has_indices {
                        let found =
                            pairs.iter().find(|(_, place)| values[*place] == results[position]);
                        let place = found.map_or(0, |(_, place)| *place);
                        let place = if is_column_major {
                            transposed(place, &geometry.input)
                        } else {
                            place
                        };
                        indices[image * output + position] = (image * input + place) as i64;
                    }
                }
            }
        });
        let index_shape = if has_indices { shape } else { Shape::new(&[0])? };
        Ok(vec![Tensor::new(shape, results)?, Tensor::new(index_shape, indices)?])
    }))
}

/// The place of an element if those along the first axis of the image were side by side.
fn transposed(place: usize, extents: &[usize]) -> usize {
    let (mut place, mut index, mut step) = (place, 0, extents.iter().product::<usize>());
    for extent in extents.iter().rev() {
        step /= extent;
        index += place % extent * step;
        place /= extent;
    }
    index
}

fn average_pool<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let pool = Pool::read(node)?;
    let counts_padding = node.flag("count_include_pad", false);
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let (geometry, images, shape) = pool.over(arguments)?;
        let (input, output) = (geometry.input_size(), geometry.output_size());
        let values = arguments.values::<T>(0)?;
        if let Some(plane) = Plane::of(&geometry) {
            let counts = [0, 1].map(|axis| counts_along(&geometry, axis, counts_padding));
            return Tensor::new(shape, plane.means(values, &counts, shape.elements())?);
        }
        let mut results = filled(shape.elements(), T::ZERO)?;
        let counts = counts_padding.then(|| padded_counts(&geometry));
        geometry.for_each_block(|block| {
            for image in 0..images {
                let values = &values[image * input..(image + 1) * input];
                let results = &mut results[image * output..];
                for (position, pairs) in block.positions() {
                    let sum: f64 = pairs.iter().map(|(_, place)| values[*place].to_f64()).sum();
                    let count = counts.as_ref().map_or(pairs.len(), |counts| counts[position]);
                    results[position] = T::from_f64(sum / count as f64);
                }
            }
        });
        Tensor::new(shape, results)
    }))
}

/// For each position the elements of the window that are in the image or its padding.
fn padded_counts(geometry: &Geometry) -> Vec<usize> {
    let mut counts = vec![1];
    for axis in 0..geometry.input.len() {
        let along = counts_along(geometry, axis, true);
        counts = counts.iter().flat_map(|count| along.iter().map(move |one| count * one)).collect();
    }
    counts
}

/// For each position along an axis the elements of the window that are in the image, or also those
/// in its padding.
fn counts_along(geometry: &Geometry, axis: usize, counts_padding: bool) -> Vec<usize> {
    let padded = geometry.begins[axis] + geometry.input[axis] + geometry.ends[axis];
    let is_counted = |position: usize, element: usize| match counts_padding {
        true => position * geometry.strides[axis] + element * geometry.dilations[axis] < padded,
        false => geometry.place(axis, position, element).is_some(),
    };
    let count = |position| {
        (0..geometry.kernel[axis]).filter(|element| is_counted(position, *element)).count()
    };
    (0..geometry.output[axis]).map(count).collect()
}

fn power(node: &Node<'_>) -> Result<f64, Error> {
    let power = node.integer("p", 2);
    match power > 0 {
        true => Ok(power as f64),
        false => Err(Error::failed(format_args!("p is {power}"))),
    }
}

fn norm(values: impl Iterator<Item = f64>, power: f64) -> f64 {
    values.map(|value| value.abs().powf(power)).sum::<f64>().powf(1.0 / power)
}

fn lp_pool<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let pool = Pool::read(node)?;
    let power = power(node)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let (geometry, images, shape) = pool.over(arguments)?;
        let (input, output) = (geometry.input_size(), geometry.output_size());
        let values = arguments.values::<T>(0)?;
        let mut results = filled(shape.elements(), T::ZERO)?;
        geometry.for_each_block(|block| {
            for image in 0..images {
                let values = &values[image * input..(image + 1) * input];
                let results = &mut results[image * output..];
                for (position, pairs) in block.positions() {
                    let window = pairs.iter().map(|(_, place)| values[*place].to_f64());
                    results[position] = T::from_f64(norm(window, power));
                }
            }
        });
        Tensor::new(shape, results)
    }))
}

/// Puts the elements of a pool back to where they came from.
fn unpool<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let kernel = sizes("kernel_shape", node.integers("kernel_shape"), 1)?;
    let strides = sizes("strides", node.integers("strides"), 1)?;
    let pads = sizes("pads", node.integers("pads"), 0)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.get(0)?;
        let [batch, channels, image @ ..] = &**tensor.shape() else {
            return Err(Error::rejected("it takes images"));
        };
        if image.len() != kernel.len() {
            return Err(Error::rejected("its window is not for these images"));
        }
        let along = |axis: usize| {
            let stride = strides.get(axis).copied().unwrap_or(1) as u64;
            let pad = |place: usize| pads.get(place).copied().unwrap_or(0) as u64;
            let full = (image[axis] as u64).saturating_sub(1) * stride + kernel[axis] as u64;
            let padding = pad(axis) + pad(axis + image.len());
            full.checked_sub(padding).or_rejected("its padding is larger than its output")
        };
        let own: Vec<_> = (0..image.len()).map(along).collect::<Result<_, _>>()?;
        let own = [*batch as u64, *channels as u64].into_iter().chain(own).map(|e| e as i64);
        let own = Shape::from_numbers(&own.collect::<Vec<_>>())?;
        let shape = match arguments.find(2) {
            Some(shape) => Shape::from_numbers(&shape.integers()?)?,
            None => own,
        };
        if shape.len() != own.len() || own.elements() == 0 {
            return Err(Error::rejected(format_args!("{shape:?} for an output of {own:?}")));
        }
        let mut results = filled(shape.elements(), T::ZERO)?;
        let places = arguments.values::<i64>(1)?;
        // Places count in the shape that the window gives, also where another one is asked for.
        for (value, place) in tensor.values::<T>()?.iter().zip(places) {
            let place = usize::try_from(*place).or_rejected("an index")?;
            let place = place_in(place, &own, &shape);
            let place = place.and_then(|place| results.get_mut(place));
            *place.or_rejected("an index beyond the output")? = *value;
        }
        Tensor::new(shape, results)
    }))
}

/// Returns the place in a tensor of another shape that has the same index on each axis.
fn place_in(place: usize, own: &Shape, other: &Shape) -> Option<usize> {
    let (mut rest, mut found, mut step) = (place, 0, 1);
    for (own, other) in own.iter().zip(other.iter()).rev() {
        let index = rest % own;
        rest /= own;
        if index >= *other {
            return None;
        }
        found += index * step;
        step *= other;
    }
    (rest == 0).then_some(found)
}
