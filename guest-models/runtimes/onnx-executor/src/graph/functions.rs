//! Functions of a file: operators that are made of others. Their nodes take the place of a call.

use std::collections::BTreeMap;

use wardian_sdk::Error;

use crate::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
};

/// The most nodes of a file in which all calls are replaced.
const MAX_NODES: usize = 1 << 18;

/// The most functions that call each other.
const MAX_DEPTH: usize = 32;

/// Replaces all calls of functions in a graph.
///
/// # Errors
/// Failed if functions call each other without end, are for other versions of operators than the
/// file, or have too many nodes.
pub fn inline(model: &mut ModelProto, graph: &mut GraphProto) -> Result<(), Error> {
    let functions = std::mem::take(&mut model.functions);
    if functions.is_empty() {
        return Ok(());
    }
    functions.iter().try_for_each(|function| import(model, function))?;
    let mut inliner = Inliner { functions: &functions, calls: 0, nodes: 0 };
    inliner.graph(graph, 0)
}

/// Imports the operators of a function into the file.
fn import(model: &mut ModelProto, function: &FunctionProto) -> Result<(), Error> {
    for own in &function.opset_import {
        let known = model.opset_import.iter().find(|known| known.domain == own.domain);
        match known {
            None => model
                .opset_import
                .push(OperatorSetIdProto { domain: own.domain.clone(), version: own.version }),
            Some(known) if known.version == own.version => {}
            Some(known) => {
                return Err(Error::failed(format_args!(
                    "the function {} is for version {} of the operators of {:?}, and the file for {}; convert the model with one version",
                    function.name, own.version, own.domain, known.version
                )));
            }
        }
    }
    Ok(())
}

struct Inliner<'a> {
    functions: &'a [FunctionProto],
    calls: usize,
    nodes: usize,
}

/// The names and attributes of a call.
struct Call<'a> {
    /// By the function's own name of a value.
    names: BTreeMap<&'a str, String>,
    /// In front of the names that only the function has.
    prefix: String,
    attributes: BTreeMap<&'a str, &'a AttributeProto>,
}

impl<'a> Inliner<'a> {
    fn graph(&mut self, graph: &mut GraphProto, depth: usize) -> Result<(), Error> {
        let nodes = std::mem::take(&mut graph.node);
        graph.node = self.expanded(nodes, depth)?;
        Ok(())
    }

    fn expanded(&mut self, nodes: Vec<NodeProto>, depth: usize) -> Result<Vec<NodeProto>, Error> {
        let mut expanded = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            for attribute in &mut node.attribute {
                attribute.g.as_mut().map_or(Ok(()), |graph| self.graph(graph, depth))?;
            }
            match self.function(&node) {
                Some(function) => {
                    if depth >= MAX_DEPTH {
                        let name = &function.name;
                        return Err(Error::failed(format_args!(
                            "the function {name} calls itself"
                        )));
                    }
                    self.calls += 1;
                    let body = body(function, &node, self.calls);
                    expanded.extend(self.expanded(body, depth + 1)?);
                }
                None => expanded.push(node),
            }
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                return Err(Error::failed("its functions have too many nodes"));
            }
        }
        Ok(expanded)
    }

    fn function(&self, node: &NodeProto) -> Option<&'a FunctionProto> {
        self.functions.iter().find(|function| {
            (&function.domain, &function.name, &function.overload)
                == (&node.domain, &node.op_type, &node.overload)
        })
    }
}

/// Returns the nodes of a call.
fn body(function: &FunctionProto, node: &NodeProto, call: usize) -> Vec<NodeProto> {
    let inputs =
        function.input.iter().enumerate().map(|(index, name)| {
            (name.as_str(), node.input.get(index).cloned().unwrap_or_default())
        });
    let outputs = function.output.iter().zip(&node.output);
    let outputs = outputs.map(|(name, given)| (name.as_str(), given.clone()));
    // An output that is left out still needs a name inside.
    let given = outputs.filter(|(_, given)| !given.is_empty());
    let defaults = function.attribute_proto.iter().chain(&node.attribute);
    let call = Call {
        names: inputs.chain(given).collect(),
        prefix: format!("{} {call} ", function.name),
        attributes: defaults.map(|attribute| (attribute.name.as_str(), attribute)).collect(),
    };
    function.node.iter().map(|node| call.node(node)).collect()
}

impl Call<'_> {
    fn name(&self, name: &str) -> String {
        match self.names.get(name) {
            Some(given) => given.clone(),
            None if name.is_empty() => String::new(),
            None => format!("{}{name}", self.prefix),
        }
    }

    fn names(&self, names: &[String]) -> Vec<String> {
        names.iter().map(|name| self.name(name)).collect()
    }

    fn node(&self, node: &NodeProto) -> NodeProto {
        NodeProto {
            input: self.names(&node.input),
            output: self.names(&node.output),
            name: format!("{}{}", self.prefix, node.name),
            attribute: node.attribute.iter().filter_map(|one| self.attribute(one)).collect(),
            ..node.clone()
        }
    }

    /// Returns an attribute, which may be one of the call; `None` if the call does not have it.
    fn attribute(&self, attribute: &AttributeProto) -> Option<AttributeProto> {
        if !attribute.ref_attr_name.is_empty() {
            let given = *self.attributes.get(attribute.ref_attr_name.as_str())?;
            return Some(AttributeProto { name: attribute.name.clone(), ..given.clone() });
        }
        let mut copy = attribute.clone();
        if let Some(graph) = &mut copy.g {
            self.rename(graph);
        }
        Some(copy)
    }

    /// Renames the values of a graph inside a node. Its depth is bounded by the parser.
    fn rename(&self, graph: &mut GraphProto) {
        let values = graph.input.iter_mut().chain(&mut graph.output);
        values.for_each(|value| value.name = self.name(&value.name));
        graph.initializer.iter_mut().for_each(|tensor| tensor.name = self.name(&tensor.name));
        graph.node = graph.node.iter().map(|node| self.node(node)).collect();
    }
}

#[cfg(test)]
mod tests {
    use model_file::SavedMetadata;
    use prost::Message;

    use super::*;
    use crate::testing::files::{file, graph, integer, node};
    use crate::tests::REGISTRY;

    fn call(domain: &str, operator: &str) -> NodeProto {
        NodeProto { domain: domain.into(), ..node(operator, &["x"], &["y"]) }
    }

    /// A function that takes the softmax of the negative along the axis of the call.
    fn function() -> FunctionProto {
        let mut softmax = node("Softmax", &["negative"], &["result"]);
        let axis = AttributeProto { ref_attr_name: "along".into(), ..integer("axis", 0) };
        softmax.attribute.push(axis);
        FunctionProto {
            name: "Softmin".into(),
            domain: "mine".into(),
            input: vec!["x".into()],
            output: vec!["result".into()],
            attribute: vec!["along".into()],
            node: vec![node("Neg", &["x"], &["negative"]), softmax],
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
            ..FunctionProto::default()
        }
    }

    fn open(function: FunctionProto) -> Result<Vec<f32>, String> {
        let mut call = call("mine", "Softmin");
        call.attribute.push(integer("along", 1));
        let model =
            ModelProto { graph: Some(graph(vec![call])), functions: vec![function], ..file() };
        let model =
            crate::open(model.encode_to_vec(), &SavedMetadata::default(), REGISTRY, &|_| {
                Err(Error::failed("no files"))
            });
        let model = model.map_err(|error| error.to_string())?;
        Ok(crate::tests::ask(&*model, &[0.0, 0.0, 1e3, 0.0]))
    }

    #[test]
    fn a_function_is_called_with_its_attributes() {
        assert_eq!(open(function()), Ok(vec![0.5, 0.5, 0.0, 1.0]));
    }

    #[test]
    fn functions_without_end_and_of_other_versions_are_refused() {
        let endless = FunctionProto { node: vec![call("mine", "Softmin")], ..function() };
        assert!(open(endless).unwrap_err().contains("calls itself"));
        let mut other = function();
        other.opset_import[0].version = 11;
        assert!(open(other).unwrap_err().contains("for version 11 of the operators"));
    }
}
