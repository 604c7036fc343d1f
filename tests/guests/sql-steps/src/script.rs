//! The script of the model.

/// Lines of a word and its arguments, see `tests/guests/README.md`.
#[used]
static SCRIPT: [u8; 4096] = guest_script::blank();

/// Lines of a word and its arguments.
pub(crate) struct Script(String);

impl Script {
    pub(crate) fn read() -> Self {
        Script(guest_script::read(&SCRIPT))
    }

    /// Returns the arguments of a word, for each line that begins with it.
    pub(crate) fn all(&self, word: &str) -> Vec<String> {
        let pairs = self.0.lines().filter_map(|line| line.trim().split_once(' '));
        pairs.filter(|(first, _)| *first == word).map(|(_, rest)| rest.to_owned()).collect()
    }
}
