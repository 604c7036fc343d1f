//! Compares the table with a map under random operations.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::store::InMemoryStore;

type Model = BTreeMap<(String, String), Vec<u8>>;

#[derive(Clone, Debug)]
enum Step {
    Set(String, Key, Vec<u8>),
    Delete(String, Key),
    Increment(String, Key, i64),
    Swap(String, Key, Option<Vec<u8>>, Vec<u8>),
    SetMany(String, Vec<(Key, Vec<u8>)>),
    DeleteMany(String, Vec<Key>),
    /// Several changes followed by a failure, which must roll them back.
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
        Step::Fail(..) => {}
    }

    String::new()
}

/// Applies a step to the table and returns its result.
fn perform(scratch: &InMemoryStore, step: &Step) -> String {
    let done = scratch.run(|connection| {
        let name = |bucket: &str| BucketName::parse(bucket).unwrap();
        Ok(match step {
            Step::Set(bucket, key, value) => {
                Bucket::new(connection, &name(bucket)).set(key, value)?;
                String::new()
            }
            Step::Delete(bucket, key) => {
                format!("{:?}", Bucket::new(connection, &name(bucket)).delete(key)?)
            }
            Step::Increment(bucket, key, delta) => {
                format!("{:?}", Bucket::new(connection, &name(bucket)).increment(key, *delta)?)
            }
            Step::Swap(bucket, key, expected, value) => {
                format!(
                    "{:?}",
                    Bucket::new(connection, &name(bucket)).compare_and_swap(
                        key,
                        expected.as_deref(),
                        value
                    )?
                )
            }
            Step::SetMany(bucket, pairs) | Step::Fail(bucket, pairs) => {
                let bucket = name(bucket);
                let bucket = Bucket::new(connection, &bucket);

                pairs.iter().try_for_each(|(key, value)| bucket.set(key, value))?;

                if matches!(step, Step::Fail(..)) {
                    return Err(StoreError::Busy);
                }

                String::new()
            }
            Step::DeleteMany(bucket, keys) => {
                let bucket = name(bucket);
                let bucket = Bucket::new(connection, &bucket);
                keys.iter().try_for_each(|key| bucket.delete(key).map(drop))?;
                String::new()
            }
        })
    });
    done.unwrap_or_default()
}

/// Reads everything, through every read operation.
fn read_all(connection: &Connection, page: usize) -> Result<Model, StoreError> {
    let mut seen = Model::new();
    for name in pages(|after| list_buckets(connection, after, page))? {
        let bucket = BucketName::parse(&name).unwrap();
        let bucket = Bucket::new(connection, &bucket);
        let keys: Vec<_> = pages(|after| bucket.list_keys(after, page))?
            .into_iter()
            .map(|key| Key::new(key).unwrap())
            .collect();
        let many = bucket.get_many(&keys, usize::MAX)?.unwrap();
        for (key, value) in keys.iter().zip(many) {
            assert_eq!((bucket.get(key)?, bucket.exists(key)?), (value.clone(), true));
            seen.insert(at(&name, key), value.unwrap());
        }
    }

    Ok(seen)
}

/// Reads page after page, each in order and starting after the previous one.
fn pages(
    mut page: impl FnMut(&str) -> Result<Vec<String>, StoreError>,
) -> Result<Vec<String>, StoreError> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let more = page(all.last().map_or("", String::as_str))?;
        if more.is_empty() {
            assert!(all.is_sorted());
            return Ok(all);
        }

        all.extend(more);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_table_does_what_a_map_does(steps in vec(step(), 1..60), page in 1_usize..5) {
        let (scratch, mut model) = (InMemoryStore::new().unwrap(), Model::new());
        for step in &steps {
            prop_assert_eq!(perform(&scratch, step), expect(&mut model, step), "{:?}", step);
        }

        let seen = scratch.run(|connection| read_all(connection, page)).unwrap();
        prop_assert_eq!(seen, model);
    }
}

#[test]
fn values_beyond_the_total_size_are_not_returned() {
    let scratch = InMemoryStore::new().unwrap();
    let (name, keys) =
        (BucketName::parse("").unwrap(), ["a", "b", "c"].map(|key| Key::new(key.into()).unwrap()));

    let read = |most| {
        scratch.run(|connection| {
            let bucket = Bucket::new(connection, &name);
            bucket.set(&keys[0], &[0; 10])?;
            bucket.set(&keys[2], &[0; 10])?;
            bucket.get_many(&keys, most)
        })
    };
    assert_eq!(read(20).unwrap().unwrap().iter().flatten().count(), 2);
    assert_eq!(read(19), Ok(None));
}

#[test]
fn in_memory_store_is_bounded_and_usable_when_full() {
    let scratch = InMemoryStore::new().unwrap();
    let name = BucketName::parse("").unwrap();
    let fill = |count: usize| {
        scratch.run(|connection| {
            let bucket = Bucket::new(connection, &name);
            (0..count).try_for_each(|number| {
                bucket.set(&Key::new(number.to_string()).unwrap(), &vec![7; MAX_VALUE_SIZE])
            })
        })
    };
    assert_eq!(fill(8), Ok(()));
    assert_eq!(fill(64), Err(StoreError::Full));

    let keys = scratch.run(|connection| Bucket::new(connection, &name).list_keys("", 100)).unwrap();
    assert_eq!(keys.len(), 8);
}
