//! Media types in `Content-Type` and `Accept` (RFC 9110, sections 8.3.1 and 12.5.1).

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderName};

/// A media type with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct MediaType {
    /// Type and subtype in lower case.
    pub(in crate::api) name: String,
    /// Names in lower case, values unquoted.
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Parses a media type; `None` if it is malformed.
    pub(in crate::api) fn parse(text: &str) -> Option<MediaType> {
        let mut parts = split(text, ';').into_iter();
        let name = parts.next()?.trim().to_ascii_lowercase();
        let (kind, subtype) = name.split_once('/')?;

        if !is_token(kind) || !is_token(subtype) {
            return None;
        }

        let parameters = parts.map(str::trim).filter(|part| !part.is_empty()).map(parameter);

        Some(MediaType { parameters: parameters.collect::<Option<_>>()?, name })
    }

    /// Returns the value of a parameter. `name` is in lower case.
    pub(in crate::api) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// The media types of an `Accept` header with their weights.
pub(in crate::api) struct AcceptHeader(Vec<(String, f32)>);

impl AcceptHeader {
    /// Parses the `Accept` header. Malformed entries are ignored, and so are parameters other than
    /// `q`.
    pub(in crate::api) fn from_headers(headers: &HeaderMap) -> AcceptHeader {
        let values = header_values(headers, ACCEPT);
        let entries = values.flat_map(|value| split(value, ',')).filter_map(|entry| {
            let media = MediaType::parse(entry)?;
            let weight = media.parameter("q").map_or(Some(1.0), parse_weight)?;
            Some((media.name, weight))
        });

        AcceptHeader(entries.collect())
    }

    /// Returns the weight of a media type from the most specific matching entry. Returns 0 if there
    /// is none, also without the header.
    pub(in crate::api) fn weight(&self, name: &str) -> f32 {
        let range = name.split_once('/').map(|(kind, _)| format!("{kind}/*")).unwrap_or_default();
        let find = |wanted: &str| {
            self.0.iter().find(|(found, _)| found == wanted).map(|(_, weight)| *weight)
        };

        find(name).or_else(|| find(&range)).or_else(|| find("*/*")).unwrap_or(0.0)
    }

    /// True if the header lists exactly this media type with a weight above 0.
    pub(in crate::api) fn lists(&self, name: &str) -> bool {
        self.0.iter().any(|(found, weight)| found == name && *weight > 0.0)
    }
}

/// Parses a weight: a number from 0 to 1 (RFC 9110, section 12.4.2).
fn parse_weight(text: &str) -> Option<f32> {
    text.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))
}

/// Returns the values of a header that are readable as text.
fn header_values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

/// Splits a text at separators outside quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;

    text.split(|char: char| {
        let separates = char == separator && !quoted;
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        separates
    })
    .collect()
}

fn parameter(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquote(quoted.strip_suffix('"')?),
        None => value.to_owned(),
    };

    is_token(name).then(|| (name.to_ascii_lowercase(), value))
}

fn unquote(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();

    while let Some(char) = chars.next() {
        // A backslash escapes the next character.
        plain.extend(if char == '\\' { chars.next() } else { Some(char) });
    }

    plain
}

fn is_token(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(text: &str) -> Option<(String, Vec<(String, String)>)> {
        MediaType::parse(text).map(|media| (media.name, media.parameters))
    }

    #[test]
    fn parsing_ignores_spaces_quotes_and_case() {
        let json = |parameters: &[(&str, &str)]| {
            let owned =
                parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Some(("application/json".to_owned(), owned.collect::<Vec<_>>()))
        };

        for text in [
            "application/json",
            "Application/JSON",
            " application/json ",
            "application/json;",
            "application/json ; ",
        ] {
            assert_eq!(read(text), json(&[]), "{text}");
        }

        for text in [
            "application/json;charset=utf-8",
            "application/json ; Charset=utf-8",
            "application/json;\tcharset=\"utf-8\"",
            "application/json; charset=\"ut\\f-8\";",
        ] {
            assert_eq!(read(text), json(&[("charset", "utf-8")]), "{text}");
        }

        let quoted = "application/json; a=\"x;y, \\\"z\\\\\"; b=1";
        assert_eq!(read(quoted), json(&[("a", "x;y, \"z\\"), ("b", "1")]));
    }

    #[test]
    fn malformed_media_types_are_rejected() {
        for text in [
            "",
            "json",
            "application",
            "application/",
            "/json",
            "a b/c",
            "a/b/c",
            "a/b; c",
            "a/b; c=\"d",
            "a/b; =d",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn weights_outside_of_zero_to_one_are_ignored() {
        for text in ["a/b;q=5", "a/b;q=-1", "a/b;q=NaN", "a/b;q=inf", "a/b;q=x"] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(text).unwrap())]);
            assert!(!AcceptHeader::from_headers(&headers).lists("a/b"), "{text}");
        }
    }

    #[test]
    fn most_specific_entry_wins() {
        let accepted = |value: &'static str| {
            AcceptHeader::from_headers(&HeaderMap::from_iter([(
                ACCEPT,
                HeaderValue::from_static(value),
            )]))
        };

        let some = accepted("text/*;q=0.5, text/plain; q=0.8;version=1, */*;q=0.1, nonsense");

        for (name, weight) in [("text/plain", 0.8), ("text/html", 0.5), ("image/png", 0.1)] {
            assert_eq!(some.weight(name), weight, "{name}");
        }

        assert!(
            some.lists("text/plain")
                && !some.lists("text/html")
                && !accepted("text/html;q=0").lists("text/html")
        );
        assert_eq!(AcceptHeader::from_headers(&HeaderMap::new()).weight("text/plain"), 0.0);
    }
}
