//! A simulated Fluent Commerce account: its OAuth token endpoint and its GraphQL endpoint, as a real HTTP server.
//!
//! It answers any GraphQL document that is valid against `schema.graphql`, keeps a log of all requests, and plays every
//! fault and every behaviour which Fluent's documentation leaves open: see [`Behaviour`] and [`Effect`]. Tests in the
//! same process use a [`Sim`]; others use the JSON endpoints below `/_sim`, which do the same.
//!
//! | method and path | meaning |
//! |---|---|
//! | `POST /oauth/token` | tokens; form body or query string |
//! | `POST /graphql` | the API |
//! | `GET /_sim/log?after=N&wait_ms=M` | requests after number N; waits up to M ms for the first. `DELETE` forgets all |
//! | `GET /_sim/state` | everything the account holds |
//! | `GET /_sim/changes?after=N&wait_ms=M` | the change counter; waits up to M ms for it to pass N |
//! | `GET`, `PUT /_sim/behaviour` | the switches; `PUT` changes those it names |
//! | `GET`, `POST`, `DELETE /_sim/faults` | the queue of faults; `POST` adds one or a list, `DELETE` clears |
//! | `POST /_sim/users` | an account, with any fields, that stands there already |
//! | `GET`, `PUT`, `DELETE /_sim/users/{username}` | one account; `PUT` changes the fields it names |
//! | `PUT`, `DELETE /_sim/roles/{name}` | a role of the catalogue |
//! | `PUT`, `DELETE /_sim/{retailers,locations,settings}/{id}` | the rest of the catalogue |
//! | `DELETE /_sim/tokens` | all tokens become invalid |
//!
//! A fault is one flat object; see [`Effect`] for the kinds and what each takes, [`Match`] for what it hits. It hits one
//! request unless `times` says otherwise (`null`: every one until cleared). So the next two updates of Ann fail:
//!
//! ```json
//! {"kind": "status", "status": 503, "retry_after": 2, "match": {"operation": "updateUser", "username": "ann"}, "times": 2}
//! ```

mod behaviour;
mod catalogue;
mod config;
mod control;
mod endpoints;
mod faults;
mod graphql;
mod log;
mod model;
mod oauth;
mod server;
mod sim;
mod world;

pub use behaviour::{Behaviour, Contexts, ErrorCode, MissingUser, RemoveWithoutContexts, UnknownContext};
pub use config::SimConfig;
pub use faults::{Effect, Endpoint, Fault, Match};
pub use log::{Field, Kind, LogEntry, Request};
pub use model::{Attribute, Id, Language, Location, Retailer, Role, RoleContext, Setting, User, UserRole};
pub use server::SimHandle;
pub use sim::Sim;
pub use world::World;
