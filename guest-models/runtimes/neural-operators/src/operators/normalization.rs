//! Normalizations: elements less the mean of their group, divided by its deviation.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::broadcast::Broadcast;
use onnx_executor::operators::number::Number;
use onnx_executor::operators::{Domain, Operator, for_types};
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled};

const FLOATS: &[ElementType] = ElementType::FLOATS;

const fn microsoft(name: &'static str, build: fn(&Node<'_>) -> Result<Kernel, Error>) -> Operator {
    Operator { domain: Domain::Microsoft, ..Operator::onnx(name, 1, FLOATS, build) }
}

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx(
        "BatchNormalization",
        1,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => batch::<T>(node)),
    ),
    Operator::onnx("InstanceNormalization", 6, FLOATS, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_types!(node.input_type(0)?, T in floats => instance::<T>(node))
    }),
    Operator::onnx("LayerNormalization", 1, FLOATS, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_types!(node.input_type(0)?, T in floats => layer::<T>(node, true))
    }),
    Operator::onnx("SimplifiedLayerNormalization", 1, FLOATS, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_types!(node.input_type(0)?, T in floats => layer::<T>(node, false))
    }),
    Operator::onnx("RMSNormalization", 23, FLOATS, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_types!(node.input_type(0)?, T in floats => layer::<T>(node, false))
    }),
    Operator::onnx("GroupNormalization", 18, FLOATS, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_types!(node.input_type(0)?, T in floats => group::<T>(node))
    }),
    Operator::onnx(
        "LRN",
        1,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => local_response::<T>(node)),
    ),
    Operator::onnx(
        "MeanVarianceNormalization",
        9,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => mean_variance::<T>(node)),
    ),
    microsoft("SkipLayerNormalization", |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_types!(node.input_type(0)?, T in floats => skip::<T>(node, true))
    }),
    microsoft("SkipSimplifiedLayerNormalization", |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_types!(node.input_type(0)?, T in floats => skip::<T>(node, false))
    }),
];

/// The mean and the reciprocal of the deviation of a group.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    mean: f64,
    inverse: f64,
}

impl Moments {
    pub(super) fn of<T: Number>(group: &[T], epsilon: f64, subtracts_mean: bool) -> Self {
        let count = group.len() as f64;
        let mean = match subtracts_mean {
            true => sum(group, |value| value) / count,
            false => 0.0,
        };
        let squares = sum(group, |value| (value - mean) * (value - mean));
        Self { mean, inverse: 1.0 / (squares / count + epsilon).sqrt() }
    }

    pub(super) fn apply<T: Number>(self, value: T) -> f64 {
        (value.to_f64() - self.mean) * self.inverse
    }
}

/// Returns the sum of a function of each number. Sums side by side take a fraction of the time that
/// one after another do.
fn sum<T: Number>(group: &[T], function: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = group.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += function(value.to_f64()));
    }
    let rest: f64 = rest.iter().map(|value| function(value.to_f64())).sum();
    sums.iter().sum::<f64>() + rest
}

/// Normalizes groups of the last elements, and scales each element by its place in the group.
pub(super) fn scaled<T: Number>(group: &mut [T], moments: Moments, scale: &[T], bias: &[T]) {
    if scale.len() == group.len() && bias.len() == group.len() {
        // Of floats, registers hold twice as many as of doubles.
        let (mean, inverse) = (T::from_f64(moments.mean), T::from_f64(moments.inverse));
        for ((value, scale), bias) in group.iter_mut().zip(scale).zip(bias) {
            *value = value.minus(mean).times(inverse).times(*scale).plus(*bias);
        }
        return;
    }
    for (index, value) in group.iter_mut().enumerate() {
        let scale = scale.get(index).map_or(1.0, |scale| scale.to_f64());
        let bias = bias.get(index).map_or(0.0, |bias| bias.to_f64());
        *value = T::from_f64(moments.apply(*value) * scale + bias);
    }
}

fn batch<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    let _ = (node.attribute("momentum"), node.attribute("consumed_inputs"));
    let is_trained = node.version() < 7 && !node.flag("is_test", false);
    if is_trained || node.flag("training_mode", false) || (1..5).any(|index| node.has_output(index))
    {
        return Err(Error::failed("it computes as in training; convert the model for inference"));
    }
    if node.version() < 9 && !node.flag("spatial", true) {
        return Err(Error::failed("spatial=0 is not served; convert the model with a newer opset"));
    }
    let types = [1, 2, 3, 4].map(|index| node.input_type(index));
    let element = node.input_type(0)?;
    if types.into_iter().any(|given| given.ok() != Some(element)) {
        return Err(Error::failed("its inputs are not all given and of one type"));
    }
    Ok(Kernel::new(element, move |arguments| {
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        let channels = shape.get(1).copied().unwrap_or(1);
        let [scale, bias, mean, variance] = [1, 2, 3, 4].map(|index| arguments.values::<T>(index));
        let (scale, bias, mean, variance) = (scale?, bias?, mean?, variance?);
        if [scale, bias, mean, variance].iter().any(|list| list.len() != channels) {
            return Err(Error::rejected(format_args!(
                "parameters that are not of {channels} channels"
            )));
        }
        let size = shape.get(2..).unwrap_or_default().iter().product::<usize>();
        let mut values = tensor.into_values::<T>()?;
        for (index, image) in values.chunks_exact_mut(size.max(1)).enumerate() {
            let channel = index % channels.max(1);
            let factor = scale[channel].to_f64() / (variance[channel].to_f64() + epsilon).sqrt();
            let shift = bias[channel].to_f64() - mean[channel].to_f64() * factor;
            let (factor, shift) = (T::from_f64(factor), T::from_f64(shift));
            image.iter_mut().for_each(|value| *value = value.times(factor).plus(shift));
        }
        Tensor::new(shape, values)
    }))
}

/// Parameters for each channel.
fn of_channels<T: Number>(
    arguments: &Arguments<'_>,
    index: usize,
    channels: usize,
) -> Result<Vec<T>, Error> {
    let values = arguments.values::<T>(index)?;
    let fits = (values.len() == channels).then(|| values.to_vec());
    fits.or_rejected(format_args!("{} parameters for {channels} channels", values.len()))
}

fn instance<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        let [_, channels, image @ ..] = &*shape else {
            return Err(Error::rejected("it takes images with channels"));
        };
        let scale = of_channels::<T>(arguments, 1, *channels)?;
        let bias = of_channels::<T>(arguments, 2, *channels)?;
        let size: usize = image.iter().product();
        let mut values = tensor.into_values::<T>()?;
        for (index, image) in values.chunks_exact_mut(size.max(1)).enumerate() {
            let channel = index % (*channels).max(1);
            let moments = Moments::of(image, epsilon, true);
            let (scale, bias) = (scale[channel].to_f64(), bias[channel].to_f64());
            for value in image {
                *value = T::from_f64(moments.apply(*value) * scale + bias);
            }
        }
        Tensor::new(shape, values)
    }))
}

fn layer<T: Number>(node: &Node<'_>, subtracts_mean: bool) -> Result<Kernel, Error> {
    let axis = node.integer("axis", -1);
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    if node.integer("stash_type", 1) != 1 {
        return Err(Error::failed("a stash_type other than 1 is not served"));
    }
    let element = node.input_type(0)?;
    let outputs = [element, ElementType::F32, ElementType::F32];
    if element != ElementType::F32 && (node.has_output(1) || node.has_output(2)) {
        return Err(Error::failed("its mean and deviation are served for float alone"));
    }
    // RMSNormalization has one statistic, the second one of LayerNormalization.
    let has_statistics = node.has_output(1) || node.has_output(2);
    Ok(Kernel::many(outputs, move |arguments| {
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        let axis = shape.axis(axis)?;
        let (groups, size) = shape.split_at_axis(axis);
        let own = Shape::new(&shape[axis..])?;
        let scale = parameters::<T>(arguments, 1, &own)?;
        let bias = parameters::<T>(arguments, 2, &own)?;
        let mut values = tensor.into_values::<T>()?;
        let (mut means, mut deviations) = (Vec::new(), Vec::new());
        for group in values.chunks_exact_mut(size.max(1)) {
            let moments = Moments::of(group, epsilon, subtracts_mean);
            scaled(group, moments, &scale, &bias);
            if has_statistics {
                means.push(moments.mean as f32);
                deviations.push(moments.inverse as f32);
            }
        }
        let mut outputs = vec![Tensor::new(shape, values)?];
        if has_statistics {
            let extents = shape.iter().enumerate();
            let extents = extents.map(|(index, extent)| if index < axis { *extent } else { 1 });
            let statistics = Shape::new(&extents.collect::<Vec<_>>())?;
            means.resize(groups, 0.0);
            deviations.resize(groups, 0.0);
            if subtracts_mean {
                outputs.push(Tensor::new(statistics, means)?);
            }
            outputs.push(Tensor::new(statistics, deviations)?);
        }
        Ok(outputs)
    }))
}

/// Returns scales or biases of each element of a group; an empty list if there are none.
fn parameters<T: Number>(
    arguments: &Arguments<'_>,
    index: usize,
    own: &Shape,
) -> Result<Vec<T>, Error> {
    let Some(given) = arguments.find(index) else { return Ok(Vec::new()) };
    let values = given.values::<T>()?;
    if given.shape() == own {
        return Ok(values.to_vec());
    }
    let zeros = filled(own.elements(), T::ZERO)?;
    let broadcast = Broadcast::new(own, given.shape())?;
    if broadcast.shape != *own {
        return Err(Error::rejected(format_args!("parameters of {:?} for {own:?}", given.shape())));
    }
    broadcast.map(&zeros, values, |_, value| *value)
}

fn group<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    let groups = node.find_integer("num_groups").and_then(|groups| usize::try_from(groups).ok());
    let groups = groups.filter(|groups| *groups > 0).or_failed("it has no number of groups")?;
    if node.integer("stash_type", 1) != 1 {
        return Err(Error::failed("a stash_type other than 1 is not served"));
    }
    // Until version 20, scales and biases are of groups.
    let by_group = node.version() < 21;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        let [_, channels, image @ ..] = &*shape else {
            return Err(Error::rejected("it takes images with channels"));
        };
        if channels % groups != 0 {
            return Err(Error::rejected(format_args!("{channels} channels in {groups} groups")));
        }
        let parameters = if by_group { groups } else { *channels };
        let scale = of_channels::<T>(arguments, 1, parameters)?;
        let bias = of_channels::<T>(arguments, 2, parameters)?;
        let each = channels / groups;
        let size = image.iter().product::<usize>();
        let mut values = tensor.into_values::<T>()?;
        for (index, group) in values.chunks_exact_mut((size * each).max(1)).enumerate() {
            let moments = Moments::of(group, epsilon, true);
            for (channel, image) in group.chunks_exact_mut(size.max(1)).enumerate() {
                let group = index % groups;
                let place = if by_group { group } else { group * each + channel };
                let (scale, bias) = (scale[place].to_f64(), bias[place].to_f64());
                for value in image {
                    *value = T::from_f64(moments.apply(*value) * scale + bias);
                }
            }
        }
        Tensor::new(shape, values)
    }))
}

fn local_response<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let alpha = f64::from(node.float("alpha", 0.0001));
    let beta = f64::from(node.float("beta", 0.75));
    let bias = f64::from(node.float("bias", 1.0));
    let size = node.find_integer("size").and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| (1..1 << 20).contains(size)).or_failed("it has no size")?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.get(0)?;
        let shape = *tensor.shape();
        let [_, channels, image @ ..] = &*shape else {
            return Err(Error::rejected("it takes images with channels"));
        };
        let pixels: usize = image.iter().product();
        let values = tensor.values::<T>()?;
        let mut results = filled(values.len(), T::ZERO)?;
        for (index, result) in results.iter_mut().enumerate() {
            let (channel, pixel) = (index / pixels % channels, index % pixels);
            let first = channel.saturating_sub((size - 1) / 2);
            let last = (channel + size / 2).min(channels - 1);
            let start = index - pixel - channel * pixels;
            let squares = (first..=last).map(|channel| {
                let value = values[start + channel * pixels + pixel].to_f64();
                value * value
            });
            let scale = bias + alpha / size as f64 * squares.sum::<f64>();
            *result = T::from_f64(values[index].to_f64() / scale.powf(beta));
        }
        Tensor::new(shape, results)
    }))
}

fn mean_variance<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let axes = node.attribute("axes").map_or(vec![0, 2, 3], |axes| axes.ints.clone());
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.get(0)?;
        let shape = *tensor.shape();
        let axes: Vec<_> = axes.iter().map(|axis| shape.axis(*axis)).collect::<Result<_, _>>()?;
        let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
        let order: Vec<_> = kept.clone().chain(axes.iter().copied()).collect();
        let moved = tensor.transpose(&order)?;
        let size: usize = axes.iter().map(|axis| shape[*axis]).product();
        let moved_shape = *moved.shape();
        let mut values = moved.into_values::<T>()?;
        for group in values.chunks_exact_mut(size.max(1)) {
            let count = group.len() as f64;
            let mean = group.iter().map(|value| value.to_f64()).sum::<f64>() / count;
            let squares: f64 = group.iter().map(|value| (value.to_f64() - mean).powi(2)).sum();
            let deviation = (squares / count).sqrt();
            for value in group {
                *value = T::from_f64((value.to_f64() - mean) / (deviation + 1e-9));
            }
        }
        let mut back = vec![0; order.len()];
        for (place, axis) in order.iter().enumerate() {
            back[*axis] = place;
        }
        Tensor::new(moved_shape, values)?.transpose(&back)
    }))
}

/// com.microsoft's normalization of the sum of two tensors and a bias.
fn skip<T: Number>(node: &Node<'_>, has_beta: bool) -> Result<Kernel, Error> {
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    let element = node.input_type(0)?;
    if node.has_output(1) || node.has_output(2) {
        return Err(Error::failed("its mean and deviation are not served"));
    }
    let bias_index = if has_beta { 4 } else { 3 };
    let gives_sum = node.has_output(3);
    Ok(Kernel::many([element; 4], move |arguments| {
        let (one, other) = (arguments.get(0)?, arguments.get(1)?);
        let shape = *one.shape();
        let broadcast = Broadcast::new(&shape, other.shape())?;
        if broadcast.shape != shape {
            return Err(Error::rejected("the skipped tensor is larger than the input"));
        }
        let mut sums = broadcast
            .map(one.values::<T>()?, other.values::<T>()?, |one, other| one.plus(*other))?;
        let size = shape.last().copied().unwrap_or(1);
        let own = Shape::new(&[size])?;
        let scale = parameters::<T>(arguments, 2, &own)?;
        let beta = if has_beta { parameters::<T>(arguments, 3, &own)? } else { Vec::new() };
        let bias = parameters::<T>(arguments, bias_index, &own)?;
        if !bias.is_empty() {
            let places = sums.iter_mut().zip(bias.iter().cycle());
            places.for_each(|(sum, bias)| *sum = sum.plus(*bias));
        }
        let given = if gives_sum { sums.clone() } else { Vec::new() };
        for group in sums.chunks_exact_mut(size.max(1)) {
            let moments = Moments::of(group, epsilon, has_beta);
            scaled(group, moments, &scale, &beta);
        }
        let none = || Tensor::vector(Vec::<T>::new());
        let given = if gives_sum { Tensor::new(shape, given)? } else { none()? };
        Ok(vec![Tensor::new(shape, sums)?, none()?, none()?, given])
    }))
}
