//! The pages of a memory that have been written to, as the kernel knows them.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::{Arc, LazyLock};

/// The kernel's record of this process's pages.
#[derive(Clone)]
pub(in crate::engine) struct PageMap {
    file: Arc<File>,
    page_size: usize,
}

/// The most ranges that one scan reports. A memory with more is not restored.
const MAX_RANGES: usize = 32;

/// The argument of `PAGEMAP_SCAN`, as in Linux's `include/uapi/linux/fs.h`.
#[repr(C)]
#[derive(Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    ranges: u64,
    ranges_length: u64,
    max_pages: u64,
    inverted: u64,
    mask: u64,
    any_of: u64,
    returned: u64,
}

/// A range of pages that a scan reports, in addresses.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct ScanRange {
    start: u64,
    end: u64,
    categories: u64,
}

/// Categories of pages.
const WRITTEN: u64 = 1 << 1;
const OF_FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const ZERO: u64 = 1 << 5;

/// The number of the system call's operation: `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: u64 =
    (3 << 30) | ((size_of::<ScanArgument>() as u64) << 16) | ((b'f' as u64) << 8) | 16;

impl PageMap {
    /// Opens the record of this process; `None` if the kernel cannot scan it (before Linux 6.7).
    pub(super) fn open() -> Option<Self> {
        static OPENED: LazyLock<Option<PageMap>> = LazyLock::new(|| {
            let file = Arc::new(File::open("/proc/self/pagemap").ok()?);
            let map = PageMap { file, page_size: page_size()? };
            map.scan(0..0, 1).is_some().then_some(map)
        });
        OPENED.clone()
    }

    /// The size of a page in bytes.
    pub(super) fn page_size(&self) -> usize {
        self.page_size
    }

    /// Returns the written pages of a memory, numbered from its beginning. `None` if there are more
    /// than `max`, or they lie in too many places.
    ///
    /// The memory is a private mapping of a file or of nothing. A page of it that has not been
    /// written is absent, or is the file's own, or the kernel's page of zeros. A page that was
    /// swapped out would be missed, so the caller rules swap out.
    pub(super) fn written_pages(&self, memory: &[u8], max: usize) -> Option<Vec<Range<usize>>> {
        let page_size = self.page_size;
        let start = memory.as_ptr().addr();
        if !start.is_multiple_of(page_size) || !memory.len().is_multiple_of(page_size) {
            return None;
        }

        let ranges = self.scan(start..start + memory.len(), max)?;
        let number = |address: u64| Some((address as usize).checked_sub(start)? / page_size);
        ranges.iter().map(|range| Some(number(range.start)?..number(range.end)?)).collect()
    }

    /// Returns the written pages among these addresses; `None` if there are too many.
    #[expect(unsafe_code, reason = "the kernel offers this as a system call only")]
    fn scan(&self, addresses: Range<usize>, max: usize) -> Option<Vec<ScanRange>> {
        let mut ranges = [ScanRange::default(); MAX_RANGES];
        let mut argument = ScanArgument {
            size: size_of::<ScanArgument>() as u64,
            start: addresses.start as u64,
            end: addresses.end as u64,
            ranges: ranges.as_mut_ptr().expose_provenance() as u64,
            ranges_length: ranges.len() as u64,
            // One more than fits, so that a memory with too many is told from one with as many.
            max_pages: max as u64 + 1,
            inverted: OF_FILE | ZERO,
            mask: WRITTEN | PRESENT | OF_FILE | ZERO,
            ..ScanArgument::default()
        };

        // SAFETY: the kernel reads and writes `argument`, which is a `struct pm_scan_arg` by its
        // layout and its `size`, and writes at most `ranges_length` elements to `ranges`; both live
        // until the call has returned. It looks at the page table of the addresses from `start` to
        // `end`, and neither reads nor changes what lies there: `flags` asks for nothing but the
        // ranges.
        let count =
            unsafe { libc::ioctl(self.file.as_raw_fd(), PAGEMAP_SCAN as _, &raw mut argument) };

        let found = ranges.get(..usize::try_from(count).ok()?)?;
        let bytes: u64 = found.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        let is_whole = argument.walk_end == argument.end;
        let fits = bytes <= (max * self.page_size) as u64;
        (is_whole && fits).then(|| found.to_vec())
    }
}

/// The size of the kernel's pages in bytes. The C library knows it under valgrind as well, which
/// `rustix` does not.
#[expect(unsafe_code, reason = "no safe interface goes through the C library")]
fn page_size() -> Option<usize> {
    // SAFETY: the call reads a constant of the system and takes no address.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| size.is_power_of_two())
}

#[cfg(test)]
mod tests {
    use wasmtime::{Engine, Memory, MemoryType, Store};

    use super::*;

    /// A memory of 256 pages, too small for the kernel's large pages.
    fn memory() -> (Store<()>, Memory) {
        let mut store = Store::new(&Engine::default(), ());
        let memory = Memory::new(&mut store, MemoryType::new(16, None)).unwrap();
        (store, memory)
    }

    #[test]
    fn written_pages_are_found_and_read_ones_are_not() {
        let Some(map) = PageMap::open() else { return };
        let (mut store, memory) = memory();
        let memory = memory.data_mut(&mut store);
        let size = map.page_size();

        assert_eq!(map.written_pages(memory, 10), Some(Vec::new()));
        assert_eq!(memory[200 * size], 0);
        for page in [3, 4, 255] {
            memory[page * size] = 1;
        }
        assert_eq!(map.written_pages(memory, 3), Some(vec![3..5, 255..256]));
        assert_eq!(map.written_pages(memory, 2), None, "too many pages");
    }

    #[test]
    fn too_many_places_are_no_answer() {
        let Some(map) = PageMap::open() else { return };
        let (mut store, memory) = memory();
        let memory = memory.data_mut(&mut store);
        let mut write = |number: usize| memory[2 * number * map.page_size()] = 1;

        (0..MAX_RANGES).for_each(&mut write);
        assert_eq!(map.written_pages(memory, 200).map(|ranges| ranges.len()), Some(MAX_RANGES));
        memory[2 * MAX_RANGES * map.page_size()] = 1;
        assert_eq!(map.written_pages(memory, 200), None);
    }
}
