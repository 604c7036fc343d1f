//! The role of a component.

use serde::{Deserialize, Serialize};

use crate::model::ModelName;

/// The role of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Answers requests. It is loaded once and snapshotted.
    Model,
    /// Wraps models. It has no `load`.
    Interceptor,
}

impl Role {
    /// The role of a component whose model has that name.
    pub fn from_name(name: &ModelName) -> Self {
        if name.is_interceptor() { Role::Interceptor } else { Role::Model }
    }
}
