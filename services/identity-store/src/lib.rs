//! Tenants, users, groups, their labels, the catalogue, the feed of changes and the hashes of tokens.

pub mod failure;
pub mod model;
pub mod store;

pub use failure::Failure;
pub use store::Store;
