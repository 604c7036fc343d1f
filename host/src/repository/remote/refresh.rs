//! The refresh of a mirror: list, check, plan, fetch and place, and the time of the next refresh.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::RemoteConfig;
use super::credentials;
use super::fetch::FetchJob;
use super::listing::{Listing, list};
use super::location::StoreLocation;
use super::metrics::TenantMetrics;
use super::mirror_state::MirrorState;
use super::plan::{Plan, plan};
use super::prune::PruneRequest;
use super::shrink_guard::{PendingShrink, check_shrink};
use super::sync_unit::SyncUnit;
use crate::model::ModelName;
use crate::tenant::Tenant;

/// The result of a refresh.
pub(super) struct RefreshOutcome {
    /// The reason why the mirror differs from the repository; `None` if it does not.
    pub(super) degraded_reason: Option<String>,
    /// Time until the next refresh.
    pub(super) retry_after: Duration,
}

/// Refreshes one mirror repeatedly.
pub(super) struct Refresher {
    tenant: Arc<Tenant>,
    config: RemoteConfig,
    metrics: Arc<TenantMetrics>,
    location: Option<Arc<StoreLocation>>,
    mirror: Option<MirrorState>,
    /// A shrunken listing that awaits confirmation.
    pending_shrink: Option<PendingShrink>,
    /// Number of consecutive failed refreshes.
    failures: u32,
    /// Number of objects in the last listing that are not part of a model, and the name of the
    /// first.
    ignored: Option<(usize, String)>,
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
        Refresher {
            tenant,
            config,
            metrics: Arc::new(metrics),
            location: None,
            mirror: None,
            pending_shrink: None,
            failures: 0,
            ignored: None,
        }
    }

    /// Replaces the location of the URL.
    #[cfg(test)]
    pub(super) fn with_location(mut self, location: StoreLocation) -> Self {
        self.location = Some(Arc::new(location));
        self
    }

    /// Refreshes the mirror once, and answers requests to delete versions.
    pub(super) async fn refresh(&mut self, mut prunes: Vec<PruneRequest>) -> RefreshOutcome {
        let refreshed = self.try_refresh(&mut prunes).await;

        let has_failed = matches!(refreshed, Err(RefreshError::Failed(_)));
        let is_pending = matches!(refreshed, Err(RefreshError::ShrinkPending(_)));
        self.metrics.record_refresh(!has_failed && !is_pending);
        self.failures = if has_failed { self.failures.saturating_add(1) } else { 0 };

        let retry_after = match &refreshed {
            Err(RefreshError::Failed(_)) => backoff(self.failures, self.config.refresh),
            Err(RefreshError::ShrinkPending(_)) => self.shrink_confirmation(),
            Ok(()) | Err(RefreshError::Refused(_)) => self.config.refresh,
        };
        let degraded_reason = refreshed
            .err()
            .map(|error| format!("the repository {}: {}", self.config.url, error.into_reason()));

        let unanswered = degraded_reason.as_deref().unwrap_or_default();
        prunes.into_iter().for_each(|request| request.fail(unanswered));

        RefreshOutcome { degraded_reason, retry_after }
    }

    fn shrink_confirmation(&self) -> Duration {
        SHRINK_CONFIRMATION.min(self.config.refresh)
    }

    /// Answers the requests to delete versions if the store can be listed.
    async fn try_refresh(&mut self, prunes: &mut Vec<PruneRequest>) -> Result<(), RefreshError> {
        let location = self.location()?;
        // Put back only when the state on disk is known again.
        let mut mirror = match self.mirror.take() {
            Some(mirror) => mirror,
            None => {
                let folder = self.config.folder.clone();
                MirrorState::open(folder).await.map_err(RefreshError::Failed)?
            }
        };

        let refreshed = match list(&location).await {
            Ok(mut listing) => {
                for request in prunes.drain(..) {
                    mirror.prune(request, &mut listing, &location).await;
                }
                self.apply_listing(&listing, &location, &mut mirror).await
            }
            Err(why) => Err(RefreshError::Failed(format!(
                "cannot be listed: {}",
                credentials::explain(&self.config.url, why)
            ))),
        };

        self.mirror = Some(mirror);
        refreshed
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
        mirror: &mut MirrorState,
    ) -> Result<(), RefreshError> {
        self.log_ignored(listing);
        self.check_shrink(listing, mirror)?;

        let plan = plan(&listing.files, &mirror.files, &self.tenant.settings().quota);
        let mut failed = BTreeMap::new();
        self.fetch_planned(&plan, listing, location, mirror, &mut failed).await;
        let removed = mirror.remove_planned(&plan, listing, &mut failed).await;

        let is_useful = failed.is_empty() || !mirror.files.is_empty();
        mirror.finish(is_useful).await.map_err(RefreshError::Failed)?;

        if !plan.fetch.is_empty() || removed > 0 {
            let fetched = plan.fetch.len();
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

    /// Fails if the listing has lost many versions and is not confirmed yet.
    fn check_shrink(
        &mut self,
        listing: &Listing,
        mirror: &MirrorState,
    ) -> Result<(), RefreshError> {
        let wait = self.shrink_confirmation();
        let before = self.pending_shrink.take();
        self.pending_shrink =
            check_shrink(&listing.files, &mirror.files, before, Instant::now(), wait);

        match &self.pending_shrink {
            Some(pending) => {
                let message = shrink_message(pending, mirror.files.keys(), wait);
                Err(RefreshError::ShrinkPending(message))
            }
            None => Ok(()),
        }
    }

    /// Fetches the planned units: settings first, then interceptors, then models.
    async fn fetch_planned(
        &self,
        plan: &Plan,
        listing: &Listing,
        location: &Arc<StoreLocation>,
        mirror: &mut MirrorState,
        failed: &mut BTreeMap<SyncUnit, String>,
    ) {
        let (settings, versions): (Vec<_>, Vec<_>) =
            plan.fetch.iter().partition(|unit| !unit.is_version());
        self.fetch(settings, listing, location, mirror, failed).await;

        // A version without the settings that were changed with it could serve with wrong ones.
        let refused = plan.refused.keys().filter(|unit| !unit.is_version());
        let without_settings: BTreeSet<_> =
            failed.keys().chain(refused).map(|unit: &SyncUnit| unit.model().clone()).collect();
        let versions = versions.into_iter().filter(|unit| !without_settings.contains(unit.model()));

        // Interceptors are mirrored before the models that came with them.
        let (interceptors, models) = versions.partition(|unit| unit.model().is_interceptor());
        self.fetch(interceptors, listing, location, mirror, failed).await;

        match missing_interceptor(listing, mirror) {
            None => self.fetch(models, listing, location, mirror, failed).await,
            // A model without its interceptor would serve unchecked.
            Some(missing) => {
                let name = missing.base_name();
                let why = format!("waits for the interceptor '{name}', which could not be fetched");
                failed
                    .extend(models.into_iter().map(|unit: &SyncUnit| (unit.clone(), why.clone())));
            }
        }
    }

    /// Fetches units, several at a time. A unit that fails stays as it was, and is added to
    /// `failed`.
    async fn fetch(
        &self,
        units: Vec<&SyncUnit>,
        listing: &Listing,
        location: &Arc<StoreLocation>,
        mirror: &mut MirrorState,
        failed: &mut BTreeMap<SyncUnit, String>,
    ) {
        let jobs: Vec<_> = units
            .into_iter()
            .filter_map(|unit| self.job(unit, listing, location, mirror))
            .collect();

        let mut done =
            stream::iter(jobs.into_iter().map(FetchJob::run)).buffer_unordered(CONCURRENT_FETCHES);
        let mut saved = Instant::now();

        while let Some((unit, outcome)) = done.next().await {
            match outcome {
                Ok(files) => drop(mirror.files.insert(unit, files)),
                Err(why) => drop(failed.insert(unit, why)),
            }

            // Saved regularly, so that hours of fetching are not lost if the process ends.
            if saved.elapsed() > Duration::from_secs(1) {
                let _ = mirror.save().await;
                saved = Instant::now();
            }
        }
    }

    fn job(
        &self,
        unit: &SyncUnit,
        listing: &Listing,
        location: &Arc<StoreLocation>,
        mirror: &MirrorState,
    ) -> Option<FetchJob> {
        let files = listing.files.get(unit)?.clone();
        Some(FetchJob {
            unit: unit.clone(),
            files,
            mirrored: mirror.files.get(unit).cloned().unwrap_or_default(),
            location: location.clone(),
            dir: mirror.dir.clone(),
            metrics: self.metrics.clone(),
        })
    }

    fn log_ignored(&mut self, listing: &Listing) {
        if let Some((count, first)) =
            listing.ignored.as_ref().filter(|_| listing.ignored != self.ignored)
        {
            let (tenant, url) = (self.tenant.name(), &self.config.url);
            tracing::warn!(%tenant, %url, count, first, "objects that are not part of a model are not fetched");
        }

        self.ignored.clone_from(&listing.ignored);
    }
}

fn shrink_message<'a>(
    pending: &PendingShrink,
    mirrored: impl Iterator<Item = &'a SyncUnit>,
    wait: Duration,
) -> String {
    let before = mirrored.filter(|unit| unit.is_version()).count();
    let missing = pending.missing.len();
    format!(
        "{missing} of {before} versions are not listed any more; nothing is removed unless that is still so {} s later",
        wait.as_secs_f32().ceil()
    )
}

fn join_reasons(reasons: &BTreeMap<SyncUnit, String>) -> String {
    let text: Vec<_> = reasons
        .iter()
        .take(MAX_LISTED)
        .map(|(unit, why)| format!("{}: {why}", unit.path()))
        .collect();

    let text = format!("not everything is mirrored: {}", text.join("; "));
    match reasons.len().saturating_sub(MAX_LISTED) {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}

/// Returns the delay after this many consecutive failures.
fn backoff(failures: u32, refresh: Duration) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
    FIRST_RETRY.saturating_mul(doubled).min(refresh)
}

/// Returns a listed interceptor that has no mirrored version.
fn missing_interceptor<'a>(listing: &'a Listing, mirror: &MirrorState) -> Option<&'a ModelName> {
    let listed = listing.files.keys().filter(|unit| unit.is_version()).map(SyncUnit::model);
    let is_mirrored = |name: &ModelName| {
        mirror.files.keys().any(|unit| unit.is_version() && unit.model() == name)
    };
    listed.into_iter().find(|name| name.is_interceptor() && !is_mirrored(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_back_off_up_to_the_refresh_interval() {
        let waits = |refresh| {
            [1, 2, 3, 4, 99]
                .map(|failures| backoff(failures, Duration::from_secs(refresh)).as_secs())
        };
        assert_eq!(waits(600), [5, 10, 20, 40, 600]);
        assert_eq!(waits(2), [2, 2, 2, 2, 2]);
    }

    #[test]
    fn the_status_is_limited_to_a_few_reasons() {
        let reasons: BTreeMap<_, _> = (1..=7)
            .map(|number| (SyncUnit::of(&format!("m{number}.wasm")).unwrap().0, "why".to_owned()))
            .collect();

        assert!(
            join_reasons(&reasons).ends_with("m5.wasm: why; and 2 more"),
            "{}",
            join_reasons(&reasons)
        );
    }
}
