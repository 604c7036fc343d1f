//! The version of the library that saved a file.

use std::fmt;

/// A version; the default, 0.0.0, if the file does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: i64,
    minor: i64,
    patch: i64,
}

impl Version {
    /// Makes a version of its numbers; `None` if they are not three.
    pub(super) fn from_numbers(numbers: &[i64]) -> Option<Self> {
        let [major, minor, patch] = *numbers else { return None };
        Some(Self { major, minor, patch })
    }

    /// Returns true if this is the version, or a later one.
    pub(super) fn is_from(self, major: i64, minor: i64) -> bool {
        self >= Self { major, minor, patch: 0 }
    }
}

/// Writes `xgboost 3.2.0`.
impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor, patch } = self;
        match self == &Self::default() {
            true => formatter.write_str("xgboost"),
            false => write!(formatter, "xgboost {major}.{minor}.{patch}"),
        }
    }
}
