//! A node while its graph is read: types of inputs, constants, attributes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::sync::Arc;

use wardian_sdk::{Error, OrError};

use super::proto::{AttributeProto, GraphProto, NodeProto};
use super::tensor::{ElementType, Tensor, Text, texts};
use super::value_type::ValueType;

/// An input of a node, as far as it is known when the graph is read.
#[derive(Clone)]
pub struct Input {
    /// The type.
    pub value_type: ValueType,
    /// The value, if it is a constant.
    pub constant: Option<Arc<Tensor>>,
}

/// A node from which a kernel is built.
///
/// An attribute that is never asked for is one whose meaning is not implemented, so the node is
/// refused after its kernel was built.
pub struct Node<'a> {
    proto: &'a NodeProto,
    version: i64,
    inputs: Vec<Option<Input>>,
    subgraphs: &'a dyn Subgraphs,
    used: RefCell<BTreeSet<&'a str>>,
}

/// Compiles the graphs that are attributes of a node.
pub trait Subgraphs {
    /// Compiles a graph, which may use the values around its node.
    ///
    /// # Errors
    /// Failed if it cannot be served.
    fn compile(&self, graph: &GraphProto, inputs: &[ValueType]) -> Result<super::Program, Error>;
}

impl<'a> Node<'a> {
    /// Makes a node of an operator of the given version.
    pub fn new(
        proto: &'a NodeProto,
        version: i64,
        inputs: Vec<Option<Input>>,
        subgraphs: &'a dyn Subgraphs,
    ) -> Self {
        Self { proto, version, inputs, subgraphs, used: RefCell::default() }
    }

    /// Returns this node with other inputs.
    pub(crate) fn with_inputs(&self, inputs: Vec<Option<Input>>) -> Self {
        Self::new(self.proto, self.version, inputs, self.subgraphs)
    }

    /// Returns the version of the operator set of the node's domain.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Returns the node as the file has it.
    pub fn proto(&self) -> &'a NodeProto {
        self.proto
    }

    /// Compiles a graph that is an attribute, given the types of its inputs.
    ///
    /// # Errors
    /// Failed if there is none, or it cannot be served.
    pub fn program(&self, name: &'a str, inputs: &[ValueType]) -> Result<super::Program, Error> {
        let graph = self.attribute(name).and_then(|attribute| attribute.g.as_ref());
        let graph = graph.or_failed(format_args!("it has no graph {name:?}"))?;
        self.subgraphs.compile(graph, inputs)
    }

    // --- inputs and outputs ---

    /// Returns the number of inputs, with those left out before the last one.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Returns the number of outputs, with those left out before the last one.
    pub fn outputs(&self) -> usize {
        self.proto.output.len()
    }

    /// Returns true if something may use this output.
    pub fn has_output(&self, index: usize) -> bool {
        self.proto.output.get(index).is_some_and(|name| !name.is_empty())
    }

    /// Returns true if this input is given.
    pub fn has_input(&self, index: usize) -> bool {
        self.find_input(index).is_some()
    }

    /// Returns an input, if it is given.
    pub fn find_input(&self, index: usize) -> Option<&Input> {
        self.inputs.get(index).and_then(Option::as_ref)
    }

    /// Returns the type of an input's elements.
    ///
    /// # Errors
    /// Failed if the input is left out, or is no tensor.
    pub fn input_type(&self, index: usize) -> Result<ElementType, Error> {
        let input = self.find_input(index).or_failed(format_args!("input {index} is missing"))?;
        input.value_type.element()
    }

    /// Returns an input's value, if it is a constant.
    pub fn constant(&self, index: usize) -> Option<&Arc<Tensor>> {
        self.find_input(index)?.constant.as_ref()
    }

    /// Checks that an input, if it is given, has elements of one of these types.
    ///
    /// # Errors
    /// Failed if not.
    pub fn expect(&self, index: usize, types: &[ElementType]) -> Result<(), Error> {
        if !self.has_input(index) {
            return Ok(());
        }
        let given = self.input_type(index)?;
        if types.contains(&given) {
            return Ok(());
        }
        Err(Error::failed(format_args!("input {index} of type {given} is not served")))
    }

    /// Checks that all given inputs from `first` on have elements of one type.
    ///
    /// # Errors
    /// Failed if not.
    pub fn expect_all(&self, first: usize, element: ElementType) -> Result<(), Error> {
        (first..self.inputs()).try_for_each(|index| self.expect(index, &[element]))
    }

    // --- attributes ---

    /// Returns an attribute, if the node has it.
    pub fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        let attribute = self.proto.attribute.iter().find(|attribute| attribute.name == name)?;
        self.used.borrow_mut().insert(&attribute.name);
        Some(attribute)
    }

    /// Returns a whole number, if the node has it.
    pub fn find_integer(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|attribute| attribute.i.unwrap_or_default())
    }

    /// Returns a whole number, or its default.
    pub fn integer(&self, name: &str, default: i64) -> i64 {
        self.find_integer(name).unwrap_or(default)
    }

    /// Returns true if a whole number is not 0.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.integer(name, default.into()) != 0
    }

    /// Returns a number, if the node has it.
    pub fn find_float(&self, name: &str) -> Option<f32> {
        self.attribute(name).map(|attribute| attribute.f.unwrap_or_default())
    }

    /// Returns a number, or its default.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.find_float(name).unwrap_or(default)
    }

    /// Returns a text, if the node has it.
    ///
    /// # Errors
    /// Failed if it is not UTF-8.
    pub fn find_text(&self, name: &str) -> Result<Option<&'a str>, Error> {
        let Some(attribute) = self.attribute(name) else { return Ok(None) };
        let bytes = attribute.s.as_deref().unwrap_or_default();
        let text = std::str::from_utf8(bytes);
        text.map(Some).or_failed(format_args!("the attribute {name:?} is not UTF-8"))
    }

    /// Returns a text, or its default.
    ///
    /// # Errors
    /// Failed if it is not UTF-8.
    pub fn text(&self, name: &str, default: &'a str) -> Result<&'a str, Error> {
        Ok(self.find_text(name)?.unwrap_or(default))
    }

    /// Returns a list of numbers; an empty one if the node has none.
    pub fn floats(&self, name: &str) -> &'a [f32] {
        self.attribute(name).map(|attribute| attribute.floats.as_slice()).unwrap_or_default()
    }

    /// Returns a list of whole numbers; an empty one if the node has none.
    pub fn integers(&self, name: &str) -> &'a [i64] {
        self.attribute(name).map(|attribute| attribute.ints.as_slice()).unwrap_or_default()
    }

    /// Returns a list of texts; an empty one if the node has none.
    ///
    /// # Errors
    /// Failed if one is not UTF-8.
    pub fn texts(&self, name: &str) -> Result<Vec<Text>, Error> {
        let Some(attribute) = self.attribute(name) else { return Ok(Vec::new()) };
        texts(&attribute.strings).or_failed(format_args!("the attribute {name:?}"))
    }

    /// Returns a tensor, if the node has it.
    ///
    /// # Errors
    /// Failed if it cannot be read.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor>, Error> {
        let tensor = self.attribute(name).and_then(|attribute| attribute.t.as_ref());
        tensor.map(Tensor::read).transpose().or_failed(format_args!("the attribute {name:?}"))
    }

    /// Checks that every attribute has been asked for.
    ///
    /// # Errors
    /// Failed if there is one whose meaning is not known, or one that occurs twice.
    pub fn finish(&self) -> Result<(), Error> {
        let mut used = self.used.borrow_mut();
        for attribute in &self.proto.attribute {
            if !used.remove(attribute.name.as_str()) {
                let name = &attribute.name;
                let text = format!("the attribute {name:?} is not served, or occurs twice");
                return Err(Error::failed(text));
            }
            if !attribute.ref_attr_name.is_empty() {
                return Err(Error::failed("an attribute refers to one of a function"));
            }
        }
        Ok(())
    }
}

/// Writes the operator with its domain and version, and the node's name.
impl Display for Node<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NodeProto { op_type, domain, name, output, .. } = self.proto;
        let domain = if domain.is_empty() { "ai.onnx" } else { domain };
        write!(formatter, "operator {op_type} ({domain} {})", self.version)?;
        match (name.as_str(), output.first()) {
            ("", Some(output)) => write!(formatter, " of the node that makes '{output}'"),
            (name, _) => write!(formatter, " of node '{name}'"),
        }
    }
}
