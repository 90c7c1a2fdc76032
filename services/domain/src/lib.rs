//! The words of Rolecall as types, and the rules of access as pure functions.
//!
//! Nothing here does I/O, and nothing here knows gRPC, HTTP or a database. Every other crate speaks in these types;
//! what arrives over a wire or out of a table is converted into them at the edge and checked while it is.
//!
//! Read in this order: [`label`] (what an IdP assigns), [`catalogue`] and [`rules`] (what Fluent recognises),
//! [`matching`] (from the one to the other), [`effective`] (what a person may do), [`explain`] (why), [`holders`] (who
//! may hold a grant).

pub mod access_token;
pub mod catalogue;
pub mod clock;
pub mod cursor;
pub mod departures;
pub mod difference;
pub mod effective;
pub mod explain;
pub mod fold;
pub mod grant;
pub mod holders;
pub mod id;
pub mod label;
pub mod matching;
pub mod offer;
pub mod revision;
pub mod rules;
pub mod settings;
pub mod token;
pub mod token_age;
