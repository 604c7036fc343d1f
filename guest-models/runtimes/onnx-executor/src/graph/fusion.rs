//! Fusion: a node and the only one that uses its output become one step.
//!
//! A kernel says by itself what it becomes one with, see [`Kernel::fuse`]. The joint step runs
//! where the second node stood, so that all of its inputs are there.

use std::collections::BTreeMap;

use wardian_sdk::Error;

use super::names::count_uses;
use crate::kernel::{Argument, Fuse, Kernel};
use crate::node::Node;
use crate::program::Step;
use crate::proto::{GraphProto, NodeProto};

/// The steps that may become one with a later node.
pub(super) struct Fusion {
    /// By value, the number of nodes that use it.
    uses: BTreeMap<String, usize>,
    /// By the number of a value, the step that makes it.
    makers: BTreeMap<usize, Maker>,
}

struct Maker {
    step: usize,
    fuse: Box<Fuse>,
}

/// A joint kernel with its inputs, and the label of its first node.
pub(super) struct Fused {
    pub(super) kernel: Kernel,
    pub(super) inputs: Box<[Argument]>,
    pub(super) label: Box<str>,
}

impl Fusion {
    /// Fusion of the nodes of a graph.
    pub(super) fn new<'a>(
        graph: &'a GraphProto,
        nodes: impl Iterator<Item = &'a NodeProto>,
    ) -> Self {
        let uses = count_uses(graph, nodes).into_iter();
        let uses = uses.map(|(name, count)| (name.to_owned(), count)).collect();
        Self { uses, makers: BTreeMap::new() }
    }

    /// Adds a step with one output, of this name and number, that may become one with another.
    pub(super) fn add(&mut self, output: &str, value: usize, step: usize, fuse: Box<Fuse>) {
        if self.uses.get(output) == Some(&1) {
            self.makers.insert(value, Maker { step, fuse });
        }
    }

    /// Keeps a value apart from what uses it, because it has a second name.
    pub(super) fn forget(&mut self, argument: Argument) {
        if let Argument::Value { slot, .. } = argument {
            self.makers.remove(&slot);
        }
    }

    /// Makes one kernel of a node and of the step that makes one of its inputs, if they can be one.
    /// The step then loses its outputs, and does not run.
    ///
    /// # Errors
    /// Failed if there is not enough memory.
    pub(super) fn fuse(
        &mut self,
        node: &Node<'_>,
        arguments: &[Argument],
        steps: &mut [Step],
    ) -> Result<Option<Fused>, Error> {
        for (index, argument) in arguments.iter().enumerate() {
            let Argument::Value { slot, .. } = argument else { continue };
            let is_given_twice = arguments.iter().filter(|other| *other == argument).count() > 1;
            let Some(maker) = self.makers.get(slot).filter(|_| !is_given_twice) else { continue };
            let Some(kernel) = (maker.fuse)(node, index)? else { continue };
            let Some(step) = steps.get_mut(maker.step) else { continue };

            let further = arguments.iter().enumerate().filter(|(other, _)| *other != index);
            let further = further.map(|(_, argument)| *argument);
            let inputs = step.inputs.iter().copied().chain(further).collect();
            step.outputs = Box::default();
            let label = std::mem::take(&mut step.label);
            self.makers.remove(slot);
            return Ok(Some(Fused { kernel, inputs, label }));
        }
        Ok(None)
    }
}
