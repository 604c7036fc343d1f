//! One operation.

use wardian_sdk::bindings::model::wasi::keyvalue::{atomics, batch, store};
use wardian_sdk::key_value;

use atomics::{Cas, CasError};
use store::{Bucket, Error};

/// Performs an operation. Fails with the error of the host.
pub(crate) fn perform(text: &str) -> Result<String, String> {
    let words: Vec<String> = text.split('\t').map(word).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["get", bucket, key] => {
            Ok(open(bucket)?.get(key).map_err(refused)?.map_or("none".into(), shown))
        }
        ["set", bucket, key, value] => ok(open(bucket)?.set(key, value.as_bytes())),
        ["delete", bucket, key] => ok(open(bucket)?.delete(key)),
        ["exists", bucket, key] => Ok(open(bucket)?.exists(key).map_err(refused)?.to_string()),
        ["page", bucket] => page(bucket, None),
        ["page", bucket, cursor] => page(bucket, Some(cursor)),
        ["list", bucket] => list(bucket),
        ["increment", bucket, key, delta] => {
            let sum = atomics::increment(&open(bucket)?, key, number(delta)).map_err(refused)?;
            Ok(sum.to_string())
        }
        ["add", bucket, key, delta] => add(bucket, key, number(delta)),
        ["beaten", bucket, key, first, second] => beaten(&open(bucket)?, key, first, second),
        ["set-many", bucket, prefix, count, value] => {
            let pairs: Vec<_> =
                keys(prefix, count).map(|key| (key, value.as_bytes().to_vec())).collect();
            ok(batch::set_many(&open(bucket)?, &pairs))
        }
        ["get-many", bucket, prefix, count] => {
            let keys: Vec<_> = keys(prefix, count).collect();
            let found = batch::get_many(&open(bucket)?, &keys).map_err(refused)?;
            let right = found
                .iter()
                .zip(&keys)
                .all(|(pair, key)| pair.as_ref().is_none_or(|(name, _)| name == key));
            let values: Vec<_> = found.into_iter().flatten().collect();
            let bytes: usize = values.iter().map(|(_, value)| value.len()).sum();
            Ok(format!("{} {bytes}{}", values.len(), if right { "" } else { " of other keys" }))
        }
        ["delete-many", bucket, prefix, count] => {
            ok(batch::delete_many(&open(bucket)?, &keys(prefix, count).collect::<Vec<_>>()))
        }
        ["set-two", bucket, one, first, two, second] => {
            let pairs = [(one, first), (two, second)];
            let pairs = pairs.map(|(key, value)| (key.to_string(), value.as_bytes().to_vec()));
            ok(batch::set_many(&open(bucket)?, &pairs))
        }
        ["hold", count] => (0..number(count))
            .try_for_each(|_| open("").map(std::mem::forget))
            .map(|()| "ok".into()),
        ["hold-cas", bucket, key, count] => {
            let bucket = open(bucket)?;
            let hold = |_| Cas::new(&bucket, key).map(std::mem::forget).map_err(refused);
            (0..number(count)).try_for_each(hold).map(|()| "ok".into())
        }
        ["set-for-ever", bucket, key] => {
            let bucket = open(bucket)?;
            let mut count = 0_u64;
            loop {
                count += 1;
                bucket.set(key, count.to_string().as_bytes()).map_err(refused)?;
            }
        }
        ["trap"] => std::process::abort(),
        other => Err(format!("not an operation: {other:?}")),
    }
}

fn page(bucket: &str, cursor: Option<&str>) -> Result<String, String> {
    let page = open(bucket)?.list_keys(cursor).map_err(refused)?;
    let at = |key: Option<&String>| key.cloned().unwrap_or("none".into());
    let (first, last) = (at(page.keys.first()), at(page.keys.last()));
    Ok(format!("{} {first} {last} {}", page.keys.len(), at(page.cursor.as_ref())))
}

fn list(bucket: &str) -> Result<String, String> {
    let bucket = key_value::open(bucket).map_err(|error| format!("{error:?}"))?;
    let keys: Vec<_> =
        bucket.keys().collect::<Result<_, _>>().map_err(|error| format!("{error:?}"))?;
    match keys.len() {
        0..=100 => Ok(keys.join(" ")),
        many => Ok(format!("{many} {}", keys.is_sorted_by(|one, next| one < next))),
    }
}

fn add(bucket: &str, key: &str, delta: i64) -> Result<String, String> {
    let bucket = key_value::open(bucket).map_err(|error| format!("{error:?}"))?;
    let sum = bucket.update(key, |old| {
        let old = old.map_or(0, |value| number(&String::from_utf8_lossy(&value)));
        Ok((old + delta).to_string().into_bytes())
    });
    sum.map(shown).map_err(|error| format!("{error:?}"))
}

fn beaten(bucket: &Bucket, key: &str, first: &str, second: &str) -> Result<String, String> {
    let cas = Cas::new(bucket, key).map_err(refused)?;
    bucket.set(key, first.as_bytes()).map_err(refused)?;
    match atomics::swap(cas, second.as_bytes()) {
        Ok(()) => Ok("swapped".into()),
        Err(CasError::CasFailed(newer)) => {
            Ok(format!("failed {}", newer.current().map_err(refused)?.map_or("none".into(), shown)))
        }
        Err(CasError::StoreError(error)) => Err(refused(error)),
    }
}

fn open(name: &str) -> Result<Bucket, String> {
    store::open(name).map_err(refused)
}

fn keys(prefix: &str, count: &str) -> impl Iterator<Item = String> {
    (0..number(count)).map(move |number| format!("{prefix}{number:05}"))
}

fn word(text: &str) -> String {
    match text.strip_prefix('*').map(str::parse) {
        Some(Ok(length)) => "x".repeat(length),
        _ => text.to_owned(),
    }
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

fn shown(value: Vec<u8>) -> String {
    match value.len() {
        0..=1000 => String::from_utf8_lossy(&value).into_owned(),
        many => format!("{many} bytes"),
    }
}

fn ok(outcome: Result<(), Error>) -> Result<String, String> {
    outcome.map(|()| "ok".into()).map_err(refused)
}

fn refused(error: Error) -> String {
    match error {
        Error::NoSuchStore => "no-such-store".into(),
        Error::AccessDenied => "access-denied".into(),
        Error::Other(text) => format!("other: {text}"),
    }
}
