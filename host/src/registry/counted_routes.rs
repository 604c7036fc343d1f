//! The routes of one tenant's models, counted among those of all tenants.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::route_table::RouteTable;

/// The number of routes of all tenants. A clone is shallow.
#[derive(Clone, Default)]
pub(super) struct RouteCount(Arc<AtomicUsize>);

/// A table whose routes are counted until it is dropped.
pub(super) struct CountedRoutes<T> {
    table: RouteTable<T>,
    count: RouteCount,
}

impl RouteCount {
    /// Counts the routes of a table.
    pub(super) fn add<T>(&self, table: RouteTable<T>) -> CountedRoutes<T> {
        self.0.fetch_add(table.len(), Ordering::Relaxed);
        CountedRoutes { table, count: self.clone() }
    }

    /// True if no tenant has routes.
    pub(super) fn is_zero(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl<T> CountedRoutes<T> {
    pub(super) fn table(&self) -> &RouteTable<T> {
        &self.table
    }
}

impl<T> Drop for CountedRoutes<T> {
    fn drop(&mut self) {
        self.count.0.fetch_sub(self.table.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::route_table::tests::route;
    use super::*;
    use crate::model::RouteMethod;

    #[test]
    fn routes_count_as_long_as_their_table_lasts() {
        let count = RouteCount::default();
        let table = |paths: &[&str]| {
            let routes = paths.iter().filter_map(|path| route(RouteMethod::Get, path));
            RouteTable::new(routes.map(|route| (route, ())))
        };

        let empty = count.add(table(&[]));
        assert!(count.is_zero() && empty.table().is_empty());
        let one = count.add(table(&["/a"]));
        let two = count.add(table(&["/a", "/b"]));
        drop(one);
        assert!(!count.is_zero());
        drop(two);
        assert!(count.is_zero());
    }
}
