//! The cache that is never stale: kept effective sets, and what tells for which state of the store each is right.
//!
//! Read in this order: `entry` (what is kept), `replica` (what is known of changes), `rule` (what follows from both),
//! `seal` (entries as bytes in untrusted hands); all pure. `model` checks them in every order of events.

mod entry;
#[cfg(test)]
mod model;
mod replica;
mod rule;
mod seal;
