//! The table agrees with a plain search, and decodes what it finds.

use proptest::prelude::*;

use super::*;
use crate::model::{AnswerForm, AnswerOutputs, PathSegment, RouteBody, RoutePath};

pub(in crate::registry) fn route(method: RouteMethod, path: &str) -> Option<Arc<ModelRoute>> {
    Some(Arc::new(ModelRoute {
        method,
        path: RoutePath::parse(path).ok()?,
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

fn table(paths: &[&str]) -> RouteTable<usize> {
    let routes = paths.iter().enumerate();
    RouteTable::new(routes.map(|(at, path)| (route(RouteMethod::Get, path).unwrap(), at)))
}

/// Returns the path of the route that matches, and the values of its parameters.
fn found(table: &RouteTable<usize>, path: &str) -> Option<(String, Vec<String>)> {
    let at = table.at(path)?;
    let (route, _) = at.with_method(RouteMethod::Get)?;
    Some((route.path.to_string(), at.values))
}

fn as_found(path: &str, values: &[&str]) -> Option<(String, Vec<String>)> {
    Some((path.into(), values.iter().map(|value| (*value).to_owned()).collect()))
}

#[test]
fn texts_are_preferred_to_parameters() {
    let table = table(&["/{a}/{b}/{c}", "/notes/{id}", "/notes/all", "/notes/{id}/text/", "/x"]);
    assert_eq!(table.len(), 5);
    assert_eq!(found(&table, "/s/t/hello"), as_found("/{a}/{b}/{c}", &["s", "t", "hello"]));
    assert_eq!(found(&table, "/notes/all"), as_found("/notes/all", &[]));
    assert_eq!(found(&table, "/notes/7"), as_found("/notes/{id}", &["7"]));
    assert_eq!(found(&table, "/notes/7/text/"), as_found("/notes/{id}/text/", &["7"]));
    // The longer path has another text in it, so the search goes back.
    assert_eq!(found(&table, "/notes/7/text"), as_found("/{a}/{b}/{c}", &["notes", "7", "text"]));
    for none in ["/y", "/x/", "/X", "/notes/", "/notes", "/s/t", "/s/t/u/v", "", "x", "*"] {
        assert_eq!(found(&table, none), None, "{none}");
    }
}

#[test]
fn the_rest_of_a_path_comes_last() {
    let table = table(&[
        "/files/{rest:path}",
        "/files/{id}",
        "/files/all",
        "/files/{id}/text",
        "/{a}/{b}/c",
    ]);
    assert_eq!(table.len(), 5);
    for (path, route, values) in [
        ("/files/all", "/files/all", &[][..]),
        ("/files/7", "/files/{id}", &["7"]),
        ("/files/7/text", "/files/{id}/text", &["7"]),
        // The text comes first, whatever comes after it.
        ("/files/7/c", "/files/{rest:path}", &["7/c"]),
        ("/files/7/text/", "/files/{rest:path}", &["7/text/"]),
        ("/files/all/", "/files/{rest:path}", &["all/"]),
        ("/files/a%20b/%C3%A9", "/files/{rest:path}", &["a b/é"]),
        ("/other/7/c", "/{a}/{b}/c", &["other", "7"]),
    ] {
        assert_eq!(found(&table, path), as_found(route, values), "{path}");
    }
    for none in [
        "/files/",
        "/files",
        "/files/a//b",
        "/files/a/../b",
        "/files/a/%2e%2E/b",
        "/files/a/b%2F..%2Fc",
        "/files/%2fa/b",
        "/files/a/%ff",
    ] {
        assert_eq!(found(&table, none), None, "{none}");
    }
    // One segment may have a slash.
    assert_eq!(found(&table, "/files/a%2Fb"), as_found("/files/{id}", &["a/b"]));
}

#[test]
fn a_rest_at_the_root_takes_all_but_the_servers_own() {
    let table = table(&["/{rest:path}"]);
    assert_eq!(found(&table, "/a/b/c"), as_found("/{rest:path}", &["a/b/c"]));
    for none in ["/", "/v2", "/v2/models/a", "/metrics", "/%76%32/a", "//a"] {
        assert_eq!(found(&table, none), None, "{none}");
    }
}

#[test]
fn escapes_slashes_and_dots_have_one_meaning() {
    let table = table(&["/notes/{id}", "/straße", "/a~b"]);
    for path in ["/notes/a%20b", "/n%6ftes/a%20b", "/%6e%6F%74%65%73/a b"] {
        assert_eq!(found(&table, path), as_found("/notes/{id}", &["a b"]), "{path}");
    }
    for (path, value) in [
        ("/notes/a%2Fb", "a/b"),
        ("/notes/a%2fb", "a/b"),
        ("/notes/100%25", "100%"),
        ("/notes/%252F", "%2F"),
        ("/notes/%25252F", "%252F"),
        ("/notes/+", "+"),
        ("/notes/%00", "\0"),
        ("/notes/a;b=c", "a;b=c"),
    ] {
        assert_eq!(found(&table, path), as_found("/notes/{id}", &[value]), "{path}");
    }
    assert!(found(&table, "/stra%C3%9Fe").is_some() && found(&table, "/a%7Eb").is_some());

    for none in [
        "/notes/%",
        "/notes/%2",
        "/notes/%zz",
        "/notes/%ff",
        "/notes/%c3%28",
        "/notes//a",
        "//notes/a",
        "/notes/.",
        "/notes/..",
        "/notes/%2e%2E",
        "/./notes/a",
        "/notes/../a",
        "/notes%2Fa",
        "/notes/%2e",
    ] {
        assert_eq!(found(&table, none), None, "{none}");
    }
}

#[test]
fn the_servers_own_paths_are_never_matched() {
    let table = table(&["/{a}", "/{a}/{b}", "/{a}/{b}/{c}"]);
    for segment in RESERVED_SEGMENTS {
        for path in [format!("/{segment}"), format!("/{segment}/b"), format!("/{segment}/models/c")]
        {
            assert_eq!(found(&table, &path), None, "{path}");
        }
    }
    assert_eq!(found(&table, "/%76%32/models/iris"), None);
    assert!(found(&table, "/V2/models/iris").is_some());
}

#[test]
fn methods_share_a_path_whatever_its_parameters_are_called() {
    let routes = [
        (RouteMethod::Delete, "/notes/{id}"),
        (RouteMethod::Get, "/notes/{number}"),
        (RouteMethod::Get, "/notes/{other}"),
        (RouteMethod::Post, "/notes/all"),
    ];
    let routes = routes.into_iter().map(|(method, path)| route(method, path).unwrap());
    let table = RouteTable::new(routes.zip(0..));
    assert_eq!(table.len(), 3);

    let at = table.at("/notes/7").unwrap();
    assert_eq!(at.methods(), [RouteMethod::Get, RouteMethod::Delete]);
    assert_eq!(at.with_method(RouteMethod::Delete).map(|(_, target)| *target), Some(0));
    // Of two that conflict, the first one counts.
    assert_eq!(at.with_method(RouteMethod::Get).map(|(_, target)| *target), Some(1));
    assert_eq!(at.with_method(RouteMethod::Put), None);
    // The path decides first, and then the method.
    assert_eq!(table.at("/notes/all").unwrap().methods(), [RouteMethod::Post]);
}

/// Finds the path that matches these segments: of the first segment that differs, a text is
/// preferred to a parameter, and that to the rest.
fn search<'p>(paths: &'p [RoutePath], segments: &[&str]) -> Option<(&'p str, Vec<String>)> {
    let mut fitting: Vec<_> = paths
        .iter()
        .filter_map(|path| Some((path.segments(), path.as_str(), values(path, segments)?)))
        .collect();
    // The order of segments is that of preference.
    fitting.sort();
    fitting.into_iter().next().map(|(_, path, values)| (path, values))
}

/// Returns the values of a path's parameters; `None` if it does not match.
fn values(path: &RoutePath, segments: &[&str]) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut left = segments.iter();
    for part in path.segments() {
        match (part, left.as_slice()) {
            (PathSegment::Rest, rest) if rest.first().is_some_and(|first| !first.is_empty()) => {
                values.push(rest.join("/"));
                return Some(values);
            }
            (PathSegment::Text(text), [first, ..]) if text == first => {}
            (PathSegment::Parameter, [first, ..]) if !first.is_empty() => {
                values.push((*first).to_owned());
            }
            _ => return None,
        }
        left.next();
    }
    left.as_slice().is_empty().then_some(values)
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![Just("{}".to_owned()), "[ab]{1,3}"]
}

fn path() -> impl Strategy<Value = RoutePath> {
    let segments = prop::collection::vec(segment(), 1..5);
    (segments, prop_oneof![Just(""), Just("/"), Just("/{rest:path}")]).prop_map(
        |(segments, end)| {
            let named =
                segments.iter().enumerate().map(|(index, segment)| match segment.as_str() {
                    "{}" => format!("/{{p{index}}}"),
                    text => format!("/{text}"),
                });
            RoutePath::parse(&(named.collect::<String>() + end)).unwrap()
        },
    )
}

proptest! {
    #[test]
    fn the_table_agrees_with_a_plain_search(
        paths in prop::collection::vec(path(), 1..12),
        segments in prop::collection::vec("[ab]{0,3}", 1..6),
    ) {
        let mut paths = paths;
        // Conflicting paths are refused before.
        paths.sort_by(|one, other| one.segments().cmp(other.segments()));
        paths.dedup_by(|one, other| one.segments() == other.segments());

        let routes = paths.iter().map(|path| route(RouteMethod::Get, path.as_str()).unwrap());
        let table = RouteTable::new(routes.zip(0..));
        prop_assert_eq!(table.len(), paths.len());

        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let middle = segments.split_last().map(|(_, middle)| middle).unwrap_or_default();
        let is_reserved = segments.first() == Some(&"");
        let expected = search(&paths, &segments)
            .filter(|_| !is_reserved && middle.iter().all(|segment| !segment.is_empty()));
        let expected = expected.map(|(path, values)| (path.to_owned(), values));
        prop_assert_eq!(found(&table, &path), expected);
    }

    #[test]
    fn every_value_survives_its_escapes(value in "\\PC{1,20}") {
        prop_assume!(value != "." && value != "..");
        let table = table(&["/a/{x}"]);
        let escaped: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
        prop_assert_eq!(found(&table, &format!("/a/{escaped}")), as_found("/a/{x}", &[&value]));
    }
}
