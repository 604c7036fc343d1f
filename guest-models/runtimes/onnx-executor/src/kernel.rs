//! Nodes that are ready to run.

use std::sync::Arc;

use wardian_sdk::{Error, OrError};

use super::node::Node;
use super::tensor::{Element, ElementType, Tensor};
use super::value_type::{Classes, ValueType};

/// A node that is ready to run: its types, attributes and constants are resolved.
pub struct Kernel {
    /// The types of the outputs.
    pub outputs: Vec<ValueType>,
    /// The computation.
    pub run: Run,
    /// The inputs that the computation does not look at: it holds them in a form of its own.
    pub consumed: Vec<usize>,
    /// Makes one kernel of this one and of the node that alone uses its output.
    pub fuse: Option<Box<Fuse>>,
}

/// Makes a kernel of another one and of the node that alone uses its output, as the input of this
/// index; `None` if they cannot be one. The inputs of the new kernel are those of the other one,
/// and then the further inputs of the node.
///
/// # Errors
/// Failed if there is not enough memory.
pub type Fuse = dyn Fn(&Node<'_>, usize) -> Result<Option<Kernel>, Error>;

/// The computation of a node.
///
/// # Errors
/// Rejected if the shapes or values of its inputs are not what the operator takes.
pub type Run = Box<dyn Fn(&mut Arguments<'_>) -> Result<Outputs, Error> + Send + Sync>;

/// The outputs of a node. Most have one, which then needs no list.
pub enum Outputs {
    /// The only output.
    One(Tensor),
    /// The outputs in their order. Those that the node leaves out may be of any value.
    Many(Vec<Tensor>),
}

/// An input of a node while the graph runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument {
    /// It is left out.
    Absent,
    /// A constant, by its index.
    Constant(usize),
    /// A value from around the graph, by its index among them; only while the graph is read.
    Captured(usize),
    /// A value.
    Value {
        /// Its slot.
        slot: usize,
        /// True if nothing uses it later.
        is_last_use: bool,
    },
}

/// The inputs of a node while the graph runs.
pub struct Arguments<'a> {
    /// The inputs in their order.
    pub inputs: &'a [Argument],
    /// The values of the graph by slot.
    pub slots: &'a mut [Option<Tensor>],
    /// The constants of the graph.
    pub constants: &'a [Arc<Tensor>],
    /// The steps of work that are left to this request.
    pub work: &'a mut u64,
}

// === impl Kernel ===

impl Kernel {
    /// A kernel with outputs of these types.
    pub fn of(
        outputs: Vec<ValueType>,
        run: impl Fn(&mut Arguments<'_>) -> Result<Outputs, Error> + Send + Sync + 'static,
    ) -> Self {
        Self { outputs, run: Box::new(run), consumed: Vec::new(), fuse: None }
    }

    /// Marks inputs that the computation does not look at, so that their constants need no room.
    pub fn consuming(mut self, inputs: impl IntoIterator<Item = usize>) -> Self {
        self.consumed.extend(inputs);
        self
    }

    /// Says how the kernel becomes one with the node that alone uses its output.
    pub fn fusing(
        mut self,
        fuse: impl Fn(&Node<'_>, usize) -> Result<Option<Kernel>, Error> + 'static,
    ) -> Self {
        self.fuse = Some(Box::new(fuse));
        self
    }

    /// A kernel with one output, whose elements are of this type.
    pub fn new(
        output: ElementType,
        run: impl Fn(&mut Arguments<'_>) -> Result<Tensor, Error> + Send + Sync + 'static,
    ) -> Self {
        let outputs = vec![ValueType::Tensor(output)];
        Self::of(outputs, move |arguments| run(arguments).map(Outputs::One))
    }

    /// A kernel with several outputs.
    pub fn many(
        outputs: impl IntoIterator<Item = ElementType>,
        run: impl Fn(&mut Arguments<'_>) -> Result<Vec<Tensor>, Error> + Send + Sync + 'static,
    ) -> Self {
        let outputs = outputs.into_iter().map(ValueType::Tensor).collect();
        Self::of(outputs, move |arguments| run(arguments).map(Outputs::Many))
    }

    /// A kernel that gives its first input as its output, which has this type.
    pub fn passing(output: ValueType) -> Self {
        Self::of(vec![output], |arguments| arguments.take(0).map(Outputs::One))
    }

    /// ZipMap: passes a tensor on, whose columns belong to these classes from now on.
    pub fn zip_map(classes: Classes) -> Self {
        Self::passing(ValueType::Maps(Arc::new(classes)))
    }
}

// === impl Arguments ===

impl Arguments<'_> {
    /// Returns the number of inputs, with those left out before the last one.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Returns an input.
    ///
    /// # Errors
    /// Failed if it is left out.
    pub fn get(&self, index: usize) -> Result<&Tensor, Error> {
        self.find(index).or_failed(format_args!("input {index} is missing"))
    }

    /// Returns an input, if it is given.
    pub fn find(&self, index: usize) -> Option<&Tensor> {
        match *self.inputs.get(index)? {
            Argument::Absent | Argument::Captured(_) => None,
            Argument::Constant(constant) => self.constants.get(constant).map(|tensor| &**tensor),
            Argument::Value { slot, .. } => self.slots.get(slot)?.as_ref(),
        }
    }

    /// Returns an input's elements.
    ///
    /// # Errors
    /// Failed if it is left out, or of another type.
    pub fn values<T: Element>(&self, index: usize) -> Result<&[T], Error> {
        self.get(index)?.values()
    }

    /// Returns an input, to be changed: without a copy if nothing else uses it later. It cannot be
    /// asked for again.
    ///
    /// # Errors
    /// Failed if it is left out.
    pub fn take(&mut self, index: usize) -> Result<Tensor, Error> {
        let uses = |argument: &&Argument| Some(*argument) == self.inputs.get(index);
        let is_given_twice = self.inputs.iter().filter(uses).count() > 1;
        if let Some(Argument::Value { slot, is_last_use: true }) = self.inputs.get(index)
            && !is_given_twice
        {
            let value = self.slots.get_mut(*slot).and_then(Option::take);
            return value.or_failed(format_args!("input {index} is missing"));
        }
        self.get(index).cloned()
    }

    /// Counts steps of work, for operators that take far more of them than their inputs and outputs
    /// have elements.
    ///
    /// # Errors
    /// Rejected if the request has had its share.
    pub fn charge(&mut self, steps: u64) -> Result<(), Error> {
        let left = self.work.checked_sub(steps);
        *self.work = left.or_rejected("the request takes too much work; ask for fewer rows")?;
        Ok(())
    }
}
