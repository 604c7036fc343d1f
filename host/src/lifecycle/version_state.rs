//! The state of one version, and its legal changes.

use super::index_entry::IndexState;
use super::loader_traits::ServingVersion;
use crate::repository::Digest;

/// The state of one version of a model.
///
/// A version is a number in a repository. Its content can be replaced in place, so a new content
/// may be loaded while the old one serves, and old contents may drain while a new one serves. The
/// state says what the version does as a whole:
///
/// - `Unloaded` is the first and the last state. A load starts: `Loading`.
/// - `Loading`: the version is published: `Serving`. The load fails, or its result is no longer
///   wanted: `Unloaded`, or `Draining` if an old content still drains.
/// - `Serving`: a load of another content starts: `Replacing`. The version is taken out of service:
///   `Draining`.
/// - `Replacing`: the load ends, and either content serves: `Serving`. The old content is taken out
///   of service during the load: `Loading`.
/// - `Draining`: the last content has drained: `Unloaded`. A load starts: `Loading`.
///
/// A failure is not a state. It belongs to one content and is recorded beside the state, because
/// the old content serves on when the new one has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VersionState {
    /// No content serves, loads or drains.
    Unloaded,
    /// A content is being loaded, and none serves.
    Loading,
    /// A content serves.
    Serving,
    /// A content serves, and another one is being loaded.
    Replacing,
    /// Only contents that answer their last requests are left.
    Draining,
}

impl VersionState {
    /// True if a version in this state may change to the next one.
    pub(super) fn can_become(self, next: VersionState) -> bool {
        use VersionState::{Draining, Loading, Replacing, Serving, Unloaded};

        match self {
            Unloaded => matches!(next, Loading),
            Loading => matches!(next, Serving | Unloaded | Draining),
            Serving => matches!(next, Replacing | Draining),
            Replacing => matches!(next, Serving | Loading),
            Draining => matches!(next, Unloaded | Loading),
        }
    }

    /// The state as the repository index shows it.
    pub(super) fn index_state(self) -> IndexState {
        match self {
            VersionState::Unloaded => IndexState::Unavailable,
            VersionState::Loading => IndexState::Loading,
            VersionState::Serving | VersionState::Replacing => IndexState::Ready,
            VersionState::Draining => IndexState::Unloading,
        }
    }
}

/// The content of a version that the host holds, one variant for each [`VersionState`].
#[derive(Default)]
pub(super) enum HostedContent {
    #[default]
    Unloaded,
    Loading(Digest),
    Serving(ServingContent),
    /// The serving content, and the digest of the one that is being loaded.
    Replacing(ServingContent, Digest),
    Draining,
}

/// A content that serves.
pub(super) struct ServingContent {
    pub(super) digest: Digest,
    pub(super) version: Box<dyn ServingVersion>,
}

impl HostedContent {
    /// The state of the version.
    pub(super) fn state(&self) -> VersionState {
        match self {
            HostedContent::Unloaded => VersionState::Unloaded,
            HostedContent::Loading(_) => VersionState::Loading,
            HostedContent::Serving(_) => VersionState::Serving,
            HostedContent::Replacing(..) => VersionState::Replacing,
            HostedContent::Draining => VersionState::Draining,
        }
    }

    /// The content that serves.
    pub(super) fn serving(&self) -> Option<&ServingContent> {
        match self {
            HostedContent::Serving(content) | HostedContent::Replacing(content, _) => Some(content),
            _ => None,
        }
    }

    /// The digest of the content that is being loaded.
    pub(super) fn loading(&self) -> Option<Digest> {
        match self {
            HostedContent::Loading(digest) | HostedContent::Replacing(_, digest) => Some(*digest),
            _ => None,
        }
    }

    /// Changes the content, and returns the second value of `change`. All changes of state go
    /// through here. An illegal one is a fault of the host: it is logged, fails in a debug build,
    /// and is carried out all the same.
    pub(super) fn change<T>(
        &mut self,
        change: impl FnOnce(HostedContent) -> (HostedContent, T),
    ) -> T {
        let before = self.state();
        let (contents, outcome) = change(std::mem::take(self));
        let after = contents.state();

        if !before.can_become(after) {
            tracing::error!(?before, ?after, "illegal change of a version's state");
        }
        debug_assert!(before.can_become(after), "{before:?} to {after:?}");

        *self = contents;
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::VersionState::{Draining, Loading, Replacing, Serving, Unloaded};
    use super::*;

    #[test]
    fn every_change_of_state_is_legal_or_illegal() {
        for (before, after, legal) in [
            (Unloaded, Unloaded, false),
            (Unloaded, Loading, true),
            (Unloaded, Serving, false),
            (Unloaded, Replacing, false),
            (Unloaded, Draining, false),
            (Loading, Unloaded, true),
            (Loading, Loading, false),
            (Loading, Serving, true),
            (Loading, Replacing, false),
            (Loading, Draining, true),
            (Serving, Unloaded, false),
            (Serving, Loading, false),
            (Serving, Serving, false),
            (Serving, Replacing, true),
            (Serving, Draining, true),
            (Replacing, Unloaded, false),
            (Replacing, Loading, true),
            (Replacing, Serving, true),
            (Replacing, Replacing, false),
            (Replacing, Draining, false),
            (Draining, Unloaded, true),
            (Draining, Loading, true),
            (Draining, Serving, false),
            (Draining, Replacing, false),
            (Draining, Draining, false),
        ] {
            assert_eq!(before.can_become(after), legal, "{before:?} to {after:?}");
        }
    }

    #[test]
    fn the_index_shows_a_replacement_as_ready() {
        for (state, shown) in [
            (Unloaded, IndexState::Unavailable),
            (Loading, IndexState::Loading),
            (Serving, IndexState::Ready),
            (Replacing, IndexState::Ready),
            (Draining, IndexState::Unloading),
        ] {
            assert_eq!(state.index_state(), shown, "{state:?}");
        }
    }

    #[test]
    #[should_panic(expected = "Unloaded to Draining")]
    fn an_illegal_change_fails_in_a_debug_build() {
        HostedContent::default().change(|_| (HostedContent::Draining, ()));
    }
}
