//! The traits that a model implements, and the macro that exports it.

use std::sync::OnceLock;

use crate::bindings::migrations::exports::wardian::model::migrations::Migration;
use crate::{Error, Metadata, Request, Response};

/// A model: loaded once, called for each request.
pub trait Model: Sized + Send + Sync + 'static {
    /// Prepares the model: reads sidecar files ([`crate::artifacts::read`]), parses weights, builds
    /// tables. Runs once per version, before any request.
    ///
    /// # Errors
    /// Any error prevents the publication of the version; its text is for the model's author.
    fn load() -> Result<Self, Error>;

    /// Describes the model: its inputs, its outputs, and the number of items that it takes at once.
    fn metadata(&self) -> Metadata;

    /// Answers one request.
    ///
    /// # Errors
    /// [`Error::rejected`] for invalid input of the caller, [`Error::failed`] for a fault of the
    /// model.
    fn infer(&self, request: Request) -> Result<Response, Error>;
}

/// Hooks at the start and the end of a version; export them with `wardian_sdk::export!(MyModel,
/// lifecycle)`.
pub trait Lifecycle: Model {
    /// Called after `load` and before the version is published.
    ///
    /// # Errors
    /// An error prevents the publication.
    fn warm_up(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Called once when the version has answered its last request.
    fn unload(&self) {}
}

/// Responses in parts; export it with `wardian_sdk::export!(MyModel, streaming)`.
pub trait Streaming: Model {
    /// Answers one request by calling [`stream::emit`](crate::stream::emit) for each part, in
    /// order.
    ///
    /// # Errors
    /// As [`Model::infer`]. Parts emitted before have been sent already.
    fn infer_stream(&self, request: Request) -> Result<(), Error>;
}

/// Several requests in one call; export it with `wardian_sdk::export!(MyModel, batching)`.
///
/// A model whose tensors can be joined along their first dimension does not need it, but sets
/// [`Metadata::max_batch_size`](crate::Metadata::max_batch_size). This trait is for requests whose
/// tensors differ in length, and for models where one item may fail without the others.
///
/// [`Model::infer`] still answers single requests.
pub trait Batching: Model {
    /// Answers each request: as many results, in the same order. An error concerns its own request.
    fn infer_batch(&self, requests: Vec<Request>) -> Vec<Result<Response, Error>>;
}

/// Work after the response; export it with `wardian_sdk::export!(MyModel, deferred)`.
pub trait Deferred: Model {
    /// Runs a task of [`tasks::defer`](crate::tasks::defer), in the same session.
    ///
    /// # Errors
    /// After an error the host tries again, a limited number of times.
    fn run_deferred(&self, name: &str, payload: Vec<u8>) -> Result<(), Error>;
}

/// Sessions that an older version has begun; export it with `wardian_sdk::export!(MyModel,
/// session_migration)`.
pub trait SessionMigration: Model {
    /// Converts the state of version `from_version` for this version; `None` begins with an empty
    /// state.
    ///
    /// # Errors
    /// As [`Model::infer`].
    fn migrate_session(&self, from_version: u64, state: Vec<u8>) -> Result<Option<Vec<u8>>, Error>;
}

/// Tables of the model; export them with `wardian_sdk::export!(MyModel, migrations)`.
pub trait Migrations: Model {
    /// Names and statements of every migration so far, oldest first: `("001-notes", "create table
    /// …")`.
    const MIGRATIONS: &'static [(&'static str, &'static str)];
}

/// Exports a [`Model`] as the one of this component: `wardian_sdk::export!(MyModel);`, or
/// `wardian_sdk::export!(MyModel, lifecycle, streaming);` if it implements
/// [`Lifecycle`](crate::Lifecycle) and [`Streaming`](crate::Streaming) too.
///
/// A trait that is not named is not exported, and the host does not call it. The names are
/// `lifecycle`, `streaming`, `batching`, `deferred`, `session_migration` and `migrations`.
#[macro_export]
macro_rules! export {
    ($model:ty $(, $interface:ident)* $(,)?) => {
        const _: () = {
            $crate::export!(@state $model);
            $crate::export!(@inference $model);
            $($crate::export!(@$interface $model);)*
        };
    };
    (@state $model:ty) => {
        static MODEL: $crate::Exported<$model> = $crate::Exported::new();

        struct Component;
    };
    (@inference $model:ty) => {
        impl $crate::bindings::model::exports::wardian::model::inference::Guest for Component {
            fn load() -> ::core::result::Result<$crate::Metadata, $crate::bindings::types::Error> {
                MODEL.load().map_err(::core::convert::Into::into)
            }

            fn infer(
                request: $crate::Request,
            ) -> ::core::result::Result<$crate::Response, $crate::bindings::types::Error> {
                MODEL.infer(request).map_err(::core::convert::Into::into)
            }
        }

        // A native build exports nothing, and its linker refuses such names; this mention of the
        // function keeps the compiler from reporting the model as unused.
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> ::core::result::Result<$crate::Metadata, $crate::bindings::types::Error> =
            <Component as $crate::bindings::model::exports::wardian::model::inference::Guest>::load;
        #[cfg(target_family = "wasm")]
        $crate::bindings::model::export_model!(Component with_types_in $crate::bindings::model);
    };
    (@lifecycle $model:ty) => {
        impl $crate::bindings::lifecycle::exports::wardian::model::lifecycle::Guest for Component {
            fn warm_up() -> ::core::result::Result<(), $crate::bindings::types::Error> {
                MODEL.warm_up().map_err(::core::convert::Into::into)
            }

            fn unload() {
                MODEL.unload()
            }
        }

        #[cfg(target_family = "wasm")]
        $crate::bindings::lifecycle::export_lifecycle!(Component with_types_in $crate::bindings::lifecycle);
    };
    (@streaming $model:ty) => {
        impl $crate::bindings::streaming::exports::wardian::model::streaming::Guest for Component {
            fn infer_stream(
                request: $crate::Request,
            ) -> ::core::result::Result<(), $crate::bindings::types::Error> {
                let streamed = MODEL.loaded().and_then(|model| $crate::Streaming::infer_stream(model, request));
                streamed.map_err(::core::convert::Into::into)
            }
        }

        #[cfg(target_family = "wasm")]
        $crate::bindings::streaming::export_streaming!(Component with_types_in $crate::bindings::streaming);
    };
    (@batching $model:ty) => {
        impl $crate::bindings::batching::exports::wardian::model::batching::Guest for Component {
            fn infer_batch(
                requests: ::std::vec::Vec<$crate::Request>,
            ) -> ::std::vec::Vec<::core::result::Result<$crate::Response, $crate::bindings::types::Error>>
            {
                let answers = match MODEL.loaded() {
                    Ok(model) => $crate::Batching::infer_batch(model, requests),
                    Err(error) => requests.iter().map(|_| Err(error.clone())).collect(),
                };
                answers.into_iter().map(|answer| answer.map_err(::core::convert::Into::into)).collect()
            }
        }

        #[cfg(target_family = "wasm")]
        $crate::bindings::batching::export_batching!(Component with_types_in $crate::bindings::batching);
    };
    (@deferred $model:ty) => {
        impl $crate::bindings::deferred::exports::wardian::model::deferred::Guest for Component {
            fn run_deferred(
                name: ::std::string::String,
                payload: ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), $crate::bindings::types::Error> {
                let run = MODEL.loaded().and_then(|model| $crate::Deferred::run_deferred(model, &name, payload));
                run.map_err(::core::convert::Into::into)
            }
        }

        #[cfg(target_family = "wasm")]
        $crate::bindings::deferred::export_deferred!(Component with_types_in $crate::bindings::deferred);
    };
    (@session_migration $model:ty) => {
        impl $crate::bindings::session_migration::exports::wardian::model::session_migration::Guest for Component {
            fn migrate_session(
                from_version: u64,
                state: ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<
                ::core::option::Option<::std::vec::Vec<u8>>,
                $crate::bindings::types::Error,
            > {
                let loaded = MODEL.loaded();
                let migrated =
                    loaded.and_then(|model| $crate::SessionMigration::migrate_session(model, from_version, state));
                migrated.map_err(::core::convert::Into::into)
            }
        }

        #[cfg(target_family = "wasm")]
        $crate::bindings::session_migration::export_session_migration!(
            Component with_types_in $crate::bindings::session_migration
        );
    };
    (@migrations $model:ty) => {
        impl $crate::bindings::migrations::exports::wardian::model::migrations::Guest for Component {
            fn migrations() -> ::std::vec::Vec<$crate::bindings::migrations::exports::wardian::model::migrations::Migration>
            {
                <$model as $crate::Migrations>::MIGRATIONS.iter().map($crate::migration).collect()
            }
        }

        #[cfg(target_family = "wasm")]
        $crate::bindings::migrations::export_migrations!(Component with_types_in $crate::bindings::migrations);
    };
}

/// The one model of a component. It is in a static, so it is part of the snapshot.
#[doc(hidden)]
pub struct Exported<M> {
    model: OnceLock<M>,
}

// === impl Exported ===

impl<M> Exported<M> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        let model = OnceLock::new();
        Self { model }
    }

    pub fn loaded(&self) -> Result<&M, Error> {
        let not_loaded = "the model was asked before its load() had succeeded";
        self.model.get().ok_or_else(|| Error::failed(not_loaded))
    }
}

impl<M: Model> Exported<M> {
    /// Loads the model, and returns its metadata. Further calls only return the metadata.
    pub fn load(&self) -> Result<Metadata, Error> {
        if self.model.get().is_none() {
            let _ = self.model.set(M::load()?);
        }
        Ok(self.loaded()?.metadata())
    }

    pub fn infer(&self, request: Request) -> Result<Response, Error> {
        self.loaded()?.infer(request)
    }
}

impl<M: Lifecycle> Exported<M> {
    pub fn warm_up(&self) -> Result<(), Error> {
        self.loaded()?.warm_up()
    }

    pub fn unload(&self) {
        if let Some(model) = self.model.get() {
            model.unload();
        }
    }
}

/// A migration in the types of the interface.
#[doc(hidden)]
pub fn migration(&(name, statements): &(&str, &str)) -> Migration {
    Migration { name: name.to_owned(), statements: statements.to_owned() }
}
