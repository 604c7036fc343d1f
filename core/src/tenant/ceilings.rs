//! Upper bounds for the settings of a tenant's models.

use std::time::Duration;

use super::quota::UNLIMITED;
use crate::model::{DeferredTasks, Limits, Streaming, format_size};

/// Upper bounds for a model's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceilings {
    /// For `limits`.
    pub limits: Limits,
    /// For `streaming`.
    pub streaming: StreamCeilings,
}

/// Upper bounds for streaming. A bound that is not set is the one for whole responses: a model gets
/// no more by streaming than its operator intended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCeilings {
    /// Wall-clock time; `None` for that of `limits`.
    pub deadline: Option<Duration>,
    /// CPU time; `None` for that of `limits`.
    pub cpu_time: Option<Duration>,
    /// Bytes of all parts; `None` for the response of `limits`.
    pub total: Option<u64>,
}

impl Default for Ceilings {
    fn default() -> Self {
        let time = Duration::MAX;
        let bytes = UNLIMITED;
        let limits = Limits {
            memory: bytes,
            deadline: time,
            cpu_time: time,
            request: bytes,
            response: bytes,
        };
        Ceilings { limits, streaming: StreamCeilings::default() }
    }
}

impl Ceilings {
    /// The limits in force for a model with these settings. Limits left at the default are lowered
    /// to the bounds. Fails with all settings that exceed them.
    pub fn apply(&self, asked: &Limits) -> Result<Limits, String> {
        let most = &self.limits;
        let default = Limits::default();
        let mut fitting = CeilingCheck { table: "limits", faults: Vec::new() };
        let limits = Limits {
            memory: fitting.bytes("memory", asked.memory, default.memory, most.memory),
            request: fitting.bytes("request", asked.request, default.request, most.request),
            response: fitting.bytes("response", asked.response, default.response, most.response),
            deadline: fitting.time("deadline", asked.deadline, default.deadline, most.deadline),
            cpu_time: fitting.time("cpu_time", asked.cpu_time, default.cpu_time, most.cpu_time),
        };

        fitting.finish(limits)
    }

    /// As [`Ceilings::apply`], for streaming.
    pub fn apply_to_streaming(&self, asked: &Streaming) -> Result<Streaming, String> {
        let most = &self.streaming;
        let whole = &self.limits;
        let default = Streaming::default();
        let mut fitting = CeilingCheck { table: "streaming", faults: Vec::new() };
        let deadline = most.deadline.unwrap_or(whole.deadline);
        let cpu_time = most.cpu_time.unwrap_or(whole.cpu_time);
        let total = most.total.unwrap_or(whole.response);
        let streaming = Streaming {
            deadline: fitting.time("deadline", asked.deadline, default.deadline, deadline),
            cpu_time: fitting.time("cpu_time", asked.cpu_time, default.cpu_time, cpu_time),
            total: fitting.bytes("total", asked.total, default.total, total),
            heartbeat: asked.heartbeat,
        };

        fitting.finish(streaming)
    }

    /// As [`Ceilings::apply`], for deferred tasks: a task has the same bounds as a request.
    pub fn apply_to_deferred(&self, asked: &DeferredTasks) -> Result<DeferredTasks, String> {
        let most = &self.limits;
        let default = DeferredTasks::default();
        let mut fitting = CeilingCheck { table: "deferred", faults: Vec::new() };
        let deferred = DeferredTasks {
            deadline: fitting.time("deadline", asked.deadline, default.deadline, most.deadline),
            cpu_time: fitting.time("cpu_time", asked.cpu_time, default.cpu_time, most.cpu_time),
            ..asked.clone()
        };

        fitting.finish(deferred)
    }
}

/// Compares the settings of one table with their bounds.
struct CeilingCheck {
    table: &'static str,
    faults: Vec<String>,
}

impl CeilingCheck {
    fn bytes(&mut self, key: &str, asked: u64, default: u64, most: u64) -> u64 {
        if asked > most && asked != default {
            self.refuse(key, &format_size(asked), &format_size(most));
        }
        asked.min(most)
    }

    fn time(&mut self, key: &str, asked: Duration, default: Duration, most: Duration) -> Duration {
        if asked > most && asked != default {
            self.refuse(key, &format!("{asked:?}"), &format!("{most:?}"));
        }
        asked.min(most)
    }

    fn refuse(&mut self, key: &str, asked: &str, most: &str) {
        self.faults.push(format!(
            "{}.{key} is {asked}, and this tenant's models may have {most}",
            self.table
        ));
    }

    fn finish<T>(self, fitted: T) -> Result<T, String> {
        if self.faults.is_empty() { Ok(fitted) } else { Err(self.faults.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_lowered_to_the_ceilings_and_explicit_excess_is_refused() {
        let limits = Limits {
            memory: 64 << 20,
            deadline: Duration::from_secs(1),
            ..Ceilings::default().limits
        };
        let ceilings = Ceilings { limits, ..Ceilings::default() };
        let granted = ceilings.apply(&Limits::default()).unwrap();

        assert_eq!((granted.memory, granted.deadline), (64 << 20, Duration::from_secs(1)));
        assert_eq!(granted.request, Limits::default().request);

        let modest = Limits { memory: 1 << 20, ..Limits::default() };
        assert_eq!(ceilings.apply(&modest).unwrap().memory, 1 << 20);

        let greedy =
            Limits { memory: 1 << 30, deadline: Duration::from_secs(60), ..Limits::default() };
        let told = ceilings.apply(&greedy).unwrap_err();
        for says in [
            "limits.memory is 1GiB, and this tenant's models may have 64MiB",
            "limits.deadline is 60s",
        ] {
            assert!(told.contains(says), "{told}");
        }

        assert_eq!(Ceilings::default().apply(&greedy), Ok(greedy));
    }

    #[test]
    fn streaming_has_the_ceilings_of_whole_responses_by_default() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let limits = Limits { deadline: second, response: 1 << 10, ..Ceilings::default().limits };
        let ceilings = Ceilings { limits: limits.clone(), ..Ceilings::default() };
        let granted = ceilings.apply_to_streaming(&Streaming::default()).unwrap();

        assert_eq!((granted.deadline, granted.total), (second, 1 << 10));
        assert_eq!(granted.cpu_time, Streaming::default().cpu_time);

        let streaming = StreamCeilings { deadline: Some(minute), ..StreamCeilings::default() };
        let ceilings = Ceilings { limits, streaming };
        assert_eq!(ceilings.apply_to_streaming(&Streaming::default()).unwrap().deadline, minute);

        let greedy = Streaming { deadline: 2 * minute, ..Streaming::default() };
        let told = ceilings.apply_to_streaming(&greedy).unwrap_err();
        assert!(
            told.contains("streaming.deadline is 120s, and this tenant's models may have 60s"),
            "{told}"
        );
        assert_eq!(Ceilings::default().apply_to_streaming(&greedy), Ok(greedy));
    }
}
