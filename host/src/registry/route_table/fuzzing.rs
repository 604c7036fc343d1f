//! Properties that hold for arbitrary paths of routes and of requests.

use std::sync::Arc;

use super::RouteTable;
use crate::fuzzing::check_text;
use crate::model::{
    AnswerForm, AnswerOutputs, ModelRoute, RESERVED_SEGMENTS, RouteBody, RouteMethod, RoutePath,
};

/// Checks a table of routes. Each line but the last is the path of a route, the last one that of a
/// request. A route that matches has one value for each parameter, and as many segments as the
/// request; no route hides one of the server's own paths.
pub fn routes(text: &str) {
    let mut lines: Vec<_> = text.split('\n').collect();
    let Some(request) = lines.pop() else { return };

    let routes: Vec<_> =
        lines.iter().filter_map(|line| route(line)).map(|route| (route, ())).collect();
    let table = RouteTable::new(routes.iter().cloned());
    let mut patterns: Vec<_> = routes.iter().map(|(route, ())| route.path.pattern()).collect();
    patterns.sort_unstable();
    patterns.dedup();
    assert_eq!(table.len(), patterns.len(), "a route is missing");

    let Some(at) = table.at(request) else { return };
    let (found, ()) = at.with_method(RouteMethod::Get).expect("every route is a GET");
    assert_eq!(at.values.len(), found.path.parameters().len());
    assert!(at.values.iter().all(|value| !value.is_empty() && value != "." && value != ".."));
    assert_eq!(found.path.as_str().matches('/').count(), request.matches('/').count());

    let first = request.split('/').nth(1).unwrap_or_default();
    assert!(!RESERVED_SEGMENTS.contains(&first), "{request} is the server's own");

    // The notation of a path is of no account.
    let escaped: String = request
        .split('/')
        .map(|segment| if segment.contains('%') { segment.to_owned() } else { escape(segment) })
        .collect::<Vec<_>>()
        .join("/");
    let again = table.at(&escaped).expect("an escaped path is the same path");
    assert_eq!(again.values, at.values);
}

fn escape(segment: &str) -> String {
    segment.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn route(path: &str) -> Option<Arc<ModelRoute>> {
    let path = match RoutePath::parse(path) {
        Ok(path) => path,
        Err(refusal) => {
            check_text(&refusal, 1500);
            return None;
        }
    };

    Some(Arc::new(ModelRoute {
        method: RouteMethod::Get,
        path,
        query: Vec::new(),
        body: RouteBody::None,
        inputs: Vec::new(),
        parameters: Vec::new(),
        status: 200,
        content_type: None,
        answer: AnswerForm::Row,
        outputs: AnswerOutputs::All,
        stream: false,
        websocket: false,
        session: false,
    }))
}
