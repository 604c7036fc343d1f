//! Values that are looked up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash};

use crate::tensor::{Element, Text};

/// A table of what belongs to a key. Its hashes are the same in every run, so that nothing random
/// is needed.
pub type Table<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// An element that is a key.
pub trait Key: Element {
    /// The form in which keys are equal: NaN equals NaN, and zero both zeros.
    type Form: Hash + Eq + Clone + Send + Sync + 'static;

    /// Returns the form of a value.
    fn form(&self) -> Self::Form;
}

impl Key for i64 {
    type Form = i64;

    fn form(&self) -> i64 {
        *self
    }
}

impl Key for i32 {
    type Form = i32;

    fn form(&self) -> i32 {
        *self
    }
}

impl Key for f32 {
    type Form = u64;

    fn form(&self) -> u64 {
        f64::from(*self).form()
    }
}

impl Key for f64 {
    type Form = u64;

    fn form(&self) -> u64 {
        match *self {
            x if x.is_nan() => Self::NAN.to_bits(),
            // Adding zero makes a negative zero positive.
            x => (x + 0.0).to_bits(),
        }
    }
}

impl Key for Text {
    type Form = Text;

    fn form(&self) -> Text {
        self.clone()
    }
}

/// Makes a table of keys and their values. The first of equal keys counts.
pub fn table<K: Key, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Table<K::Form, V> {
    let mut table = Table::default();
    for (key, value) in pairs {
        table.entry(key.form()).or_insert(value);
    }
    table
}
