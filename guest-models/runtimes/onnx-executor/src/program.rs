//! A graph that is ready to run.

use std::sync::Arc;

use wardian_sdk::{Error, OrError};

use super::kernel::{Argument, Arguments, Outputs, Run};
use super::tensor::{Tensor, spare};
use super::value_type::ValueType;

/// Elements that all nodes may make for one request, and steps of work beyond them.
const MAX_WORK: u64 = if cfg!(fuzzing) { 1 << 22 } else { 1 << 40 };

/// The kernels of a graph in the order in which they run. Names are resolved: a value lives in a
/// slot from the node that makes it to its last use.
pub struct Program {
    /// The nodes.
    pub steps: Vec<Step>,
    /// The constants.
    pub constants: Vec<Arc<Tensor>>,
    /// The number of slots. The first ones are the inputs.
    pub slots: usize,
    /// The outputs.
    pub outputs: Vec<Argument>,
    /// The types of the outputs.
    pub output_types: Vec<ValueType>,
    /// The arguments of the surrounding node with the values that this graph takes from around it.
    pub captures: Vec<usize>,
}

/// A node.
pub struct Step {
    /// The computation.
    pub run: Run,
    /// The inputs.
    pub inputs: Box<[Argument]>,
    /// The slots of the outputs; `None` for those that nothing uses.
    pub outputs: Box<[Option<usize>]>,
    /// The slots whose values are not used any more.
    pub unused: Box<[usize]>,
    /// The operator and node, for errors.
    pub label: Box<str>,
}

impl Program {
    /// Runs the graph. `inputs` are in the order of the graph's.
    ///
    /// # Errors
    /// Rejected with the node that does not take its inputs.
    pub fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, Error> {
        self.run_within(inputs, MAX_WORK)
    }

    /// Runs the graph, if that takes at most so many steps of work.
    ///
    /// # Errors
    /// As for [`Program::run`], or Rejected if it takes more.
    pub fn run_within(&self, inputs: Vec<Tensor>, work: u64) -> Result<Vec<Tensor>, Error> {
        let outputs = self.run_with(inputs, &[], &mut work.min(MAX_WORK));
        spare::clear();
        outputs
    }

    /// Runs the graph of a node, with the captured values in the order of [`Program::captures`].
    ///
    /// # Errors
    /// As for [`Program::run`].
    pub fn run_with(
        &self,
        inputs: Vec<Tensor>,
        captured: &[Arc<Tensor>],
        work: &mut u64,
    ) -> Result<Vec<Tensor>, Error> {
        let joined: Vec<_>;
        let constants = if captured.is_empty() {
            &self.constants
        } else {
            joined = self.constants.iter().chain(captured).cloned().collect();
            &joined
        };
        let mut slots: Vec<_> = inputs.into_iter().map(Some).collect();
        slots.resize(self.slots, None);

        for step in &self.steps {
            step.run(&mut slots, constants, work)
                .map_err(|error| with_label(error, &step.label))?;
        }
        let inputs = self.outputs.as_slice();
        let mut outputs = Arguments { inputs, slots: &mut slots, constants, work };
        (0..inputs.len()).map(|index| outputs.take(index)).collect()
    }

    /// Returns the captured values of a run among the arguments of the surrounding node.
    ///
    /// # Errors
    /// Failed if one is missing, which a graph that was compiled does not allow.
    pub fn captured(&self, arguments: &Arguments<'_>) -> Result<Vec<Arc<Tensor>>, Error> {
        let captured = self.captures.iter();
        captured.map(|index| arguments.get(*index).cloned().map(Arc::new)).collect()
    }
}

impl Step {
    fn run(
        &self,
        slots: &mut [Option<Tensor>],
        constants: &[Arc<Tensor>],
        work: &mut u64,
    ) -> Result<(), Error> {
        let mut arguments = Arguments { inputs: &self.inputs, slots, constants, work };
        let outputs = (self.run)(&mut arguments)?;

        for slot in &self.unused {
            slots[*slot].take().into_iter().for_each(spare::keep);
        }
        match outputs {
            Outputs::One(output) => self.store(0, output, slots, work),
            Outputs::Many(outputs) => outputs
                .into_iter()
                .enumerate()
                .try_for_each(|(index, output)| self.store(index, output, slots, work)),
        }
    }

    fn store(
        &self,
        index: usize,
        output: Tensor,
        slots: &mut [Option<Tensor>],
        work: &mut u64,
    ) -> Result<(), Error> {
        let left = work.checked_sub(output.len() as u64);
        *work = left.or_rejected("the request takes too much work; ask for fewer rows")?;
        if let Some(Some(slot)) = self.outputs.get(index) {
            slots[*slot] = Some(output);
        }
        Ok(())
    }
}

fn with_label(error: Error, label: &str) -> Error {
    match error {
        Error::Rejected(text) => Error::rejected(format_args!("{label}: {text}")),
        Error::Failed(text) => Error::failed(format_args!("{label}: {text}")),
    }
}
