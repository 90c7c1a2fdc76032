//! The store on both engines. `ROLECALL_TEST_POSTGRES` names the PostgreSQL server; the project's test command always
//! starts one, and without it the tests fail and say so. What every backend must do is in the store suite; here is what
//! only this one can show.

mod audit;
mod changes;
mod commit;
mod departures;
mod feed;
mod feed_order;
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
