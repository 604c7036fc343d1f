//! A model that stores words in its session, in calls and deferred tasks; see
//! `tests/guests/README.md`.

mod words;

wardian_sdk::export!(words::Words, streaming, deferred);
