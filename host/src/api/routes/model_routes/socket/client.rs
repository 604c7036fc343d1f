//! The client of a connection, as its handshake has named it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};

use crate::api::auth::{self, Access, Caller};
use crate::api::context::RequestContext;
use crate::api::http::deadline;
use crate::api::inference::ResolvedRequest;
use crate::api::state::ApiState;
use crate::api::websocket::{CloseCode, Closing};
use crate::dataplane::RouteSearch;
use crate::model::{ModelId, ModelRoute, RequestId, RouteMethod};
use crate::servable::ServableHandle;
use crate::tenant::Tenant;

/// The parts of a handshake that the messages share.
pub(super) struct Client {
    pub(super) state: Arc<ApiState>,
    /// The id of the handshake, which its messages have in the log.
    pub(super) request_id: RequestId,
    /// The route at the time of the handshake.
    pub(super) route: Arc<ModelRoute>,
    pub(super) tenant: Arc<Tenant>,
    /// The longest message in bytes.
    pub(super) limit: u64,
    pub(super) query: String,
    model: ModelId,
    path: String,
    /// Identifies the caller of each message.
    headers: HeaderMap,
}

/// The version that answers a message.
pub(super) struct Answerer {
    pub(super) caller: Caller,
    pub(super) tenant: Arc<Tenant>,
    pub(super) route: Arc<ModelRoute>,
    pub(super) servable: ServableHandle,
    /// The values of the parameters in the path.
    pub(super) values: Vec<String>,
}

impl Client {
    pub(super) fn new(
        state: &Arc<ApiState>,
        context: &RequestContext,
        resolved: &ResolvedRequest<'_>,
        route: Arc<ModelRoute>,
        request: Parts,
    ) -> Self {
        let servable = resolved.admitted.servable();

        Client {
            state: Arc::clone(state),
            request_id: context.request_id.clone(),
            route,
            tenant: Arc::clone(resolved.tenant),
            limit: servable.settings().limits.request,
            query: request.uri.query().unwrap_or_default().to_owned(),
            model: servable.id().clone(),
            path: request.uri.path().to_owned(),
            headers: request.headers,
        }
    }

    /// Finds the newest version that has the route. Fails if the key is no longer valid, or the
    /// route is no longer there.
    pub(super) fn find(&self) -> Result<Answerer, Closing> {
        let revoked =
            |error| Closing::with_error(CloseCode::Policy, "the key is not valid any more", error);
        let caller = auth::authorize(&self.state, &self.headers, Access::Infer).map_err(revoked)?;
        let tenant = Arc::clone(caller.tenant().map_err(revoked)?);

        let found =
            self.state.dataplane.find_route(tenant.name(), Some(RouteMethod::Get), &self.path);
        match found {
            RouteSearch::Found(route, servable, values) if self.is_same(&route, &servable) => {
                Ok(Answerer { caller, tenant, route, servable, values })
            }
            _ => {
                let reason = "the route is gone or has changed; connect again";
                Err(Closing::new(CloseCode::Restart, reason))
            }
        }
    }

    /// True if the connection can go on with this route.
    fn is_same(&self, route: &ModelRoute, servable: &ServableHandle) -> bool {
        let id = servable.id();
        route.websocket
            && route.session == self.route.session
            && (&id.tenant, &id.name) == (&self.model.tenant, &self.model.name)
    }

    /// Returns a request with a message as its body.
    pub(super) fn request(&self, message: Bytes) -> Request<Body> {
        let mut request = Request::new(Body::from(message));
        deadline::copy(&self.headers, request.headers_mut());
        request
    }
}
