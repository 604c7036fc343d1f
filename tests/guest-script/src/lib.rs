//! The script of a test guest: a text in a data segment, which a test overwrites in the built
//! component.
//!
//! A guest holds a blank script in a static, so that one build gives any behaviour:
//!
//! ```
//! #[used]
//! static SCRIPT: [u8; 256] = guest_script::blank();
//!
//! assert_eq!(guest_script::read(&SCRIPT), "");
//! ```

use std::hint::black_box;

const MARKER: [u8; 16] = *b"@@SCRIPT-START@@";

/// Returns a blank script: the marker by which a test finds it, and spaces up to `LENGTH` bytes.
pub const fn blank<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut script = [b' '; LENGTH];
    let mut index = 0;

    while index < MARKER.len() {
        script[index] = MARKER[index];
        index += 1;
    }

    script
}

/// Returns the text of a script without its marker and padding.
pub fn read(script: &'static [u8]) -> String {
    // Without the black box the compiler would use the blank script of the build.
    let text = black_box(script).get(MARKER.len()..).unwrap_or_default();
    String::from_utf8_lossy(text).trim().to_owned()
}

/// A script of the form `key=value;key=value`.
#[derive(Debug)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Reads the pairs of a script.
    pub fn read(script: &'static [u8]) -> Self {
        Pairs::parse(&read(script))
    }

    fn parse(text: &str) -> Self {
        let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
        Pairs(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect())
    }

    /// Returns the value of a key; `None` if the script does not have it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|pair| pair.0 == key).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_script_has_a_marker_and_no_text() {
        static BLANK: [u8; 20] = blank();
        assert_eq!(&BLANK, b"@@SCRIPT-START@@    ");
        assert_eq!(read(&BLANK), "");
        assert_eq!(read(b"@@SCRIPT-START@@load a\nb  "), "load a\nb");
    }

    #[test]
    fn pairs_are_read_without_the_padding() {
        let pairs = Pairs::parse("version=7; infer=sleep:20");
        assert_eq!(pairs.get("version"), Some("7"));
        assert_eq!(pairs.get("infer"), Some("sleep:20"));
        assert_eq!(pairs.get("load"), None);
    }
}
