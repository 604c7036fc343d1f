//! Slots of values: each is used again once its value is not needed any more.

use crate::kernel::Argument;
use crate::program::Step;

/// Gives the values of a program slots. Before, `slot` in arguments and outputs is the number of a
/// value, each made once, the inputs first; after, it is a slot. Returns the number of slots.
pub(super) fn assign(
    steps: &mut [Step],
    outputs: &mut [Argument],
    inputs: usize,
    values: usize,
) -> usize {
    let last_uses = last_uses(steps, outputs, values);
    let mut slots: Vec<usize> = (0..values).collect();
    let mut free = Vec::new();
    let mut count = inputs;

    for (index, step) in steps.iter_mut().enumerate() {
        let mut unused = Vec::new();
        for argument in &mut step.inputs {
            if let Argument::Value { slot, is_last_use } = argument {
                let value = *slot;
                *slot = slots[value];
                *is_last_use = last_uses[value] == Some(index);
                if *is_last_use && !unused.contains(slot) {
                    unused.push(*slot);
                }
            }
        }
        free.extend(&unused);
        step.unused = unused.into();

        for output in &mut step.outputs {
            *output = output.filter(|value| last_uses[*value].is_some());
            if let Some(value) = output {
                let slot = free.pop().unwrap_or_else(|| {
                    count += 1;
                    count - 1
                });
                slots[*value] = slot;
                *value = slot;
            }
        }
    }
    for output in outputs.iter_mut() {
        if let Argument::Value { slot, .. } = output {
            *slot = slots[*slot];
        }
    }
    mark_last(outputs);
    count
}

/// By value, the index of the step that uses it last, or the number of steps if it is an output.
fn last_uses(steps: &[Step], outputs: &[Argument], values: usize) -> Vec<Option<usize>> {
    let mut last_uses = vec![None; values];
    let uses = steps.iter().enumerate().map(|(index, step)| (index, &*step.inputs));
    for (index, arguments) in uses.chain([(steps.len(), outputs)]) {
        for argument in arguments {
            if let Argument::Value { slot, .. } = argument {
                last_uses[*slot] = Some(index);
            }
        }
    }
    last_uses
}

/// The last mention of a value among the outputs may take it.
fn mark_last(outputs: &mut [Argument]) {
    let later = outputs.to_vec();
    for (index, output) in outputs.iter_mut().enumerate() {
        if let Argument::Value { slot, is_last_use } = output {
            let again = |other: &Argument| matches!(other, Argument::Value { slot: other, .. } if other == slot);
            *is_last_use = !later[index + 1..].iter().any(again);
        }
    }
}
