//! Migrations during validation: kept if the validation succeeds. Other writes of a validation are
//! never kept.

use std::sync::Arc;

use crate::database::{Migration, Proof, SqlError};
use crate::model::{InferError, LoadError, Stage};
use crate::servable::{Drained, Maker, ServableHandle};

/// The transaction in which a version is validated; `None` if it has no database.
pub(super) fn proof_of(servable: &ServableHandle) -> Option<Arc<Proof>> {
    let database = servable.template().database()?;
    Some(Proof::new(database.clone(), servable.id().name.to_string()))
}

/// Runs the version's migrations that have not run before.
pub(super) async fn migrate(
    servable: &ServableHandle,
    proof: &Arc<Proof>,
    progress: &(dyn Fn(Stage) + Send + Sync),
) -> Result<(), LoadError> {
    if !servable.template().has_migrations() {
        return Ok(());
    }
    progress(Stage::Migrate);
    let migrations = migrations(servable.maker(), proof).await.map_err(|error| unlisted(&error))?;
    proof.migrate(&migrations).await.map_err(|error| unkept(&error))
}

/// A version that has passed its validation. Dropping it before its publication leaves nothing in
/// its tenant's database.
pub struct Proved {
    servable: ServableHandle,
    drained: Drained,
    proof: Option<Arc<Proof>>,
}

impl Proved {
    pub(super) fn new(
        servable: ServableHandle,
        drained: Drained,
        proof: Option<Arc<Proof>>,
    ) -> Self {
        Proved { servable, drained, proof }
    }

    /// The version.
    pub fn servable(&self) -> &ServableHandle {
        &self.servable
    }

    /// Commits the migrations of a version that is published now. Fails if they cannot be
    /// committed; then the version must not be published.
    pub async fn go_live(self) -> Result<(ServableHandle, Drained), LoadError> {
        if let Some(proof) = self.proof {
            proof.commit().await.map_err(|error| unkept(&error))?;
        }
        Ok((self.servable, self.drained))
    }
}

async fn migrations(maker: &Maker, proof: &Arc<Proof>) -> Result<Vec<Migration>, InferError> {
    let steps =
        maker.try_out(Some(proof), async |mut instance| instance.migrations().await).await?;
    Ok(steps.into_iter().map(|(name, statements)| Migration { name, statements }).collect())
}

fn unlisted(error: &InferError) -> LoadError {
    let stage = match error {
        InferError::Overloaded => Stage::Host,
        InferError::QuotaExceeded(_) => Stage::Quota,
        _ => Stage::Migrate,
    };
    let detail = error.private().map(|detail| format!(" ({detail})")).unwrap_or_default();
    LoadError::new(stage, format!("the model did not tell its migrations: {error}{detail}"))
}

fn unkept(error: &SqlError) -> LoadError {
    let stage = match error {
        SqlError::Busy | SqlError::Unavailable(_) => Stage::Host,
        _ => Stage::Migrate,
    };
    LoadError::new(stage, error.to_string())
}
