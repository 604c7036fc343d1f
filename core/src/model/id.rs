//! Names of tenants and models, and version numbers.

use std::fmt;
use std::sync::Arc;

use super::sanitize;

/// Reason for a rejected name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{name}' is not {what} name: use 1 to 128 letters, digits, '.', '_' or '-', starting with a letter or digit"
)]
pub struct InvalidName {
    what: &'static str,
    name: String,
}

/// Limit of a name, in bytes.
const MAX_NAME: usize = 128;

fn check_name(what: &'static str, name: &str) -> Result<(), InvalidName> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));

    if first && rest && name.len() <= MAX_NAME {
        return Ok(());
    }

    // The name is not trusted and appears in logs and answers.
    Err(InvalidName { what, name: sanitize(name, MAX_NAME) })
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the name. Fails unless it matches `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
            pub fn new(name: &str) -> Result<Self, InvalidName> {
                check_name($what, name)?;
                Ok(Self(name.into()))
            }

            /// Returns the name; never empty.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, out)
            }
        }

        /// Allows lookups in maps by the text of a URL.
        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// The name of a tenant.
    TenantName,
    "a tenant"
);
name_type!(
    /// The name of a model, unique within its tenant.
    ModelName,
    "a model"
);

/// Prefix of interceptors' names, and the folder that contains them. Names of models contain no
/// slash.
const INTERCEPTOR_PREFIX: &str = "interceptors/";

/// Words that have another meaning in HTTP paths or in a repository.
const RESERVED_NAMES: [&str; 2] = ["interceptors", "stats"];

impl ModelName {
    /// Creates the name of an interceptor, `interceptors/NAME`. Fails unless NAME is a valid model
    /// name.
    pub fn interceptor(name: &str) -> Result<Self, InvalidName> {
        check_name("an interceptor", name)?;
        Ok(Self(format!("{INTERCEPTOR_PREFIX}{name}").into()))
    }

    /// Parses the name of a model, or of an interceptor with its prefix.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        name.strip_prefix(INTERCEPTOR_PREFIX).map_or_else(|| Self::new(name), Self::interceptor)
    }

    /// True for names that no model may have, in any case: `/v2/models/stats` is a path of its own,
    /// and `interceptors` a folder of its own.
    pub fn is_reserved(&self) -> bool {
        RESERVED_NAMES.iter().any(|reserved| self.0.eq_ignore_ascii_case(reserved))
    }

    /// True for the name of an interceptor.
    pub fn is_interceptor(&self) -> bool {
        self.0.starts_with(INTERCEPTOR_PREFIX)
    }

    /// Returns the name without the prefix of interceptors.
    pub fn base_name(&self) -> &str {
        self.0.strip_prefix(INTERCEPTOR_PREFIX).unwrap_or(&self.0)
    }
}

impl TenantName {
    /// Name of the only tenant if none are configured.
    pub const DEFAULT: &str = "default";

    /// Returns the name of the only tenant if none are configured.
    pub fn default_tenant() -> Self {
        Self(Self::DEFAULT.into())
    }
}

/// A version number: 1 or above. Higher is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// Creates a version; `None` for 0.
    pub fn new(number: u64) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// Parses a decimal number without sign or leading zeros, as in a path.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten().and_then(Self::new)
    }

    /// Returns the number, 1 or above.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// One version of one model of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId {
    /// Tenant that owns the model.
    pub tenant: TenantName,
    /// Name of the model.
    pub name: ModelName,
    /// Version of the model.
    pub version: Version,
}

impl fmt::Display for ModelId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{} version {}", self.tenant, self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_a_directory_are_refused() {
        for name in ["iris", "a", "A.b_c-9", &"x".repeat(128)] {
            assert!(ModelName::new(name).is_ok(), "{name}");
        }

        for name in
            ["", ".", "..", ".hidden", "-x", "a/b", "a\\b", "a b", "é", "a\0", &"x".repeat(129)]
        {
            assert!(ModelName::new(name).is_err(), "{name}");
        }

        let refusal =
            ModelName::new(&format!("a\n\u{1b}[2J{}", "x".repeat(1000))).unwrap_err().to_string();

        assert!(refusal.len() < 300 && !refusal.contains(char::is_control), "{refusal:?}");
    }

    #[test]
    fn interceptor_names_are_not_model_names() {
        let audit = ModelName::interceptor("audit").unwrap();
        assert_eq!(
            (audit.as_str(), audit.base_name(), audit.is_interceptor()),
            ("interceptors/audit", "audit", true)
        );
        assert_eq!(ModelName::parse("interceptors/audit"), Ok(audit.clone()));
        assert!(ModelName::new(audit.as_str()).is_err());

        let model = ModelName::parse("interceptors").unwrap();
        assert_eq!((model.base_name(), model.is_interceptor()), ("interceptors", false));

        for name in ["interceptors/", "interceptors/a/b", "interceptors/../a", "others/a"] {
            assert!(ModelName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn reserved_names_are_reserved_in_any_case() {
        for name in ["stats", "Stats", "interceptors", "Interceptors", "INTERCEPTORS"] {
            assert!(ModelName::new(name).unwrap().is_reserved(), "{name}");
        }

        for name in ["stat", "stats2", "versions", "index", "models"] {
            assert!(!ModelName::new(name).unwrap().is_reserved(), "{name}");
        }

        assert!(!ModelName::interceptor("stats").unwrap().is_reserved());
    }

    #[test]
    fn versions_are_plain_positive_numbers() {
        assert_eq!(Version::parse("12").map(Version::number), Some(12));
        for text in ["", "0", "01", "+1", "-1", "1.0", "v1", "99999999999999999999"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
