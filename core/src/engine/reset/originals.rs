//! The original content of the pages that calls write to.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::MAX_PAGES;
use crate::mutex::lock;

/// The originals of one code's pages. Pages are numbered from the beginning of the memory.
#[derive(Default)]
pub(in crate::engine) struct Originals {
    pages: Mutex<Pages>,
    /// Some pages have been written to, and their originals are not there yet.
    wanted: AtomicBool,
    /// Calls in a row that have written to too many pages.
    misses: AtomicU32,
}

#[derive(Default)]
struct Pages {
    /// Sorted by number.
    known: Arc<Vec<Page>>,
    wanted: BTreeSet<usize>,
}

/// A page and its original content.
#[derive(Clone)]
struct Page {
    number: usize,
    content: Arc<[u8]>,
}

/// After this many calls in a row that wrote to too many pages, no call is followed by a reset.
const MAX_MISSES: u32 = 16;

impl Originals {
    pub(super) fn are_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// True if calls write to too many pages as a rule.
    pub(super) fn are_hopeless(&self) -> bool {
        self.misses.load(Ordering::Relaxed) >= MAX_MISSES
    }

    /// Counts a call that has written to too many pages.
    pub(super) fn record_miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Copies the pages that are wanted from the memory of an instance that has not been called.
    pub(super) fn copy_from(&self, memory: &[u8], page_size: usize) {
        let mut pages = lock(&self.pages);
        let wanted = std::mem::take(&mut pages.wanted);
        self.wanted.store(false, Ordering::Relaxed);

        let mut known = pages.known.to_vec();
        for number in wanted {
            let Some(content) = memory.get(range(number, page_size)) else { continue };
            known.push(Page { number, content: content.into() });
        }

        known.sort_by_key(|page| page.number);
        pages.known = Arc::new(known);
    }

    /// Copies the originals over the written pages of a memory, and returns the number of pages.
    /// Changes nothing and returns `None` if some are not known. These are wanted from now on,
    /// unless there would be too many of them.
    pub(super) fn restore(
        &self,
        memory: &mut [u8],
        written: &[Range<usize>],
        page_size: usize,
    ) -> Option<usize> {
        let known = lock(&self.pages).known.clone();
        let numbers = || written.iter().cloned().flatten();
        let find = |number: usize| {
            let found = known.binary_search_by_key(&number, |page| page.number).ok()?;
            known.get(found)
        };

        let unknown: Vec<_> = numbers().filter(|&number| find(number).is_none()).collect();
        if !unknown.is_empty() {
            self.want(&unknown);
            return None;
        }

        let mut restored = 0;
        for page in numbers().filter_map(find) {
            memory.get_mut(range(page.number, page_size))?.copy_from_slice(&page.content);
            restored += 1;
        }

        self.misses.store(0, Ordering::Relaxed);
        Some(restored)
    }

    fn want(&self, unknown: &[usize]) {
        let mut pages = lock(&self.pages);
        // Another instance may have wanted the same pages, or have copied them since.
        let new: Vec<_> = unknown.iter().copied().filter(|&number| !pages.has(number)).collect();
        if pages.known.len() + pages.wanted.len() + new.len() > MAX_PAGES {
            self.record_miss();
            return;
        }

        pages.wanted.extend(new);
        self.wanted.store(!pages.wanted.is_empty(), Ordering::Relaxed);
    }
}

impl Pages {
    /// True if a page is known or wanted.
    fn has(&self, number: usize) -> bool {
        self.wanted.contains(&number)
            || self.known.binary_search_by_key(&number, |page| page.number).is_ok()
    }
}

/// The bytes of a page.
fn range(number: usize, page_size: usize) -> Range<usize> {
    let start = number.saturating_mul(page_size);
    start..start.saturating_add(page_size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: usize = 16;

    fn image(pages: usize) -> Vec<u8> {
        (0..pages * PAGE).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn originals_are_wanted_once_their_page_is_written() {
        let originals = Originals::default();
        let image = image(8);
        let mut memory = image.clone();
        memory[PAGE..3 * PAGE].fill(0);

        assert_eq!(originals.restore(&mut memory, &[1..2, 2..3], PAGE), None);
        assert!(originals.are_wanted());
        originals.copy_from(&image, PAGE);
        assert!(!originals.are_wanted());

        assert_eq!(originals.restore(&mut memory, &[1..2, 2..3], PAGE), Some(2));
        assert_eq!(memory, image);
    }

    #[test]
    fn a_model_that_writes_to_many_pages_is_given_up() {
        let originals = Originals::default();
        let mut memory = image(MAX_PAGES + 1);
        for _ in 0..MAX_MISSES {
            assert!(!originals.are_hopeless());
            assert_eq!(originals.restore(&mut memory, &[0..1, 1..MAX_PAGES + 1], PAGE), None);
        }
        assert!(originals.are_hopeless() && !originals.are_wanted());
    }

    #[test]
    fn pages_that_several_instances_want_count_once() {
        let originals = Originals::default();
        let image = image(MAX_PAGES);
        let most: Vec<_> = (0..MAX_PAGES).collect();

        originals.want(&most);
        originals.want(&most);
        assert_eq!(originals.misses.load(Ordering::Relaxed), 0);
        originals.copy_from(&image, PAGE);

        // An instance that was called before the copy wants them again.
        originals.want(&most);
        assert!(!originals.are_wanted());
        assert_eq!(lock(&originals.pages).known.len(), MAX_PAGES);
    }

    proptest! {
        /// However calls write and originals are copied, a restored memory is the image, and no
        /// more than the most pages are held.
        #[test]
        fn a_restored_memory_is_the_image(
            calls in prop::collection::vec(prop::collection::btree_set(0..100usize, 0..40), 1..40)
        ) {
            let originals = Originals::default();
            let image = image(100);

            for written in calls {
                if originals.are_wanted() {
                    originals.copy_from(&image, PAGE);
                }
                let mut memory = image.clone();
                for &number in &written {
                    memory[range(number, PAGE)].fill(255);
                }
                let ranges: Vec<_> = written.iter().map(|&number| number..number + 1).collect();
                if originals.restore(&mut memory, &ranges, PAGE).is_some() {
                    prop_assert_eq!(&memory, &image);
                }
                prop_assert!(lock(&originals.pages).known.len() <= MAX_PAGES);
            }
        }
    }
}
