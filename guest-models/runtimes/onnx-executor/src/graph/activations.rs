//! Activation functions that a file writes as several nodes: they become one node.
//!
//! Most files write `Gelu`, `Silu` and `HardSwish` in steps, because the operators are younger than
//! the networks. One step passes over the numbers once, and can become one with the product or
//! convolution before it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::names::count_uses;
use crate::operators::Domain;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::registry::Registry;
use crate::tensor::{ElementType, Tensor};

/// The most factors of a product that is looked at: `x * x * x` and a number.
const MAX_FACTORS: usize = 4;

/// The most nodes of a product that is looked at, one inside the other.
const MAX_DEPTH: usize = 4;

/// Numbers in files are rounded, often in decimal digits.
const TOLERANCE: f32 = 2e-6;

/// Returns the nodes, which are in order, with those of an activation function replaced by one.
pub(super) fn join<'a>(
    graph: &'a GraphProto,
    nodes: Vec<&'a NodeProto>,
    registry: Registry,
) -> Vec<Cow<'a, NodeProto>> {
    let is_served = registry.operators().any(|operator| operator.domain == Domain::Wardian);
    let mut replaced = BTreeMap::new();
    let mut joined = BTreeSet::new();

    if is_served {
        let search = Search::new(graph, &nodes);
        for (index, node) in nodes.iter().enumerate() {
            let Some(found) = search.find(node) else { continue };
            if found.nodes.iter().any(|node| joined.contains(node)) {
                continue;
            }
            joined.extend(found.nodes.iter().copied());
            joined.insert(index);
            replaced.insert(index, found.node(node));
        }
    }

    let node = |(index, node)| match replaced.remove(&index) {
        Some(activation) => Some(Cow::Owned(activation)),
        None => (!joined.contains(&index)).then_some(Cow::Borrowed(node)),
    };
    nodes.into_iter().enumerate().filter_map(node).collect()
}

/// A graph in which activation functions are looked for.
struct Search<'a> {
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

/// The nodes of an activation function before the last one.
#[derive(Clone, Default)]
struct Found {
    operator: &'static str,
    input: String,
    nodes: BTreeSet<usize>,
    /// The most axes of a constant. The function's value has as many or more.
    axes: usize,
}

/// Values that are multiplied with each other and a constant.
struct Product<'a> {
    factor: f32,
    values: Vec<&'a str>,
}

// === impl Search ===

impl<'a> Search<'a> {
    fn new(graph: &'a GraphProto, nodes: &'a [&'a NodeProto]) -> Self {
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

    /// Returns the activation function that a node ends.
    fn find(&self, last: &'a NodeProto) -> Option<Found> {
        if Domain::of(&last.domain) != Some(Domain::Onnx) {
            return None;
        }

        let mut found = Found::default();
        let product = self.product_of(last, &mut found)?;
        let [one, other] = product.values[..] else { return None };
        let found = [(one, other), (other, one)].into_iter().find_map(|(x, gate)| {
            let mut found = found.clone();
            found.operator = self.operator(x, gate, product.factor, &mut found)?;
            found.input = x.to_owned();
            Some(found)
        })?;
        Some(found)
    }

    /// Returns the function `factor * x * gate`.
    fn operator(
        &self,
        x: &'a str,
        gate: &'a str,
        factor: f32,
        found: &mut Found,
    ) -> Option<&'static str> {
        let node = self.node(gate, found)?;
        match node.op_type.as_str() {
            "Sigmoid" if is_near(factor, 1.0) => (node.input.first()? == x).then_some("Silu"),
            "HardSigmoid" if is_near(factor, 1.0) => {
                let fits = is_near(float(node, "alpha", 0.2), 1.0 / 6.0)
                    && is_near(float(node, "beta", 0.5), 0.5);
                (fits && node.input.first()? == x).then_some("HardSwish")
            }
            "Clip" if is_near(factor, 1.0 / 6.0) => {
                let is_relu6 = self.bounds(node, found)? == [0.0, 6.0];
                let shifted = self.node(node.input.first()?, found)?;
                let (shift, value) = self.sum(shifted, found)?;
                (is_relu6 && is_near(shift, 3.0) && value == x).then_some("HardSwish")
            }
            "Add" if is_near(factor, 0.5) => {
                let (one, curve) = self.sum(node, found)?;
                let curve = self.node(curve, found).filter(|_| is_near(one, 1.0))?;
                let inner = curve.input.first()?;
                match curve.op_type.as_str() {
                    "Erf" => self.is_scaled(inner, x, found).then_some("Gelu"),
                    "Tanh" => self.is_cubic(inner, x, found).then_some("GeluTanh"),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Returns true for `x / sqrt(2)`.
    fn is_scaled(&self, value: &'a str, x: &str, found: &mut Found) -> bool {
        let product = self.product(value, found);
        product.is_some_and(|Product { factor, values }| {
            is_near(factor, std::f32::consts::FRAC_1_SQRT_2) && values == [x]
        })
    }

    /// Returns true for `sqrt(2 / pi) * (x + 0.044715 * x * x * x)`.
    fn is_cubic(&self, value: &'a str, x: &str, found: &mut Found) -> bool {
        const ROOT: f32 = 0.797_884_6;
        let sum = self.product(value, found);
        let Some(Product { factor, values }) = sum else { return false };
        let [sum] = values[..] else { return false };
        let Some(node) = self.node(sum, found).filter(|node| node.op_type == "Add") else {
            return false;
        };
        let [one, other] = node.input.as_slice() else { return false };
        let cube = if one == x { other } else { one };
        let is_sum = is_near(factor, ROOT) && (one == x || other == x);

        let cube = self.product(cube, found).filter(|_| is_sum);
        cube.is_some_and(|cube| is_near(cube.factor, 0.044_715) && cube.values == [x; 3])
    }

    /// Returns the constant and the value that a node adds.
    fn sum(&self, node: &'a NodeProto, found: &mut Found) -> Option<(f32, &'a str)> {
        let [one, other] = node.input.as_slice() else { return None };
        if node.op_type != "Add" {
            return None;
        }
        let constant = self.constant(one, found).map(|constant| (constant, other.as_str()));
        constant.or_else(|| Some((self.constant(other, found)?, one.as_str())))
    }

    /// Returns a value as a product. A value that is no product has one factor.
    fn product(&self, value: &'a str, found: &mut Found) -> Option<Product<'a>> {
        let mut product = Product { factor: 1.0, values: Vec::new() };
        self.multiply(value, &mut product, found, MAX_DEPTH)?;
        Some(product)
    }

    fn product_of(&self, node: &'a NodeProto, found: &mut Found) -> Option<Product<'a>> {
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
    fn bounds(&self, node: &NodeProto, found: &mut Found) -> Option<[f32; 2]> {
        match node.input.as_slice() {
            [_] => Some([float(node, "min", f32::MIN), float(node, "max", f32::MAX)]),
            // The bounds do not change the shape.
            [_, low, high] => {
                let bound = |name| self.constant(name, &mut found.clone());
                Some([bound(low)?, bound(high)?])
            }
            _ => None,
        }
    }

    /// Returns the node that makes a value for this function alone.
    fn node(&self, value: &str, found: &mut Found) -> Option<&'a NodeProto> {
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

// === impl Found ===

impl Found {
    /// Returns the node that takes the place of all, with the outputs of the last one.
    fn node(self, last: &NodeProto) -> NodeProto {
        let axes = AttributeProto {
            name: "axes".to_owned(),
            i: Some(self.axes as i64),
            ..AttributeProto::default()
        };
        NodeProto {
            domain: Domain::WARDIAN.to_owned(),
            op_type: self.operator.to_owned(),
            name: last.name.clone(),
            input: vec![self.input],
            output: last.output.clone(),
            attribute: vec![axes],
            ..NodeProto::default()
        }
    }
}

fn is_near(value: f32, expected: f32) -> bool {
    (value - expected).abs() <= TOLERANCE * expected.abs()
}

fn float(node: &NodeProto, name: &str, default: f32) -> f32 {
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
