//! A rule: `upper, iris @ 08:00-18:00`, or `*` for everything at any time.

/// The models that may be called, and the time of day.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Names, or `*` for all of them.
    models: Vec<String>,
    /// Minutes of the day, in UTC: from the first, up to the second.
    window: Option<(u32, u32)>,
}

impl Rule {
    /// Parses a rule. Fails with a description of its fault.
    pub(crate) fn parse(text: &str) -> Result<Rule, String> {
        let (models, window) = match text.split_once('@') {
            Some((models, window)) => (models, Some(parse_window(window)?)),
            None => (text, None),
        };
        let models = models
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        Ok(Rule { models, window })
    }

    /// Returns the reason why a model may not be called at that minute of the day; `None` if it
    /// may.
    pub(crate) fn refusal(&self, model: &str, minute: u32) -> Option<String> {
        if !self.models.iter().any(|name| name == "*" || name == model) {
            return Some(format!("this caller may not ask the model '{model}'"));
        }
        let (from, to) = self.window?;
        let open =
            if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to };
        (!open).then(|| format!("this caller may ask from {} to {} UTC", clock(from), clock(to)))
    }
}

fn parse_window(text: &str) -> Result<(u32, u32), String> {
    let window = text
        .trim()
        .split_once('-')
        .and_then(|(from, to)| Some((parse_clock(from)?, parse_clock(to)?)));
    window.ok_or_else(|| format!("'{}' is no window; write it as 08:00-18:00", text.trim()))
}

fn parse_clock(text: &str) -> Option<u32> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

fn clock(minute: u32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(rule: &str, model: &str, clock: &str) -> Option<String> {
        Rule::parse(rule).ok()?.refusal(model, parse_clock(clock)?)
    }

    #[test]
    fn only_listed_models_may_be_called() {
        assert_eq!(refusal("*", "iris", "03:00"), None);
        assert_eq!(refusal("upper , iris", "iris", "03:00"), None);
        assert_eq!(
            refusal("upper", "iris", "03:00").as_deref(),
            Some("this caller may not ask the model 'iris'")
        );
        assert!(refusal("", "iris", "03:00").is_some(), "no rule is no permission");
    }

    #[test]
    fn a_time_window_may_span_midnight() {
        let day = "* @ 08:00-18:00";
        assert_eq!((refusal(day, "a", "08:00"), refusal(day, "a", "17:59")), (None, None));
        assert_eq!(
            refusal(day, "a", "18:00").as_deref(),
            Some("this caller may ask from 08:00 to 18:00 UTC")
        );
        let night = "*@22:00-06:00";
        assert_eq!((refusal(night, "a", "23:00"), refusal(night, "a", "05:59")), (None, None));
        assert!(refusal(night, "a", "06:00").is_some());
    }

    #[test]
    fn an_invalid_time_window_is_explained() {
        for rule in ["* @", "* @ 8", "* @ 08:00", "* @ 24:00-25:00", "* @ 08:60-09:00", "* @ a-b"] {
            assert!(
                Rule::parse(rule).is_err_and(|reason| reason.contains("08:00-18:00")),
                "{rule}"
            );
        }
    }
}
