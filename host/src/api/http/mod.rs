//! HTTP mechanics that do not depend on a protocol: bodies, headers, compression and connections.

pub(super) mod body;
pub(super) mod compression;
pub(super) mod connection;
pub(super) mod content_digest;
pub(super) mod content_type;
pub(super) mod deadline;
pub(super) mod guarded_body;
pub(super) mod media_type;
pub(super) mod offload;
pub(super) mod query_parameters;
pub(super) mod request_id;
pub(super) mod request_memory;
pub(super) mod response_compression;
pub(super) mod unread_body;
