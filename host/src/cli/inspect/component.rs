//! The contents of a component, read without compiling it.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wasmparser::{Parser, Payload};

use crate::capability::{import_refusal, required_capability};
use crate::cli::describe::{format_bytes, to_printable};
use crate::engine::compile::validate::{Surface, read_surface};
use crate::model::Capability;

/// The contents of a component.
pub(super) struct ComponentSummary {
    surface: Surface,
    bytes: u64,
    modules: Vec<Module>,
    /// Bytes of names, debug information and other sections that are not executed.
    custom: u64,
}

/// A core module within a component.
#[derive(Debug, Default, PartialEq, Eq)]
struct Module {
    bytes: u64,
    functions: u32,
    code: u64,
    data: u64,
}

impl ComponentSummary {
    /// Parses a component. Fails if the bytes are none.
    pub(super) fn parse(bytes: &[u8]) -> Result<ComponentSummary> {
        let surface = read_surface(bytes).map_err(|error| anyhow::anyhow!(error.reason))?;
        let mut parts =
            ComponentSummary { surface, bytes: bytes.len() as u64, modules: Vec::new(), custom: 0 };
        // Sections come in the order of the file, so each belongs to the module that began last.
        for payload in Parser::new(0).parse_all(bytes) {
            parts.add_payload(payload.context("not a valid component")?);
        }
        Ok(parts)
    }

    fn add_payload(&mut self, payload: Payload<'_>) {
        let length = |range: std::ops::Range<usize>| range.len() as u64;
        match (payload, self.modules.last_mut()) {
            (Payload::ModuleSection { unchecked_range, .. }, _) => {
                self.modules.push(Module { bytes: length(unchecked_range), ..Module::default() });
            }
            (Payload::CustomSection(section), _) => self.custom += section.data().len() as u64,
            (Payload::CodeSectionStart { count, range, .. }, Some(module)) => {
                (module.functions, module.code) = (count, length(range));
            }
            (Payload::DataSection(section), Some(module)) => module.data = length(section.range()),
            _ => {}
        }
    }

    fn sum(&self, part: impl Fn(&Module) -> u64) -> u64 {
        self.modules.iter().map(part).sum()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let functions = self.sum(|module| module.functions.into());
        let (code, data) = (
            format_bytes(self.sum(|module| module.code)),
            format_bytes(self.sum(|module| module.data)),
        );
        let mut lines = vec![
            format!("size        {}", format_bytes(self.bytes)),
            format!(
                "  code      {code} in {functions} functions of {} core modules",
                self.modules.len()
            ),
            format!("  data      {data}"),
            format!(
                "  other     {} of names, debug information and the like",
                format_bytes(self.custom)
            ),
        ];
        lines.push(heading("imports", &self.surface.imports));
        lines.extend(
            self.surface
                .imports
                .iter()
                .map(|import| format!("  {}   {}", grant_status(import), to_printable(import))),
        );
        lines.push(heading("exports", &self.surface.exports));
        lines.extend(
            self.surface.exports.iter().map(|export| format!("  {}", to_printable(export))),
        );

        lines
    }

    pub(super) fn to_json(&self) -> Value {
        let import = |name: &String| {
            json!({
                "name": name,
                "granted": import_refusal(name, &[]).is_none(),
                "needs": required_capability(name).map(Capability::name),
            })
        };
        let module = |module: &Module| {
            let Module { bytes, functions, code, data } = module;
            json!({"bytes": bytes, "functions": functions, "code_bytes": code, "data_bytes": data})
        };

        json!({
            "bytes": self.bytes,
            "code_bytes": self.sum(|module| module.code),
            "data_bytes": self.sum(|module| module.data),
            "custom_bytes": self.custom,
            "core_modules": self.modules.iter().map(module).collect::<Vec<_>>(),
            "imports": self.surface.imports.iter().map(import).collect::<Vec<_>>(),
            "exports": self.surface.exports,
        })
    }
}

/// The grant of an import: always, by the model's settings, or refused.
fn grant_status(import: &str) -> String {
    match (import_refusal(import, &[]), required_capability(import)) {
        (None, _) => "granted".into(),
        (Some(_), Some(capability)) => format!("by [capabilities] {}", capability.name()),
        (Some(_), None) => "REFUSED".into(),
    }
}

fn heading(what: &str, names: &[String]) -> String {
    if names.is_empty() { format!("{what}     none") } else { what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_section_counts_for_its_module() {
        let component = wat::parse_str(
            r#"(component
                (import "wasi:http/types@0.2.0" (instance))
                (core module (memory 1) (func) (data (i32.const 0) "0123456789"))
                (core module (func) (func)))"#,
        );
        let parts = ComponentSummary::parse(&component.unwrap()).unwrap();
        let counted: Vec<_> =
            parts.modules.iter().map(|module| (module.functions, module.data > 10)).collect();
        assert_eq!(counted, [(1, true), (2, false)]);
        let json = parts.to_json();
        assert_eq!(
            json["imports"][0],
            json!({"name": "wasi:http/types@0.2.0", "granted": false, "needs": "http"})
        );
    }

    #[test]
    fn a_core_module_is_refused() {
        let core_module = b"\0asm\x01\0\0\0";
        let error = ComponentSummary::parse(core_module).map(drop).unwrap_err();
        assert!(error.to_string().contains("core module"), "{error}");
    }
}
