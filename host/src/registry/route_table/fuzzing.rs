//! Properties that hold for arbitrary paths of routes and of requests.

use std::sync::Arc;

use super::RouteTable;
use crate::fuzzing::check_text;
use crate::model::{
    AnswerForm, AnswerOutputs, ModelRoute, PathSegment, RESERVED_SEGMENTS, RouteBody, RouteMethod,
    RoutePath,
};

/// Checks a table of routes. Each line but the last is the path of a route, the last one that of a
/// request. A route that matches has one value for each parameter, and the segments of the request;
/// no route hides one of the server's own paths.
pub fn routes(text: &str) {
    let mut lines: Vec<_> = text.split('\n').collect();
    let Some(request) = lines.pop() else { return };

    let routes: Vec<_> =
        lines.iter().filter_map(|line| route(line)).map(|route| (route, ())).collect();
    let table = RouteTable::new(routes.iter().cloned());
    let mut paths: Vec<_> = routes.iter().map(|(route, ())| route.path.segments()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(table.len(), paths.len(), "a route is missing");

    let Some(at) = table.at(request) else { return };
    let (found, ()) = at.with_method(RouteMethod::Get).expect("every route is a GET");
    assert_eq!(at.values.len(), found.path.parameters().len());
    assert!(at.values.iter().all(|value| !value.is_empty() && value != "." && value != ".."));

    let has_rest = found.path.segments().last() == Some(&PathSegment::Rest);
    let (parts, asked) = (found.path.segments().len(), request.matches('/').count());
    assert!(if has_rest { parts <= asked } else { parts == asked }, "{asked} segments");
    if let Some(rest) = at.values.last().filter(|_| has_rest) {
        assert_eq!(rest.matches('/').count(), asked - parts);
        assert!(rest.split('/').all(|segment| segment != "." && segment != ".."));
    }

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
