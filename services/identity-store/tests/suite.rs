//! The behaviours every identity-store must have: on SQLite and on PostgreSQL within the process,
//! on two replicas over one PostgreSQL, and over a socket.
//!
//! `ROLECALL_TEST_POSTGRES` names the PostgreSQL server; the project's test command always starts one. Without it the
//! tests that need it fail and say so.

mod support;

store_suite::store_suite!(sqlite, support::sqlite());
store_suite::store_suite!(postgres, support::postgres());
store_suite::store_suite!(two_replicas, support::two_replicas());
store_suite::store_suite!(over_the_network, support::over_the_network());
