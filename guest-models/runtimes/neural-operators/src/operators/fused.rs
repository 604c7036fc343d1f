//! Nodes that become one with products and convolutions: activations, sums, constants of channels.

use wardian_sdk::Error;
use wardian_sdk::kernels::Activation;

use onnx_executor::node::Node;
use onnx_executor::operators::Domain;
use onnx_executor::tensor::{ElementType, Tensor};

/// Returns the activation that a node computes of floats and nothing else. Its input has so many
/// axes or more.
pub(super) fn activation(node: &Node<'_>, axes: usize) -> Option<Activation> {
    if node.input_type(0).ok()? != ElementType::F32 {
        return None;
    }
    let operator = node.proto().op_type.as_str();
    match (Domain::of(&node.proto().domain)?, operator) {
        (Domain::Onnx, "Relu") => Some(Activation::Relu),
        (Domain::Onnx, "LeakyRelu") => Some(Activation::LeakyRelu(node.float("alpha", 0.01))),
        (Domain::Onnx, "Clip") => clip(node),
        (Domain::Onnx, "Sigmoid") => Some(Activation::Sigmoid),
        (Domain::Onnx, "Tanh") => Some(Activation::Tanh),
        (Domain::Onnx, "HardSwish") => Some(Activation::HardSwish),
        (Domain::Onnx, "Gelu") => match node.text("approximate", "none").ok()? {
            "none" => Some(Activation::Gelu),
            _ => Some(Activation::GeluTanh),
        },
        (Domain::Microsoft, "Gelu") => Some(Activation::Gelu),
        (Domain::Wardian, _) => curve(node).filter(|_| added_axes(node) <= axes),
        _ => None,
    }
}

/// Returns the activation that takes the place of several nodes.
pub(super) fn curve(node: &Node<'_>) -> Option<Activation> {
    match node.proto().op_type.as_str() {
        "Gelu" => Some(Activation::Gelu),
        "GeluTanh" => Some(Activation::GeluTanh),
        "HardSwish" => Some(Activation::HardSwish),
        "Silu" => Some(Activation::Silu),
        _ => None,
    }
}

/// Returns the axes that the value of such an activation has at least: those of a constant.
pub(super) fn added_axes(node: &Node<'_>) -> usize {
    usize::try_from(node.integer("axes", 0)).unwrap_or_default()
}

/// The bounds of a Clip with constants, in the right order.
fn clip(node: &Node<'_>) -> Option<Activation> {
    const BY_INPUTS: i64 = 11;
    let bound = |index, default| match (node.find_input(index), node.constant(index)) {
        (None, _) => Some(default),
        (Some(_), Some(bound)) => bound.values::<f32>().ok()?.first().copied(),
        (Some(_), None) => None,
    };
    let (low, high) = if node.version() < BY_INPUTS {
        (node.float("min", f32::MIN), node.float("max", f32::MAX))
    } else {
        (bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?)
    };
    (low <= high).then_some(Activation::Clip(low, high))
}

/// Applies an activation to a tensor of floats.
///
/// # Errors
/// Failed if it is of another type.
pub(super) fn activated(tensor: Tensor, activation: Activation) -> Result<Tensor, Error> {
    let shape = *tensor.shape();
    let mut values = tensor.into_values::<f32>()?;
    activation.apply(&mut values);
    Tensor::new(shape, values)
}

/// Returns true for a sum of two tensors.
pub(super) fn is_sum(node: &Node<'_>) -> bool {
    is_onnx(node, &["Add", "Sum"]) && node.inputs() == 2
}

fn is_onnx(node: &Node<'_>, operators: &[&str]) -> bool {
    let is_onnx = Domain::of(&node.proto().domain) == Some(Domain::Onnx);
    is_onnx && operators.contains(&node.proto().op_type.as_str())
}

/// Returns the number with which a node multiplies all of its input of this index.
pub(super) fn factor(node: &Node<'_>, index: usize) -> Option<f32> {
    let is_quotient = is_onnx(node, &["Div"]) && index == 0;
    if !is_quotient && !is_onnx(node, &["Mul"]) {
        return None;
    }
    let constant = node.constant(1 - index)?;
    let [factor] = constant.values::<f32>().ok()? else { return None };
    let is_small = constant.shape().len() <= 2;
    is_small.then_some(if is_quotient { 1.0 / factor } else { *factor })
}

/// Returns the numbers that a node adds to each row of its input of this index.
pub(super) fn row_constants(node: &Node<'_>, index: usize, columns: usize) -> Option<Vec<f32>> {
    if !is_sum(node) {
        return None;
    }
    let constant = node.constant(1 - index)?;
    let fits = matches!(**constant.shape(), [extent] if extent == columns);
    fits.then(|| constant.values::<f32>().ok().map(<[f32]>::to_vec)).flatten()
}

/// Returns what a node multiplies the channels of a tensor with, and what it adds to them, if it
/// does nothing else with its input of this index. The tensor has so many axes and channels.
///
/// # Errors
/// Failed if there is not enough memory.
pub(super) fn channel_constants(
    node: &Node<'_>,
    index: usize,
    axes: usize,
    channels: usize,
) -> Result<Option<[Vec<f32>; 2]>, Error> {
    if index == 0 && is_onnx(node, &["BatchNormalization"]) {
        return normalization(node, channels);
    }
    let is_product = is_onnx(node, &["Mul"]);
    if !(is_product || is_sum(node)) || index > 1 {
        return Ok(None);
    }
    let Some(constant) = node.constant(1 - index) else { return Ok(None) };
    let Some(values) = of_channels(constant, axes, channels) else { return Ok(None) };
    Ok(Some(match is_product {
        true => [values, vec![0.0; channels]],
        false => [vec![1.0; channels], values],
    }))
}

/// Returns a constant for each channel, if it differs along no other axis.
fn of_channels(constant: &Tensor, axes: usize, channels: usize) -> Option<Vec<f32>> {
    let (shape, values) = (constant.shape(), constant.values::<f32>().ok()?);
    if let ([value], true) = (values, shape.len() <= axes) {
        return Some(vec![*value; channels]);
    }
    // Axes are counted from the last: those of the image, and before them that of the channels.
    let image = axes - 2;
    let position = shape.len().checked_sub(image + 1)?;
    let differs = shape.iter().enumerate().any(|(axis, extent)| axis != position && *extent != 1);
    let fits = shape.len() <= axes && shape[position] == channels && !differs;
    fits.then(|| values.to_vec())
}

fn normalization(node: &Node<'_>, channels: usize) -> Result<Option<[Vec<f32>; 2]>, Error> {
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    let mut parameters = Vec::with_capacity(4);
    for index in 1..5 {
        let Some(constant) = node.constant(index) else { return Ok(None) };
        let values = constant.values::<f32>()?;
        if values.len() != channels {
            return Ok(None);
        }
        parameters.push(values);
    }
    let [scale, bias, mean, variance] = parameters[..] else { return Ok(None) };

    let factor = |channel: usize| {
        f64::from(scale[channel]) / (f64::from(variance[channel]) + epsilon).sqrt()
    };
    let shift =
        |channel: usize| f64::from(bias[channel]) - f64::from(mean[channel]) * factor(channel);
    let factors = (0..channels).map(|channel| factor(channel) as f32).collect();
    let shifts = (0..channels).map(|channel| shift(channel) as f32).collect();
    Ok(Some([factors, shifts]))
}
