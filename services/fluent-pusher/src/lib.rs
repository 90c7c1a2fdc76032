//! Makes Fluent equal to the effective sets. The only part of Rolecall that talks to Fluent.

pub mod account;
pub mod breaker;
pub mod config;
mod convert;
pub mod fluent;
mod metrics;
pub mod outcome;
mod peers;
pub mod plan;
pub mod profile;
mod push;
pub mod store;
pub mod tenants;
