//! The path of a route.

use crate::model::sanitize;

/// The first segments of the server's own paths. A route cannot begin with one of them, and no
/// route is looked for below them.
pub const RESERVED_SEGMENTS: [&str; 11] = [
    "",
    "dashboard",
    "docs",
    "health",
    "invocations",
    "metrics",
    "openapi.json",
    "ping",
    "v1",
    "v2",
    "version",
];

/// Limit of a path in bytes. The paths of web applications have less than a tenth.
const MAX_LENGTH: usize = 512;

/// Limit of parameters in a path.
const MAX_PARAMETERS: usize = 16;

/// The end of the name of a parameter that takes the rest of a path.
const REST: &str = ":path";

/// A path such as `/notes/{id}` or `/files/{name:path}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePath {
    text: String,
    segments: Vec<PathSegment>,
    parameters: Vec<String>,
}

/// A part of a path between two slashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathSegment {
    /// This text. An empty one is a slash at the end.
    Text(String),
    /// Any text that is not empty.
    Parameter,
    /// All segments from here on: one at least. It is the last part of a path.
    Rest,
}

impl RoutePath {
    /// Parses a path. Fails with a text for the author of the `model.toml`.
    pub fn parse(text: &str) -> Result<RoutePath, String> {
        let Some(segments) = text.strip_prefix('/') else {
            return Err(format!("a path begins with '/': \"/{}\"", sanitize(text, 64)));
        };
        if text.len() > MAX_LENGTH {
            return Err(format!("a path has at most {MAX_LENGTH} bytes"));
        }

        let mut path =
            RoutePath { text: text.into(), segments: Vec::new(), parameters: Vec::new() };
        let count = segments.split('/').count();
        for (index, segment) in segments.split('/').enumerate() {
            path.add_segment(segment, index == 0, index + 1 == count)?;
        }

        Ok(path)
    }

    fn add_segment(&mut self, segment: &str, is_first: bool, is_last: bool) -> Result<(), String> {
        if is_first && RESERVED_SEGMENTS.contains(&segment) {
            return Err(format!("the server's own paths begin with '/{segment}'; choose another"));
        }
        if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return match name.strip_suffix(REST) {
                Some(name) if is_last => self.add_parameter(name, PathSegment::Rest),
                Some(_) => Err(format!(
                    "'{}' takes the rest of the path, and must be its last part",
                    sanitize(segment, 64)
                )),
                None => self.add_parameter(name, PathSegment::Parameter),
            };
        }

        match segment {
            // A slash at the end is a segment without a text.
            "" if is_last => {}
            "" => return Err("two slashes follow each other; write one".into()),
            "." | ".." => return Err(format!("'{segment}' cannot be a part of a path")),
            _ if segment.contains(['{', '}']) => {
                return Err(format!(
                    "'{}': a parameter is a whole part of the path, such as '/{{id}}'",
                    sanitize(segment, 64)
                ));
            }
            _ => check_text(segment)?,
        }
        self.segments.push(PathSegment::Text(segment.into()));

        Ok(())
    }

    fn add_parameter(&mut self, name: &str, segment: PathSegment) -> Result<(), String> {
        if let Some((plain, kind)) = name.split_once(':') {
            return Err(format!(
                "'{{{}}}': there is no ':{}'; write {{{}}}, whose type is that of its input, or \
                 {{{}{REST}}} for the rest of the path",
                sanitize(name, 64),
                sanitize(kind, 64),
                sanitize(plain, 64),
                sanitize(plain, 64)
            ));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(format!(
                "the parameter '{}': a name has letters, digits, '_', '-' and '.'",
                sanitize(name, 64)
            ));
        }
        if self.parameters.iter().any(|other| other == name) {
            return Err(format!("the parameter '{name}' is there twice"));
        }
        if self.parameters.len() == MAX_PARAMETERS {
            return Err(format!("a path has at most {MAX_PARAMETERS} parameters"));
        }

        // Routes that differ in the names of their parameters only have the same segments.
        self.segments.push(segment);
        self.parameters.push(name.into());

        Ok(())
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path with nothing but names in its parameters, as OpenAPI writes it.
    pub fn template(&self) -> String {
        self.text.replace(&format!("{REST}}}"), "}")
    }

    /// The parts of the path, without the names of its parameters.
    pub fn segments(&self) -> &[PathSegment] {
        &self.segments
    }

    /// The names of its parameters, in their order.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }
}

/// Fails if a text cannot be a part of a path as it is.
fn check_text(segment: &str) -> Result<(), String> {
    let refused = |letter: char| {
        letter.is_control() || letter.is_whitespace() || "%?#\\\"<>^`|*".contains(letter)
    };
    match segment.chars().find(|letter| refused(*letter)) {
        None => Ok(()),
        Some('%') => {
            Err(format!("'{}': write the path as it reads, without escapes", sanitize(segment, 64)))
        }
        Some(letter) => Err(format!("{letter:?} cannot be a part of a path")),
    }
}

impl std::fmt::Display for RoutePath {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        RoutePath::parse(text).unwrap_err()
    }

    #[test]
    fn a_path_has_texts_and_parameters() {
        let path = RoutePath::parse("/{sess_id}/tasks/{task_id}/").unwrap();
        let text = |text: &str| PathSegment::Text(text.into());
        assert_eq!(
            path.segments(),
            [PathSegment::Parameter, text("tasks"), PathSegment::Parameter, text("")]
        );
        assert_eq!(path.parameters(), ["sess_id", "task_id"]);
        assert_eq!(path.to_string(), "/{sess_id}/tasks/{task_id}/");

        let path = RoutePath::parse("/files/{user}/{name:path}").unwrap();
        assert_eq!(path.segments(), [text("files"), PathSegment::Parameter, PathSegment::Rest]);
        assert_eq!(path.parameters(), ["user", "name"]);
        assert_eq!(path.to_string(), "/files/{user}/{name:path}");
        assert_eq!(path.template(), "/files/{user}/{name}");

        for text in ["/upper", "/a/b.c-d_e~f", "/straße", "/a:b", "/{x}", "/V2", "/v2x", "/a/v2"] {
            assert!(RoutePath::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn paths_that_cannot_be_matched_are_refused() {
        for (text, says) in [
            ("upper", "a path begins with '/'"),
            ("", "a path begins with '/'"),
            ("/", "the server's own paths begin with '/'"),
            ("/v2/mine", "the server's own paths begin with '/v2'"),
            ("/metrics", "'/metrics'"),
            ("/a//b", "two slashes"),
            ("//a", "the server's own paths"),
            ("/a/./b", "'.' cannot be a part"),
            ("/a/..", "'..' cannot be a part"),
            ("/a/x{id}", "whole part"),
            ("/a/{id", "whole part"),
            ("/a/{}", "the parameter ''"),
            ("/a/{i d}", "the parameter 'i d'"),
            ("/{id}/{id}", "the parameter 'id' is there twice"),
            ("/a b", "cannot be a part"),
            ("/a?b", "cannot be a part"),
            ("/a%20b", "without escapes"),
            ("/a\n", "cannot be a part"),
            ("/{*rest}", "the parameter '*rest'"),
            ("/{rest:path}/a", "must be its last part"),
            ("/{rest:path}/", "must be its last part"),
            ("/{:path}", "the parameter ''"),
            ("/{a}/{a:path}", "the parameter 'a' is there twice"),
            ("/{id:int}", "there is no ':int'; write {id}"),
        ] {
            assert!(fault(text).contains(says), "{text}: {}", fault(text));
        }
        assert!(fault(&format!("/{}", "a".repeat(600))).contains("at most 512 bytes"));
        let many: String = (0..17).map(|index| format!("/{{p{index}}}")).collect();
        assert!(fault(&many).contains("at most 16 parameters"));
    }

    #[test]
    fn names_of_parameters_make_no_other_segments() {
        let segments = |text| RoutePath::parse(text).unwrap().segments().to_vec();
        assert_eq!(segments("/a/{x}"), segments("/a/{y}"));
        assert_eq!(segments("/a/{x:path}"), segments("/a/{y:path}"));
        assert_ne!(segments("/a/{x}"), segments("/a/x"));
        assert_ne!(segments("/a/{x}"), segments("/a/{x}/"));
        assert_ne!(segments("/a/{x}"), segments("/a/{x:path}"));
    }
}
