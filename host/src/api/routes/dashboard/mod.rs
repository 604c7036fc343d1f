//! The dashboard: a page that shows and tries the models of a tenant.
//!
//! The page and its files are part of the program, and contain no data. They get it from the API
//! with the key that the visitor enters, so the page shows what the key may see. `GET
//! /v2/dashboard` is the state of the tenant's models, once or as a stream of events, and `GET
//! /v2/models/{m}/history` the last hour of one model with its plots.

mod assets;
mod history;
mod live;
mod plots;
mod routes;
mod state;

pub(super) use assets::page_response;
pub(super) use routes::endpoints;
