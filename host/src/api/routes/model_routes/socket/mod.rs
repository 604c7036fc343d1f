//! WebSocket connections to a route: each message of the client is a request with the path and the
//! query of the handshake.
//!
//! A message goes through everything that a request goes through: the key, the route and the
//! admission are looked up anew for each.

mod answer;
mod client;
mod conversation;
mod link;
mod session;

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::http::request::Parts;
use axum::response::Response;

use super::Found;
use super::request::{RequestHead, check_head};
use crate::api::context::RequestContext;
use crate::api::extract::ModelPath;
use crate::api::host_work::HostWork;
use crate::api::http::deadline;
use crate::api::inference::{self, ResolvedRequest};
use crate::api::state::ApiState;
use crate::api::websocket::Handshake;
use crate::model::{InferError, ModelRoute};
use crate::tenant::{Pacer, Tenant};
use client::Client;
use conversation::Conversation;

/// Answers a handshake. The connection goes on as a [`Conversation`].
pub(super) async fn connect(
    state: &Arc<ApiState>,
    context: &RequestContext,
    tenant: &Arc<Tenant>,
    found: Found,
    mut request: Request<Body>,
) -> Response {
    let handshake = match Handshake::check(&request) {
        Ok(handshake) => handshake,
        Err(refusal) => return *refusal,
    };

    let upgrade = hyper::upgrade::on(&mut request);
    let (request, _) = request.into_parts();
    let Found { route, servable, values } = found;
    let path = ModelPath { model: servable.id().name.to_string(), version: None };
    let query = request.uri.query().unwrap_or_default().to_owned();
    let head = RequestHead { path: values, query, ..RequestHead::default() };

    // A client whose messages would be refused is told so while it can read a status.
    let admitted = inference::admit_to(state, context, tenant, &path, servable);
    inference::respond_admitted(state, context, tenant, &path, admitted, |resolved| async move {
        let checked = check(state, &resolved, &route, head, &request).await;
        resolved.log_outcome(&checked);
        checked?;

        let client = Client::new(state, context, &resolved, route, request);
        context.connection.set_conversation(Box::new(|connection, on_answer| {
            Box::pin(Conversation::start(client, upgrade, connection, on_answer))
        }));
        Ok((handshake.into_response(), None))
    })
    .await
}

/// Checks the parts of a handshake that every message shares.
async fn check(
    state: &ApiState,
    resolved: &ResolvedRequest<'_>,
    route: &Arc<ModelRoute>,
    head: RequestHead,
    request: &Parts,
) -> Result<(), InferError> {
    let deadline = deadline::from_header(&request.headers)?;
    let servable = resolved.admitted.servable().clone();
    let mut host_work = HostWork::new(&state.workers, &servable);

    let length = head.length();
    let received = resolved.context.received;
    let route = Arc::clone(route);
    let work = move |pacer: &Pacer| {
        check_head(&route, servable.metadata(), &head, pacer).map_err(InferError::InvalidInput)
    };
    host_work.read(length, received, deadline, work).await
}
