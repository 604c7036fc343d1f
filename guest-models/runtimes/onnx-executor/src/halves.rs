//! Numbers of 16 bits: computed with as floats, and rounded after each operator.

use std::sync::Arc;

use wardian_sdk::Error;

use crate::kernel::{Argument, Arguments, Kernel, Outputs};
use crate::node::{Input, Node};
use crate::operators::cast::cast;
use crate::tensor::{ElementType, Tensor};
use crate::value_type::ValueType;

/// Returns the type of 16 bits among a node's inputs, if there is one.
pub(crate) fn half_input(node: &Node<'_>) -> Option<ElementType> {
    let types = (0..node.inputs()).filter_map(|index| node.input_type(index).ok());
    let mut halves = types.filter(|element| is_half(*element));
    halves.next()
}

fn is_half(element: ElementType) -> bool {
    matches!(element, ElementType::F16 | ElementType::Bf16)
}

/// Returns the inputs with those of 16 bits as floats.
///
/// # Errors
/// Rejected if there is not enough memory for a constant.
pub(crate) fn widened_inputs(node: &Node<'_>) -> Result<Vec<Option<Input>>, Error> {
    let widened = |index| {
        let Some(input) = node.find_input(index) else { return Ok(None) };
        if !input.value_type.element().is_ok_and(is_half) {
            return Ok(Some(input.clone()));
        }
        let constant = input.constant.as_deref().map(|constant| widen(constant).map(Arc::new));
        let value_type = ValueType::Tensor(ElementType::F32);
        Ok(Some(Input { value_type, constant: constant.transpose()? }))
    };
    (0..node.inputs()).map(widened).collect()
}

fn widen(tensor: &Tensor) -> Result<Tensor, Error> {
    Tensor::from_data(*tensor.shape(), cast(tensor.data(), ElementType::F32)?)
}

/// Wraps a kernel for floats: its inputs become floats, and those of its outputs that are floats
/// become numbers of 16 bits. `keeps` are outputs that stay floats.
pub(crate) fn rounding(kernel: Kernel, half: ElementType, keeps: &'static [usize]) -> Kernel {
    // Between two nodes numbers are rounded, so they stay apart.
    let Kernel { outputs, run, consumed, fuse: _ } = kernel;
    let is_rounded: Vec<_> = outputs
        .iter()
        .enumerate()
        .map(|(index, output)| {
            *output == ValueType::Tensor(ElementType::F32) && !keeps.contains(&index)
        })
        .collect();
    let narrowed = outputs
        .into_iter()
        .zip(&is_rounded)
        .map(|(output, is_rounded)| if *is_rounded { ValueType::Tensor(half) } else { output });
    let outputs = narrowed.collect();

    let run = move |arguments: &mut Arguments<'_>| {
        let mut slots = Vec::with_capacity(arguments.len());
        let mut inputs = Vec::with_capacity(arguments.len());
        for index in 0..arguments.len() {
            let tensor = match arguments.find(index) {
                Some(tensor) if is_half(tensor.element_type()) => Some(widen(tensor)?),
                tensor => tensor.cloned(),
            };
            inputs.push(match tensor {
                Some(_) => Argument::Value { slot: index, is_last_use: true },
                None => Argument::Absent,
            });
            slots.push(tensor);
        }
        let work = &mut *arguments.work;
        let mut wide = Arguments { inputs: &inputs, slots: &mut slots, constants: &[], work };
        let round = |index: usize, output: Tensor| match is_rounded.get(index) {
            Some(true) => Tensor::from_data(*output.shape(), cast(output.data(), half)?),
            _ => Ok(output),
        };
        Ok(match run(&mut wide)? {
            Outputs::One(output) => Outputs::One(round(0, output)?),
            Outputs::Many(outputs) => {
                let rounded = outputs.into_iter().enumerate();
                let rounded = rounded.map(|(index, output)| round(index, output));
                Outputs::Many(rounded.collect::<Result<_, _>>()?)
            }
        })
    };
    Kernel { outputs, run: Box::new(run), consumed, fuse: None }
}
