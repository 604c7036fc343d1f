//! Model files in a scan: whether a file is one, and its runtime.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Scan;
use super::steps::LocatedComponent;
use crate::files::open_regular;
use crate::repository::candidate::{ComponentSource, ModelFile, Sidecar};
use crate::repository::confined_dir::FileRef;
use crate::repository::file_cache::{FileContent, FileRole, ParsedFile, ReadOutcome};
use crate::repository::file_kind::{Beginning, formats, refused_kind};
use crate::repository::layout::{COMPONENT, model_file_extension, model_file_name, printable};
use crate::repository::runtimes::{Runtime, RuntimeCatalog};

/// The file beside an ONNX graph that makes tokens of texts, in Hugging Face's format.
const TOKENIZER: &str = "tokenizer.json";

/// The content of a file that may be a model.
pub(super) enum Peeked {
    Model,
    Other,
    Unsettled,
}

impl Scan<'_> {
    /// Returns whether the first bytes of a file are those of a model.
    pub(super) fn peek(&mut self, file_ref: &FileRef) -> Peeked {
        match self.cache.read(self.tree, file_ref, FileRole::PossibleModelFile) {
            ReadOutcome::Settled(content) => {
                let kind = beginning(&content).and_then(|beginning| beginning.kind);
                let is_model = kind.is_some_and(|kind| kind.format().is_some());
                if is_model { Peeked::Model } else { Peeked::Other }
            }
            ReadOutcome::Unsettled(due) => {
                self.set_due(due);
                Peeked::Unsettled
            }
            ReadOutcome::Faulty(_) => Peeked::Other,
        }
    }

    /// Returns the runtime of a model file as the component of its version, given the names of the
    /// files beside it. Fails with the reason if the file is refused or has no runtime.
    pub(super) fn runtime_of(
        &self,
        name: &str,
        file_ref: &FileRef,
        content: &FileContent,
        sidecars: &[Sidecar],
    ) -> Result<LocatedComponent, String> {
        let unknown = Beginning::default();
        let beginning = beginning(content).unwrap_or(&unknown);
        let has_tokenizer = sidecars.iter().any(|sidecar| sidecar.name == TOKENIZER);
        let (format, runtime) = find_runtime(name, beginning, has_tokenizer, self.runtimes)?;
        let model_file = ModelFile { name: name.to_owned(), format, runtime: runtime.clone() };
        Ok(LocatedComponent {
            digest: runtime.digest(),
            size: 0,
            changed_at: self.changed_at(file_ref),
            source: ComponentSource::Runtime(model_file),
        })
    }
}

/// Returns the runtime of a model file outside of a repository, by its content and its extension.
/// Fails if the file cannot be read; the inner error is the reason why it cannot be served.
pub(crate) fn find_model_file(
    path: &Path,
    extension: &str,
    runtimes: &RuntimeCatalog,
) -> io::Result<Result<ModelFile, String>> {
    let file = open_regular(path)?;
    let size = file.metadata()?.len();
    let beginning = Beginning::read(file, size)?;
    let name = model_file_name(extension);
    let is_in_folder = path.file_name().is_some_and(|file_name| *file_name == *name);
    let has_tokenizer = is_in_folder && path.with_file_name(TOKENIZER).is_file();
    let found = find_runtime(&name, &beginning, has_tokenizer, runtimes);
    Ok(found.map(|(format, runtime)| ModelFile { name, format, runtime: runtime.clone() }))
}

fn beginning(content: &FileContent) -> Option<&Beginning> {
    match &content.parsed {
        ParsedFile::Beginning(beginning) => Some(beginning),
        ParsedFile::Opaque | ParsedFile::Settings(_) | ParsedFile::Live(_) => None,
    }
}

/// Returns the format of a model file and its runtime: by its content and the tokenizer beside it,
/// or else by its extension.
fn find_runtime<'a>(
    name: &str,
    beginning: &Beginning,
    has_tokenizer: bool,
    runtimes: &'a RuntimeCatalog,
) -> Result<(String, &'a Arc<Runtime>), String> {
    if let Some(kind) = refused_kind(name, &beginning.bytes) {
        return Err(format!("it is {kind}; {}", kind.remedy()));
    }

    if has_tokenizer
        && beginning.reads_tokens
        && let Some(runtime) = runtimes.for_format(formats::ONNX_TEXT)
    {
        return Ok((formats::ONNX_TEXT.to_owned(), runtime));
    }
    if let Some(format) = beginning.kind.and_then(|kind| kind.format()) {
        let runtime = runtimes.for_format(format);
        return runtime
            .map(|runtime| (format.to_owned(), runtime))
            .ok_or_else(|| no_runtime(format));
    }

    let extension = model_file_extension(name, runtimes).unwrap_or_default();
    let runtime = runtimes.for_extension(&extension).ok_or_else(|| no_runtime(&extension))?;
    Ok((extension, runtime))
}

fn no_runtime(format: &str) -> String {
    format!("no runtime here serves files of the format '{format}'; the operator can add one")
}

/// Returns the fault of a version with several models; `None` if it has at most one.
pub(super) fn several_models(has_component: bool, model_files: &[&str]) -> Option<String> {
    match (has_component, model_files) {
        (_, []) | (false, [_]) => None,
        (true, [file, ..]) => {
            let file = printable(file);
            Some(format!(
                "both {COMPONENT} and {file} are in it, and a version is one of them; remove one, or rename {file} if \
                 {COMPONENT} reads it"
            ))
        }
        (false, files) => {
            let names: Vec<_> = files.iter().map(|name| printable(name)).collect();
            Some(format!(
                "{} are all model files, and a version has one; remove the others",
                names.join(" and ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::repository::onnx_domains::tests::{file, network};

    fn found(name: &str, content: &[u8]) -> Result<String, String> {
        found_beside(name, content, false)
    }

    fn found_beside(name: &str, content: &[u8], has_tokenizer: bool) -> Result<String, String> {
        let beginning = Beginning::read(Cursor::new(content), content.len() as u64).unwrap();
        let found = find_runtime(name, &beginning, has_tokenizer, RuntimeCatalog::embedded());
        found.map(|(format, runtime)| format!("{} {format}", runtime.name()))
    }

    #[test]
    fn content_decides_the_format_and_then_the_extension() {
        let onnx = b"\x08\x08\x12\x07pytorch";
        assert_eq!(found("model.onnx", onnx).as_deref(), Ok("onnx onnx"));
        assert_eq!(found("model.json", onnx).as_deref(), Ok("onnx onnx"));
        let tables = file(&["", "ai.onnx.ml"]);
        assert_eq!(found("model.onnx", &tables).as_deref(), Ok("tabular onnx-ml"));
        assert_eq!(found("model.json", b"{\"learner\":").as_deref(), Ok("tabular xgboost-json"));
        assert_eq!(
            found("model.json", b"{L\0\0\0\0\0\0\0\x07").as_deref(),
            Ok("tabular xgboost-ubjson")
        );
        assert_eq!(found("model.txt", b"tree\nversion=v4").as_deref(), Ok("tabular lightgbm"));
        assert_eq!(found("model.json", b"[]").as_deref(), Ok("tabular json"));
    }

    #[test]
    fn a_tokenizer_beside_a_network_for_tokens_makes_it_one_for_texts() {
        let reads_tokens = network(&["input_ids", "attention_mask"]);
        let found = |network: &[u8], beside| found_beside("model.onnx", network, beside).unwrap();
        assert_eq!(found(&reads_tokens, true), "text onnx-text");
        assert_eq!(found(&reads_tokens, false), "onnx onnx");
        assert_eq!(found(&network(&["image"]), true), "onnx onnx");
        assert_eq!(found(&file(&["ai.onnx.ml"]), true), "tabular onnx-ml");
    }

    #[test]
    fn pickles_and_other_models_are_refused_whatever_their_name() {
        let pickle = b"\x80\x04\x95\x14\0\0\0\0\0\0\0";
        assert!(found("model.onnx", pickle).unwrap_err().contains("runs code when it is opened"));
        assert!(
            found("model.onnx", b"\x89HDF\r\n\x1a\n").unwrap_err().contains("export it to ONNX")
        );
        assert!(no_runtime("toy").contains("'toy'"));
    }

    #[test]
    fn a_version_has_one_model() {
        assert_eq!(several_models(true, &[]), None);
        assert_eq!(several_models(false, &["model.onnx"]), None);
        let both = several_models(true, &["model.json"]).unwrap();
        assert!(both.starts_with("both model.wasm and model.json are in it"), "{both}");
        let two = several_models(false, &["model.json", "model.onnx"]).unwrap();
        assert!(two.starts_with("model.json and model.onnx are all model files"), "{two}");
    }
}
