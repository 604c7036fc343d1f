//! Paths whose last part ends with a verb after a colon, such as `iris:predict`.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::Deserialize;

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::ModelPath;
use crate::api::json::shorten;
use crate::api::state::ApiState;
use crate::model::{InferError, hint};

/// The operation that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Predict,
    Classify,
    Regress,
}

impl Verb {
    const ALL: [(&'static str, Verb); 3] =
        [("predict", Verb::Predict), ("classify", Verb::Classify), ("regress", Verb::Regress)];

    fn from_name(name: &str) -> Option<Verb> {
        Verb::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, verb)| verb)
    }
}

/// The model, or the version, and the verb of a path.
#[derive(Debug)]
pub(super) struct VerbPath {
    pub(super) named: LabelPath,
    pub(super) verb: Verb,
}

/// The model in a path, with a version, or with the label of one.
#[derive(Debug, Deserialize)]
pub(super) struct LabelPath {
    model: String,
    version: Option<String>,
    label: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for LabelPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // Fails only for a path that is not UTF-8 after decoding.
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(path)| path).map_err(|_| ApiError::no_such_path(""))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for VerbPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        VerbPath::new(LabelPath::from_request_parts(parts, state).await?)
    }
}

impl VerbPath {
    /// Takes the verb off the last part. Fails if it does not exist.
    fn new(mut path: LabelPath) -> Result<Self, ApiError> {
        let last = path.label.as_mut().or(path.version.as_mut()).unwrap_or(&mut path.model);
        // The router decodes `%3A`, which some gateways write for the colon.
        let (named, verb) = last.rsplit_once(':').unwrap_or((last, ""));
        let verb = Verb::from_name(verb).ok_or_else(|| unknown_verb(verb))?;

        *last = named.to_owned();

        Ok(VerbPath { named: path, verb })
    }
}

fn unknown_verb(verb: &str) -> ApiError {
    let verbs = "the path ends with :predict, :classify or :regress";
    let text = match verb {
        "" => verbs.to_owned(),
        verb => format!("there is no verb '{}'; {verbs}", shorten(verb)),
    };
    InferError::InvalidInput(text).into()
}

impl LabelPath {
    /// Returns the model, with the version that the label names. Fails if there is no such label or
    /// model.
    pub(super) fn resolve(self, state: &ApiState, caller: &Caller) -> Result<ModelPath, ApiError> {
        let LabelPath { model, version, label } = self;
        let Some(label) = label else { return Ok(ModelPath { model, version }) };

        let path = ModelPath { model, version: None };
        let newest = path.find(state, caller)?;
        let labels = &newest.settings().labels;

        match labels.get(&label) {
            Some(version) => Ok(ModelPath { version: Some(version.to_string()), ..path }),
            None => Err(unknown_label(&label, labels.keys()).with_model(&path.model, None)),
        }
    }
}

fn unknown_label<'a>(label: &str, labels: impl Iterator<Item = &'a String>) -> ApiError {
    let hint = hint("labels", label, labels.map(String::as_str));
    let text = format!("no version has the label '{}'{hint}", shorten(label));
    ApiError { text, ..InferError::ModelNotFound.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(model: &str, version: Option<&str>, label: Option<&str>) -> Result<VerbPath, String> {
        let [version, label] = [version, label].map(|part| part.map(str::to_owned));
        VerbPath::new(LabelPath { model: model.into(), version, label }).map_err(|error| error.text)
    }

    #[test]
    fn the_verb_follows_the_last_colon() {
        let path = parsed("iris:predict", None, None).unwrap();
        assert_eq!((path.named.model.as_str(), path.verb), ("iris", Verb::Predict));
        let path = parsed("iris", Some("3:classify"), None).unwrap();
        assert_eq!((path.named.version.as_deref(), path.verb), (Some("3"), Verb::Classify));
        let path = parsed("iris", None, Some("stable:regress")).unwrap();
        assert_eq!((path.named.label.as_deref(), path.verb), (Some("stable"), Verb::Regress));

        for (model, version) in
            [("iris", None), ("iris:", None), ("iris:explain", None), ("iris:predict", Some("3"))]
        {
            let error = parsed(model, version, None).unwrap_err();
            assert!(error.contains(":predict"), "{model} {version:?}: {error}");
        }
    }
}
