//! The refresh of a mirror: list, check, plan, fetch and place, and the time of the next refresh.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::RemoteConfig;
use super::credentials;
use super::fetch::{FetchJob, blocking};
use super::listing::{ContentTag, Listing, list};
use super::location::StoreLocation;
use super::metrics::TenantMetrics;
use super::mirror_dir::MirrorDir;
use super::plan::{models_without_replacement, plan};
use super::shrink_guard::{PendingShrink, check_shrink};
use super::sync_unit::{Files, SyncUnit};
use crate::model::ModelName;
use crate::tenant::Tenant;

/// The result of a refresh.
pub(super) struct RefreshOutcome {
    /// The reason why the mirror differs from the repository; `None` if it does not.
    pub(super) trouble: Option<String>,
    /// Time until the next refresh.
    pub(super) retry_after: Duration,
}

/// Refreshes one mirror repeatedly.
pub(super) struct Refresher {
    tenant: Arc<Tenant>,
    config: RemoteConfig,
    metrics: Arc<TenantMetrics>,
    location: Option<Arc<StoreLocation>>,
    mirrored: Option<MirrorState>,
    hold: Option<PendingShrink>,
    /// Number of consecutive failed refreshes.
    failures: u32,
    /// Number of objects in the last listing that are not part of a model, and the name of the
    /// first.
    ignored: Option<(usize, String)>,
}

/// The mirror's folder, and the tags of its files.
struct MirrorState {
    disk: MirrorDir,
    held: Files<ContentTag>,
}

/// The reason why a refresh was not completed.
enum RefreshError {
    /// A failure that may pass soon.
    Failed(String),
    /// The listing has lost many versions and awaits confirmation.
    ShrinkPending(String),
    /// Some units were refused because of the tenant's quota.
    Refused(String),
}

impl RefreshError {
    fn into_reason(self) -> String {
        match self {
            RefreshError::Failed(why)
            | RefreshError::ShrinkPending(why)
            | RefreshError::Refused(why) => why,
        }
    }
}

/// Number of concurrent fetches. Enough to keep a line busy while one request waits for its
/// response.
const CONCURRENT_FETCHES: usize = 4;
/// Delay of the first retry. A restarted store is usually back by then.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// Time for which a shrunken listing must persist, unless the refresh interval is shorter.
const SHRINK_CONFIRMATION: Duration = Duration::from_secs(60);
/// Maximum number of reasons in the status; the log has all of them.
const MAX_LISTED: usize = 5;

impl Refresher {
    pub(super) fn new(tenant: Arc<Tenant>, config: RemoteConfig, metrics: TenantMetrics) -> Self {
        let (location, mirrored, hold) = (None, None, None);
        let metrics = Arc::new(metrics);
        Refresher { tenant, config, metrics, location, mirrored, hold, failures: 0, ignored: None }
    }

    /// Replaces the location of the URL.
    #[cfg(test)]
    pub(super) fn with_location(mut self, location: StoreLocation) -> Self {
        self.location = Some(Arc::new(location));
        self
    }

    /// Refreshes the mirror once.
    pub(super) async fn refresh(&mut self) -> RefreshOutcome {
        let refreshed = self.try_refresh().await;
        self.metrics.record_refresh(!matches!(
            refreshed,
            Err(RefreshError::Failed(_) | RefreshError::ShrinkPending(_))
        ));

        self.failures = if matches!(refreshed, Err(RefreshError::Failed(_))) {
            self.failures.saturating_add(1)
        } else {
            0
        };

        let again = match &refreshed {
            Err(RefreshError::Failed(_)) => backoff(self.failures, self.config.refresh),
            Err(RefreshError::ShrinkPending(_)) => self.shrink_confirmation(),
            Ok(()) | Err(RefreshError::Refused(_)) => self.config.refresh,
        };

        let told = |trouble: RefreshError| {
            format!("the repository {}: {}", self.config.url, trouble.into_reason())
        };

        RefreshOutcome { trouble: refreshed.err().map(told), retry_after: again }
    }

    fn shrink_confirmation(&self) -> Duration {
        SHRINK_CONFIRMATION.min(self.config.refresh)
    }

    async fn try_refresh(&mut self) -> Result<(), RefreshError> {
        let location = self.location()?;
        // Put back only when the state on disk is known again.
        let mut mirrored = match self.mirrored.take() {
            Some(mirrored) => mirrored,
            None => open(&self.config).await.map_err(RefreshError::Failed)?,
        };

        let listing = list(&location).await;
        let done = match listing {
            Ok(listing) => self.apply_listing(&listing, &location, &mut mirrored).await,
            Err(why) => Err(RefreshError::Failed(format!(
                "cannot be listed: {}",
                credentials::explain(&self.config.url, why)
            ))),
        };

        self.mirrored = Some(mirrored);

        done
    }

    fn location(&mut self) -> Result<Arc<StoreLocation>, RefreshError> {
        if self.location.is_none() {
            let opened = StoreLocation::open(&self.config.url);
            let failed = |why| {
                RefreshError::Failed(format!(
                    "cannot be opened: {}",
                    credentials::explain(&self.config.url, why)
                ))
            };
            self.location = Some(Arc::new(opened.map_err(failed)?));
        }

        self.location.clone().ok_or_else(|| RefreshError::Failed("cannot be opened".into()))
    }

    /// Applies a listing to the mirror, if the listing is accepted.
    async fn apply_listing(
        &mut self,
        listing: &Listing,
        location: &Arc<StoreLocation>,
        mirrored: &mut MirrorState,
    ) -> Result<(), RefreshError> {
        self.log_ignored(listing);
        self.hold = check_shrink(
            &listing.files,
            &mirrored.held,
            self.hold.take(),
            Instant::now(),
            self.shrink_confirmation(),
        );

        if let Some(hold) = &self.hold {
            return Err(RefreshError::ShrinkPending(shrink_message(
                hold,
                mirrored.held.keys(),
                self.shrink_confirmation(),
            )));
        }

        let plan = plan(&listing.files, &mirrored.held, &self.tenant.settings().quota);
        let mut failed = BTreeMap::new();
        let (settings, versions): (Vec<_>, Vec<_>) =
            plan.fetch.iter().partition(|unit| !unit.is_version());
        self.fetch(settings, listing, location, mirrored, &mut failed).await;
        // A version without the settings that were changed with it could serve with wrong ones.
        let refused = plan.refused.keys().filter(|unit| !unit.is_version());
        let without: BTreeSet<_> =
            failed.keys().chain(refused).map(|unit: &SyncUnit| unit.model().clone()).collect();
        let versions = versions.into_iter().filter(|unit| !without.contains(unit.model()));
        // Interceptors are mirrored before the models that came with them.
        let (wrapping, models) = versions.partition(|unit| unit.model().is_interceptor());
        self.fetch(wrapping, listing, location, mirrored, &mut failed).await;

        match missing_interceptor(listing, mirrored) {
            None => self.fetch(models, listing, location, mirrored, &mut failed).await,
            // A model without its interceptor would serve unchecked.
            Some(missing) => failed.extend(models.into_iter().map(|unit: &SyncUnit| {
                (
                    unit.clone(),
                    format!(
                        "waits for the interceptor '{}', which could not be fetched",
                        missing.base_name()
                    ),
                )
            })),
        }

        // A replacement may have failed, and an interceptor that is still needed must not be
        // removed.
        let unreplaced = models_without_replacement(&listing.files, &mirrored.held);
        let gone: Vec<_> =
            plan.remove.iter().filter(|unit| !unreplaced.contains(unit.model())).collect();

        for unit in &gone {
            remove(unit, mirrored, &mut failed).await;
        }

        let worth = failed.is_empty() || !mirrored.held.is_empty();
        finish(mirrored, worth).await.map_err(RefreshError::Failed)?;

        if !plan.fetch.is_empty() || !gone.is_empty() {
            let (fetched, removed) = (plan.fetch.len(), gone.len());
            tracing::info!(tenant = %self.tenant.name(), fetched, removed, failed = failed.len(), "repository refreshed");
        }

        match (failed.is_empty(), plan.refused.is_empty()) {
            (true, true) => Ok(()),
            (true, false) => Err(RefreshError::Refused(join_reasons(&plan.refused))),
            (false, _) => Err(RefreshError::Failed(join_reasons(
                &failed.into_iter().chain(plan.refused).collect(),
            ))),
        }
    }

    /// Fetches units, several at a time. A unit that fails stays as it was, and is added to
    /// `failed`.
    async fn fetch(
        &self,
        units: Vec<&SyncUnit>,
        listing: &Listing,
        location: &Arc<StoreLocation>,
        mirrored: &mut MirrorState,
        failed: &mut BTreeMap<SyncUnit, String>,
    ) {
        let jobs: Vec<_> = units
            .into_iter()
            .filter_map(|unit| self.job(unit, listing, location, mirrored))
            .collect();

        let mut done =
            stream::iter(jobs.into_iter().map(FetchJob::run)).buffer_unordered(CONCURRENT_FETCHES);
        let mut saved = Instant::now();

        while let Some((unit, outcome)) = done.next().await {
            match outcome {
                Ok(files) => drop(mirrored.held.insert(unit, files)),
                Err(why) => drop(failed.insert(unit, why)),
            }

            // Saved regularly, so that hours of fetching are not lost if the process ends.
            if saved.elapsed() > Duration::from_secs(1) {
                let _ = save(mirrored).await;
                saved = Instant::now();
            }
        }
    }

    fn job(
        &self,
        unit: &SyncUnit,
        listing: &Listing,
        location: &Arc<StoreLocation>,
        mirrored: &MirrorState,
    ) -> Option<FetchJob> {
        let files = listing.files.get(unit)?.clone();
        let held = mirrored.held.get(unit).cloned().unwrap_or_default();
        let (location, disk, metrics) =
            (location.clone(), mirrored.disk.clone(), self.metrics.clone());
        Some(FetchJob { unit: unit.clone(), files, held, location, disk, metrics })
    }

    fn log_ignored(&mut self, listing: &Listing) {
        if let Some((count, first)) =
            listing.ignored.as_ref().filter(|_| listing.ignored != self.ignored)
        {
            let (tenant, url) = (self.tenant.name(), &self.config.url);
            tracing::warn!(%tenant, %url, count, first, "objects that are no part of a model are not fetched");
        }

        self.ignored.clone_from(&listing.ignored);
    }
}

async fn open(config: &RemoteConfig) -> Result<MirrorState, String> {
    let base = config.folder.clone();
    blocking(move || MirrorDir::open(base)).await.map(|(disk, held)| MirrorState { disk, held })
}

async fn remove(
    unit: &SyncUnit,
    mirrored: &mut MirrorState,
    failed: &mut BTreeMap<SyncUnit, String>,
) {
    let (disk, gone) = (mirrored.disk.clone(), unit.clone());
    match blocking(move || disk.remove(&gone)).await {
        Ok(()) => drop(mirrored.held.remove(unit)),
        Err(why) => drop(failed.insert(unit.clone(), why)),
    }
}

async fn save(mirrored: &MirrorState) -> Result<(), String> {
    let (disk, held) = (mirrored.disk.clone(), mirrored.held.clone());
    blocking(move || disk.save(&held)).await
}

/// Writes the record. Makes the mirror visible if `worth` is true.
async fn finish(mirrored: &mut MirrorState, worth: bool) -> Result<(), String> {
    save(mirrored).await?;
    if worth {
        let mut disk = mirrored.disk.clone();
        let fill = move || disk.make_visible().and_then(|()| disk.remove_others()).map(|()| disk);
        mirrored.disk = blocking(fill).await?;
    }

    Ok(())
}

fn shrink_message<'a>(
    hold: &PendingShrink,
    held: impl Iterator<Item = &'a SyncUnit>,
    doubt: Duration,
) -> String {
    let before = held.filter(|unit| unit.is_version()).count();
    let missing = hold.missing.len();
    format!(
        "{missing} of {before} versions are not listed any more; nothing is removed unless that is still so {} s later",
        doubt.as_secs_f32().ceil()
    )
}

fn join_reasons(troubles: &BTreeMap<SyncUnit, String>) -> String {
    let told: Vec<_> = troubles
        .iter()
        .take(MAX_LISTED)
        .map(|(unit, why)| format!("{}: {why}", unit.path()))
        .collect();

    let told = format!("not everything is taken over: {}", told.join("; "));
    match troubles.len().saturating_sub(MAX_LISTED) {
        0 => told,
        more => format!("{told}; and {more} more"),
    }
}

/// Returns the delay after this many consecutive failures.
fn backoff(failures: u32, refresh: Duration) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
    FIRST_RETRY.saturating_mul(doubled).min(refresh)
}

/// Returns a listed interceptor that has no mirrored version.
fn missing_interceptor<'a>(listing: &'a Listing, mirrored: &MirrorState) -> Option<&'a ModelName> {
    let listed = listing.files.keys().filter(|unit| unit.is_version()).map(SyncUnit::model);
    let there = |name: &ModelName| {
        mirrored.held.keys().any(|unit| unit.is_version() && unit.model() == name)
    };
    listed.into_iter().find(|name| name.is_interceptor() && !there(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tries_again_soon_and_then_less_often() {
        let waits = |refresh| {
            [1, 2, 3, 4, 99]
                .map(|failures| backoff(failures, Duration::from_secs(refresh)).as_secs())
        };
        assert_eq!(waits(600), [5, 10, 20, 40, 600]);
        assert_eq!(waits(2), [2, 2, 2, 2, 2]);
    }

    #[test]
    fn as_much_is_told_as_somebody_reads() {
        let troubles: BTreeMap<_, _> = (1..=7)
            .map(|number| (SyncUnit::of(&format!("m{number}.wasm")).unwrap().0, "why".to_owned()))
            .collect();

        assert!(
            join_reasons(&troubles).ends_with("m5.wasm: why; and 2 more"),
            "{}",
            join_reasons(&troubles)
        );
    }
}
