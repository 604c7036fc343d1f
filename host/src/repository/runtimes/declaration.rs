//! The declaration of a runtime: the model files that it is for.

use serde::Deserialize;
use wasmparser::{Parser, Payload};

use crate::model::ModelName;

/// The custom section that holds the declaration, as JSON.
const SECTION: &str = "wardian:runtime";

/// Longest section. A declaration has some hundred bytes.
const MAX_SECTION: usize = 16 << 10;

/// The model files that a runtime is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Declaration {
    /// Name of the runtime.
    pub name: String,
    /// Formats of the model files, such as `onnx`.
    pub formats: Vec<String>,
    /// Extensions of model files whose content has no known format, in lower case and without the
    /// first dot.
    pub extensions: Vec<String>,
}

impl Declaration {
    /// Reads the declaration of a component, without running anything. Fails with the reason if the
    /// component is not a runtime.
    pub fn read(component: &[u8]) -> Result<Self, String> {
        let mut found = None;
        for payload in Parser::new(0).parse_all(component) {
            let payload =
                payload.map_err(|error| format!("not a WebAssembly component: {error}"))?;
            match payload {
                Payload::CustomSection(section) if section.name() == SECTION => {
                    found = Some(section.data());
                }
                _ => {}
            }
        }

        let section = found.ok_or_else(|| {
            format!("it is not a runtime: it has no section '{SECTION}', which `wardian_sdk::runtime!` writes")
        })?;
        Self::parse(section).map_err(|why| format!("its section '{SECTION}' is not usable: {why}"))
    }

    fn parse(section: &[u8]) -> Result<Self, String> {
        if section.len() > MAX_SECTION {
            return Err(format!("it has more than {MAX_SECTION} bytes"));
        }

        let declaration: Declaration =
            serde_json::from_slice(section).map_err(|error| error.to_string())?;
        declaration.check().map(|()| declaration)
    }

    fn check(&self) -> Result<(), String> {
        ModelName::new(&self.name).map_err(|error| format!("name: {error}"))?;
        let words = self.formats.iter().chain(&self.extensions);
        if let Some(word) = words.clone().find(|word| !is_word(word)) {
            return Err(format!("'{word}' is not made of lower-case letters, digits, '.' and '-'"));
        }
        if let Some(extension) = self.extensions.iter().find(|text| is_reserved_extension(text)) {
            return Err(format!("model files cannot end in '.{extension}'"));
        }

        if words.count() == 0 { Err("it names no model files".into()) } else { Ok(()) }
    }
}

/// Extensions of files that have another meaning in a repository.
const RESERVED_EXTENSIONS: [&str; 3] = ["wasm", "cwasm", "toml"];

/// Returns true if no model file can have this extension.
pub(in crate::repository) fn is_reserved_extension(extension: &str) -> bool {
    let last = extension.rsplit('.').next().unwrap_or(extension);
    RESERVED_EXTENSIONS.contains(&last)
}

/// True for a text that can be a format, and the end of a file's name.
fn is_word(text: &str) -> bool {
    let is_plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(is_plain) && !text.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component whose core module has this section.
    fn component(section: &str) -> Vec<u8> {
        let text = section.replace('"', "\\\"");
        wat::parse_str(format!("(component (core module (@custom \"{SECTION}\" \"{text}\")))"))
            .unwrap()
    }

    fn refusal(component: &[u8]) -> String {
        Declaration::read(component).unwrap_err()
    }

    #[test]
    fn the_section_of_a_nested_module_is_read() {
        let section = r#"{"name":"toy","formats":["toy"],"extensions":["toy","toy.gz"],"later":1}"#;
        let declaration = Declaration::read(&component(section)).unwrap();
        assert_eq!(declaration.name, "toy");
        assert_eq!(declaration.formats, ["toy"]);
        assert_eq!(declaration.extensions, ["toy", "toy.gz"]);
    }

    #[test]
    fn components_without_a_usable_declaration_are_refused() {
        let plain = wat::parse_str("(component (core module))").unwrap();
        assert!(refusal(&plain).contains("it is not a runtime"));
        assert!(refusal(b"text").contains("not a WebAssembly component"));

        for (section, says) in [
            ("", "not usable"),
            ("{}", "missing field"),
            (r#"{"name":"a/b","formats":["x"],"extensions":[]}"#, "name: "),
            (r#"{"name":"a","formats":["X"],"extensions":[]}"#, "'X' is not made of"),
            (r#"{"name":"a","formats":[],"extensions":["toml"]}"#, "cannot end in '.toml'"),
            (r#"{"name":"a","formats":[],"extensions":["../x"]}"#, "'../x' is not made of"),
            (r#"{"name":"a","formats":[],"extensions":[]}"#, "no model files"),
        ] {
            let told = refusal(&component(section));
            assert!(told.contains(says), "{section}: {told}");
        }
    }
}
