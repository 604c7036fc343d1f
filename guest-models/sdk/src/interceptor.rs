//! The trait that an interceptor implements, and the macro that exports it.
//!
//! An interceptor wraps every call to its tenant's models, and is called when a version is loaded
//! or unloaded. It is a component like a model, in the folder `interceptors/` of the repository:
//!
//! ```
//! use wardian_sdk::interceptor::{Context, Interceptor, Rejection};
//! use wardian_sdk::Request;
//!
//! #[derive(Default)]
//! struct NoAnonymous;
//!
//! impl Interceptor for NoAnonymous {
//!     fn before_call(&self, context: &Context, request: Request) -> Result<Request, Rejection> {
//!         match context.key.is_empty() {
//!             true => Err(Rejection::new(403, "show a key")),
//!             false => Ok(request),
//!         }
//!     }
//! }
//!
//! wardian_sdk::export_interceptor!(NoAnonymous);
//! ```
//!
//! It has no `load`: its state is made by `Default`, which runs once per instance. Each function
//! may be called on an instance of its own, so functions share data through
//! [`values`](crate::values).

use std::fmt;
use std::sync::OnceLock;

pub use crate::bindings::interceptor::exports::wardian::model::interceptor::{Context, Version};

use crate::bindings::interceptor::exports::wardian::model::interceptor as generated;
use crate::{Request, Response};

/// The caller's response in place of the model's. Its `Display` is the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The HTTP status.
    pub status: u16,
    /// The text for the caller.
    pub message: String,
}

/// A wrapper of a tenant's models. Every function has a default that changes nothing.
pub trait Interceptor: Default + Send + Sync + 'static {
    /// Called before a version is loaded.
    ///
    /// # Errors
    /// An error prevents the load. Its text is shown in the repository's index.
    fn before_load(&self, _version: &Version) -> Result<(), String> {
        Ok(())
    }

    /// Called after a version was validated, before it is published.
    ///
    /// # Errors
    /// An error prevents the publication. Its text is shown in the repository's index.
    fn after_load(&self, _version: &Version) -> Result<(), String> {
        Ok(())
    }

    /// Called before the `unload` hook of a version that no longer serves.
    fn before_unload(&self, _version: &Version) {}

    /// Called after the `unload` hook.
    fn after_unload(&self, _version: &Version) {}

    /// Called before each call: returns the request, changed or not.
    ///
    /// # Errors
    /// The caller gets the rejection in place of a response.
    fn before_call(&self, _context: &Context, request: Request) -> Result<Request, Rejection> {
        Ok(request)
    }

    /// Called after each successful call: returns the response, changed or not.
    fn after_call(&self, _context: &Context, response: Response) -> Response {
        response
    }
}

// === impl Rejection ===

impl Rejection {
    /// Returns a rejection with an HTTP status from 400 to 499, or 503; the host turns any other
    /// into 403. The text is for the caller.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Rejection { status, message: message.into() }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Rejection {}

impl From<Rejection> for generated::Rejection {
    fn from(Rejection { status, message }: Rejection) -> Self {
        generated::Rejection { status, message }
    }
}

/// Exports an [`Interceptor`] as the one of this component:
/// `wardian_sdk::export_interceptor!(MyInterceptor);`
#[macro_export]
macro_rules! export_interceptor {
    ($interceptor:ty) => {
        const _: () = {
            use $crate::bindings::interceptor::exports::wardian::model::interceptor::{
                Guest, Rejection,
            };
            use $crate::interceptor::{Context, Interceptor, Version};

            static INTERCEPTOR: $crate::interceptor::Exported<$interceptor> =
                $crate::interceptor::Exported::new();

            struct Component;

            impl Guest for Component {
                fn before_load(
                    version: Version,
                ) -> ::core::result::Result<(), ::std::string::String> {
                    INTERCEPTOR.get().before_load(&version)
                }

                fn after_load(
                    version: Version,
                ) -> ::core::result::Result<(), ::std::string::String> {
                    INTERCEPTOR.get().after_load(&version)
                }

                fn before_unload(version: Version) {
                    INTERCEPTOR.get().before_unload(&version)
                }

                fn after_unload(version: Version) {
                    INTERCEPTOR.get().after_unload(&version)
                }

                fn before_call(
                    context: Context,
                    request: $crate::Request,
                ) -> ::core::result::Result<$crate::Request, Rejection> {
                    INTERCEPTOR
                        .get()
                        .before_call(&context, request)
                        .map_err(::core::convert::Into::into)
                }

                fn after_call(context: Context, response: $crate::Response) -> $crate::Response {
                    INTERCEPTOR.get().after_call(&context, response)
                }
            }

            // As in `export!`: a native build exports nothing.
            #[cfg(not(target_family = "wasm"))]
            const _: fn(Version) -> ::core::result::Result<(), ::std::string::String> =
                <Component as Guest>::before_load;
            #[cfg(target_family = "wasm")]
            $crate::bindings::interceptor::export_interceptor!(
                Component with_types_in $crate::bindings::interceptor
            );
        };
    };
}

/// The one interceptor of a component.
#[doc(hidden)]
pub struct Exported<I> {
    interceptor: OnceLock<I>,
}

// === impl Exported ===

impl<I: Interceptor> Exported<I> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        let interceptor = OnceLock::new();
        Self { interceptor }
    }

    pub fn get(&self) -> &I {
        self.interceptor.get_or_init(I::default)
    }
}

#[cfg(test)]
mod tests {
    use super::Rejection;

    #[test]
    fn a_rejection_displays_its_message() {
        assert_eq!(Rejection::new(403, "show a key").to_string(), "show a key");
    }
}
