//! Properties of names in a repository, and of texts that are read as a `model.toml`.

use std::fmt::Display;
use std::path::{Component, Path};

use super::entry_meaning::{EntryMeaning, Namespace, classify_file, classify_folder};
use super::layout::{INTERCEPTORS, is_temporary, printable};
use super::parse_model_toml;
use super::runtimes::RuntimeCatalog;
use crate::fuzzing::check_text;
use crate::model::{
    InvalidName, ModelName, TenantName, Version, VersionPolicy, format_duration, format_size,
    parse_duration, parse_size,
};

/// Checks a text as the name of a model, tenant, version or repository entry. An accepted name
/// stays in the directory it is joined to, and equals the text.
pub fn names(text: &str) {
    accepted(text, ModelName::new(text));
    accepted(text, TenantName::new(text));

    if let Some(version) = Version::parse(text) {
        assert!(version.number() > 0);
        stays_inside(text, &version.to_string());
    }

    for namespace in [Namespace::Models, Namespace::Interceptors] {
        let file = classify_file(namespace, text, RuntimeCatalog::embedded());
        for entry in [file, classify_folder(namespace, text)] {
            check_entry(text, namespace, entry);
        }
    }

    assert!(!printable(text).contains(char::is_control));

    units(text);
}

fn check_entry(text: &str, namespace: Namespace, entry: EntryMeaning) {
    if let EntryMeaning::Bare(name) | EntryMeaning::Precompiled(name) | EntryMeaning::Model(name) =
        &entry
    {
        assert_eq!(name.is_interceptor(), namespace == Namespace::Interceptors);
        assert_eq!(ModelName::parse(name.as_str()).as_ref(), Ok(name));
    }

    match entry {
        EntryMeaning::Bare(model) => assert_eq!(format!("{}.wasm", model.base_name()), text),
        EntryMeaning::BareModelFile(model, extension)
        | EntryMeaning::PossibleModelFile(model, extension) => {
            let name = format!("{}.{extension}", model.base_name());
            assert!(namespace == Namespace::Models && name.eq_ignore_ascii_case(text));
        }
        EntryMeaning::RefusedModel(model, kind) => {
            assert!(text.starts_with(model.base_name()));
            check_text(kind.remedy(), 1500);
        }
        EntryMeaning::Precompiled(model) => {
            assert_eq!(format!("{}.cwasm", model.base_name()), text)
        }
        EntryMeaning::Model(model) => stays_inside(text, model.base_name()),
        EntryMeaning::Reserved(model) => {
            assert!(namespace == Namespace::Models && model.is_reserved())
        }
        EntryMeaning::Misplaced(why) => check_text(&why, 1500),
        EntryMeaning::Interceptors => {
            assert_eq!((namespace, text), (Namespace::Models, INTERCEPTORS))
        }
        EntryMeaning::Ignored => {}
    }
}

fn accepted<T: Display>(text: &str, name: Result<T, InvalidName>) {
    match name {
        Ok(name) => stays_inside(text, &name.to_string()),
        Err(error) => check_text(&error.to_string(), 800),
    }
}

/// Checks that the name equals the text, is a single visible path component, and stays in its
/// folder.
fn stays_inside(text: &str, name: &str) {
    assert_eq!(name, text);
    let steps: Vec<_> = Path::new(name).components().collect();
    assert!(matches!(steps.as_slice(), [Component::Normal(step)] if *step == name), "{steps:?}");
    assert!(name.is_ascii() && name.len() <= 128 && !name.starts_with('.'), "{name:?}");
    let inside = Path::new("/models").join(name);
    assert_eq!(inside.parent(), Some(Path::new("/models")));
}

/// Checks that a size or duration survives being formatted and parsed again.
fn units(text: &str) {
    match parse_size(text) {
        Ok(size) => assert_eq!(parse_size(&format_size(size)), Ok(size)),
        Err(fault) => check_text(&fault, 300),
    }

    match parse_duration(text) {
        Ok(duration) => assert_eq!(parse_duration(&format_duration(duration)), Ok(duration)),
        Err(fault) => check_text(&fault, 300),
    }

    assert_eq!(is_temporary(text), is_temporary(&format!("a{text}")) || text.starts_with('.'));
}

pub use super::upload::fuzzing::archive;

/// Checks the settings of a model: accepted numbers are within limits that a host can honour.
pub fn model_toml(text: &str) {
    let settings = match parse_model_toml(text) {
        Ok(settings) => settings,
        Err(faults) => {
            assert!(faults.count() > 0);
            return check_text(&faults.to_string(), 8000);
        }
    };

    let limits = &settings.limits;
    assert!(settings.instances.min <= settings.instances.max && settings.instances.max > 0);
    assert!((64 << 10..=4 << 30).contains(&limits.memory));
    assert!((1..=2 << 30).contains(&limits.request) && (1..=2 << 30).contains(&limits.response));

    for time in [limits.deadline, limits.cpu_time] {
        assert!((1..=3_600_000).contains(&time.as_millis()), "{time:?}");
    }

    match &settings.versions {
        VersionPolicy::Latest(count) => assert!(*count > 0),
        VersionPolicy::Only(versions) => {
            assert!(!versions.is_empty() && versions.is_sorted_by(|a, b| a < b))
        }
        VersionPolicy::All => {}
    }

    let bytes: usize =
        settings.capabilities.config.iter().map(|(key, value)| key.len() + value.len()).sum();

    assert!(bytes <= 64 << 10);
}
