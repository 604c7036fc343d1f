//! The script: 256 bytes in a data segment of the component, which a test overwrites in the file.

use std::hint::black_box;

/// 16 bytes as a marker, followed by the text `key=value;key=value`, padded with spaces.
#[used]
static SCRIPT: [u8; LENGTH] = blank_script();

const LENGTH: usize = 256;
const MARKER_LENGTH: usize = 16;

const fn blank_script() -> [u8; LENGTH] {
    let marker = *b"@@SCRIPT-START@@";
    let mut script = [b' '; LENGTH];
    let mut index = 0;
    while index < MARKER_LENGTH {
        script[index] = marker[index];
        index += 1;
    }
    script
}

/// The pairs, in order.
pub(crate) struct Script {
    pairs: Vec<(String, String)>,
}

// === impl Script ===

impl Script {
    pub(crate) fn read() -> Self {
        // Without the black box the compiler would use the blank script of the build.
        let bytes = &black_box(&SCRIPT)[MARKER_LENGTH..];
        Self::parse(&String::from_utf8_lossy(bytes))
    }

    fn parse(text: &str) -> Self {
        let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
        let trimmed = pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        Self { pairs: trimmed.collect() }
    }

    /// Returns the value of `key`, or `ok`.
    pub(crate) fn word(&self, key: &str) -> &str {
        let pair = self.pairs.iter().find(|pair| pair.0 == key);
        pair.map_or("ok", |(_, value)| value)
    }

    pub(crate) fn number(&self, key: &str) -> Option<usize> {
        self.word(key).parse().ok()
    }

    pub(crate) fn version(&self) -> i64 {
        self.word("version").parse().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_without_the_padding() {
        let script = Script::parse("version=7; infer=sleep:20   ");
        assert_eq!(
            (script.version(), script.word("infer"), script.word("load")),
            (7, "sleep:20", "ok")
        );
        assert_eq!(Script::read().pairs, []);
    }
}
