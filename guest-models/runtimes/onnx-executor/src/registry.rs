//! The operators that a runtime serves: finds the one of a node.

use wardian_sdk::Error;

use super::halves::{half_input, rounding, widened_inputs};
use super::kernel::Kernel;
use super::node::Node;
use super::operators::{Domain, Operator};

/// The operators that a runtime serves.
#[derive(Clone, Copy)]
pub struct Registry {
    lists: &'static [&'static [&'static [Operator]]],
}

/// Returns the outputs that are floats also where the inputs have 16 bits.
fn kept_floats(operator: &str) -> &'static [usize] {
    match operator {
        "LayerNormalization" => &[1, 2],
        _ => &[],
    }
}

impl Registry {
    /// Operators in lists of lists. The first that has a node's name and version counts.
    pub const fn new(lists: &'static [&'static [&'static [Operator]]]) -> Self {
        Self { lists }
    }

    /// Returns all operators.
    pub fn operators(self) -> impl Iterator<Item = &'static Operator> {
        self.lists.iter().copied().flatten().copied().flatten()
    }

    /// Builds the kernel of a node.
    ///
    /// # Errors
    /// Failed if the operator, its version, an attribute or a type is not served; the text names
    /// operator, domain, version and node.
    pub fn build(self, node: &Node<'_>) -> Result<Kernel, Error> {
        let refused = |error: Error| Error::failed(format_args!("{node}: {error}"));
        let error = match self.build_as_given(node) {
            Ok(kernel) => return Ok(kernel),
            Err(error) => error,
        };
        // An operator that does not take numbers of 16 bits may take floats.
        let Some(half) = half_input(node) else { return Err(error) };
        let inputs = widened_inputs(node).map_err(refused)?;
        match self.build_as_given(&node.with_inputs(inputs)) {
            Ok(kernel) => Ok(rounding(kernel, half, kept_floats(&node.proto().op_type))),
            Err(_) => Err(error),
        }
    }

    fn build_as_given(self, node: &Node<'_>) -> Result<Kernel, Error> {
        let operator = self.find(node)?;
        let refused = |error: Error| Error::failed(format_args!("{node}: {error}"));
        if node.inputs() > 0 {
            node.expect(0, operator.accepts).map_err(refused)?;
        }
        let kernel = (operator.build)(node).map_err(refused)?;
        node.finish().map_err(refused)?;
        Ok(kernel)
    }

    fn find(self, node: &Node<'_>) -> Result<&'static Operator, Error> {
        let name = node.proto().op_type.as_str();
        let domain = Domain::of(&node.proto().domain);
        let named = |operator: &&Operator| Some(operator.domain) == domain && operator.name == name;
        let operators = || self.operators().filter(named);

        let serves = |operator: &&Operator| {
            let (first, last) = operator.versions;
            (first..=last).contains(&node.version())
        };
        // A runtime's own operator may be for some types alone, and precede a general one.
        let given = node.find_input(0).and_then(|input| input.value_type.element().ok());
        let accepts =
            |operator: &&Operator| given.is_none_or(|element| operator.accepts.contains(&element));
        let found = operators().filter(serves).find(accepts).or_else(|| operators().find(serves));
        found.ok_or_else(|| {
            let versions: Vec<_> = operators().map(|operator| operator.versions).collect();
            let first = versions.iter().map(|(first, _)| first).min();
            let text = match (first, versions.iter().map(|(_, last)| last).max()) {
                (Some(first), Some(last)) => format!(
                    "{node} is not served in this version of its operators, {first} to {last} are; convert the model with such a target_opset"
                ),
                _ => format!(
                    "{node} is not served; convert the model without it, or serve it as a component of its own"
                ),
            };
            Error::failed(text)
        })
    }
}
