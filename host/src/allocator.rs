//! The program's memory allocator: mimalloc, because it gives memory back to the system soon after
//! it was freed.
//!
//! glibc keeps what a burst of large requests has taken, for as long as the process lives.
//! `docs/benchmarks.md` has the comparison. SQLite and other C code use the system's allocator.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
