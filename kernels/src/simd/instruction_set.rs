//! The instruction sets, and which of them the processor has.

use std::fmt;
use std::sync::OnceLock;

use super::block::Checked;
use super::integer_block::CheckedIntegers;
use super::portable;

/// An instruction set that the processor has, with the code for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InstructionSet(Kind);

/// The kind of an instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
    Portable,
}

impl InstructionSet {
    /// Returns the best one, which is chosen at the first call.
    pub fn best() -> Self {
        static BEST: OnceLock<InstructionSet> = OnceLock::new();
        *BEST.get_or_init(|| InstructionSet::available().next().unwrap_or(Self::PORTABLE))
    }

    /// The one that every processor has.
    pub const PORTABLE: InstructionSet = InstructionSet(Kind::Portable);

    /// Returns all that the processor has, from the best to the portable one.
    pub fn available() -> impl Iterator<Item = Self> {
        let kinds = [
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2,
            #[cfg(target_arch = "aarch64")]
            Kind::Neon,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Simd128,
            Kind::Portable,
        ];
        kinds.into_iter().filter(|kind| kind.is_available()).map(InstructionSet)
    }

    /// Returns its name, such as `avx512-vnni`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Simd128 => "simd128",
            Kind::Portable => "portable",
        }
    }

    pub(super) fn kind(self) -> Kind {
        self.0
    }

    /// Multiplications and additions between two looks at the time: about 100 microseconds.
    pub(crate) fn work_between_checkpoints(self) -> u64 {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni | Kind::Avx512 => 6_000_000,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 3_000_000,
            _ => 500_000,
        }
    }

    /// Multiplies two blocks whose addresses have been checked.
    pub(super) fn run_block(self, block: &Checked) {
        // SAFETY: see the module.
        unsafe {
            match self.0 {
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512Vnni | Kind::Avx512 => super::avx512::block(block),
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => super::avx2::block(block),
                #[cfg(target_arch = "aarch64")]
                Kind::Neon => super::neon::block(block),
                #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                Kind::Simd128 => super::simd128::block(block),
                Kind::Portable => portable::block(block),
            }
        }
    }

    /// Multiplies two blocks of integers whose addresses have been checked.
    pub(super) fn run_integer_block(self, block: &CheckedIntegers) {
        // SAFETY: see the module.
        unsafe {
            match self.0 {
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512Vnni => super::avx512::integer_block(block),
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 | Kind::Avx2 => super::avx2::integer_block(block),
                #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                Kind::Simd128 => super::simd128::integer_block(block),
                _ => portable::integer_block(block),
            }
        }
    }
}

impl Kind {
    fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => {
                Kind::Avx512.is_available() && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {
                Kind::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Simd128 => true,
            Kind::Portable => true,
        }
    }
}

impl fmt::Debug for InstructionSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
