//! The formats of model files, told by their content.

use std::fmt;

/// A format of model file that this runtime reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An ONNX graph, as `skl2onnx` and `onnxmltools` write it.
    Onnx,
    /// XGBoost's own JSON.
    XgboostJson,
    /// XGBoost's own UBJSON.
    XgboostUbjson,
    /// LightGBM's text format, or the JSON of `dump_model`, which its reader refuses.
    Lightgbm,
    /// The JSON in which `wardian.save` writes estimators that have no exporter.
    WardianTrees,
}

impl Format {
    /// Detects the format of a file; `None` if it is none of these.
    pub fn detect(file: &[u8]) -> Option<Self> {
        // Some editors put a mark of the byte order first.
        let start = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file).trim_ascii_start();
        match file {
            [b'{', b'L' | b'l' | b'I' | b'i' | b'U' | b'#' | b'$' | b'N', ..] => {
                Some(Self::XgboostUbjson)
            }
            _ if start.starts_with(b"{") => Some(json(start)),
            _ if start.starts_with(b"tree\n") || start.starts_with(b"tree\r\n") => {
                Some(Self::Lightgbm)
            }
            // The field `ir_version` comes first.
            [8, ..] => Some(Self::Onnx),
            _ => None,
        }
    }
}

/// Distinguishes the formats in JSON by their first kilobyte.
fn json(text: &[u8]) -> Format {
    let start = &text[..text.len().min(1024)];
    let has = |marker: &[u8]| start.windows(marker.len()).any(|window| window == marker);
    if has(b"\"wardian-trees\"") {
        Format::WardianTrees
    } else if has(b"\"num_tree_per_iteration\"") {
        Format::Lightgbm
    } else {
        Format::XgboostJson
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Onnx => "ONNX",
            Self::XgboostJson => "XGBoost JSON",
            Self::XgboostUbjson => "XGBoost UBJSON",
            Self::Lightgbm => "LightGBM text",
            Self::WardianTrees => "wardian-trees",
        })
    }
}
