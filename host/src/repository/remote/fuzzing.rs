//! Properties of object names listed by a store.

use std::path::{Component, Path};

use super::sync_unit::SyncUnit;

/// Checks the name of an object in an untrusted store. A name that belongs to the repository is a
/// path inside it, at most four components deep, and is parsed back to the same unit.
pub fn object(text: &str) {
    let Some((unit, name)) = SyncUnit::of(text) else { return };
    let file = unit.file(&name);
    let steps: Vec<_> = Path::new(&file).components().collect();
    assert!(
        steps.iter().all(|step| matches!(step, Component::Normal(_))),
        "{file:?} leads elsewhere"
    );

    assert!((1..=4).contains(&steps.len()) && steps.len() == file.split('/').count(), "{file:?}");
    assert!(!file.contains(char::is_control), "{file:?}");
    assert_eq!(file, text);

    assert_eq!(SyncUnit::of(&file), Some((unit, name)));
}
