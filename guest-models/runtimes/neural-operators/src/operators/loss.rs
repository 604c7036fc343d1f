//! Losses, as exported training graphs have them.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::number::Float;
use onnx_executor::operators::{Operator, for_types};
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled};

const FLOATS: &[ElementType] = ElementType::FLOATS;

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx(
        "NegativeLogLikelihoodLoss",
        12,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => loss::<T>(node, false)),
    ),
    Operator::onnx(
        "SoftmaxCrossEntropyLoss",
        12,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => loss::<T>(node, true)),
    ),
];

#[derive(Clone, Copy, PartialEq)]
enum Reduction {
    None,
    Sum,
    Mean,
}

fn loss<T: Float>(node: &Node<'_>, takes_scores: bool) -> Result<Kernel, Error> {
    let reduction = match node.text("reduction", "mean")? {
        "none" => Reduction::None,
        "sum" => Reduction::Sum,
        "mean" => Reduction::Mean,
        other => return Err(Error::failed(format_args!("the reduction {other:?}"))),
    };
    let ignored = node.find_integer("ignore_index");
    let element = node.input_type(0)?;
    node.expect(1, &[ElementType::I64, ElementType::I32])?;
    node.expect(2, &[element])?;
    let gives_logs = node.has_output(1);
    Ok(Kernel::many([element, element], move |arguments| {
        let logs = match takes_scores {
            true => log_softmax::<T>(arguments.get(0)?)?,
            false => arguments.get(0)?.clone(),
        };
        let losses = losses::<T>(arguments, &logs, reduction, ignored)?;
        let logs = if gives_logs { logs } else { Tensor::vector(Vec::<T>::new())? };
        Ok(vec![losses, logs])
    }))
}

/// The extents of scores: items, classes, and places of each item.
fn extents(shape: &Shape) -> Result<[usize; 3], Error> {
    match &**shape {
        [batch, classes, rest @ ..] if *classes > 0 => {
            Ok([*batch, *classes, rest.iter().product()])
        }
        _ => Err(Error::rejected("it takes scores of classes")),
    }
}

fn log_softmax<T: Float>(scores: &Tensor) -> Result<Tensor, Error> {
    let [batch, classes, places] = extents(scores.shape())?;
    let values = scores.values::<T>()?;
    let mut results = filled(values.len(), T::ZERO)?;
    for index in 0..batch * places {
        let start = index / places * classes * places + index % places;
        let group = || (0..classes).map(|class| values[start + class * places].to_f64());
        let highest = group().fold(f64::NEG_INFINITY, f64::max);
        let shift = highest + group().map(|value| (value - highest).exp()).sum::<f64>().ln();
        for (class, value) in group().enumerate() {
            results[start + class * places] = T::from_f64(value - shift);
        }
    }
    Tensor::new(*scores.shape(), results)
}

fn losses<T: Float>(
    arguments: &Arguments<'_>,
    logs: &Tensor,
    reduction: Reduction,
    ignored: Option<i64>,
) -> Result<Tensor, Error> {
    let [_, classes, places] = extents(logs.shape())?;
    let labels = arguments.get(1)?;
    let wanted: Vec<_> =
        logs.shape().iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, e)| *e).collect();
    if **labels.shape() != *wanted {
        return Err(Error::rejected(format_args!("labels of {:?}", labels.shape())));
    }
    let weights = arguments.find(2).map(|weights| weights.values::<T>()).transpose()?;
    if weights.is_some_and(|weights| weights.len() != classes) {
        return Err(Error::rejected("there is not one weight for each class"));
    }
    let values = logs.values::<T>()?;
    let mut losses = filled(labels.len(), T::ZERO)?;
    let (mut sum, mut total) = (0.0, 0.0);
    for (index, label) in labels.integers()?.into_iter().enumerate() {
        if Some(label) == ignored {
            continue;
        }
        let class = usize::try_from(label).ok().filter(|class| *class < classes);
        let class = class.or_rejected(format_args!("a label {label} of {classes} classes"))?;
        let weight = weights.map_or(1.0, |weights| weights[class].to_f64());
        let place = (index / places * classes + class) * places + index % places;
        let loss = -values[place].to_f64() * weight;
        losses[index] = T::from_f64(loss);
        sum += loss;
        total += weight;
    }
    match reduction {
        Reduction::None => Tensor::new(*labels.shape(), losses),
        Reduction::Sum => Ok(Tensor::scalar(T::from_f64(sum))),
        Reduction::Mean => Ok(Tensor::scalar(T::from_f64(sum / total))),
    }
}
