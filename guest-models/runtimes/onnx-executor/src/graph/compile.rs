//! The program of a graph.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use wardian_sdk::{Error, OrError};

use super::fusion::{Fused, Fusion};
use super::opsets::Opsets;
use super::{activations, constant_folding, order, slots};
use crate::kernel::{Argument, Kernel};
use crate::node::{Input, Node, Subgraphs};
use crate::operators::Domain;
use crate::program::{Program, Step};
use crate::proto::{GraphProto, NodeProto};
use crate::registry::Registry;
use crate::tensor::Tensor;
use crate::value_type::ValueType;

/// An input of a graph.
pub struct GraphInput {
    /// The name.
    pub name: String,
    /// The type.
    pub value_type: ValueType,
}

/// A graph that has been compiled.
pub struct Compiled {
    /// The program.
    pub program: Program,
    /// The operators, with the number of their nodes, without those of graphs inside nodes.
    pub operators: BTreeMap<String, usize>,
}

/// Compiles a graph of its own.
///
/// # Errors
/// Failed if it cannot be served; the text names the node.
pub fn compile(
    graph: &GraphProto,
    inputs: &[GraphInput],
    language: &Language,
) -> Result<Compiled, Error> {
    compile_inside(graph, inputs, language, None)
}

/// The meaning of the nodes of a file.
pub struct Language {
    /// The versions of operators that the file is written for.
    pub opsets: Opsets,
    /// The operators that are served.
    pub registry: Registry,
}

/// A value in a graph.
#[derive(Clone)]
struct Value {
    argument: Argument,
    input: Input,
}

/// The values around a graph inside a node.
struct Surroundings<'a> {
    values: &'a Scope<'a>,
    /// The arguments that the node gets for the graphs inside it, after its own.
    captured: RefCell<Vec<Value>>,
    own_arguments: usize,
    language: &'a Language,
}

/// The values of a graph by name.
struct Scope<'a> {
    names: BTreeMap<String, Value>,
    around: Option<&'a Surroundings<'a>>,
    /// The arguments of the surrounding node that are used here, in the order of their constants.
    captures: RefCell<Vec<usize>>,
}

fn compile_inside(
    graph: &GraphProto,
    inputs: &[GraphInput],
    language: &Language,
    around: Option<&Surroundings<'_>>,
) -> Result<Compiled, Error> {
    if !graph.sparse_initializer.is_empty() {
        return Err(Error::failed("sparse initializers are not served; save them as dense ones"));
    }

    let nodes = order::ordered(graph)?;
    let mut operators = BTreeMap::new();
    for node in &nodes {
        let NodeProto { domain, op_type, name, .. } = node;
        if domain == Domain::WARDIAN {
            let text = format!("operator {op_type} ({domain}) of node '{name}' is not served");
            return Err(Error::failed(text));
        }
        *operators.entry(op_type.clone()).or_default() += 1;
    }
    let nodes = activations::join(graph, nodes, language.registry);

    let mut builder = Builder {
        scope: Scope { names: BTreeMap::new(), around, captures: RefCell::default() },
        language,
        constants: Vec::new(),
        fusion: Fusion::new(graph, nodes.iter().map(AsRef::as_ref)),
        steps: Vec::new(),
        values: 0,
        operators,
    };
    builder.add_inputs(inputs)?;
    builder.add_initializers(graph)?;
    for node in &nodes {
        builder.add_node(node)?;
    }
    builder.finish(graph, inputs.len())
}

struct Builder<'a> {
    scope: Scope<'a>,
    language: &'a Language,
    constants: Vec<Arc<Tensor>>,
    fusion: Fusion,
    steps: Vec<Step>,
    /// The number of values that are not constants.
    values: usize,
    operators: BTreeMap<String, usize>,
}

// === impl Builder ===

impl Builder<'_> {
    fn add_inputs(&mut self, inputs: &[GraphInput]) -> Result<(), Error> {
        for GraphInput { name, value_type } in inputs {
            let value = self.new_value(value_type.clone());
            if self.scope.names.insert(name.clone(), value).is_some() {
                return Err(Error::failed(format_args!("two inputs have the name '{name}'")));
            }
        }
        Ok(())
    }

    /// Adds the initializers, but for those that are inputs too: there, they are the default.
    fn add_initializers(&mut self, graph: &GraphProto) -> Result<(), Error> {
        for initializer in &graph.initializer {
            if self.scope.names.contains_key(&initializer.name) {
                continue;
            }
            let tensor = Arc::new(Tensor::read(initializer)?);
            let value = self.new_constant(tensor);
            self.scope.names.insert(initializer.name.clone(), value);
        }
        Ok(())
    }

    fn new_value(&mut self, value_type: ValueType) -> Value {
        let slot = self.values;
        self.values += 1;
        let argument = Argument::Value { slot, is_last_use: false };
        Value { argument, input: Input { value_type, constant: None } }
    }

    fn new_constant(&mut self, tensor: Arc<Tensor>) -> Value {
        let argument = Argument::Constant(self.constants.len());
        self.constants.push(Arc::clone(&tensor));
        let value_type = ValueType::Tensor(tensor.element_type());
        Value { argument, input: Input { value_type, constant: Some(tensor) } }
    }

    fn add_node(&mut self, proto: &NodeProto) -> Result<(), Error> {
        let version = self.language.opsets.version(proto)?;
        let values = self.inputs(proto)?;
        if proto.op_type == "Identity"
            && proto.domain.is_empty()
            && proto.attribute.is_empty()
            && let ([Some(value)], [output]) = (values.as_slice(), proto.output.as_slice())
        {
            self.fusion.forget(value.argument);
            return self.name(output, value.clone());
        }

        let (kernel, folded, fused, captured, label) = {
            let surroundings = Surroundings {
                values: &self.scope,
                captured: RefCell::default(),
                own_arguments: values.len(),
                language: self.language,
            };
            let inputs = values.iter().map(|value| value.as_ref().map(|value| value.input.clone()));
            let node = Node::new(proto, version, inputs.collect(), &surroundings);
            let kernel = self.language.registry.build(&node)?;
            let folded = constant_folding::fold(&node, &kernel);
            let fused = self.fusion.fuse(&node, &arguments(&values), &mut self.steps)?;
            let label = node.to_string();
            (kernel, folded, fused, surroundings.captured.into_inner(), label)
        };
        match (folded, fused) {
            (Some(constants), _) => self.add_constants(proto, constants),
            (None, Some(Fused { kernel, inputs, label })) => {
                self.add_step(proto, kernel, inputs, label)
            }
            (None, None) => {
                let captured = captured.iter().map(|value| value.argument);
                let inputs = arguments(&values).into_iter().chain(captured);
                self.add_step(proto, kernel, inputs.collect(), label.into())
            }
        }
    }

    fn inputs(&mut self, proto: &NodeProto) -> Result<Vec<Option<Value>>, Error> {
        let mut inputs = Vec::with_capacity(proto.input.len());
        for name in &proto.input {
            let value = (!name.is_empty()).then(|| self.find(name));
            let NodeProto { op_type, name: node, .. } = proto;
            inputs.push(value.transpose().or_failed(format_args!("{op_type} of node '{node}'"))?);
        }
        Ok(inputs)
    }

    fn find(&mut self, name: &str) -> Result<Value, Error> {
        let value = self.scope.find(name);
        value.or_failed(format_args!("nothing makes the value '{name}'"))
    }

    fn add_constants(
        &mut self,
        proto: &NodeProto,
        constants: Vec<Arc<Tensor>>,
    ) -> Result<(), Error> {
        for (output, constant) in proto.output.iter().zip(constants) {
            let value = self.new_constant(constant);
            self.name(output, value)?;
        }
        Ok(())
    }

    fn add_step(
        &mut self,
        proto: &NodeProto,
        kernel: Kernel,
        mut inputs: Box<[Argument]>,
        label: Box<str>,
    ) -> Result<(), Error> {
        for index in kernel.consumed {
            if let Some(input) = inputs.get_mut(index) {
                *input = Argument::Absent;
            }
        }
        if proto.output.len() > kernel.outputs.len() {
            let made = kernel.outputs.len();
            return Err(Error::failed(format_args!(
                "{label}: it has {} outputs, of which {made} are served",
                proto.output.len()
            )));
        }
        let first = self.values;
        for (output, value_type) in proto.output.iter().zip(kernel.outputs) {
            let value = self.new_value(value_type);
            self.name(output, value)?;
        }
        let outputs = (first..self.values).map(Some).collect();
        if let (Some(fuse), [output]) = (kernel.fuse, proto.output.as_slice()) {
            self.fusion.add(output, first, self.steps.len(), fuse);
        }
        self.steps.push(Step { run: kernel.run, inputs, outputs, unused: Box::default(), label });
        Ok(())
    }

    /// Gives a value its name, unless the node leaves the output out.
    fn name(&mut self, name: &str, value: Value) -> Result<(), Error> {
        if !name.is_empty() && self.scope.names.insert(name.to_owned(), value).is_some() {
            return Err(Error::failed(format_args!("the value '{name}' is made twice")));
        }
        Ok(())
    }

    fn finish(mut self, graph: &GraphProto, inputs: usize) -> Result<Compiled, Error> {
        let mut outputs = Vec::new();
        let mut output_types = Vec::new();
        for output in &graph.output {
            let value = self.find(&output.name)?;
            outputs.push(value.argument);
            output_types.push(value.input.value_type);
        }
        let captures = self.scope.captures.take();
        self.steps.retain(|step| !step.outputs.is_empty());
        let constants = self.constants.len();
        let arguments = self.steps.iter_mut().flat_map(|step| step.inputs.iter_mut());
        arguments.chain(&mut outputs).for_each(|argument| resolve_capture(argument, constants));

        self.drop_unused_constants(&outputs)?;
        let slots = slots::assign(&mut self.steps, &mut outputs, inputs, self.values);
        let Self { steps, constants, operators, .. } = self;
        let program = Program { steps, constants, slots, outputs, output_types, captures };
        Ok(Compiled { program, operators })
    }
}

impl Builder<'_> {
    /// Frees the constants that no node looks at while the graph runs.
    fn drop_unused_constants(&mut self, outputs: &[Argument]) -> Result<(), Error> {
        let mut is_used = vec![false; self.constants.len()];
        let inputs = self.steps.iter().flat_map(|step| step.inputs.iter());
        for argument in inputs.chain(outputs) {
            if let Argument::Constant(index) = argument
                && let Some(is_used) = is_used.get_mut(*index)
            {
                *is_used = true;
            }
        }

        let empty = Arc::new(Tensor::vector(Vec::<f32>::new())?);
        let unused = self.constants.iter_mut().zip(is_used).filter(|(_, is_used)| !is_used);
        unused.for_each(|(constant, _)| *constant = Arc::clone(&empty));
        Ok(())
    }
}

/// Returns the arguments of a node's own inputs.
fn arguments(values: &[Option<Value>]) -> Vec<Argument> {
    let argument = |value: &Option<Value>| value.as_ref().map_or(Argument::Absent, |v| v.argument);
    values.iter().map(argument).collect()
}

/// Captured values follow the constants, whose number is known last.
fn resolve_capture(argument: &mut Argument, constants: usize) {
    if let Argument::Captured(index) = argument {
        *argument = Argument::Constant(constants + *index);
    }
}

// === impl Scope ===

impl Scope<'_> {
    /// Returns the value of a name, here or around.
    fn find(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.names.get(name) {
            return Some(value.clone());
        }
        let (index, input) = self.around?.capture(name)?;
        let mut captures = self.captures.borrow_mut();
        let known = captures.iter().position(|known| *known == index);
        let position = known.unwrap_or_else(|| {
            captures.push(index);
            captures.len() - 1
        });
        Some(Value { argument: Argument::Captured(position), input })
    }
}

// === impl Surroundings ===

impl Surroundings<'_> {
    /// Makes a value an argument of the node, and returns its index.
    fn capture(&self, name: &str) -> Option<(usize, Input)> {
        let value = self.values.find(name)?;
        let input = value.input.clone();
        let mut captured = self.captured.borrow_mut();
        let known = captured.iter().position(|known| known.argument == value.argument);
        let position = known.unwrap_or_else(|| {
            captured.push(value);
            captured.len() - 1
        });
        Some((self.own_arguments + position, input))
    }
}

impl Subgraphs for Surroundings<'_> {
    fn compile(&self, graph: &GraphProto, inputs: &[ValueType]) -> Result<Program, Error> {
        if graph.input.len() != inputs.len() {
            let (has, gets) = (graph.input.len(), inputs.len());
            return Err(Error::failed(format_args!("its graph has {has} inputs and gets {gets}")));
        }
        let named = graph.input.iter().zip(inputs).map(|(input, value_type)| GraphInput {
            name: input.name.clone(),
            value_type: value_type.clone(),
        });
        let named: Vec<_> = named.collect();
        Ok(compile_inside(graph, &named, self.language, Some(self))?.program)
    }
}
