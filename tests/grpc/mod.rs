//! gRPC and HTTP/2 beside HTTP/1.1: calls without a client library, and clients that abuse the
//! connection. `clients` has the stock clients.

mod calls;
mod frames;
mod limits;
