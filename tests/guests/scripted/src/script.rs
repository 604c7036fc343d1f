//! The script of the model.

use guest_script::Pairs;

/// `key=value;key=value`, see `tests/guests/README.md` for the words.
#[used]
static SCRIPT: [u8; 256] = guest_script::blank();

pub(crate) struct Script(Pairs);

// === impl Script ===

impl Script {
    pub(crate) fn read() -> Self {
        Script(Pairs::read(&SCRIPT))
    }

    /// Returns the value of `key`, or `ok`.
    pub(crate) fn word(&self, key: &str) -> &str {
        self.0.get(key).unwrap_or("ok")
    }

    pub(crate) fn number(&self, key: &str) -> Option<usize> {
        self.word(key).parse().ok()
    }

    pub(crate) fn version(&self) -> i64 {
        self.word("version").parse().unwrap_or(0)
    }
}
