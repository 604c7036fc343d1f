//! Plan of a refresh: a pure function of the listed and the mirrored objects.

use std::collections::{BTreeMap, BTreeSet};

use super::listing::{ContentTag, ListedObject, tags};
use super::sync_unit::{COMPONENT_EXTENSION, Files, SyncUnit};
use crate::model::{ModelName, format_size};
use crate::repository::file_cache::FileRole;
use crate::repository::layout::{COMPONENT, GOLDEN};
use crate::repository::scan::MAX_SIDECARS;
use crate::tenant::Quota;

/// The changes that make the mirror equal to the listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// New and changed units.
    pub(super) fetch: BTreeSet<SyncUnit>,
    /// Units that are mirrored but no longer listed. They stay while their model is in
    /// [`models_without_replacement`].
    pub(super) remove: BTreeSet<SyncUnit>,
    /// Units that cannot be mirrored as listed, with the reason. Their present files stay.
    pub(super) refused: BTreeMap<SyncUnit, String>,
}

/// Plans one refresh. If the quota is too small for everything, mirrored units precede new ones,
/// and older units precede newer ones.
pub(super) fn plan(
    listed: &Files<ListedObject>,
    mirrored: &Files<ContentTag>,
    quota: &Quota,
) -> Plan {
    let mut plan = Plan {
        remove: mirrored.keys().filter(|unit| !listed.contains_key(unit)).cloned().collect(),
        ..Plan::default()
    };

    let mut replaceable = replaceable_bytes(listed, mirrored);
    let staying: u64 = listed.keys().filter_map(|unit| mirrored.get(unit)).map(mirrored_size).sum();
    let mut used = staying + replaceable.values().sum::<u64>();

    for (unit, files) in changed_units(listed, mirrored) {
        let replaced = mirrored.get(unit).map_or(0, mirrored_size);
        let replaceable = replaceable.get_mut(unit.model()).filter(|_| unit.is_version());
        let reused = replaceable.as_ref().map_or(0, |bytes| size(files).min(**bytes));
        let used_with_it = (used - replaced).saturating_add(size(files) - reused);

        match check(unit, files, quota).and_then(|()| check_storage(used_with_it, quota)) {
            Ok(()) => {
                used = used_with_it;
                replaceable.into_iter().for_each(|bytes| *bytes -= reused);
                plan.fetch.insert(unit.clone());
            }
            Err(why) => drop(plan.refused.insert(unit.clone(), why)),
        }
    }

    plan
}

/// Returns the models that have listed versions, but no mirrored one among these. Their present
/// versions must stay, since no replacement has been fetched.
pub(super) fn models_without_replacement<'a>(
    listed: &'a Files<ListedObject>,
    mirrored: &Files<ContentTag>,
) -> BTreeSet<&'a ModelName> {
    let versions = || listed.keys().filter(|unit| unit.is_version());
    let replaced: BTreeSet<_> =
        versions().filter(|unit| mirrored.contains_key(unit)).map(SyncUnit::model).collect();
    versions().map(SyncUnit::model).filter(|model| !replaced.contains(model)).collect()
}

/// Returns the bytes of versions that each model keeps until a new version replaces them. Only a
/// new version of the same model may use this space.
fn replaceable_bytes<'a>(
    listed: &'a Files<ListedObject>,
    mirrored: &Files<ContentTag>,
) -> BTreeMap<&'a ModelName, u64> {
    let models = models_without_replacement(listed, mirrored).into_iter();
    let mut replaceable: BTreeMap<_, u64> = models.map(|model| (model, 0)).collect();

    for (unit, files) in mirrored.iter().filter(|(unit, _)| !listed.contains_key(unit)) {
        let bytes = replaceable.get_mut(unit.model());
        bytes.into_iter().for_each(|bytes| *bytes += mirrored_size(files));
    }
    replaceable
}

/// Returns the units that differ from the mirror, oldest first.
fn changed_units<'a>(
    listed: &'a Files<ListedObject>,
    mirrored: &Files<ContentTag>,
) -> Vec<(&'a SyncUnit, &'a BTreeMap<String, ListedObject>)> {
    let mut changed: Vec<_> =
        listed.iter().filter(|(unit, files)| mirrored.get(unit) != Some(&tags(files))).collect();
    changed
        .sort_by_key(|(unit, files)| (files.values().map(|object| object.modified).max(), *unit));
    changed
}

fn size(files: &BTreeMap<String, ListedObject>) -> u64 {
    files.values().fold(0, |sum, object| sum.saturating_add(object.tag.size))
}

fn mirrored_size(files: &BTreeMap<String, ContentTag>) -> u64 {
    files.values().map(|tag| tag.size).sum()
}

fn check(
    unit: &SyncUnit,
    files: &BTreeMap<String, ListedObject>,
    quota: &Quota,
) -> Result<(), String> {
    if !unit.is_complete(files) {
        return Err(format!("no {COMPONENT} or model file in it yet"));
    }

    // The component and the golden requests are not sidecars.
    if files.len() > MAX_SIDECARS + 2 {
        return Err(format!(
            "{} files are more than the {MAX_SIDECARS} sidecars allowed",
            files.len()
        ));
    }

    files.iter().try_for_each(|(name, object)| check_size(unit, name, object.tag.size, quota))
}

fn check_size(unit: &SyncUnit, name: &str, size: u64, quota: &Quota) -> Result<(), String> {
    let most = role(unit, name).max_size();
    if size > most {
        return Err(format!("{name} has {size} bytes, and {most} are allowed"));
    }

    quota.check_artifact(size).map_err(|_| {
        let most = format_size(quota.artifact_size);
        format!("{name} has {size} bytes, and this tenant's quota `artifact_size` is {most}")
    })
}

fn check_storage(used: u64, quota: &Quota) -> Result<(), String> {
    if used <= quota.storage {
        return Ok(());
    }

    let most = format_size(quota.storage);
    Err(format!(
        "with it the repository would have {used} bytes, and this tenant's quota `storage` is {most}"
    ))
}

fn role(unit: &SyncUnit, name: &str) -> FileRole {
    match unit {
        SyncUnit::Settings(..) => FileRole::Settings, // `config.toml` may be as large.
        SyncUnit::Bare(_, extension) if extension == COMPONENT_EXTENSION => FileRole::Component,
        SyncUnit::Bare(..) => FileRole::ModelFile,
        SyncUnit::Version(..) if name == COMPONENT => FileRole::Component,
        SyncUnit::Version(..) if name == GOLDEN => FileRole::Golden,
        SyncUnit::Version(..) => FileRole::Sidecar,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns a listing of these paths, each with a mark, a size and a time.
    pub(in super::super) fn listed(objects: &[(&str, &str, u64, i64)]) -> Files<ListedObject> {
        let mut listed: Files<ListedObject> = Files::new();
        for &(path, mark, size, modified) in objects {
            let (unit, name) = SyncUnit::of(path).unwrap();
            let tag = ContentTag { validator: mark.into(), size };
            let object = ListedObject { path: path.into(), etag: Some(mark.into()), tag, modified };
            listed.entry(unit).or_default().insert(name, object);
        }

        listed
    }

    /// Returns the tags of a mirror that equals the listing.
    pub(in super::super) fn mirrored(listed: &Files<ListedObject>) -> Files<ContentTag> {
        listed.iter().map(|(unit, files)| (unit.clone(), tags(files))).collect()
    }

    fn paths(units: &BTreeSet<SyncUnit>) -> Vec<String> {
        units.iter().map(SyncUnit::path).collect()
    }

    fn unlimited() -> Quota {
        Quota::unlimited()
    }

    #[test]
    fn changed_units_are_fetched_and_unlisted_ones_removed() {
        let before = [
            ("a.wasm", "1", 9, 0),
            ("b/1/model.wasm", "1", 9, 0),
            ("b/1/w.bin", "1", 9, 0),
            ("c.wasm", "1", 9, 0),
        ];

        let now = [
            ("a.wasm", "1", 9, 5),
            ("b/1/model.wasm", "1", 9, 0),
            ("b/1/w.bin", "2", 9, 0),
            ("d/model.toml", "1", 9, 0),
        ];

        let plan = plan(&listed(&now), &mirrored(&listed(&before)), &unlimited());
        assert_eq!(paths(&plan.fetch), ["d/model.toml", "b/1"]);
        assert_eq!(paths(&plan.remove), ["c.wasm"]);

        assert_eq!(plan.refused, BTreeMap::new());
    }

    #[test]
    fn an_incomplete_version_is_refused_and_the_present_one_stays() {
        let whole = listed(&[("b/1/model.wasm", "1", 9, 0), ("b/1/w.bin", "1", 9, 0)]);
        let half = listed(&[("b/1/w.bin", "2", 9, 0)]);
        let plan = plan(&half, &mirrored(&whole), &unlimited());
        assert_eq!((paths(&plan.fetch), paths(&plan.remove)), (vec![], vec![]));

        assert!(
            plan.refused.values().all(|why| why == "no model.wasm or model file in it yet")
                && plan.refused.len() == 1
        );
    }

    #[test]
    fn objects_that_are_too_large_are_refused() {
        let quota = Quota { artifact_size: 10, ..unlimited() };
        let now = listed(&[
            ("a.wasm", "1", 11, 0),
            ("b.wasm", "1", 10, 0),
            ("c/model.toml", "1", 300 << 10, 0),
        ]);

        let plan = plan(&now, &Files::new(), &quota);
        assert_eq!(paths(&plan.fetch), ["b.wasm"]);
        let why: Vec<_> = plan.refused.values().collect();

        assert!(
            why[0].contains("262144 are allowed") && why[1].contains("`artifact_size` is 10B"),
            "{why:?}"
        );
    }

    #[test]
    fn mirrored_units_come_first_and_then_the_oldest_that_fit() {
        let quota = Quota { storage: 100, ..unlimited() };
        let now = listed(&[
            ("a.wasm", "1", 40, 3),
            ("b.wasm", "1", 50, 1),
            ("c.wasm", "1", 30, 2),
            ("d.wasm", "1", 10, 4),
        ]);

        assert_eq!(paths(&plan(&now, &Files::new(), &quota).fetch), ["b.wasm", "c.wasm", "d.wasm"]);
        let mut have = mirrored(&now);
        have.retain(|unit, _| unit.path() == "a.wasm");

        assert_eq!(paths(&plan(&now, &have, &quota).fetch), ["b.wasm", "d.wasm"]);
    }

    #[test]
    fn only_a_replacement_may_use_the_space_of_the_replaced_version() {
        let quota = Quota { storage: 100, ..unlimited() };
        let have = mirrored(&listed(&[("a/1/model.wasm", "1", 80, 0), ("b.wasm", "1", 20, 0)]));
        let now = |size| {
            listed(&[
                ("a/2/model.wasm", "1", size, 1),
                ("b.wasm", "1", 20, 0),
                ("c.wasm", "1", 1, 2),
            ])
        };

        let fetched = |size| paths(&plan(&now(size), &have, &quota).fetch);
        assert_eq!(fetched(80), ["a/2"]);
        assert_eq!(fetched(10), ["a/2"], "it may not come, and then the larger one stays");
        assert_eq!(fetched(81), [""; 0]);
        let now = listed(&[("b.wasm", "1", 20, 0), ("c.wasm", "1", 80, 2)]);

        assert_eq!(
            paths(&plan(&now, &have, &quota).fetch),
            ["c.wasm"],
            "nothing takes the place of a/1"
        );
    }

    type Made = Vec<(u8, u8, bool, u8, u8, i64)>;

    fn made(made: &Made) -> Files<ListedObject> {
        let mut listed = Files::new();
        for &(model, version, component, mark, size, modified) in made {
            let path = match (version % 4, component) {
                (0, _) => format!("m{}.wasm", model % 4),
                (1, _) => format!("m{}/model.toml", model % 4),
                (version, true) => format!("m{}/{version}/model.wasm", model % 4),
                (version, false) => format!("m{}/{version}/w.bin", model % 4),
            };

            let mark = (mark % 3).to_string();
            for (unit, files) in self::listed(&[(&path, &mark, size.into(), modified)]) {
                listed.entry(unit).or_insert_with(BTreeMap::new).extend(files);
            }
        }

        listed
    }

    proptest! {
        #[test]
        fn every_unit_is_kept_fetched_removed_or_refused(before: Made, now: Made, storage: u16, artifact: u8) {
            let quota = Quota { storage: storage.into(), artifact_size: artifact.into(), ..unlimited() };
            let (listed, mirrored) = (made(&now), mirrored(&made(&before)));
            let plan = plan(&listed, &mirrored, &quota);

            for unit in listed.keys().chain(mirrored.keys()) {
                let same = listed.get(unit).map(tags).as_ref() == mirrored.get(unit);
                let (fetched, removed) = (plan.fetch.contains(unit), plan.remove.contains(unit));
                let outcomes = [same, fetched, removed, plan.refused.contains_key(unit)];
                prop_assert_eq!(outcomes.iter().filter(|&&is| is).count(), 1, "{:?}: {:?}", unit, outcomes);
                prop_assert_eq!(removed, !listed.contains_key(unit));
                prop_assert!(!fetched || listed[unit].values().all(|object| object.tag.size <= quota.artifact_size));
                prop_assert!(!fetched || unit.is_complete(&listed[unit]));
            }
        }

        #[test]
        fn fetched_units_never_exceed_the_storage_quota(before: Made, now: Made, storage: u16, fails: u32) {
            let quota = Quota { storage: storage.into(), ..unlimited() };
            let (listed, mut mirrored) = (made(&now), mirrored(&made(&before)));
            let plan = plan(&listed, &mirrored, &quota);
            // A new unit may fail to be fetched.
            let fails = |index: usize, unit: &SyncUnit| !mirrored.contains_key(unit) && fails & (1 << (index % 32)) != 0;
            let come = plan.fetch.iter().enumerate().filter(|(index, unit)| !fails(*index, unit));
            let come: Vec<_> = come.map(|(_, unit)| (unit.clone(), tags(&listed[unit]))).collect();
            mirrored.extend(come);
            let unreplaced = models_without_replacement(&listed, &mirrored);
            mirrored.retain(|unit, _| !plan.remove.contains(unit) || unreplaced.contains(unit.model()));
            let after: u64 = mirrored.values().map(mirrored_size).sum();

            prop_assert!(plan.fetch.is_empty() || after <= quota.storage);
        }

        #[test]
        fn nothing_is_fetched_twice(now: Made) {
            let listed = made(&now);
            let first = plan(&listed, &Files::new(), &unlimited());
            let mut have = mirrored(&listed);
            have.retain(|unit, _| first.fetch.contains(unit));
            let second = plan(&listed, &have, &unlimited());
            prop_assert_eq!((second.fetch.len(), second.remove.len()), (0, 0));

            prop_assert_eq!(second.refused, first.refused);
        }
    }
}
