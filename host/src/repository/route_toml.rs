//! Reads the `[[routes]]` of a `model.toml`.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::json_value::to_json;
use crate::model::{
    AnswerForm, AnswerOutputs, InputSource, ModelRoute, OutputSource, QueryParameter, RAW_BODY,
    RouteBody, RouteMethod, RoutePath, sanitize,
};
use crate::toml_reader::{TableReader, boolean, expected, number, one_of, text};

/// Limit of routes of a model. A web application has as many for all its parts.
const MAX_ROUTES: usize = 64;

/// Limit of the names in one table or list of a route.
const MAX_NAMES: usize = 256;

/// Limit of a name in bytes.
const MAX_NAME: usize = 256;

/// Reads all routes.
pub(super) fn routes(keys: &mut TableReader<'_>, routes: &mut Vec<Arc<ModelRoute>>) {
    keys.list("routes", |keys| {
        let Some(route) = read_route(keys) else { return };
        if let Some(same) = routes.iter().find(|other| other.conflicts_with(&route)) {
            keys.report_table(&format!("{route} is the same as the route {same} before it"));
        }
        if routes.len() == MAX_ROUTES {
            keys.report_table(&format!("a model has at most {MAX_ROUTES} routes"));
        }
        // One more than allowed is enough to report.
        if routes.len() <= MAX_ROUTES {
            routes.push(Arc::new(route));
        }
    });
}

fn read_route(keys: &mut TableReader<'_>) -> Option<ModelRoute> {
    let methods = RouteMethod::ALL.map(|method| (method.name(), method));
    let bodies = [
        ("json", RouteBody::Json),
        ("form", RouteBody::Form),
        ("multipart", RouteBody::Multipart),
        ("raw", RouteBody::Raw),
    ];
    let answers = [
        ("row", AnswerForm::Row),
        ("rows", AnswerForm::Rows),
        ("columns", AnswerForm::Columns),
        ("raw", AnswerForm::Raw),
        ("empty", AnswerForm::Empty),
    ];

    let path = keys.read_required("path", |value| RoutePath::parse(&text(value)?));
    let mut status = None;
    let mut route = ModelRoute {
        method: RouteMethod::Get,
        // A faulty path is reported, and the rest of the route is read all the same.
        path: path.clone().or_else(|| RoutePath::parse("/route").ok())?,
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
    };

    keys.read("method", &mut route.method, one_of(methods));
    keys.read("query", &mut route.query, query);
    keys.read("body", &mut route.body, one_of(bodies));
    keys.read("inputs", &mut route.inputs, inputs);
    keys.read("parameters", &mut route.parameters, parameters);
    keys.read("status", &mut status, |value| number(200..=299)(value).map(Some));
    keys.read("content_type", &mut route.content_type, |value| content_type(value).map(Some));
    keys.read("answer", &mut route.answer, one_of(answers));
    keys.read("outputs", &mut route.outputs, outputs);
    keys.read("stream", &mut route.stream, boolean);
    keys.read("websocket", &mut route.websocket, boolean);
    keys.read("session", &mut route.session, boolean);

    let default = if route.answer == AnswerForm::Empty { 204 } else { 200 };
    route.status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(default);
    check_request(keys, &route);
    check_answer(keys, &route, status.is_some());
    check_websocket(keys, &route, status.is_some());

    path.map(|_| route)
}

/// Refuses parts of a request that contradict each other.
fn check_request(keys: &mut TableReader<'_>, route: &ModelRoute) {
    keys.check(
        route.method != RouteMethod::Get || route.body == RouteBody::None || route.websocket,
        "body: a GET has no body; write another method",
    );

    let raw = (route.body == RouteBody::Raw).then_some(RAW_BODY);
    let in_path = route.path.parameters().iter().map(String::as_str);
    let in_query = route.query.iter().map(|parameter| parameter.name.as_str());
    let mut names: Vec<_> = in_path.chain(in_query).chain(raw).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
        keys.check(false, &format!("query: the name '{}' is used twice", sanitize(name, 64)));
    }

    let sources = sources(route);
    // The members of JSON and of a form have any names.
    if matches!(route.body, RouteBody::None | RouteBody::Raw) {
        let unknown = sources.iter().find(|(name, ..)| names.binary_search(name).is_err());
        if let Some((name, table, _)) = unknown {
            let name = sanitize(name, 64);
            keys.check(false, &format!("{table}: no part of the request is called '{name}'"));
        }
    }

    let mut sorted = sources;
    sorted.sort_by_key(|(name, ..)| *name);
    let twice = sorted.windows(2).find_map(|pair| match pair {
        [one, other] if one.0 == other.0 => Some((one, other)),
        _ => None,
    });
    if let Some(((name, table, first), (_, other_table, second))) = twice {
        let [name, first, second] = [*name, *first, *second].map(|name| sanitize(name, 64));
        keys.check(
            false,
            &format!(
                "{table}.{first} and {other_table}.{second} have the same source '{name}'; a part \
                 of a request fills one thing"
            ),
        );
    }
}

/// Returns the names on the right side of `inputs` and `parameters`, each with its table and the
/// name on the left side.
fn sources(route: &ModelRoute) -> Vec<(&str, &'static str, &str)> {
    let inputs = route.inputs.iter().filter_map(|(input, source)| match source {
        InputSource::Named(name) => Some((name.as_str(), "inputs", input.as_str())),
        InputSource::Value(_) => None,
    });
    let parameters = route.parameters.iter();
    let parameters =
        parameters.map(|(parameter, name)| (name.as_str(), "parameters", parameter.as_str()));

    inputs.chain(parameters).collect()
}

/// Refuses parts of an answer that contradict each other.
fn check_answer(keys: &mut TableReader<'_>, route: &ModelRoute, has_status: bool) {
    let is_empty = route.answer == AnswerForm::Empty;
    let is_raw = route.answer == AnswerForm::Raw;
    keys.check(
        !is_empty || (route.outputs == AnswerOutputs::All && route.content_type.is_none()),
        "answer: an empty answer has neither outputs nor a content_type",
    );
    keys.check(
        is_empty || !matches!(route.status, 204 | 205),
        "status: an answer with this status has no body; write answer = \"empty\"",
    );
    keys.check(
        !is_raw || !matches!(route.outputs, AnswerOutputs::Object(_)),
        "outputs: a raw answer has the bytes of one output; write outputs = \"NAME\"",
    );
    keys.check(
        !route.stream || route.websocket || !(is_empty || is_raw),
        "stream: the events of a stream have JSON; write another answer",
    );
    keys.check(
        !route.stream || route.websocket || !(has_status || route.content_type.is_some()),
        "stream: a stream has its own status and content type",
    );
}

/// Refuses keys that contradict `websocket`.
fn check_websocket(keys: &mut TableReader<'_>, route: &ModelRoute, has_status: bool) {
    let names_session = |(parameter, _): &(String, String)| parameter.starts_with("sequence_");
    keys.check(
        !route.session || route.websocket,
        "session: the connection of a WebSocket is a session; write websocket = true",
    );
    keys.check(
        !route.session || !route.parameters.iter().any(names_session),
        "session: the connection names the session; take sequence_id, sequence_start and \
         sequence_end out of parameters",
    );
    if !route.websocket {
        return;
    }

    keys.check(
        route.method == RouteMethod::Get,
        "websocket: a handshake is a GET; leave out the method",
    );
    keys.check(
        matches!(route.body, RouteBody::Json | RouteBody::Raw),
        "websocket: a message is the body of a request; write body = \"json\" or \"raw\"",
    );
    keys.check(
        route.answer != AnswerForm::Empty,
        "websocket: each message is answered; write another answer than \"empty\"",
    );
    keys.check(!has_status, "status: a message has none");
    keys.check(
        route.content_type.is_none() || route.answer == AnswerForm::Raw,
        "content_type: a message has none; for answer = \"raw\" one that begins with text/ makes \
         the messages text",
    );
}

/// Parses a list of names, and of tables of names with their defaults.
fn query(value: &DeValue<'_>) -> Result<Vec<QueryParameter>, String> {
    let what = "a list of names and defaults, such as [\"q\", { limit = 100 }]";
    let list: &DeArray<'_> = value.as_array().ok_or_else(|| expected(what, value))?;
    let mut parameters = Vec::new();

    for item in list.iter().map(Spanned::get_ref) {
        match item {
            DeValue::String(name) => {
                parameters.push(QueryParameter { name: checked(name)?, default: None })
            }
            DeValue::Table(table) => {
                for (name, value) in in_order(table) {
                    let default = to_json(value).map_err(|why| format!("'{name}': {why}"))?;
                    parameters.push(QueryParameter { name, default: Some(default) });
                }
            }
            other => return Err(expected(what, other)),
        }
    }

    limited(parameters)
}

fn inputs(value: &DeValue<'_>) -> Result<Vec<(String, InputSource)>, String> {
    let what = "a table such as { text = \"q\", action = { value = \"list\" } }";
    table(value, what)?
        .into_iter()
        .map(|(input, source)| match fixed_value(source) {
            Some(fixed) => Ok((input, InputSource::Value(fixed?))),
            None => text(source)
                .and_then(|name| Ok((input, InputSource::Named(checked(&name)?))))
                .map_err(|_| expected(what, source)),
        })
        .collect()
}

fn parameters(value: &DeValue<'_>) -> Result<Vec<(String, String)>, String> {
    let what = "a table such as { sequence_id = \"session\" }";
    table(value, what)?
        .into_iter()
        .map(|(parameter, name)| Ok((parameter, checked(&text(name)?)?)))
        .collect()
}

fn outputs(value: &DeValue<'_>) -> Result<AnswerOutputs, String> {
    let what =
        "the name of an output, or a table such as { answer = \"text\", id = { value = 0 } }";
    if let Some(name) = value.as_str() {
        return Ok(AnswerOutputs::Single(name.to_owned()));
    }

    let members = table(value, what)?.into_iter().map(|(key, source)| match fixed_value(source) {
        Some(fixed) => Ok((key, OutputSource::Value(fixed?))),
        None => match source.as_str() {
            Some(name) => Ok((key, OutputSource::Output(name.to_owned()))),
            None => Err(expected(what, source)),
        },
    });
    members.collect::<Result<Vec<_>, String>>().map(AnswerOutputs::Object)
}

/// Returns the JSON of `{ value = … }`; `None` for anything else.
fn fixed_value(value: &DeValue<'_>) -> Option<Result<String, String>> {
    let table = value.as_table().filter(|table| table.len() == 1)?;
    let (key, value) = table.iter().next()?;
    (key.get_ref() == "value").then(|| to_json(value.get_ref()))
}

fn table<'v, 't>(
    value: &'v DeValue<'t>,
    what: &str,
) -> Result<Vec<(String, &'v DeValue<'t>)>, String> {
    let table = value.as_table().ok_or_else(|| expected(what, value))?;
    limited(in_order(table))
}

/// Returns the members of a table in the order of the file.
fn in_order<'v, 't>(table: &'v DeTable<'t>) -> Vec<(String, &'v DeValue<'t>)> {
    let mut members: Vec<(&Spanned<DeString<'t>>, _)> = table.iter().collect();
    members.sort_by_key(|(key, _)| key.span().start);
    members.into_iter().map(|(key, value)| (key.get_ref().to_string(), value.get_ref())).collect()
}

fn limited<T>(names: Vec<T>) -> Result<Vec<T>, String> {
    match names.len() {
        0..=MAX_NAMES => Ok(names),
        many => Err(format!("{many} names are more than the {MAX_NAMES} allowed")),
    }
}

fn checked(name: &str) -> Result<String, String> {
    let plain = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(char::is_control);
    plain
        .then(|| name.to_owned())
        .ok_or_else(|| format!("a name has 1 to {MAX_NAME} bytes without control characters"))
}

fn content_type(value: &DeValue<'_>) -> Result<String, String> {
    let text = text(value)?;
    let parts = text.split(';').next().unwrap_or_default().split('/');
    let is_type = parts.clone().count() == 2 && parts.clone().all(|part| !part.trim().is_empty());
    let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let fits = is_type && is_printable && text.len() <= MAX_NAME;
    fits.then_some(text).ok_or_else(|| expected("a media type like \"image/png\"", value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelSettings;
    use crate::repository::parse_model_toml;

    fn fault(text: &str) -> String {
        parse_model_toml(text).unwrap_err().to_string()
    }

    fn settings(text: &str) -> ModelSettings {
        parse_model_toml(text).unwrap()
    }

    #[test]
    fn a_route_needs_nothing_but_a_path() {
        let routes = settings("[[routes]]\npath = '/a'").routes;
        let [route] = routes.as_slice() else { panic!("{routes:?}") };
        assert_eq!(route.to_string(), "GET /a");
        assert_eq!((route.status, route.answer), (200, AnswerForm::Row));
        assert_eq!((route.body, &route.outputs), (RouteBody::None, &AnswerOutputs::All));
    }

    #[test]
    fn every_key_lands_in_its_part_of_the_route() {
        let routes = settings(
            "[[routes]]\nmethod = 'POST'\npath = '/a/{id}'\nquery = ['q', { limit = 100, all = true }]\n\
             body = 'json'\ninputs = { text = 'q', action = { value = 'list' } }\n\
             parameters = { sequence_id = 'id' }\nstatus = 201\ncontent_type = 'application/json'\n\
             answer = 'rows'\noutputs = { b = 'text', a = { value = [1, 2.5] } }\n\
             [[routes]]\npath = '/raw'\nmethod = 'PUT'\nbody = 'raw'\ninputs = { image = 'body' }\n\
             answer = 'raw'\noutputs = 'image'\n\
             [[routes]]\npath = '/gone'\nmethod = 'DELETE'\nanswer = 'empty'\n\
             [[routes]]\npath = '/chat'\nwebsocket = true\nsession = true\nstream = true\n\
             body = 'raw'\nanswer = 'raw'\ncontent_type = 'text/plain'",
        )
        .routes;
        let [all, raw, gone, chat] = routes.as_slice() else { panic!("{routes:?}") };

        let query: Vec<_> =
            all.query.iter().map(|one| (one.name.as_str(), one.default.as_deref())).collect();
        assert_eq!(query, [("q", None), ("limit", Some("100")), ("all", Some("true"))]);
        let named = |name: &str| InputSource::Named(name.into());
        let listed = InputSource::Value("\"list\"".into());
        assert_eq!(all.inputs, [("text".into(), named("q")), ("action".into(), listed)]);
        assert_eq!(all.parameters, [("sequence_id".into(), "id".into())]);
        // The order is that of the file.
        let text = OutputSource::Output("text".into());
        let value = OutputSource::Value("[1,2.5]".into());
        assert_eq!(
            all.outputs,
            AnswerOutputs::Object(vec![("b".into(), text), ("a".into(), value)])
        );
        assert_eq!((all.status, all.answer), (201, AnswerForm::Rows));

        assert_eq!(raw.outputs, AnswerOutputs::Single("image".into()));
        assert_eq!((gone.status, gone.answer), (204, AnswerForm::Empty));
        assert!(chat.websocket && chat.session && chat.stream && chat.method == RouteMethod::Get);
    }

    #[test]
    fn faults_name_the_route_and_the_key() {
        let route = |keys: &str| format!("[[routes]]\npath = '/a'\nmethod = 'POST'\n{keys}");
        let socket = |keys: &str| format!("[[routes]]\npath = '/a'\nwebsocket = true\n{keys}");
        for (text, says) in [
            ("[[routes]]\n", "line 1: routes[0].path: missing"),
            ("[[routes]]\npath = 'a'", "routes[0].path: a path begins with '/'"),
            ("[[routes]]\npath = '/v2/a'", "the server's own paths begin with '/v2'"),
            ("routes = 5", "routes: expected a list of tables"),
            (&route("pth = 1"), "did you mean 'path'?"),
            ("[[routes]]\npath = '/a'\nmethod = 'HEAD'", "method: expected \"GET\" or \"POST\""),
            ("[[routes]]\npath = '/a'\nbody = 'json'", "a GET has no body"),
            (&route("query = 'q'"), "query: expected a list of names"),
            (&route("query = [1]"), "query: expected a list of names"),
            (&route("query = ['q', 'q']"), "the name 'q' is used twice"),
            ("[[routes]]\npath = '/{q}'\nquery = ['q']", "the name 'q' is used twice"),
            (&route("query = ['body']\nbody = 'raw'"), "the name 'body' is used twice"),
            (&route("query = [{ a = 1979-05-27 }]"), "'a': "),
            (&route("query = [{ a = nan }]"), "'a': "),
            (&route("inputs = { x = 'y' }"), "inputs: no part of the request is called 'y'"),
            (&route("parameters = { x = 'y' }"), "parameters: no part of the request"),
            (
                &route("query = ['q']\ninputs = { x = 'q', y = 'q' }"),
                "inputs.x and inputs.y have the same source 'q'",
            ),
            (
                "[[routes]]\npath = '/{a}'\ninputs = { x = 'a' }\nparameters = { seed = 'a' }",
                "inputs.x and parameters.seed have the same source 'a'",
            ),
            (
                &route("body = 'json'\nparameters = { b = 'm', a = 'm' }"),
                "parameters.b and parameters.a have the same source 'm'",
            ),
            (&route("inputs = { x = 1 }"), "inputs: expected a table such as"),
            (&route("inputs = { x = { vlue = 1 } }"), "inputs: expected a table such as"),
            (&route("status = 404"), "status: 404 is not between 200 and 299"),
            (&route("status = 204"), "write answer = \"empty\""),
            (&route("content_type = 'png'"), "content_type: expected a media type"),
            (&route("content_type = \"a/b\\r\\nX: y\""), "content_type: expected a media type"),
            (&route("answer = 'raw'\noutputs = { a = 'b' }"), "write outputs = \"NAME\""),
            (&route("answer = 'empty'\noutputs = 'b'"), "neither outputs nor a content_type"),
            (&route("answer = 'raw'\nstream = true"), "stream: the events"),
            (&route("status = 201\nstream = true"), "stream: a stream has its own status"),
            (&route("websocket = true\nbody = 'json'"), "websocket: a handshake is a GET"),
            (&socket(""), "websocket: a message is the body"),
            (&socket("body = 'form'"), "websocket: a message is the body"),
            (&socket("body = 'multipart'"), "websocket: a message is the body"),
            (&socket("body = 'raw'\nanswer = 'empty'"), "websocket: each message is answered"),
            (&socket("body = 'raw'\nstatus = 200"), "status: a message has none"),
            (&socket("body = 'raw'\ncontent_type = 'text/plain'"), "content_type: a message"),
            (&route("session = true"), "write websocket = true"),
            (
                &socket("body = 'json'\nsession = true\nparameters = { sequence_id = 'id' }"),
                "session: the connection names the session",
            ),
            (
                "[[routes]]\npath = '/a/{x}'\n[[routes]]\npath = '/a/{y}'",
                "line 3: routes[1]: GET /a/{y} is the same as the route GET /a/{x} before it",
            ),
        ] {
            let told = fault(text);
            assert!(told.contains(says), "{text}: {told}");
        }

        let many: String = (0..70).map(|one| format!("[[routes]]\npath = '/a{one}'\n")).collect();
        assert!(fault(&many).contains("at most 64 routes"));
    }

    #[test]
    fn methods_of_one_path_are_different_routes() {
        let text = "[[routes]]\npath = '/a/{x}'\n[[routes]]\npath = '/a/{y}'\nmethod = 'DELETE'";
        assert_eq!(settings(text).routes.len(), 2);
    }
}
