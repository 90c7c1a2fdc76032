//! The simulator as its clients see it: over HTTP, with what they find in Fluent.

mod client;
mod control;
mod documents;
mod faults;
mod oauth;
mod queries;
mod users;
