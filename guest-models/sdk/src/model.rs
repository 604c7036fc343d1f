//! The traits a model implements and the macro that exports it.

use std::sync::OnceLock;

use crate::{Error, Metadata, Request, Response};

/// A model: loaded once, asked many times.
pub trait Model: Sized + Send + Sync + 'static {
    /// Prepares the model: reads sidecar files ([`crate::artifacts::read`]), parses weights, builds
    /// tables. Runs once per version, before any request.
    ///
    /// # Errors
    /// Any error keeps the version from going live; its text is for the model's author.
    fn load() -> Result<Self, Error>;

    /// What the model says of itself: its inputs, its outputs, how many items it takes at once.
    fn metadata(&self) -> Metadata;

    /// Answers one request.
    ///
    /// # Errors
    /// [`Error::rejected`] if the caller's input is at fault, [`Error::failed`] if the model is.
    fn infer(&self, request: Request) -> Result<Response, Error>;
}

/// What a model adds to take part in its own lifespan; export it with
/// `wardian_sdk::export!(MyModel, lifecycle)`.
pub trait Lifecycle: Model {
    /// Called after `load` and before the version goes live.
    ///
    /// # Errors
    /// An error keeps the version from going live.
    fn warm_up(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Called once when the version has answered its last request.
    fn unload(&self) {}
}

/// Makes a [`Model`] the one that this component exports: `wardian_sdk::export!(MyModel);`, or
/// `wardian_sdk::export!(MyModel, lifecycle);` if it implements [`Lifecycle`](crate::Lifecycle) too.
///
/// Without `lifecycle` the component does not export that interface, and the host does not call it.
#[macro_export]
macro_rules! export {
    ($model:ty) => {
        const _: () = {
            $crate::export!(@state $model);
            $crate::export!(@inference $model);
        };
    };
    ($model:ty, lifecycle) => {
        const _: () = {
            $crate::export!(@state $model);
            $crate::export!(@inference $model);
            $crate::export!(@lifecycle $model);
        };
    };
    (@state $model:ty) => {
        static MODEL: $crate::Exported<$model> = $crate::Exported::new();

        struct Component;
    };
    (@inference $model:ty) => {
        impl $crate::bindings::model::exports::wardian::model::inference::Guest for Component {
            fn load() -> ::core::result::Result<$crate::Metadata, $crate::Error> {
                MODEL.load()
            }

            fn infer(request: $crate::Request) -> ::core::result::Result<$crate::Response, $crate::Error> {
                MODEL.infer(request)
            }
        }

        // A native build has nobody to export to, and its linker refuses such names; this mention of
        // the function keeps the compiler from calling the model unused.
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> ::core::result::Result<$crate::Metadata, $crate::Error> =
            <Component as $crate::bindings::model::exports::wardian::model::inference::Guest>::load;
        #[cfg(target_family = "wasm")]
        $crate::bindings::model::export_model!(Component with_types_in $crate::bindings::model);
    };
    (@lifecycle $model:ty) => {
        impl $crate::bindings::lifecycle::exports::wardian::model::lifecycle::Guest for Component {
            fn warm_up() -> ::core::result::Result<(), $crate::Error> {
                MODEL.warm_up()
            }

            fn unload() {
                MODEL.unload()
            }
        }

        #[cfg(target_family = "wasm")]
        $crate::bindings::lifecycle::export_lifecycle!(Component with_types_in $crate::bindings::lifecycle);
    };
}

/// The one model of a component. It lies in a static, so it is part of the snapshot.
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

    fn loaded(&self) -> Result<&M, Error> {
        let not_loaded = "the model was asked before its load() had succeeded";
        self.model.get().ok_or_else(|| Error::failed(not_loaded))
    }
}

impl<M: Model> Exported<M> {
    /// A second call finds the model loaded and only describes it again.
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
