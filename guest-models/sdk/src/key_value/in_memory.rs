//! The store for a model's own tests: a map for each thread.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::Error;

pub(super) type Bucket = String;

type Outcome<T> = Result<T, String>;
type Values = BTreeMap<(String, String), Vec<u8>>;

thread_local! {
    static VALUES: RefCell<Values> = const { RefCell::new(BTreeMap::new()) };
}

fn with<T>(bucket: &Bucket, key: &str, work: impl FnOnce(&mut Values, (String, String)) -> T) -> T {
    VALUES.with_borrow_mut(|values| work(values, (bucket.clone(), key.to_owned())))
}

#[cfg(feature = "testing")]
pub(super) fn forget_all() {
    VALUES.with_borrow_mut(Values::clear);
}

pub(super) fn open(name: &str) -> Outcome<Bucket> {
    let name = if name.is_empty() { "default" } else { name };
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-');
    let fits = name.len() <= 64 && name.chars().all(plain);
    fits.then(|| name.to_owned()).ok_or_else(|| "it is no name".to_owned())
}

pub(super) fn get(bucket: &Bucket, key: &str) -> Outcome<Option<Vec<u8>>> {
    Ok(with(bucket, key, |values, at| values.get(&at).cloned()))
}

pub(super) fn set(bucket: &Bucket, key: &str, value: &[u8]) -> Outcome<()> {
    with(bucket, key, |values, at| values.insert(at, value.to_vec()));
    Ok(())
}

pub(super) fn delete(bucket: &Bucket, key: &str) -> Outcome<()> {
    with(bucket, key, |values, at| values.remove(&at));
    Ok(())
}

pub(super) fn exists(bucket: &Bucket, key: &str) -> Outcome<bool> {
    Ok(get(bucket, key)?.is_some())
}

pub(super) fn list(
    bucket: &Bucket,
    _cursor: Option<String>,
) -> Outcome<(Vec<String>, Option<String>)> {
    let of = |values: &Values| {
        let mine = values.keys().filter(|(name, _)| name == bucket);
        mine.map(|(_, key)| key.clone()).collect()
    };
    Ok((VALUES.with_borrow(of), None))
}

pub(super) fn increment(bucket: &Bucket, key: &str, delta: i64) -> Outcome<i64> {
    let before = get(bucket, key)?
        .map_or(Some(0), |value| String::from_utf8(value).ok()?.parse::<i64>().ok());
    let before = before.ok_or("the value is no whole number in decimal digits")?;
    let sum = before.checked_add(delta).ok_or("the sum does not fit into 64 bits")?;
    set(bucket, key, sum.to_string().as_bytes())?;
    Ok(sum)
}

pub(super) fn update(
    bucket: &Bucket,
    key: &str,
    mut change: impl FnMut(Option<Vec<u8>>) -> Result<Vec<u8>, Error>,
) -> Result<Outcome<Vec<u8>>, Error> {
    // No other thread has access to these values.
    let value = change(with(bucket, key, |values, at| values.get(&at).cloned()))?;
    Ok(set(bucket, key, &value).map(|()| value))
}

pub(super) fn get_many(bucket: &Bucket, keys: &[&str]) -> Outcome<Vec<Option<Vec<u8>>>> {
    keys.iter().map(|key| get(bucket, key)).collect()
}

pub(super) fn set_many(bucket: &Bucket, pairs: &[(&str, &[u8])]) -> Outcome<()> {
    pairs.iter().try_for_each(|(key, value)| set(bucket, key, value))
}

pub(super) fn delete_many(bucket: &Bucket, keys: &[&str]) -> Outcome<()> {
    keys.iter().try_for_each(|key| delete(bucket, key))
}
