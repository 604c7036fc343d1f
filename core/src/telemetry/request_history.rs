//! The requests of a model over the last hour, by minute, in bounded memory.
//!
//! Every version of a model records into the same history, so a swap does not interrupt it. A
//! history lives as long as a version of its model is loaded.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::latency_buckets::{BUCKETS, Percentiles, bucket, percentiles};
use crate::model::{ModelName, TenantName};
use crate::mutex::lock;

/// Minutes that are kept, the present one included.
pub const MINUTES: u64 = 60;

/// Publications that are kept. More in an hour would hide each other in a plot.
const MAX_PUBLICATIONS: usize = 32;

/// The histories of all loaded models. A clone is shallow.
#[derive(Clone, Debug, Default)]
pub struct RequestHistories(Arc<Mutex<HistoryMap>>);

type HistoryMap = HashMap<(TenantName, ModelName), Weak<RequestHistory>>;

impl RequestHistories {
    /// Returns the history of a model, a new one if none of its versions is loaded.
    pub fn for_model(&self, tenant: &TenantName, model: &ModelName) -> Arc<RequestHistory> {
        let mut histories = lock(&self.0);
        let key = (tenant.clone(), model.clone());

        if let Some(history) = histories.get(&key).and_then(Weak::upgrade) {
            return history;
        }

        let history = Arc::new(RequestHistory::new(Instant::now()));
        histories.retain(|_, history| history.strong_count() > 0);
        histories.insert(key, Arc::downgrade(&history));

        history
    }
}

/// The requests of one model over the last hour.
///
/// Recording takes no lock, except for the first request of a minute. A minute takes 816 bytes, and
/// is allocated with its first request, so a history has about 50 kB at most.
#[derive(Debug)]
pub struct RequestHistory {
    start: Instant,
    minutes: [OnceLock<Box<Minute>>; MINUTES as usize],
    /// Held while a minute is cleared to be used again.
    clearing: Mutex<()>,
    publications: Mutex<VecDeque<(u64, Instant)>>,
}

/// The counts of one minute.
#[derive(Debug)]
struct Minute {
    /// Its number since the start of the history.
    number: AtomicU64,
    failed: AtomicU32,
    latencies: [AtomicU32; BUCKETS],
}

/// The requests of one minute, or of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSummary {
    /// Whole minutes from its end to the present minute; 0 for the present one.
    pub minutes_ago: u64,
    /// Answered requests.
    pub answered: u64,
    /// Failed requests.
    pub failed: u64,
    /// Latencies of the answered requests; `None` if there are none.
    pub latency: Option<Percentiles>,
}

/// The publication of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The number of the version.
    pub version: u64,
    /// The time since it was published.
    pub ago: Duration,
}

impl RequestHistory {
    fn new(start: Instant) -> Self {
        RequestHistory {
            start,
            minutes: [const { OnceLock::new() }; MINUTES as usize],
            clearing: Mutex::default(),
            publications: Mutex::default(),
        }
    }

    /// Records a request that was answered at `now`, after `took`.
    pub fn record_answer(&self, now: Instant, took: Duration) {
        if let Some(minute) = self.minute(now) {
            minute.latencies[bucket(took)].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records a request that failed at `now`.
    pub fn record_failure(&self, now: Instant) {
        if let Some(minute) = self.minute(now) {
            minute.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Records that a version was published at `now`.
    pub fn record_publication(&self, version: u64, now: Instant) {
        let mut publications = lock(&self.publications);
        publications.truncate(MAX_PUBLICATIONS - 1);
        publications.push_front((version, now));
    }

    /// Returns the minutes of the last hour that had requests, oldest first.
    pub fn minutes(&self, now: Instant) -> Vec<RequestSummary> {
        let present = self.number(now);
        let summaries = self.kept(present).map(|minute| {
            let minutes_ago = present.saturating_sub(minute.number.load(Ordering::Acquire));
            summarize(minutes_ago, [minute].into_iter())
        });

        let mut summaries: Vec<_> = summaries.collect();
        summaries.sort_by_key(|summary| std::cmp::Reverse(summary.minutes_ago));
        summaries
    }

    /// Returns the last hour as a whole.
    pub fn hour(&self, now: Instant) -> RequestSummary {
        summarize(0, self.kept(self.number(now)))
    }

    /// Returns the publications of the last hour, latest first; at most 32.
    pub fn publications(&self, now: Instant) -> Vec<Publication> {
        let publications = lock(&self.publications);
        let kept = publications.iter().map(|&(version, when)| Publication {
            version,
            ago: now.saturating_duration_since(when),
        });

        kept.take_while(|publication| publication.ago < Duration::from_secs(60 * MINUTES)).collect()
    }

    fn number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs() / 60
    }

    /// Returns the minute of a time; `None` if a later minute has taken its place.
    fn minute(&self, now: Instant) -> Option<&Minute> {
        let number = self.number(now);
        let slot = self.minutes.get((number % MINUTES) as usize)?;
        let minute = slot.get_or_init(|| Box::new(Minute::new(number)));

        if minute.number.load(Ordering::Acquire) < number {
            let _clearing = lock(&self.clearing);
            minute.use_again(number);
        }

        (minute.number.load(Ordering::Acquire) == number).then_some(&**minute)
    }

    /// Returns the minutes of the hour that ends with `present`.
    fn kept(&self, present: u64) -> impl Iterator<Item = &Minute> {
        let minutes = self.minutes.iter().filter_map(|slot| slot.get().map(|minute| &**minute));
        minutes.filter(move |minute| minute.number.load(Ordering::Acquire) + MINUTES > present)
    }
}

impl Minute {
    fn new(number: u64) -> Self {
        Minute {
            number: AtomicU64::new(number),
            failed: AtomicU32::new(0),
            latencies: [const { AtomicU32::new(0) }; BUCKETS],
        }
    }

    /// Clears it for a later minute. A request of an hour ago that is counted meanwhile is lost.
    fn use_again(&self, number: u64) {
        if self.number.load(Ordering::Acquire) >= number {
            return;
        }

        self.failed.store(0, Ordering::Relaxed);
        self.latencies.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        self.number.store(number, Ordering::Release);
    }
}

fn summarize<'m>(minutes_ago: u64, minutes: impl Iterator<Item = &'m Minute>) -> RequestSummary {
    let mut counts = [0; BUCKETS];
    let mut failed = 0;

    for minute in minutes {
        failed += u64::from(minute.failed.load(Ordering::Relaxed));
        for (sum, count) in counts.iter_mut().zip(&minute.latencies) {
            *sum += u64::from(count.load(Ordering::Relaxed));
        }
    }

    let answered = counts.iter().sum();
    RequestSummary { minutes_ago, answered, failed, latency: percentiles(&counts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn answered(history: &RequestHistory, now: Instant) -> Vec<(u64, u64)> {
        let minutes = history.minutes(now).into_iter();
        minutes.map(|minute| (minute.minutes_ago, minute.answered)).collect()
    }

    #[test]
    fn requests_are_counted_by_minute() {
        let start = Instant::now();
        let history = RequestHistory::new(start);
        let took = Duration::from_millis(3);

        history.record_answer(start, took);
        history.record_answer(start + MINUTE, took);
        history.record_answer(start + MINUTE, took);
        history.record_failure(start + 2 * MINUTE);

        let now = start + 2 * MINUTE;
        assert_eq!(answered(&history, now), [(2, 1), (1, 2), (0, 0)]);
        let hour = history.hour(now);
        assert_eq!((hour.answered, hour.failed), (3, 1));
        let middle = hour.latency.unwrap().p50;
        assert!(middle.abs_diff(took) < took / 10, "{middle:?}");
    }

    #[test]
    fn a_minute_is_forgotten_after_an_hour() {
        let start = Instant::now();
        let history = RequestHistory::new(start);
        history.record_answer(start, MINUTE);

        assert_eq!(answered(&history, start + 59 * MINUTE), [(59, 1)]);
        assert_eq!(answered(&history, start + 60 * MINUTE), []);

        history.record_answer(start + 60 * MINUTE, MINUTE);
        assert_eq!(answered(&history, start + 60 * MINUTE), [(0, 1)]);

        // A request that was received an hour before it ended counts for no other minute.
        history.record_answer(start, MINUTE);
        assert_eq!(answered(&history, start + 60 * MINUTE), [(0, 1)]);
    }

    #[test]
    fn memory_is_bounded() {
        let start = Instant::now();
        let history = RequestHistory::new(start);

        for minute in 0..1000 {
            history.record_answer(start + minute * MINUTE, MINUTE);
            history.record_publication(u64::from(minute), start + minute * MINUTE);
        }

        let now = start + 999 * MINUTE;
        assert_eq!(history.minutes(now).len(), MINUTES as usize);
        assert_eq!(lock(&history.publications).len(), MAX_PUBLICATIONS);
        assert_eq!(history.publications(now)[0], Publication { version: 999, ago: Duration::ZERO });
        assert!(size_of::<Minute>() <= 816);
        assert!(size_of::<RequestHistory>() + MINUTES as usize * size_of::<Minute>() < 51_000);
    }

    #[test]
    fn histories_end_with_their_models() {
        let histories = RequestHistories::default();
        let tenant = TenantName::new("a").unwrap();
        let model = |name| ModelName::new(name).unwrap();

        let first = histories.for_model(&tenant, &model("first"));
        assert!(Arc::ptr_eq(&first, &histories.for_model(&tenant, &model("first"))));
        drop(first);
        let _second = histories.for_model(&tenant, &model("second"));
        assert_eq!(lock(&histories.0).len(), 1);
    }
}
