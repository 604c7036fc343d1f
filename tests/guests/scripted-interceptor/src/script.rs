//! The script, which is patched into the component: `key=value;key=value`, padded with spaces.

use std::collections::HashMap;
use std::hint::black_box;

const MARKER: &[u8] = b"@@SCRIPT-START@@";
const LENGTH: usize = 240;

/// The marker, followed by the script.
static PLACE: [u8; 16 + LENGTH] = place();

const fn place() -> [u8; 16 + LENGTH] {
    let mut place = [b' '; 16 + LENGTH];
    let mut index = 0;
    while index < MARKER.len() {
        place[index] = MARKER[index];
        index += 1;
    }
    place
}

pub(crate) struct Script {
    words: HashMap<String, String>,
}

impl Script {
    /// Returns the script that is in the component now. It is opaque to the compiler.
    pub(crate) fn patched_in() -> Self {
        let text = String::from_utf8_lossy(&black_box(&PLACE)[MARKER.len()..]).into_owned();
        let pairs = text.trim().split(';').filter_map(|pair| pair.split_once('='));
        Script { words: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.words.get(key).map(String::as_str)
    }
}
