//! Query parameters.

use std::borrow::Cow;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use url::form_urlencoded;

use crate::api::error::ApiError;
use crate::api::json::shorten;
use crate::model::InferError;

/// Entries per page by default, and at most.
const DEFAULT_PAGE_SIZE: u32 = 100;
const MAX_PAGE_SIZE: u32 = 1000;

/// The query string of a request.
pub(in crate::api) struct QueryParameters {
    text: String,
}

impl QueryParameters {
    /// Returns a parameter as text. Fails if it is repeated.
    pub(in crate::api) fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        let mut values =
            form_urlencoded::parse(self.text.as_bytes()).filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value);

        match values.next() {
            None => Ok(value.map(Cow::into_owned)),
            Some(_) => Err(invalid_parameter(name, "is given twice")),
        }
    }

    /// Returns a parameter as an integer. Fails if it is malformed, out of range or repeated.
    pub(in crate::api) fn number<N: FromStr>(&self, name: &str) -> Result<Option<N>, ApiError> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        let not_a_number = || {
            invalid_parameter(
                name,
                &format!("must be a whole number that fits, not '{}'", shorten(&value)),
            )
        };

        value.parse().map(Some).map_err(|_| not_a_number())
    }

    /// Returns the page size from the parameter `limit`. Fails like [`QueryParameters::number`].
    pub(in crate::api) fn page_size(&self) -> Result<u32, ApiError> {
        let limit = self.number("limit")?.unwrap_or(DEFAULT_PAGE_SIZE);
        Ok(limit.clamp(1, MAX_PAGE_SIZE))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for QueryParameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Ok(QueryParameters { text: parts.uri.query().unwrap_or_default().to_owned() })
    }
}

fn invalid_parameter(name: &str, why: &str) -> ApiError {
    InferError::InvalidInput(format!("the query parameter '{name}' {why}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> QueryParameters {
        QueryParameters { text: text.into() }
    }

    #[test]
    fn parameters_are_read_by_name() {
        let query = query("cursor=a%20b&limit=7&other=&empty");
        assert_eq!(query.text("cursor").unwrap().as_deref(), Some("a b"));
        assert_eq!(query.number::<u32>("limit").unwrap(), Some(7));
        assert_eq!(query.text("empty").unwrap().as_deref(), Some(""));
        assert_eq!(query.text("absent").unwrap(), None);
    }

    #[test]
    fn errors_name_the_parameter() {
        let error = query("limit=seven").number::<u32>("limit").unwrap_err();
        let says = "the query parameter 'limit' must be a whole number that fits, not 'seven'";
        assert_eq!((error.status.as_u16(), error.text.as_str()), (400, says));
        for text in ["limit=-1", "limit=", "limit=4294967296", "limit=1.5"] {
            assert!(query(text).number::<u32>("limit").is_err(), "{text}");
        }

        assert!(
            query("limit=1&limit=2")
                .number::<u32>("limit")
                .unwrap_err()
                .text
                .ends_with("is given twice")
        );
    }
}
