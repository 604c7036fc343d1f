//! The table agrees with a plain search, and decodes what it finds.

use proptest::prelude::*;

use super::*;
use crate::model::{AnswerForm, AnswerOutputs, RouteBody, RoutePath};

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

/// Finds the pattern that matches these segments: of the first segment that differs, the text is
/// preferred.
fn search<'p>(patterns: &'p [String], segments: &[&str]) -> Option<(&'p str, Vec<String>)> {
    let mut fitting: Vec<_> = patterns
        .iter()
        .filter_map(|pattern| {
            let parts: Vec<_> = pattern.split('/').skip(1).collect();
            let fits = parts.len() == segments.len()
                && parts.iter().zip(segments).all(|(part, segment)| {
                    if part.starts_with('{') { !segment.is_empty() } else { part == segment }
                });
            let rank: Vec<bool> = parts.iter().map(|part| part.starts_with('{')).collect();
            let values = parts.iter().zip(segments).filter(|(part, _)| part.starts_with('{'));
            let values = values.map(|(_, value)| (*value).to_owned()).collect();
            fits.then_some((rank, pattern.as_str(), values))
        })
        .collect();
    fitting.sort();
    fitting.into_iter().next().map(|(_, pattern, values)| (pattern, values))
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![Just("{}".to_owned()), "[ab]{1,3}"]
}

fn pattern() -> impl Strategy<Value = String> {
    let segments = prop::collection::vec(segment(), 1..5);
    (segments, any::<bool>()).prop_map(|(segments, slash)| {
        let named = segments.iter().enumerate().map(|(index, segment)| match segment.as_str() {
            "{}" => format!("/{{p{index}}}"),
            text => format!("/{text}"),
        });
        named.collect::<String>() + if slash { "/" } else { "" }
    })
}

proptest! {
    #[test]
    fn the_table_agrees_with_a_plain_search(
        patterns in prop::collection::btree_set(pattern(), 1..12),
        segments in prop::collection::vec("[ab]{0,3}", 1..6),
    ) {
        let mut patterns: Vec<_> = patterns.into_iter().collect();
        // Conflicting patterns are refused before.
        let shape = |pattern: &String| RoutePath::parse(pattern).unwrap().pattern().to_owned();
        patterns.sort_by_key(shape);
        patterns.dedup_by_key(|pattern| shape(pattern));

        let routes = patterns.iter().map(|pattern| route(RouteMethod::Get, pattern).unwrap());
        let table = RouteTable::new(routes.zip(0..));
        prop_assert_eq!(table.len(), patterns.len());

        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let middle = segments.split_last().map(|(_, middle)| middle).unwrap_or_default();
        let is_reserved = segments.first() == Some(&"");
        let expected = search(&patterns, &segments)
            .filter(|_| !is_reserved && middle.iter().all(|segment| !segment.is_empty()));
        let expected = expected.map(|(pattern, values)| (pattern.to_owned(), values));
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
