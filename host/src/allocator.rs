//! The program's memory allocator: mimalloc, which returns freed memory to the system early.
//!
//! glibc keeps the memory of a burst of large requests for the life of the process.
//! `docs/benchmarks.md` has the comparison. SQLite and other C code use the system's allocator.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
