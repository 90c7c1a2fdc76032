//! Fluent's API as the pusher uses it: signing in, reading and changing accounts, reading the catalogue.
//!
//! Fluent is the world outside: every answer is bounded in size and time, checked against what was asked, and every
//! failure is sorted by what is to be done about it.

mod access;
mod client;
mod documents;
mod error;
mod http;
mod retry_after;
mod token;
mod wire;

#[cfg(test)]
mod tests;

pub use access::{Access, InvalidRootUrl, RootUrl};
pub use client::{Client, NewAccount, Setting, SettingAt};
pub use error::{Cause, Code, Error, Refusal};
pub use http::{Http, TlsError};
