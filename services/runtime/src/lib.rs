//! What every part of Rolecall needs to run, and nothing of what Rolecall is about: configuration, telemetry, the admin
//! listener, graceful drain, the HTTP accept loop, gRPC servers and clients, authentication between parts, and the one
//! table of errors.

pub mod admin;
pub mod backoff;
pub mod config;
pub mod drain;
pub mod error;
pub mod grpc;
pub mod http_server;
pub mod peer;
pub mod propagation;
pub mod telemetry;
pub mod tls;
