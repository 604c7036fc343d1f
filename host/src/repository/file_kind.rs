//! Detects the format of a file that is not a WebAssembly component, by its first bytes or its
//! name.

/// Number of leading bytes that are enough to detect a format.
pub(super) const PREFIX_LENGTH: usize = 1024;

/// Returns the format of a file that begins with these bytes; `None` if it is unknown.
pub(super) fn by_content(bytes: &[u8]) -> Option<&'static str> {
    let kind = match bytes {
        [b'P', b'K', 3, 4, ..] => archive(bytes),
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file, such as Keras writes (.h5)",
        [0x80, 2..=5, ..] => pickle(bytes),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "a NumPy array (.npy)",
        [b'G', b'G', b'U', b'F', ..] => "a GGUF model",
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => "a TensorFlow Lite model (.tflite)",
        [b'C', b'B', b'M', b'1', ..] => "a CatBoost model (.cbm)",
        [b'b', b'i', b'n', b'f', ..] => "an XGBoost model (.bin)",
        [b'{', b'L', ..] if is_ubjson(bytes) => "an XGBoost model (.ubj)",
        [8, 1, 0x12, ..] => "a TensorFlow model (saved_model.pb)",
        [8, 2..=20, 0x12 | 0x1a | 0x22 | 0x3a | 0x42, ..] => "an ONNX model",
        [0x1f, 0x8b, ..] => "a gzip archive",
        [b'B', b'Z', b'h', ..] => "a bzip2 archive",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "an xz archive",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "a zstd archive",
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => "a compressed file, such as joblib writes",
        [b'M', b'Z', ..] => "a Windows program",
        [b'%', b'P', b'D', b'F', ..] => "a PDF document",
        _ if bytes.get(257..262) == Some(b"ustar") => "a tar archive",
        _ if is_safetensors(bytes) => "a safetensors file",
        _ => return text(bytes),
    };

    Some(kind)
}

/// Returns the format of a file by the extension of its name, if that is used for models of other
/// servers.
pub(super) fn by_name(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    let kind = match ending.to_ascii_lowercase().as_str() {
        "onnx" => "an ONNX model",
        "pt" | "pth" | "torchscript" | "ckpt" => "a PyTorch model",
        "mar" => "a TorchServe archive",
        "pkl" | "pickle" | "joblib" | "skops" => "a Python pickle",
        "safetensors" => "a safetensors file",
        "h5" | "hdf5" | "keras" => "a Keras model",
        "tflite" => "a TensorFlow Lite model",
        "pb" => "a TensorFlow model",
        "gguf" | "ggml" => "a GGUF model",
        "cbm" => "a CatBoost model",
        "ubj" | "xgb" => "an XGBoost model",
        "lgb" => "a LightGBM model",
        "mlmodel" => "a Core ML model",
        "plan" | "engine" => "a TensorRT engine",
        "npy" | "npz" => "a NumPy file",
        "wat" => "the text format of WebAssembly",
        "zip" | "gz" | "tgz" | "tar" | "xz" | "zst" | "7z" => "an archive",
        _ => return None,
    };

    Some(kind)
}

/// Detects the kind of a ZIP archive by the name of its first entry.
fn archive(bytes: &[u8]) -> &'static str {
    let length = match bytes.get(26..28) {
        Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
        _ => 0,
    };

    let name = bytes.get(30..30 + length.min(512)).unwrap_or_default();
    let ends = |ending: &[u8]| name.ends_with(ending);

    if ends(b"/data.pkl") || ends(b"/version") || ends(b"/.format_version") || ends(b"/byteorder") {
        return "a PyTorch model";
    }

    if ends(b".npy") {
        return "a NumPy archive (.npz)";
    }

    if ends(b"metadata.json") || ends(b"model.weights.h5") {
        return "a Keras model";
    }

    "a ZIP archive"
}

fn pickle(bytes: &[u8]) -> &'static str {
    let holds = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    if holds(b"sklearn") || holds(b"joblib") {
        return "a Python pickle of a scikit-learn model";
    }
    if holds(b"torch") { "a Python pickle of a PyTorch model" } else { "a Python pickle" }
}

/// A header length followed by a JSON object.
fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
    let length = u64::from_le_bytes(*length);
    (2..100 << 20).contains(&length) && rest.starts_with(b"{\"")
}

/// A UBJSON object whose first key is preceded by its length.
fn is_ubjson(bytes: &[u8]) -> bool {
    matches!(bytes.get(2..11), Some(&[0, 0, 0, 0, 0, 0, 0, 1..=64, _]))
}

fn text(bytes: &[u8]) -> Option<&'static str> {
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
            "a Git LFS pointer (`git lfs pull` fetches the file)"
        }
        () if begins(&["(module", "(component", ";;"]) => "the text format of WebAssembly (.wat)",
        () if begins(&["<!DOCTYPE", "<!doctype", "<html", "<HTML", "<?xml", "<"]) => {
            "an HTML or XML page"
        }
        () if begins(&["tree\n", "tree\r"]) => "a LightGBM model",
        () if begins(&["{", "["]) => "JSON",
        () => "text",
    })
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
            (&zip("archive/data.pkl"), "a PyTorch model"),
            (&zip("arr_0.npy"), "a NumPy archive (.npz)"),
            (&zip("notes.txt"), "a ZIP archive"),
            (
                b"\x80\x04\x95\x14\0\0\0\0\0\0\0\x8c\x1bsklearn.linear_model",
                "a Python pickle of a scikit-learn model",
            ),
            (b"\x80\x02\x8a\nl\xfc", "a Python pickle"),
            (b"\x40\0\0\0\0\0\0\0{\"w\":{\"dtype\":\"F32\"", "a safetensors file"),
            (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras writes (.h5)"),
            (b"{\"learner\": {}}", "JSON"),
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
            assert_eq!(by_content(bytes), Some(kind), "{bytes:?}");
        }

        for bytes in [&b""[..], b"he", b"\0\x01\x02\x03\x04", b"\xff\xfe\xfd\xfc\xfb"] {
            assert_eq!(by_content(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_model_of_another_format_is_detected_by_its_name() {
        assert_eq!(by_name("a.onnx"), Some("an ONNX model"));
        assert_eq!(by_name("a.b.PT"), Some("a PyTorch model"));
        for name in ["README.md", "weights.bin", "onnx", "notes.txt", "a.wasm"] {
            assert_eq!(by_name(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_input_causes_a_panic(bytes: Vec<u8>, name: String) {
            by_content(&bytes);
            by_content(&[b"PK\x03\x04", &bytes[..]].concat());
            by_name(&name);
        }
    }
}
