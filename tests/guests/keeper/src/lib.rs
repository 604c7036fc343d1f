//! A model that keeps words in its session, now and later; see `tests/guests/README.md`.

mod words;

wardian_sdk::export!(words::Words, streaming, deferred);
