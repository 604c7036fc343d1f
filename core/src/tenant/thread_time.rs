//! The CPU time of a thread.

use std::time::Duration;

/// Returns the CPU time that the current thread has used.
///
/// The C library finds the kernel's clock functions where the loader has put them. A program that
/// counts instructions (valgrind) hides them there, but not from `rustix`, which asks the kernel.
#[expect(unsafe_code, reason = "no safe interface goes through the C library")]
pub fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };

    // SAFETY: The call writes one `timespec` to a valid address that nothing else uses meanwhile.
    let outcome = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };

    // It fails only for a clock that does not exist, and Linux has had this one since 2.6.12.
    debug_assert_eq!(outcome, 0);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
