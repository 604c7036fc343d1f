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

/// A path such as `/notes/{id}`: segments, each of which is a text or a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePath {
    text: String,
    /// The path with numbers for the names of its parameters.
    pattern: String,
    parameters: Vec<String>,
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
            RoutePath { text: text.into(), pattern: String::new(), parameters: Vec::new() };
        let count = segments.split('/').count();
        for (index, segment) in segments.split('/').enumerate() {
            path.pattern.push('/');
            path.add_segment(segment, index == 0, index + 1 == count)?;
        }

        Ok(path)
    }

    fn add_segment(&mut self, segment: &str, is_first: bool, is_last: bool) -> Result<(), String> {
        if is_first && RESERVED_SEGMENTS.contains(&segment) {
            return Err(format!("the server's own paths begin with '/{segment}'; choose another"));
        }
        if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return self.add_parameter(name);
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
        self.pattern.push_str(segment);

        Ok(())
    }

    fn add_parameter(&mut self, name: &str) -> Result<(), String> {
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

        // Routes that differ in the names of their parameters only have one pattern.
        self.pattern.push_str(&format!("{{{}}}", self.parameters.len()));
        self.parameters.push(name.into());

        Ok(())
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path with `{0}`, `{1}` and so on for its parameters: the syntax of the matcher.
    pub fn pattern(&self) -> &str {
        &self.pattern
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
        assert_eq!(path.pattern(), "/{0}/tasks/{1}/");
        assert_eq!(path.parameters(), ["sess_id", "task_id"]);
        assert_eq!(path.to_string(), "/{sess_id}/tasks/{task_id}/");

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
        ] {
            assert!(fault(text).contains(says), "{text}: {}", fault(text));
        }
        assert!(fault(&format!("/{}", "a".repeat(600))).contains("at most 512 bytes"));
        let many: String = (0..17).map(|index| format!("/{{p{index}}}")).collect();
        assert!(fault(&many).contains("at most 16 parameters"));
    }

    #[test]
    fn names_of_parameters_make_no_other_pattern() {
        let pattern = |text| RoutePath::parse(text).unwrap().pattern().to_owned();
        assert_eq!(pattern("/a/{x}"), pattern("/a/{y}"));
        assert_ne!(pattern("/a/{x}"), pattern("/a/x"));
        assert_ne!(pattern("/a/{x}"), pattern("/a/{x}/"));
    }
}
