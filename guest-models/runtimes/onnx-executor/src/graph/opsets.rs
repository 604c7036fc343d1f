//! The versions of operators that a file is written for.

use std::collections::BTreeMap;

use wardian_sdk::Error;

use crate::operators::Domain;
use crate::proto::{ModelProto, NodeProto};

/// The versions of ONNX's file format that are read.
const IR_VERSIONS: std::ops::RangeInclusive<i64> = 3..=14;

/// The version of each domain's operators.
pub struct Opsets {
    versions: BTreeMap<String, i64>,
}

impl Opsets {
    /// Reads the versions.
    ///
    /// # Errors
    /// Failed if the file's own version, or that of a known domain, is not served.
    pub fn read(model: &ModelProto) -> Result<Self, Error> {
        if !IR_VERSIONS.contains(&model.ir_version) {
            let (first, last) = (IR_VERSIONS.start(), IR_VERSIONS.end());
            let text = format!(
                "ONNX files of IR version {} are not served, {first} to {last} are; save the model with another version of onnx",
                model.ir_version
            );
            return Err(Error::failed(text));
        }

        let mut versions = BTreeMap::from([(Domain::WARDIAN.to_owned(), 1)]);
        for import in &model.opset_import {
            check(&import.domain, import.version)?;
            let domain = canonical(&import.domain).to_owned();
            if versions.insert(domain, import.version).is_some_and(|other| other != import.version)
            {
                let text = format!("the domain {:?} is imported in two versions", import.domain);
                return Err(Error::failed(text));
            }
        }
        Ok(Self { versions })
    }

    /// Returns the version of a node's operators.
    ///
    /// # Errors
    /// Failed if the file does not import the node's domain.
    pub fn version(&self, node: &NodeProto) -> Result<i64, Error> {
        self.versions.get(canonical(&node.domain)).copied().ok_or_else(|| {
            let NodeProto { name, op_type, domain, .. } = node;
            Error::failed(format_args!(
                "operator {op_type} of node '{name}' is of domain {domain:?}, for which the file imports no version"
            ))
        })
    }
}

/// Returns the one name of a domain.
fn canonical(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn check(name: &str, version: i64) -> Result<(), Error> {
    let Some(domain) = Domain::of(name) else { return Ok(()) };
    let (first, last) = domain.versions();
    if (first..=last).contains(&version) {
        return Ok(());
    }
    let name = if name.is_empty() { "ai.onnx" } else { name };
    let text = format!(
        "version {version} of the operators of {name} is not served, {first} to {last} are; convert the model with such a target_opset"
    );
    Err(Error::failed(text))
}
