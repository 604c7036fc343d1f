//! x

mod breaker;
mod quotas;
mod tables;
