//! The values of a graph as products and sums.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::graph::names::count_uses;
use crate::operators::Domain;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::tensor::{ElementType, Tensor};

/// The most factors of a product that is looked at: `x * x * x` and a number.
const MAX_FACTORS: usize = 4;

/// The most nodes of a product that is looked at, one inside the other.
const MAX_DEPTH: usize = 4;

/// A graph in which activation functions are looked for.
pub(super) struct Search<'a> {
    nodes: &'a [&'a NodeProto],
    /// By value, the index of the node that makes it, if one node alone uses it.
    makers: BTreeMap<&'a str, usize>,
    /// By value, a constant with one element.
    constants: BTreeMap<&'a str, Constant>,
}

/// A constant with one element.
#[derive(Clone, Copy)]
struct Constant {
    value: f32,
    axes: usize,
}

/// Values that are multiplied with each other and a constant.
pub(super) struct Product<'a> {
    pub(super) factor: f32,
    pub(super) values: Vec<&'a str>,
}

impl<'a> Search<'a> {
    pub(super) fn new(graph: &'a GraphProto, nodes: &'a [&'a NodeProto]) -> Self {
        let uses = count_uses(graph, nodes.iter().copied());
        let mut makers = BTreeMap::new();
        let mut constants = BTreeMap::new();
        for (index, node) in nodes.iter().enumerate() {
            let [output] = node.output.as_slice() else { continue };
            if let Some(constant) = constant_of_node(node) {
                constants.insert(output.as_str(), constant);
            } else if Domain::of(&node.domain) == Some(Domain::Onnx)
                && uses.get(output.as_str()) == Some(&1)
            {
                makers.insert(output.as_str(), index);
            }
        }

        // An initializer that is an input too is only a default.
        let inputs: BTreeSet<_> = graph.input.iter().map(|input| input.name.as_str()).collect();
        for tensor in graph.initializer.iter().filter(|tensor| !inputs.contains(&*tensor.name)) {
            if let Some(constant) = constant_of_tensor(tensor) {
                constants.insert(tensor.name.as_str(), constant);
            }
        }
        Search { nodes, makers, constants }
    }

    /// Returns the constant and the value that a node adds.
    pub(super) fn sum(&self, node: &'a NodeProto, found: &mut Found) -> Option<(f32, &'a str)> {
        let [one, other] = node.input.as_slice() else { return None };
        if node.op_type != "Add" {
            return None;
        }
        let constant = self.constant(one, found).map(|constant| (constant, other.as_str()));
        constant.or_else(|| Some((self.constant(other, found)?, one.as_str())))
    }

    /// Returns a value as a product. A value that is no product has one factor.
    pub(super) fn product(&self, value: &'a str, found: &mut Found) -> Option<Product<'a>> {
        let mut product = Product { factor: 1.0, values: Vec::new() };
        self.multiply(value, &mut product, found, MAX_DEPTH)?;
        Some(product)
    }

    /// Returns the value of a node as a product, if it is one.
    pub(super) fn product_of(&self, node: &'a NodeProto, found: &mut Found) -> Option<Product<'a>> {
        let mut product = Product { factor: 1.0, values: Vec::new() };
        let is_product = self.multiply_node(node, &mut product, found, MAX_DEPTH)?;
        is_product.then_some(product)
    }

    /// Multiplies a product by a value; `None` if it has too many factors.
    fn multiply(
        &self,
        value: &'a str,
        product: &mut Product<'a>,
        found: &mut Found,
        depth: usize,
    ) -> Option<()> {
        if let Some(constant) = self.constant(value, found) {
            product.factor *= constant;
            return Some(());
        }
        if let Some(index) = self.makers.get(value)
            && depth > 0
            && self.multiply_node(self.nodes[*index], product, found, depth - 1)?
        {
            found.nodes.insert(*index);
            return Some(());
        }

        product.values.push(value);
        (product.values.len() <= MAX_FACTORS).then_some(())
    }

    /// Multiplies a product by the value of a node. Returns false if the node is no product, and
    /// `None` if there are too many factors.
    fn multiply_node(
        &self,
        node: &'a NodeProto,
        product: &mut Product<'a>,
        found: &mut Found,
        depth: usize,
    ) -> Option<bool> {
        let [left, right] = node.input.as_slice() else { return Some(false) };
        match node.op_type.as_str() {
            "Mul" => {
                self.multiply(left, product, found, depth)?;
                self.multiply(right, product, found, depth)?;
            }
            "Div" => {
                let Some(divisor) = self.constant(right, found) else { return Some(false) };
                self.multiply(left, product, found, depth)?;
                product.factor /= divisor;
            }
            "Pow" => {
                let exponent = self.constant(right, found);
                let Some(times) = [2, 3].into_iter().find(|n| exponent == Some(*n as f32)) else {
                    return Some(false);
                };
                for _ in 0..times {
                    self.multiply(left, product, found, depth)?;
                }
            }
            _ => return Some(false),
        }
        Some(true)
    }

    /// Returns the bounds of a Clip.
    pub(super) fn bounds(&self, node: &NodeProto) -> Option<[f32; 2]> {
        match node.input.as_slice() {
            [_] => Some([float(node, "min", f32::MIN), float(node, "max", f32::MAX)]),
            // The bounds do not change the shape.
            [_, low, high] => {
                let bound = |name: &str| self.constants.get(name).map(|constant| constant.value);
                Some([bound(low)?, bound(high)?])
            }
            _ => None,
        }
    }

    /// Returns the node that makes a value for this function alone.
    pub(super) fn node(&self, value: &str, found: &mut Found) -> Option<&'a NodeProto> {
        let index = self.makers.get(value)?;
        found.nodes.insert(*index);
        Some(self.nodes[*index])
    }

    fn constant(&self, name: &str, found: &mut Found) -> Option<f32> {
        let Constant { value, axes } = *self.constants.get(name)?;
        found.axes = found.axes.max(axes);
        Some(value)
    }
}

/// Returns an attribute of a node, or its default.
pub(super) fn float(node: &NodeProto, name: &str, default: f32) -> f32 {
    let attribute = node.attribute.iter().find(|attribute| attribute.name == name);
    attribute.map_or(default, |attribute| attribute.f.unwrap_or_default())
}

fn constant_of_node(node: &NodeProto) -> Option<Constant> {
    let is_constant = node.op_type == "Constant" && Domain::of(&node.domain) == Some(Domain::Onnx);
    let [attribute] = node.attribute.as_slice() else { return None };
    match attribute.name.as_str() {
        "value" if is_constant => constant_of_tensor(attribute.t.as_ref()?),
        "value_float" if is_constant => Some(Constant { value: attribute.f?, axes: 0 }),
        _ => None,
    }
}

fn constant_of_tensor(tensor: &TensorProto) -> Option<Constant> {
    if tensor.dims.iter().any(|extent| *extent != 1) {
        return None;
    }
    let tensor = Tensor::read(tensor).ok()?;
    let is_float = tensor.element_type() == ElementType::F32;
    let [value] = tensor.values::<f32>().ok().filter(|_| is_float)? else { return None };
    Some(Constant { value: *value, axes: tensor.shape().len() })
}
