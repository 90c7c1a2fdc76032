//! The store on both engines. PostgreSQL takes part where `ROLECALL_TEST_POSTGRES` names a server; the project's test
//! command always starts one. What every backend must do is in the store suite; here is what only this one can show.

mod changes;
mod commit;
mod departures;
mod feed;
mod fixture;
mod heads;
mod list_bounds;
mod list_oracle;
mod list_plans;
mod list_walk;
mod lists;
mod plans;
mod preview;
mod retention;
mod tokens;
mod user_groups;
