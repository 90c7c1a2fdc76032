//! Makes Fluent equal to the effective sets. The only part of Rolecall that talks to Fluent.

pub mod account;
pub mod fluent;
pub mod plan;
