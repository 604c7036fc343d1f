//! Routes of a model's own: paths that its `model.toml` declares, and what they map.

mod method;
mod path;

use std::sync::Arc;

pub use method::RouteMethod;
pub use path::{PathSegment, RESERVED_SEGMENTS, RoutePath};

use super::ModelName;

/// A path that a model answers, with the mapping of a request to inputs and of outputs to an
/// answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRoute {
    /// The HTTP method.
    pub method: RouteMethod,
    /// The path.
    pub path: RoutePath,
    /// The query parameters that are read, in their order.
    pub query: Vec<QueryParameter>,
    /// The body of a request.
    pub body: RouteBody,
    /// The sources of inputs that are not filled by a part of the request with their own name.
    pub inputs: Vec<(String, InputSource)>,
    /// Parameters of the request, each with the name of the part of the request that has its value.
    pub parameters: Vec<(String, String)>,
    /// The status of an answer.
    pub status: u16,
    /// The content type of an answer; `None` for the default of its form.
    pub content_type: Option<String>,
    /// The form of an answer.
    pub answer: AnswerForm,
    /// The outputs in an answer.
    pub outputs: AnswerOutputs,
    /// True if the answer is a stream of events, one for each part.
    pub stream: bool,
    /// True if each message of a WebSocket connection is a request.
    pub websocket: bool,
    /// True if such a connection is a session of the model.
    pub session: bool,
}

/// A query parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryParameter {
    /// The name.
    pub name: String,
    /// JSON of the value if it is absent; `None` if there is no default.
    pub default: Option<String>,
}

/// The body of a request to a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteBody {
    /// No body.
    #[default]
    None,
    /// A JSON object, each member of which fills an input.
    Json,
    /// A form as browsers send it, `application/x-www-form-urlencoded`.
    Form,
    /// A form with files, `multipart/form-data`.
    Multipart,
    /// Bytes that fill one input as they are. They have the name [`RAW_BODY`].
    Raw,
}

/// The name of a raw body among the parts of a request.
pub const RAW_BODY: &str = "body";

/// The source of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSource {
    /// The part of the request with this name.
    Named(String),
    /// A fixed value, as JSON.
    Value(String),
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerForm {
    /// The only row of the outputs.
    #[default]
    Row,
    /// A list of all rows.
    Rows,
    /// Each output as a whole.
    Columns,
    /// The bytes of one output.
    Raw,
    /// No body.
    Empty,
}

/// The outputs in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AnswerOutputs {
    /// All outputs under their own names.
    #[default]
    All,
    /// The value of this output, without its name.
    Single(String),
    /// An object with these keys, in this order.
    Object(Vec<(String, OutputSource)>),
}

/// The source of a value in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputSource {
    /// The output with this name.
    Output(String),
    /// A fixed value, as JSON.
    Value(String),
}

/// The routes of a model.
pub type ModelRoutes = [Arc<ModelRoute>];

impl ModelRoute {
    /// True if one request could be meant for either route.
    pub fn conflicts_with(&self, other: &ModelRoute) -> bool {
        self.method == other.method && self.path.segments() == other.path.segments()
    }
}

impl std::fmt::Display for ModelRoute {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.method.name(), self.path)
    }
}

/// Returns the reason that a model cannot have these routes, if another one of the tenant's models
/// has one of them.
pub fn route_conflict<'r>(
    routes: &ModelRoutes,
    others: impl Iterator<Item = (&'r ModelName, &'r ModelRoutes)>,
) -> Option<String> {
    for (name, theirs) in others {
        for route in routes {
            if let Some(taken) = theirs.iter().find(|other| other.conflicts_with(route)) {
                return Some(format!(
                    "the route {route} is taken: the model '{name}' has {taken}; change one of them"
                ));
            }
        }
    }

    None
}
