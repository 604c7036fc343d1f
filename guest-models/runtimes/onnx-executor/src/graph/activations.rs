//! Activation functions that a file writes as several nodes: they become one node.
//!
//! Most files write `Gelu`, `Silu` and `HardSwish` in steps, because the operators are younger than
//! the networks. One step passes over the numbers once, and can become one with the product or
//! convolution before it.

mod terms;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::operators::Domain;
use crate::proto::{AttributeProto, GraphProto, NodeProto};
use crate::registry::Registry;
use terms::{Product, Search, float};

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

/// The nodes of an activation function before the last one.
#[derive(Clone, Default)]
struct Found {
    operator: &'static str,
    input: String,
    nodes: BTreeSet<usize>,
    /// The most axes of a constant. The function's value has as many or more.
    axes: usize,
}

// === impl Search ===

impl<'a> Search<'a> {
    /// Returns the activation function that a node ends.
    fn find(&self, last: &'a NodeProto) -> Option<Found> {
        if Domain::of(&last.domain) != Some(Domain::Onnx) {
            return None;
        }

        let mut found = Found::default();
        let product = self.product_of(last, &mut found)?;
        let [one, other] = product.values[..] else { return None };
        [(one, other), (other, one)].into_iter().find_map(|(x, gate)| {
            let mut found = found.clone();
            found.operator = self.operator(x, gate, product.factor, &mut found)?;
            found.input = x.to_owned();
            Some(found)
        })
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
                let is_relu6 = self.bounds(node)? == [0.0, 6.0];
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
