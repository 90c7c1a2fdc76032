//! The SCIM 2.0 protocol (RFC 7643, RFC 7644) without any I/O: no HTTP, no database, no clock.
//!
//! It understands requests as real identity providers send them, and is exact about what it answers. Every function is
//! pure; nothing here panics, recurses without bound or allocates without limit, whatever is fed to it.
//!
//! | to | use |
//! |---|---|
//! | read a body | `json::read_object` |
//! | POST | `resource::normalise`, then `Incoming::created` |
//! | PUT | `resource::normalise`, then `put::put` |
//! | PATCH | `patch::PatchRequest::parse`, then `members` for groups and `apply` for the rest |
//! | deactivate in spite of what is wrong besides | `resource::normalise_possible`, `patch::PatchRequest::parse_possible` |
//! | answer | `Resource::complete`, then `project::Projection::apply` |
//! | filter | `filter::Query::parse`; match on the tree for SQL, or `Query::matches` on a complete resource |
//! | `/Roles` | `role::Role::resource` |
//! | bulk | `bulk::Job`: which operation is next, until there is none; then `response` |
//! | list, search | `list::Page`, `list::SearchRequest`, `sort::Sort`, `list::response` |
//! | conditional requests | `etag` |
//! | `/Schemas`, `/ResourceTypes`, `/ServiceProviderConfig` | `schema::discovery` |
//! | refuse | `error::Error::to_json` |
//!
//! Beyond PATCH's members, a group's membership never passes through here as a whole: a stored `Resource` has none.
//! What departs from the RFCs and is accepted all the same is listed in `leniency`, once.

pub mod bulk;
mod elements;
pub mod error;
pub mod etag;
pub mod filter;
pub mod flaws;
pub mod json;
pub mod leniency;
pub mod list;
pub mod patch;
pub mod path;
pub mod project;
pub mod put;
pub mod resource;
pub mod role;
pub mod schema;
pub mod sort;
mod value;

pub use error::{Error, ScimType};
pub use leniency::Mode;
pub use resource::Resource;
