//! One SQL text over two engines: SQLite (the default, in the process) and PostgreSQL (production).
//!
//! Stores are written once, against [`Tx`], in the SQL that both engines share, with the few [dialect tokens](dialect)
//! where they differ. So the engines can't drift apart, and one suite of tests speaks for both. Only this crate knows a
//! database driver.
//!
//! * [`Database::read`] runs a closure in one read-only snapshot.
//! * [`Database::write`] runs a closure in one transaction that commits if the closure answers `Ok`.
//!
//! On SQLite there is one writer (a thread of its own) and a pool of readers; a statement is a function call, so a
//! transaction of many statements costs one hop between threads. On PostgreSQL, [`Tx::batch`] sends statements that do
//! not depend on one another's answers together.

mod database;
mod dialect;
mod error;
mod migration;
mod postgres;
mod sqlite;
mod tx;
mod value;

pub use database::{Database, Engine, InvalidUrl, Options, Url};
pub use error::{Error, ErrorKind};
pub use migration::Migration;
pub use tx::{Statement, Tx};
pub use value::{Row, Value};

/// What a closure given to [`Database::read`] or [`Database::write`] answers with.
pub type Work<'a, T, E> = futures_util::future::BoxFuture<'a, Result<T, E>>;

#[cfg(test)]
mod tests;
