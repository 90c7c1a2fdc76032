//! One page of a list, assembled: what `GET` on a resource type and `.search` answer (RFC 7644 sections 3.4.2 and 3.4.3).

use axum::response::Response;
use http::StatusCode;
use scim::list::Start;

use crate::resource;
use crate::respond::{self, Headers as _};

/// The resources of a page, and what is said of the whole list.
#[derive(Debug)]
pub(crate) struct List {
    /// The resources as they are answered.
    pub(crate) resources: Vec<String>,
    /// How many match in all, where that is known.
    pub(crate) total: Option<u64>,
    /// The cursor of the next page, if the list is read by cursor and there is one.
    pub(crate) next_cursor: Option<String>,
    /// Proves to later reads that they must see what this one saw.
    pub(crate) revision: String,
}

impl List {
    /// A list of nothing, which nobody had to be asked for.
    pub(crate) fn empty() -> Self {
        Self { resources: Vec::new(), total: Some(0), next_cursor: None, revision: String::new() }
    }

    /// The answer to a request for the page that begins at `start`.
    pub(crate) fn respond(self, start: &Start) -> Response {
        let Self { resources, total, next_cursor, revision } = self;
        let body = resource::list(&resources, total, next_cursor.as_deref(), start);
        respond::json(StatusCode::OK, body).revision(&revision)
    }
}
