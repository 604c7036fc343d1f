//! The section `dashboard` of `wardian.toml`.

/// The dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DashboardConfig {
    /// True if the server has it.
    pub enabled: bool,
}

impl Default for DashboardConfig {
    fn default() -> Self {
        // It shows nothing that the API does not show to the same key.
        DashboardConfig { enabled: true }
    }
}
