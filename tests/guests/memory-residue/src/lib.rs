//! A model that marks all memory that it can reach, or searches it for marks; see
//! `tests/guests/README.md`.

// Native targets have no such memory.
#![cfg(target_arch = "wasm32")]

mod memory;

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use memory::Mark;
use wardian_sdk::{Error, Metadata, Model, Request, Response, Tensor};

struct MemoryResidue {
    calls: AtomicU64,
}

impl Model for MemoryResidue {
    fn load() -> Result<Self, Error> {
        if black_box(false) {
            println!("{}", not_snapshottable());
        }
        Ok(MemoryResidue { calls: AtomicU64::new(0) })
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .output::<i64>("calls", [1])
            .output::<i64>("before", [1])
            .output::<i64>("found", [1])
            .output::<i64>("bytes", [1])
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) as i64 + 1;
        let integer =
            |name| request.parameter(name).and_then(|value| value.as_integer()).unwrap_or(0);
        let mark = Mark::grown_from(integer("seed") as u64);
        let grown = memory::grow(integer("pages") as usize);
        let before = memory::count(mark) as i64;
        match request.parameter("do").and_then(|value| value.as_text()) {
            Some("mark") => memory::mark_what_is_free(mark, grown),
            Some("sprinkle") => memory::sprinkle(mark, integer("places") as u64),
            Some("drown") => memory::drown(mark),
            _ => {}
        }
        let found = memory::count(mark) as i64;
        let numbers = [
            ("calls", calls),
            ("before", before),
            ("found", found),
            ("bytes", memory::size() as i64),
        ];
        let add =
            |response: Response, (name, number)| response.output(Tensor::new(name, [1], [number]));
        Ok(numbers.into_iter().fold(Response::new(), add))
    }
}

/// The number that `xtask/src/no_snapshot.rs` replaces.
#[inline(never)]
fn not_snapshottable() -> u64 {
    black_box(0x5EED_CAFE_0DD5_EA75)
}

wardian_sdk::export!(MemoryResidue);
