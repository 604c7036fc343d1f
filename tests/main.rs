//! Drives the real server with real components.
