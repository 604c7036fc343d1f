//! Migrations during validation: kept if the validation succeeds. Other writes of a validation are
//! never kept.

use std::sync::Arc;

use crate::database::{Migration, SqlError, ValidationTransaction};
use crate::engine::Interface;
use crate::model::{InferError, LoadError, Stage};
use crate::servable::{Drained, InstanceFactory, ServableHandle};

/// The transaction in which a version is validated; `None` if it has no database.
pub(super) fn validation_transaction(
    servable: &ServableHandle,
) -> Option<Arc<ValidationTransaction>> {
    let database = servable.template().database()?;
    Some(ValidationTransaction::new(database.clone(), servable.id().name.to_string()))
}

/// Runs the version's migrations that have not run before.
pub(super) async fn migrate(
    servable: &ServableHandle,
    transaction: &Arc<ValidationTransaction>,
    progress: &(dyn Fn(Stage) + Send + Sync),
) -> Result<(), LoadError> {
    if !servable.template().has(Interface::Migrations) {
        return Ok(());
    }
    progress(Stage::Migrate);
    let migrations = read_migrations(servable.factory(), transaction)
        .await
        .map_err(|error| listing_error(&error))?;
    transaction.migrate(&migrations).await.map_err(|error| commit_error(&error))
}

/// A version that has passed its validation. Dropping it before its publication leaves nothing in
/// its tenant's database.
pub struct Validated {
    servable: ServableHandle,
    drained: Drained,
    transaction: Option<Arc<ValidationTransaction>>,
}

impl Validated {
    pub(super) fn new(
        servable: ServableHandle,
        drained: Drained,
        transaction: Option<Arc<ValidationTransaction>>,
    ) -> Self {
        Validated { servable, drained, transaction }
    }

    /// The version.
    pub fn servable(&self) -> &ServableHandle {
        &self.servable
    }

    /// Commits the migrations of a version that is published now. Fails if they cannot be
    /// committed; then the version must not be published.
    pub async fn commit(self) -> Result<(ServableHandle, Drained), LoadError> {
        if let Some(transaction) = self.transaction {
            transaction.commit().await.map_err(|error| commit_error(&error))?;
        }
        self.servable.record_publication();
        Ok((self.servable, self.drained))
    }
}

async fn read_migrations(
    factory: &InstanceFactory,
    transaction: &Arc<ValidationTransaction>,
) -> Result<Vec<Migration>, InferError> {
    let steps = factory
        .run_for_validation(Some(transaction), async |mut instance| instance.migrations().await)
        .await?;
    Ok(steps.into_iter().map(|(name, statements)| Migration { name, statements }).collect())
}

fn listing_error(error: &InferError) -> LoadError {
    let detail = error.private_detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let reason = format!("the model did not list its migrations: {error}{detail}");
    LoadError::of_call(Stage::Migrate, error, reason)
}

fn commit_error(error: &SqlError) -> LoadError {
    let stage = match error {
        SqlError::Busy | SqlError::Unavailable(_) => Stage::Host,
        _ => Stage::Migrate,
    };
    LoadError::new(stage, error.to_string())
}
