//! Files that come from XGBoost and are not what `save_model` writes now.

use wardian_sdk::Error;

/// As much of a file as tells what it is.
const START: usize = 4096;

/// Returns the refusal of a file that is not in a format of this runtime, if it is one of
/// XGBoost's: it names the call that saves the right one.
pub(crate) fn unserved(file: &[u8]) -> Option<Error> {
    let start = file.get(..START).unwrap_or(file);
    let text = start.trim_ascii_start();
    let what = if start.starts_with(b"binf") {
        "XGBoost's binary format, which XGBoost itself has dropped; load it with XGBoost 1.0 to 3.0"
    } else if (text.starts_with(b"[") && contains(start, b"nodeid"))
        || text.starts_with(b"booster[")
        || text.starts_with(b"0:[")
        || text.starts_with(b"0:leaf=")
    {
        "a dump of XGBoost's trees, for people to read"
    } else if matches!(start, [0x80, 2..=5, ..]) && contains(start, b"xgboost") {
        "a pickle, which is never opened, since it can run any program"
    } else {
        return None;
    };
    Some(Error::failed(format_args!(
        "this is {what}; save the model with model.save_model(\"model.json\")"
    )))
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::unserved;

    #[test]
    fn other_files_of_xgboost_are_refused_with_the_call_that_saves_the_right_one() {
        let files: [&[u8]; 6] = [
            b"binf\0\0\0\0\0\0",
            b"[\n  { \"nodeid\": 0, \"depth\": 0 }]",
            b"booster[0]:\n0:[f0<0.41] yes=1",
            b"0:[f0<0.41] yes=1,no=2",
            b"0:leaf=0.5",
            b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x0fxgboost.sklearn",
        ];
        for file in files {
            let error = unserved(file).unwrap();
            assert!(error.to_string().contains("model.save_model(\"model.json\")"), "{error}");
        }
    }

    #[test]
    fn other_files_are_none_of_xgboosts() {
        for file in [&b""[..], b"[1]", b"tree\n", b"\x80\x04sklearn"] {
            assert_eq!(unserved(file), None);
        }
    }
}
