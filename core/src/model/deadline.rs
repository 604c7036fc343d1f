//! Deadlines of requests.

use std::fmt;
use std::time::Duration;

/// Time limit of a request, measured from its arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Duration from the arrival of the request.
    pub allowed: Duration,
    /// Origin of the limit, used in the error text.
    pub source: DeadlineSource,
}

/// Origin of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadlineSource {
    /// Settings of the model or of the server.
    Settings,
    /// The caller's parameter `timeout`, in microseconds.
    Parameter,
    /// The caller's header `Wardian-Deadline-Ms`.
    Header,
}

impl Deadline {
    /// Creates a deadline that comes from the settings.
    pub fn from_settings(allowed: Duration) -> Self {
        Deadline { allowed, source: DeadlineSource::Settings }
    }

    /// Returns the shorter of both deadlines; this one if they are equal.
    #[must_use]
    pub fn or_shorter(self, other: Option<Deadline>) -> Self {
        other.filter(|other| other.allowed < self.allowed).unwrap_or(self)
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source {
            DeadlineSource::Settings => {
                write!(out, "the deadline of {} ms has passed", self.allowed.as_millis())
            }
            DeadlineSource::Parameter => {
                write!(
                    out,
                    "the parameter 'timeout' ran out: it was {} microseconds",
                    self.allowed.as_micros()
                )?;

                let milliseconds = self.allowed.as_millis();
                if milliseconds > 0 { write!(out, " ({milliseconds} ms)") } else { Ok(()) }
            }
            DeadlineSource::Header => {
                write!(
                    out,
                    "the header Wardian-Deadline-Ms ran out: it was {} ms",
                    self.allowed.as_millis()
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_the_origin_of_the_deadline_and_its_unit() {
        let text = |set_by, micros| {
            Deadline { allowed: Duration::from_micros(micros), source: set_by }.to_string()
        };

        assert_eq!(
            text(DeadlineSource::Parameter, 5),
            "the parameter 'timeout' ran out: it was 5 microseconds"
        );

        assert_eq!(
            text(DeadlineSource::Parameter, 60_000),
            "the parameter 'timeout' ran out: it was 60000 microseconds (60 ms)"
        );

        assert_eq!(
            text(DeadlineSource::Header, 250_000),
            "the header Wardian-Deadline-Ms ran out: it was 250 ms"
        );
        assert_eq!(text(DeadlineSource::Settings, 2_000_000), "the deadline of 2000 ms has passed");
    }

    #[test]
    fn shorter_deadline_wins_and_settings_win_ties() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let settings = Deadline::from_settings(second);
        let header = |allowed| Deadline { allowed, source: DeadlineSource::Header };

        assert_eq!(settings.or_shorter(None), settings);
        assert_eq!(settings.or_shorter(Some(header(minute))), settings);
        assert_eq!(settings.or_shorter(Some(header(second))), settings);
        assert_eq!(settings.or_shorter(Some(header(second / 2))), header(second / 2));
    }
}
