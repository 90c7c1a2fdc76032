//! The simulator as its clients see it: over HTTP, with what they find in Fluent.
#![cfg(test)]
#![expect(clippy::needless_pass_by_value, reason = "requests are written as `json!` where they are sent")]

mod client;
mod control;
mod documents;
mod faults;
mod oauth;
mod queries;
mod users;
