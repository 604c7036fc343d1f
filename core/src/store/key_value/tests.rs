//! Compares the stores with a map under random operations.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::TenantName;
use crate::store::{Durability, InMemoryKeyValue, Stores};
use crate::tenant::{Quota, Tenant, TenantSettings};

type Model = BTreeMap<(String, String), Vec<u8>>;

/// Limit of both stores, in bytes.
const LIMIT: usize = 512 << 10;

#[derive(Clone, Debug)]
enum Step {
    Set(String, Key, Vec<u8>),
    Delete(String, Key),
    Increment(String, Key, i64),
    Swap(String, Key, Option<Vec<u8>>, Vec<u8>),
    SetMany(String, Vec<(Key, Vec<u8>)>),
    DeleteMany(String, Vec<Key>),
    /// Several changes, the last of which exceeds the limit, so that none may be seen.
    Fail(String, Vec<(Key, Vec<u8>)>),
}

fn bucket() -> impl Strategy<Value = String> {
    "[ab]|default".prop_map(String::from)
}

/// Few distinct keys, so that they collide, with unusual characters.
fn key() -> impl Strategy<Value = Key> {
    prop_oneof!["[a-c]{1,2}", "[\\x00%_'\u{ff}\u{10ffff}]{1,2}"]
        .prop_map(|text| Key::new(text).unwrap())
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..4),
        (-3_i64..3).prop_map(|number| number.to_string().into_bytes()),
        prop_oneof![Just(i64::MAX), Just(i64::MIN)]
            .prop_map(|number| number.to_string().into_bytes()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let pairs = || vec((key(), value()), 0..4);
    let delta = prop_oneof![-3_i64..3, any::<i64>()];

    prop_oneof![
        (bucket(), key(), value()).prop_map(|(bucket, key, value)| Step::Set(bucket, key, value)),
        (bucket(), key()).prop_map(|(bucket, key)| Step::Delete(bucket, key)),
        (bucket(), key(), delta)
            .prop_map(|(bucket, key, delta)| Step::Increment(bucket, key, delta)),
        (bucket(), key(), proptest::option::of(value()), value())
            .prop_map(|(bucket, key, expected, value)| Step::Swap(bucket, key, expected, value)),
        (bucket(), pairs()).prop_map(|(bucket, pairs)| Step::SetMany(bucket, pairs)),
        (bucket(), vec(key(), 0..4)).prop_map(|(bucket, keys)| Step::DeleteMany(bucket, keys)),
        (bucket(), pairs()).prop_map(|(bucket, pairs)| Step::Fail(bucket, pairs)),
    ]
}

fn at(bucket: &str, key: &Key) -> (String, String) {
    (bucket.to_owned(), key.as_str().to_owned())
}

/// Applies a step to the map and returns the expected result.
fn expect(model: &mut Model, step: &Step) -> String {
    match step {
        Step::Set(bucket, key, value) => drop(model.insert(at(bucket, key), value.clone())),
        Step::Delete(bucket, key) => {
            return format!("{:?}", model.remove(&at(bucket, key)).is_some());
        }
        Step::Increment(bucket, key, delta) => {
            let before = model.get(&at(bucket, key)).map_or(Some(0), |value| {
                std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok())
            });
            let sum = match before {
                None => Err(IncrementError::NotANumber),
                Some(before) => before.checked_add(*delta).ok_or(IncrementError::Overflow),
            };

            if let Ok(sum) = sum {
                model.insert(at(bucket, key), sum.to_string().into_bytes());
            }
            return format!("{sum:?}");
        }
        Step::Swap(bucket, key, expected, value) => {
            let now = model.get(&at(bucket, key)).cloned();
            if now != *expected {
                return format!("{:?}", Err::<(), _>(now));
            }

            model.insert(at(bucket, key), value.clone());
            return format!("{:?}", Ok::<_, Option<Vec<u8>>>(()));
        }
        Step::SetMany(bucket, pairs) => {
            model.extend(pairs.iter().map(|(key, value)| (at(bucket, key), value.clone())));
        }
        Step::DeleteMany(bucket, keys) => {
            keys.iter().for_each(|key| drop(model.remove(&at(bucket, key))))
        }
        Step::Fail(..) => return "Full".to_owned(),
    }

    String::new()
}

/// Applies a step to the store and returns its result.
async fn perform(store: &dyn KeyValueStore, step: &Step) -> Result<String, StoreError> {
    let name = |bucket: &str| BucketName::parse(bucket).unwrap();

    Ok(match step.clone() {
        Step::Set(bucket, key, value) => {
            store.set(name(&bucket), key, value).await?;
            String::new()
        }
        Step::Delete(bucket, key) => format!("{:?}", store.delete(name(&bucket), key).await?),
        Step::Increment(bucket, key, delta) => {
            format!("{:?}", store.increment(name(&bucket), key, delta).await?)
        }
        Step::Swap(bucket, key, expected, value) => {
            let swapped = store.compare_and_swap(name(&bucket), key, expected, value).await?;
            format!("{swapped:?}")
        }
        Step::SetMany(bucket, pairs) => {
            store.set_many(name(&bucket), pairs).await?;
            String::new()
        }
        Step::Fail(bucket, mut pairs) => {
            pairs.push((Key::new("large".into()).unwrap(), vec![7; 2 * LIMIT]));
            format!("{:?}", store.set_many(name(&bucket), pairs).await.unwrap_err())
        }
        Step::DeleteMany(bucket, keys) => {
            store.delete_many(name(&bucket), keys).await?;
            String::new()
        }
    })
}

/// Reads everything, through every read operation, in pages.
async fn read_all(store: &dyn KeyValueStore, page: usize) -> Result<Model, StoreError> {
    let mut found = Model::new();
    let mut names: Vec<String> = Vec::new();
    loop {
        let after = names.last().cloned().unwrap_or_default();
        let more = store.list_buckets(after, page).await?;
        if more.is_empty() {
            break;
        }
        names.extend(more);
    }
    assert!(names.is_sorted());

    for name in &names {
        let bucket = BucketName::parse(name).unwrap();
        let mut keys: Vec<String> = Vec::new();
        loop {
            let after = keys.last().cloned().unwrap_or_default();
            let more = store.list_keys(bucket.clone(), after, page).await?;
            if more.is_empty() {
                break;
            }
            keys.extend(more);
        }
        assert!(keys.is_sorted());

        let keys: Vec<_> = keys.into_iter().map(|key| Key::new(key).unwrap()).collect();
        let many = store.get_many(bucket.clone(), keys.clone(), usize::MAX).await?.unwrap();
        for (key, value) in keys.into_iter().zip(many) {
            assert_eq!(store.get(bucket.clone(), key.clone()).await?, value);
            assert!(store.exists(bucket.clone(), key.clone()).await?);
            found.insert(at(name, &key), value.unwrap());
        }
    }

    Ok(found)
}

fn check(store: &dyn KeyValueStore, steps: &[Step], page: usize) -> Result<(), TestCaseError> {
    let mut model = Model::new();
    for step in steps {
        let performed = block_on(perform(store, step)).unwrap();
        prop_assert_eq!(performed, expect(&mut model, step), "{:?}", step);
    }
    prop_assert_eq!(block_on(read_all(store, page)).unwrap(), model);

    Ok(())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(work)
}

/// Runs a test with a store of a tenant whose data is limited.
fn with_sqlite<T>(test: impl FnOnce(&dyn KeyValueStore) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let _entered = runtime.enter();
    let quota = Quota { data: LIMIT as u64, ..Quota::unlimited() };
    let settings = TenantSettings { quota, ..TenantSettings::default() };
    let tenant = Tenant::new(TenantName::default_tenant(), settings);
    let stores = Stores::new(folder.path().into(), Durability::Normal);

    test(&*stores.key_values(&tenant))
}

/// Runs a test with a store in memory.
fn with_in_memory<T>(test: impl FnOnce(&dyn KeyValueStore) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();

    test(&InMemoryKeyValue::with_max_size(LIMIT))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn table_behaves_like_a_map(steps in vec(step(), 1..60), page in 1_usize..5) {
        with_sqlite(|store| check(store, &steps, page))?;
    }

    #[test]
    fn store_in_memory_behaves_like_a_map(steps in vec(step(), 1..60), page in 1_usize..5) {
        with_in_memory(|store| check(store, &steps, page))?;
    }
}

#[test]
fn values_beyond_the_total_size_are_not_returned() {
    let name = BucketName::parse("").unwrap();
    let keys: Vec<_> = ["a", "b", "c"].map(|key| Key::new(key.into()).unwrap()).into();
    let read = |store: &dyn KeyValueStore, most| {
        for key in [&keys[0], &keys[2]] {
            block_on(store.set(name.clone(), key.clone(), vec![0; 10])).unwrap();
        }
        block_on(store.get_many(name.clone(), keys.clone(), most))
    };

    let check = |store: &dyn KeyValueStore| {
        assert_eq!(read(store, 20).unwrap().unwrap().iter().flatten().count(), 2);
        assert_eq!(read(store, 19), Ok(None));
    };

    with_sqlite(check);
    with_in_memory(check);
}

#[test]
fn in_memory_store_is_bounded_and_usable_when_full() {
    let store = InMemoryKeyValue::new();
    let name = BucketName::parse("").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fill = |count: usize| {
        let pairs = (0..count)
            .map(|number| (Key::new(number.to_string()).unwrap(), vec![7; MAX_VALUE_SIZE]))
            .collect();
        runtime.block_on(store.set_many(name.clone(), pairs))
    };

    assert_eq!(fill(8), Ok(()));
    assert_eq!(fill(64), Err(StoreError::Full));
    let keys = runtime.block_on(store.list_keys(name.clone(), String::new(), 100)).unwrap();
    assert_eq!(keys.len(), 8);
}
