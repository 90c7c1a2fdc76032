//! fluent-pusher: makes Fluent equal to the effective sets. The only part of Rolecall that talks to Fluent.
//!
//! [`build`] puts it together over ways to identity-store and role-resolver; [`App::run`] runs it. Read in this order:
//! `feed` (what changed), `overtake` (what can't wait), `store` (what there is to do), `worker` (who does it), `push` (one
//! account, looked at once), [`plan`] (what to send), [`fluent`] (how it is sent). `catalogue` reads what Fluent recognises,
//! [`rules`] its rules.

pub mod account;
mod app;
pub mod breaker;
mod catalogue;
pub mod config;
mod convert;
mod feed;
pub mod fluent;
mod health;
mod metrics;
mod outbox;
pub mod outcome;
mod overtake;
mod peers;
pub mod plan;
pub mod profile;
mod push;
pub mod rules;
mod service;
pub mod store;
pub mod tenants;
#[cfg(test)]
mod testing;
mod together;
mod worker;

pub use app::{App, Parts, StartError, build};
pub use config::Config;
