//! The store on both engines. PostgreSQL takes part where `ROLECALL_TEST_POSTGRES` names a server; the project's test
//! command always starts one.

mod changes;
mod fixture;
mod tokens;
