//! Returns freed memory to the system while the server is idle.
//!
//! The program's allocator, mimalloc, returns memory only in a thread that allocates or frees.
//! After a burst of large requests no thread does, and the memory of the burst would stay.

use std::time::Duration;

use crate::essential;

/// The time between two collections. mimalloc keeps freed memory for a second.
const INTERVAL: Duration = Duration::from_secs(1);

/// Starts a thread that returns freed memory to the system.
pub fn start_collector() -> std::io::Result<()> {
    let collector = std::thread::Builder::new().name("allocator".into());
    collector.spawn(|| essential::run("the allocator's collector", collect_forever))?;
    Ok(())
}

fn collect_forever() {
    loop {
        std::thread::sleep(INTERVAL);
        collect();
    }
}

/// Returns what all threads of the process have freed. Each of them keeps a few pages.
#[expect(unsafe_code, reason = "the allocator offers this as a C function only")]
fn collect() {
    // SAFETY: `mi_collect` takes no pointer, may be called by any thread at any time, and frees
    // nothing that is in use. It does not call back into Rust.
    unsafe { libmimalloc_sys::mi_collect(false) }
}
