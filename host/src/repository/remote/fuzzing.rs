//! What must hold of any name that a store lists.

use std::path::{Component, Path};

use super::unit::Unit;

/// A name of an object, as a stranger's store may have it. One that belongs to the repository lies
/// within it, at most four folders deep, and where it lies leads back to it.
pub fn object(text: &str) {
    let Some((unit, name)) = Unit::of(text) else { return };
    let file = unit.file(&name);
    let steps: Vec<_> = Path::new(&file).components().collect();
    assert!(
        steps.iter().all(|step| matches!(step, Component::Normal(_))),
        "{file:?} leads elsewhere"
    );
    assert!((1..=4).contains(&steps.len()) && steps.len() == file.split('/').count(), "{file:?}");
    assert!(!file.contains(char::is_control), "{file:?}");
    assert_eq!(file, text);
    assert_eq!(Unit::of(&file), Some((unit, name)));
}
