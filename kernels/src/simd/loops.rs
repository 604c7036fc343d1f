//! Loops that the compiler turns into the instructions of a set.

use super::InstructionSet;
#[cfg(target_arch = "x86_64")]
use super::instruction_set::Kind;

/// A loop over slices. `run` is inlined, with all that it calls, into a function that is compiled
/// for an instruction set.
pub(crate) trait Loop {
    /// Runs the loop.
    fn run(self);
}

impl InstructionSet {
    /// Runs a loop with the instructions of the set.
    pub(crate) fn compiled(self, work: impl Loop) {
        match self.kind() {
            // SAFETY: the processor has the instructions, as there is such an instruction set.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni | Kind::Avx512 => unsafe { avx512(work) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { avx2(work) },
            // The others are part of what the crate is compiled for.
            _ => work.run(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn avx512(work: impl Loop) {
    work.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(work: impl Loop) {
    work.run();
}
