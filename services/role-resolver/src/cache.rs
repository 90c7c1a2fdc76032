//! The cache that is never stale: kept effective sets, and what tells for which state of the store each is right.
//!
//! Read in this order: `entry` (what is kept), `replica` (what is known of changes), `rule` (what follows from both),
//! `seal` (entries as bytes in untrusted hands); all pure, and `model` checks them in every order of events. Around them
//! `tail` follows the feed, `near` keeps sets in this process, `shared` in Redis, and `flight` lets one ask for many.

mod counts;
#[cfg(test)]
mod defence;
mod entry;
mod flight;
#[cfg(test)]
mod model;
mod near;
mod replica;
mod rule;
mod seal;
mod shared;
mod tail;

pub(crate) use counts::{Counts, Source};
#[cfg(test)]
pub(crate) use defence::Defence;
pub(crate) use entry::{CacheKey, Dependency, Entry, NameTag};
pub(crate) use flight::{Flights, LEASE, Turn};
pub(crate) use near::{Kept, Near};
pub(crate) use replica::{Change, Stamps};
pub(crate) use shared::{COMMAND, Shared};
pub(crate) use tail::{FeedPage, Following, Heads, Standing, Tail, Tails};
