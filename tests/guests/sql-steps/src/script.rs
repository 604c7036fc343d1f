//! The script: 4096 bytes in a data segment of the component, which a test overwrites in the file.

use std::hint::black_box;

/// 16 bytes as a marker, followed by lines, padded with spaces.
#[used]
static SCRIPT: [u8; LENGTH] = blank_script();

const LENGTH: usize = 4096;
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

/// Lines of a word and its arguments.
pub(crate) struct Script(String);

impl Script {
    pub(crate) fn read() -> Self {
        // Without the black box the compiler would use the blank script of the build.
        Script(String::from_utf8_lossy(&black_box(&SCRIPT)[MARKER_LENGTH..]).into_owned())
    }

    /// Returns the arguments of a word, for each line that begins with it.
    pub(crate) fn all(&self, word: &str) -> Vec<String> {
        let pairs = self.0.lines().filter_map(|line| line.trim().split_once(' '));
        pairs.filter(|(first, _)| *first == word).map(|(_, rest)| rest.to_owned()).collect()
    }
}
