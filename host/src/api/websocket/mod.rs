//! WebSocket connections (RFC 6455), the server's side: the handshake, and messages in both
//! directions. Nothing here knows of models.
//!
//! A client decides how much the server reads at a time and how much it has to keep, so everything
//! has a bound: the length of a message, the number of its frames, the time in which it arrives,
//! and the control frames. The bytes of a message count against the tenant's memory as they arrive.

mod closing;
mod frame;
mod handshake;
mod message;
mod reader;
mod writer;

#[cfg(fuzzing)]
pub(in crate::api) mod fuzzing;

pub(in crate::api) use closing::{CloseCode, Closing};
pub(in crate::api) use handshake::{Handshake, move_key_to_header};
pub(in crate::api) use message::{Message, MessageKind};
pub(in crate::api) use reader::{Event, MessageReader};
pub(in crate::api) use writer::MessageWriter;
