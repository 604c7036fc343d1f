//! Rules on which caller may call which model, and when:
//!
//! ```toml
//! [capabilities]
//! config = { "allow.ci" = "*", "allow.partner" = "upper, iris @ 08:00-18:00", "allow.*" = "iris" }
//! ```

mod rule;

use std::time::{SystemTime, UNIX_EPOCH};

use rule::Rule;
use wardian_sdk::interceptor::{Context, Interceptor, Rejection};
use wardian_sdk::{Error, Request, config};

#[derive(Default)]
struct CallerRule;

impl Interceptor for CallerRule {
    fn before_call(&self, context: &Context, request: Request) -> Result<Request, Rejection> {
        let rule = rule_for(&context.key).map_err(|error| {
            // No caller passes an unreadable rule; its fault is for the operator.
            wardian_sdk::error!("the rule for the key '{}': {error:?}", context.key);
            Rejection::new(503, "the rule for this caller cannot be read; ask the operator")
        })?;
        let refusal = rule.refusal(&context.model, minute_of_day());
        refusal.map_or(Ok(request), |reason| Err(Rejection::new(403, reason)))
    }
}

/// Returns the rule of a key, or the rule for all other keys. Without either, every call is
/// refused.
fn rule_for(key: &str) -> Result<Rule, Error> {
    let own = if key.is_empty() { None } else { config::get(&format!("allow.{key}"))? };
    let text = match own {
        Some(text) => text,
        None => config::get("allow.*")?.unwrap_or_default(),
    };
    Rule::parse(&text).map_err(Error::failed)
}

/// Returns the minutes since midnight, in UTC.
fn minute_of_day() -> u32 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    (seconds / 60 % (24 * 60)) as u32
}

wardian_sdk::export_interceptor!(CallerRule);
