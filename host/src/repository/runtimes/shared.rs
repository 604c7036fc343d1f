//! The present runtimes, and the scans that use them.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use super::catalog::RuntimeCatalog;
use crate::mutex;
use crate::repository::wakeup::Wakeup;

/// The present runtimes, shared by all scans. A clone is shallow.
#[derive(Clone, Debug)]
pub struct Runtimes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    catalog: ArcSwap<RuntimeCatalog>,
    /// The threads that scan with the catalog.
    scans: Mutex<Vec<Wakeup>>,
}

impl Default for Runtimes {
    /// The embedded runtimes.
    fn default() -> Self {
        Runtimes::of(RuntimeCatalog::embedded().clone())
    }
}

impl Runtimes {
    /// No runtimes, for a folder without model files.
    pub(in crate::repository) fn empty() -> Self {
        Runtimes::of(Arc::default())
    }

    fn of(catalog: Arc<RuntimeCatalog>) -> Self {
        let catalog = ArcSwap::new(catalog);
        Runtimes { shared: Arc::new(Shared { catalog, scans: Mutex::default() }) }
    }

    /// The present catalog.
    pub fn catalog(&self) -> Arc<RuntimeCatalog> {
        self.shared.catalog.load_full()
    }

    /// Wakes a scan from now on whenever the catalog changes, until it is stopped.
    pub(in crate::repository) fn subscribe(&self, scan: Wakeup) {
        let mut scans = mutex::lock(&self.shared.scans);
        scans.retain(|scan| !scan.is_stopped());
        scans.push(scan);
    }

    /// Replaces the catalog, and has every repository scanned if it differs.
    pub(in crate::repository) fn replace(&self, catalog: RuntimeCatalog) {
        if *self.catalog() == catalog {
            return;
        }

        self.shared.catalog.store(Arc::new(catalog));
        let scans = mutex::lock(&self.shared.scans);
        scans.iter().for_each(Wakeup::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::runtimes::{Origin, test_runtime};

    #[test]
    fn scans_wake_only_when_the_catalog_differs() {
        let runtimes = Runtimes::default();
        let (wakeup, wakeups) = Wakeup::new(Arc::default());
        runtimes.subscribe(wakeup);

        let toy = |salt| {
            RuntimeCatalog::of([Arc::new(test_runtime("toy", &["toy"], &[], Origin::Folder, salt))])
        };
        runtimes.replace(toy(0));
        assert!(wakeups.try_recv().is_ok());
        runtimes.replace(toy(0));
        assert!(wakeups.try_recv().is_err());
        runtimes.replace(toy(1));
        assert!(wakeups.try_recv().is_ok());
    }
}
