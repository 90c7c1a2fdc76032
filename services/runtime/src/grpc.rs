//! gRPC between the parts: one stack around every server, one transport under every client, whether the parts run in one
//! process or in several.
//!
//! Every server and every client sets its message limits to [`MAX_MESSAGE_BYTES`]: tonic's own default of 4 MiB is too
//! small for a large group.

mod deadline;
mod parts;
mod server;
mod transport;
mod within;

pub use parts::in_parts;
pub use server::{BuildError, Server, ServerBuilder, ServerStack};
pub use transport::{Transport, TransportConfig, TransportError};
pub use within::Within;

/// The largest message in either direction, in bytes; whatever may grow beyond it travels in pages or as a stream.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// A request as a client sends it.
type Request = http::Request<tonic::body::Body>;
/// An answer as a server gives it.
type Response = http::Response<tonic::body::Body>;

#[cfg(test)]
mod tests;
