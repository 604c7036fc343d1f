//! Checks of a component that need no compilation.

use wasmparser::{Encoding, Parser, Payload, Validator};

use super::super::Role;
use super::super::bindings::{INFERENCE, INTERCEPTOR};
use crate::capability::import_refusal;
use crate::model::{Capability, LoadError, Stage};

/// The imports and exports of a component.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// The names of the imports, in order.
    pub imports: Vec<String>,
    /// The names of the exports, in order.
    pub exports: Vec<String>,
}

/// Checks that the bytes are a valid component for that role and that it imports only granted
/// interfaces. Fails with the reason and a remedy.
pub fn validate_component(
    bytes: &[u8],
    role: Role,
    granted: &[Capability],
) -> Result<Surface, LoadError> {
    let surface = read_surface(bytes)?;

    Validator::new()
        .validate_all(bytes)
        .map_err(|error| validation_error(format!("not a valid component: {error}")))?;

    check_surface(surface, role, granted)
}

/// Checks a component whose code was found to be valid before, as far as it depends on more than
/// the code. Fails with the reason and a remedy.
pub(super) fn validate_known_component(
    bytes: &[u8],
    role: Role,
    granted: &[Capability],
) -> Result<Surface, LoadError> {
    check_surface(read_surface(bytes)?, role, granted)
}

fn check_surface(
    surface: Surface,
    role: Role,
    granted: &[Capability],
) -> Result<Surface, LoadError> {
    let refused = |import: &String| {
        import_refusal(import, granted).map(|why| format!("it imports '{import}', {why}"))
    };
    if let Some(reason) = surface.imports.iter().find_map(refused) {
        return Err(validation_error(reason));
    }

    match surface.role_mismatch(role) {
        Some(reason) => Err(validation_error(reason)),
        None => Ok(surface),
    }
}

impl Surface {
    /// True if the component is an interceptor and not also a model.
    pub fn is_interceptor(&self) -> bool {
        self.has(INTERCEPTOR) && !self.has(INFERENCE)
    }

    /// Returns the reason and a remedy if the component does not fit the role; `None` if it does.
    fn role_mismatch(&self, role: Role) -> Option<String> {
        let (needed, every) = match role {
            Role::Model => (INFERENCE, "model"),
            Role::Interceptor => (INTERCEPTOR, "interceptor"),
        };

        if self.has(needed) {
            return None;
        }

        Some(match role {
            Role::Model if self.has(INTERCEPTOR) => {
                "it is an interceptor and not a model; put it into the folder interceptors/ of the repository".into()
            }
            Role::Interceptor if self.has(INFERENCE) => {
                "it is a model and not an interceptor; put it beside the folder interceptors/ and not into it".into()
            }
            _ => {
                let exports = if self.exports.is_empty() { "nothing".into() } else { self.exports.join(", ") };
                format!("it does not export '{needed}', as every {every} must; it exports {exports}")
            }
        })
    }

    fn has(&self, interface: &str) -> bool {
        self.exports.iter().any(|export| export == interface)
    }
}

/// Reads the imports and exports of a component. Fails if the bytes are not a component.
pub fn read_surface(bytes: &[u8]) -> Result<Surface, LoadError> {
    let mut surface = Surface::default();
    let mut depth = 0usize;

    for payload in Parser::new(0).parse_all(bytes) {
        match payload
            .map_err(|error| validation_error(format!("not a WebAssembly component: {error}")))?
        {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(validation_error(
                    "a core module, not a component; build it for the target wasm32-wasip2".into(),
                ));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    surface.imports.push(import.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    surface.exports.push(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }

    Ok(surface)
}

fn malformed(error: wasmparser::BinaryReaderError) -> LoadError {
    validation_error(format!("not a valid component: {error}"))
}

fn validation_error(reason: String) -> LoadError {
    LoadError::new(Stage::Validate, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_that_is_not_a_component_is_refused_with_its_kind() {
        let reason = |bytes: &[u8]| validate_component(bytes, Role::Model, &[]).unwrap_err().reason;
        assert!(reason(b"").contains("not a WebAssembly component"));
        assert!(reason(b"\x7fELF").contains("not a WebAssembly component"));
        assert!(reason(b"\0asm\x01\0\0\0").contains("core module"));

        let empty_component = b"\0asm\x0d\0\x01\0";
        assert!(
            reason(empty_component).contains("does not export 'wardian:model/inference@0.1.0'")
        );

        let reason =
            validate_component(empty_component, Role::Interceptor, &[]).unwrap_err().reason;
        assert!(reason.contains("does not export 'wardian:model/interceptor@0.1.0'"), "{reason}");
    }

    #[test]
    fn a_component_in_the_wrong_folder_is_refused_with_the_right_one() {
        let exporting = |name: &str| Surface { imports: Vec::new(), exports: vec![name.into()] };
        let (model, interceptor) = (exporting(INFERENCE), exporting(INTERCEPTOR));
        assert_eq!(
            (model.role_mismatch(Role::Model), interceptor.role_mismatch(Role::Interceptor)),
            (None, None)
        );
        assert!(
            interceptor
                .role_mismatch(Role::Model)
                .unwrap()
                .contains("put it into the folder interceptors/")
        );

        assert!(
            model
                .role_mismatch(Role::Interceptor)
                .unwrap()
                .contains("put it beside the folder interceptors/")
        );

        assert!(interceptor.is_interceptor() && !model.is_interceptor());
    }
}
