//! Detects the kind of a file by its first bytes or its name: a model file that a runtime serves,
//! or something else that was meant as a model.

use std::fmt;
use std::io::{self, Read, Seek};

use super::onnx_domains::{reads_tokens, uses_ml};

/// Number of leading bytes that are enough to detect a kind.
pub(super) const PREFIX_LENGTH: usize = 1024;

/// The formats of model files that are told by their content.
pub(super) mod formats {
    /// An ONNX graph.
    pub(in crate::repository) const ONNX: &str = "onnx";
    /// An ONNX graph with operators for tables, those of `ai.onnx.ml`.
    pub(in crate::repository) const ONNX_ML: &str = "onnx-ml";
    /// An ONNX graph that reads tokens, with the tokenizer beside it.
    pub(in crate::repository) const ONNX_TEXT: &str = "onnx-text";
    /// XGBoost's JSON.
    pub(in crate::repository) const XGBOOST_JSON: &str = "xgboost-json";
    /// XGBoost's UBJSON.
    pub(in crate::repository) const XGBOOST_UBJSON: &str = "xgboost-ubjson";
    /// LightGBM's text.
    pub(in crate::repository) const LIGHTGBM: &str = "lightgbm";
    /// The JSON that `wardian.save` writes for estimators without an exporter.
    pub(in crate::repository) const WARDIAN_TREES: &str = "wardian-trees";
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileKind {
    /// A phrase with an article, such as "an ONNX model".
    pub(super) name: &'static str,
    pub(super) class: FileClass,
}

/// The use of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileClass {
    /// A model file of this format.
    Model(&'static str),
    /// A pickle, which would run code.
    Pickle,
    /// A model that no runtime serves.
    OtherModel,
    /// Anything else.
    Other,
}

/// The accepted files, for operators who provided another one.
pub(super) const MODELS: &str = "a version holds a model file (model.onnx, model.json, model.ubj or model.txt, see \
                                 docs/model-files.md) or a WebAssembly component (model.wasm, see docs/writing-models.md)";

/// The reason why pickles are refused, and the remedy.
const PICKLE: &str = "a pickle runs code when it is opened, so it is never opened here; save the model with \
                      `wardian.save(model, folder, sample=X)` of the Python package";

/// The remedy for models of other formats.
const OTHER_MODEL: &str = "export it to ONNX, or save it with `wardian.save(model, folder, sample=X)` of the Python \
                           package";

impl FileKind {
    const fn model(name: &'static str, format: &'static str) -> Self {
        FileKind { name, class: FileClass::Model(format) }
    }

    const fn pickle(name: &'static str) -> Self {
        FileKind { name, class: FileClass::Pickle }
    }

    const fn other_model(name: &'static str) -> Self {
        FileKind { name, class: FileClass::OtherModel }
    }

    const fn other(name: &'static str) -> Self {
        FileKind { name, class: FileClass::Other }
    }

    /// Returns the format of a model file; `None` for other files.
    pub(crate) fn format(self) -> Option<&'static str> {
        match self.class {
            FileClass::Model(format) => Some(format),
            FileClass::Pickle | FileClass::OtherModel | FileClass::Other => None,
        }
    }

    /// True for a file that was meant as a model and cannot be served.
    pub(crate) fn is_refused_model(self) -> bool {
        matches!(self.class, FileClass::Pickle | FileClass::OtherModel)
    }

    /// The reason why such a file is not served, or how it would be, and the remedy.
    pub(super) fn remedy(self) -> &'static str {
        match self.class {
            FileClass::Pickle => PICKLE,
            FileClass::OtherModel => OTHER_MODEL,
            FileClass::Model(_) | FileClass::Other => MODELS,
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

const ONNX: FileKind = FileKind::model("an ONNX model", formats::ONNX);
const ONNX_ML: FileKind = FileKind::model("an ONNX model", formats::ONNX_ML);
const XGBOOST_JSON: FileKind = FileKind::model("an XGBoost model (JSON)", formats::XGBOOST_JSON);
const XGBOOST_UBJSON: FileKind =
    FileKind::model("an XGBoost model (UBJSON)", formats::XGBOOST_UBJSON);
const LIGHTGBM: FileKind = FileKind::model("a LightGBM model", formats::LIGHTGBM);
const WARDIAN_TREES: FileKind =
    FileKind::model("a model of trees that wardian.save wrote", formats::WARDIAN_TREES);

/// Returns the kind of a file that begins with these bytes; `None` if it is unknown.
pub(super) fn by_content(bytes: &[u8]) -> Option<FileKind> {
    let kind = match bytes {
        [b'P', b'K', 3, 4, ..] => archive(bytes),
        [0x89, b'H', b'D', b'F', ..] => {
            FileKind::other_model("an HDF5 file, such as Keras writes (.h5)")
        }
        [0x80, 2..=5, ..] => pickle(bytes),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => FileKind::other("a NumPy array (.npy)"),
        [b'G', b'G', b'U', b'F', ..] => FileKind::other_model("a GGUF model"),
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => {
            FileKind::other_model("a TensorFlow Lite model (.tflite)")
        }
        [b'C', b'B', b'M', b'1', ..] => FileKind::other_model("a CatBoost model (.cbm)"),
        [b'b', b'i', b'n', b'f', ..] => {
            FileKind::other_model("an XGBoost model in the old binary format")
        }
        [b'{', b'L' | b'l' | b'i' | b'U', ..] => XGBOOST_UBJSON,
        [8, 1, 0x12, ..] => FileKind::other_model("a TensorFlow model (saved_model.pb)"),
        [8, 2..=20, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..] => ONNX,
        [0x1f, 0x8b, ..] => FileKind::other("a gzip archive"),
        [b'B', b'Z', b'h', ..] => FileKind::other("a bzip2 archive"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => FileKind::other("an xz archive"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => FileKind::other("a zstd archive"),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => {
            FileKind::pickle("a compressed file, such as joblib writes")
        }
        [b'M', b'Z', ..] => FileKind::other("a Windows program"),
        [b'%', b'P', b'D', b'F', ..] => FileKind::other("a PDF document"),
        _ if bytes.get(257..262) == Some(b"ustar") => FileKind::other("a tar archive"),
        _ if is_safetensors(bytes) => FileKind::other_model("a safetensors file"),
        _ => return text(bytes),
    };

    Some(kind)
}

/// The beginning of a file, and the kind that its content tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beginning {
    /// The first bytes.
    pub(super) bytes: Vec<u8>,
    /// `None` if it is unknown.
    pub(super) kind: Option<FileKind>,
    /// True for an ONNX graph that reads texts as numbers of tokens.
    pub(super) reads_tokens: bool,
}

impl Beginning {
    /// Reads the beginning of a file of this size, and of an ONNX file its nodes.
    pub(super) fn read(mut file: impl Read + Seek, size: u64) -> io::Result<Self> {
        let length = size.min(PREFIX_LENGTH as u64);
        let mut bytes = Vec::with_capacity(PREFIX_LENGTH);
        file.rewind()?;
        file.by_ref().take(length).read_to_end(&mut bytes)?;

        let kind = match by_content(&bytes) {
            Some(ONNX) if uses_ml(&mut file, size)? => Some(ONNX_ML),
            kind => kind,
        };
        let reads_tokens = kind == Some(ONNX) && reads_tokens(file, size)?;
        Ok(Beginning { bytes, kind, reads_tokens })
    }
}

/// Returns the kind of a file by the extension of its name, if that is used for models. Model files
/// in JSON and text have no extension of their own.
pub(crate) fn by_name(name: &str) -> Option<FileKind> {
    let (_, ending) = name.rsplit_once('.')?;
    let kind = match ending.to_ascii_lowercase().as_str() {
        "onnx" => ONNX,
        "ubj" | "xgb" => FileKind::model("an XGBoost model", formats::XGBOOST_UBJSON),
        "lgb" => LIGHTGBM,
        "pt" | "pth" | "torchscript" | "ckpt" => {
            FileKind::pickle("a PyTorch model, which is a pickle")
        }
        "mar" => FileKind::pickle("a TorchServe archive, which holds a pickle"),
        "pkl" | "pickle" | "joblib" | "dill" => FileKind::pickle("a Python pickle"),
        "skops" => FileKind::other_model("a skops file"),
        "safetensors" => FileKind::other_model("a safetensors file"),
        "h5" | "hdf5" | "keras" => FileKind::other_model("a Keras model"),
        "tflite" => FileKind::other_model("a TensorFlow Lite model"),
        "pb" => FileKind::other_model("a TensorFlow model"),
        "gguf" | "ggml" => FileKind::other_model("a GGUF model"),
        "cbm" => FileKind::other_model("a CatBoost model"),
        "mlmodel" => FileKind::other_model("a Core ML model"),
        "plan" | "engine" => FileKind::other_model("a TensorRT engine"),
        "npy" | "npz" => FileKind::other("a NumPy file"),
        "wat" => FileKind::other("the text format of WebAssembly"),
        "zip" | "gz" | "tgz" | "tar" | "xz" | "zst" | "7z" => FileKind::other("an archive"),
        _ => return None,
    };

    Some(kind)
}

/// Returns the kind of a file that is given as a model and cannot be one, by its content and its
/// name; `None` if a runtime has to decide.
pub(super) fn refused_kind(name: &str, prefix: &[u8]) -> Option<FileKind> {
    let content = by_content(prefix);
    if content.is_some_and(|kind| kind.format().is_some()) {
        return None;
    }

    let refused = |kind: &FileKind| kind.is_refused_model();
    content.filter(refused).or_else(|| by_name(name).filter(refused))
}

/// Detects the kind of a ZIP archive by the name of its first entry.
fn archive(bytes: &[u8]) -> FileKind {
    let length = match bytes.get(26..28) {
        Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
        _ => 0,
    };

    let name = bytes.get(30..30 + length.min(512)).unwrap_or_default();
    let ends = |ending: &[u8]| name.ends_with(ending);

    if ends(b"/data.pkl") || ends(b"/version") || ends(b"/.format_version") || ends(b"/byteorder") {
        return FileKind::pickle("a PyTorch model, which is a pickle");
    }

    if ends(b".npy") {
        return FileKind::other("a NumPy archive (.npz)");
    }

    if ends(b"metadata.json") || ends(b"model.weights.h5") {
        return FileKind::other_model("a Keras model");
    }

    FileKind::other("a ZIP archive")
}

fn pickle(bytes: &[u8]) -> FileKind {
    let holds = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    if holds(b"sklearn") || holds(b"joblib") {
        return FileKind::pickle("a Python pickle of a scikit-learn model");
    }
    let is_torch = holds(b"torch");
    FileKind::pickle(if is_torch {
        "a Python pickle of a PyTorch model"
    } else {
        "a Python pickle"
    })
}

/// A header length followed by a JSON object.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
    let length = u64::from_le_bytes(*length);
    (2..100 << 20).contains(&length) && rest.starts_with(b"{\"")
}

fn text(bytes: &[u8]) -> Option<FileKind> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // The last character may be cut off.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };

    let printable = |char: char| !char.is_control() || matches!(char, '\n' | '\r' | '\t');
    if text.len() < 4 || !text.chars().all(printable) {
        return None;
    }

    let text = text.trim_start_matches('\u{feff}').trim_start();
    let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));

    Some(match () {
        () if begins(&["version https://git-lfs"]) => {
            FileKind::other("a Git LFS pointer (`git lfs pull` fetches the file)")
        }
        () if begins(&["(module", "(component", ";;"]) => {
            FileKind::other("the text format of WebAssembly (.wat)")
        }
        () if begins(&["<!DOCTYPE", "<!doctype", "<html", "<HTML", "<?xml", "<"]) => {
            FileKind::other("an HTML or XML page")
        }
        () if begins(&["tree\n", "tree\r"]) => LIGHTGBM,
        () if begins(&["{", "["]) => json(text),
        () => FileKind::other("text"),
    })
}

/// Detects the kind of a JSON document by its first keys.
fn json(text: &str) -> FileKind {
    match text.starts_with('{') {
        true if text.contains("\"wardian-trees\"") => WARDIAN_TREES,
        true if text.contains("\"learner\"") => XGBOOST_JSON,
        _ => FileKind::other("JSON"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns a ZIP archive whose first entry has this name.
    fn zip(name: &str) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.resize(26, 0);
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(name.as_bytes());
        bytes
    }

    #[test]
    fn a_model_of_another_format_is_detected_by_its_content() {
        let tar = [vec![b'a'; 257], b"ustar\0".to_vec()].concat();
        for (bytes, kind) in [
            (&b"\x08\x08\x12\x07pytorch\x1a\x05"[..], "an ONNX model"),
            (b"\x08\x09:\xe6\x02\n", "an ONNX model"),
            (&zip("archive/data.pkl"), "a PyTorch model, which is a pickle"),
            (&zip("arr_0.npy"), "a NumPy archive (.npz)"),
            (&zip("notes.txt"), "a ZIP archive"),
            (
                b"\x80\x04\x95\x14\0\0\0\0\0\0\0\x8c\x1bsklearn.linear_model",
                "a Python pickle of a scikit-learn model",
            ),
            (b"\x80\x02\x8a\nl\xfc", "a Python pickle"),
            (b"\x40\0\0\0\0\0\0\0{\"w\":{\"dtype\":\"F32\"", "a safetensors file"),
            (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras writes (.h5)"),
            (b"{\"learner\": {}}", "an XGBoost model (JSON)"),
            (b"{\"version\": [3, 1, 0], \"learner\": {}}", "an XGBoost model (JSON)"),
            (b"{\"format\": \"wardian-trees\"}", "a model of trees that wardian.save wrote"),
            (b"{\"rows\": []}", "JSON"),
            (b"[{\"learner\": 1}]", "JSON"),
            (b"{L\0\0\0\0\0\0\0\x07learner", "an XGBoost model (UBJSON)"),
            (b"tree\nversion=v4\n", "a LightGBM model"),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                "a Git LFS pointer (`git lfs pull` fetches the file)",
            ),
            (b"(component)", "the text format of WebAssembly (.wat)"),
            (b"<!DOCTYPE html><html>", "an HTML or XML page"),
            (b"hello, world\n", "text"),
            ("grün".as_bytes(), "text"),
            (b"\x1f\x8b\x08\0", "a gzip archive"),
            (b"\x18\0\0\0TFL3", "a TensorFlow Lite model (.tflite)"),
            (&tar, "a tar archive"),
        ] {
            assert_eq!(by_content(bytes).map(|kind| kind.name), Some(kind), "{bytes:?}");
        }

        for bytes in [&b""[..], b"he", b"\0\x01\x02\x03\x04", b"\xff\xfe\xfd\xfc\xfb"] {
            assert_eq!(by_content(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_model_of_another_format_is_detected_by_its_name() {
        assert_eq!(by_name("a.onnx"), Some(ONNX));
        assert_eq!(by_name("a.b.PT").map(|kind| kind.class), Some(FileClass::Pickle));
        for name in ["README.md", "weights.bin", "onnx", "notes.txt", "a.wasm"] {
            assert_eq!(by_name(name), None, "{name}");
        }
    }

    #[test]
    fn content_decides_before_the_name_whether_a_file_is_refused() {
        let class = |name: &str, content: &[u8]| refused_kind(name, content).map(|kind| kind.class);
        let pickle = b"\x80\x04\x95\x14\0\0\0\0\0\0\0";

        assert_eq!(class("model.onnx", pickle), Some(FileClass::Pickle));
        assert_eq!(class("model.pkl", b"\x08\x08\x12\x07pytorch"), None);
        assert_eq!(class("model.pkl", b""), Some(FileClass::Pickle));
        assert_eq!(class("model.h5", b"text"), Some(FileClass::OtherModel));
        assert_eq!(class("model.json", b"{}"), None);
        assert!(FileKind::pickle("x").remedy().contains("`wardian.save(model, folder, sample=X)`"));
    }

    proptest! {
        #[test]
        fn no_input_causes_a_panic(bytes: Vec<u8>, name: String) {
            by_content(&bytes);
            by_content(&[b"PK\x03\x04", &bytes[..]].concat());
            by_name(&name);
            refused_kind(&name, &bytes);
        }
    }
}
