//! What role-resolver must answer, whatever happened before and whatever became of its caches: every answer is compared
//! with the rules of access written plainly over lists.
//!
//! Read in this order: `company` (a tenant as lists), `rules` (the rules of access over them), `ways` (how a label
//! reaches a user), `step` (what may happen), `tenant` (makes it happen, in the store and in the lists), `family` (a real
//! identity-store with replicas of role-resolver that keep sets in different ways), `mischief` (what becomes of Redis),
//! `asker` (every question, and the comparison), `labels` (those about labels), `watcher` (what is told of changes).
//! `histories` runs random ones, `crowd` one of very many people; `previews` asks what a change would do; `enemy` is about
//! one race.
//!
//! `ROLECALL_TEST_POSTGRES` names the PostgreSQL server; the project's test command always starts one.
#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "what a test needs and does not get fails the test")]

mod asker;
mod company;
mod crowd;
mod enemy;
mod family;
mod histories;
mod labels;
mod mischief;
mod previews;
mod rules;
mod step;
mod tenant;
mod watcher;
mod ways;
