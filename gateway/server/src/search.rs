//! `POST /.search` at the root (RFC 7644 section 3.4.3): users and groups in one list, users first.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use scim::list::SearchRequest;

use crate::call::{Call, object};
use crate::query::Query;
use crate::respond::{self, Headers as _};
use crate::scim_error::Refusal;
use crate::{Gateway, groups, resource, users};

/// A page of one type's resources, as they are answered.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// The resources of the page.
    pub(crate) bodies: Vec<String>,
    /// How many match in all.
    pub(crate) total: u64,
    /// The token that proves how fresh they are.
    pub(crate) revision: String,
}

/// `POST /.search`.
pub(crate) async fn search(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.user_body).await?;
    let query = Query::of_search(SearchRequest::parse(object(&body)?)?);
    let (schemas, mode) = (gateway.schemas(&call, &query).await?, gateway.mode(&call, &query).await?);
    let [of_users, of_groups] = query.by_type([schemas.users, schemas.groups], mode)?;
    let first = match of_users {
        Some(query) => users::part(&gateway, &call, &query).await?,
        None => Part::default(),
    };
    let (start, count) = query.page();
    let listed = first.bodies.len() as u64;
    // A page of users that was cut short is the whole page: what comes next are users.
    let reaches_the_end = (start - 1).saturating_add(listed) >= first.total;
    let rest = if reaches_the_end { u64::from(count).saturating_sub(listed) } else { 0 };
    let second = match of_groups {
        Some(query) => {
            let start = start.saturating_sub(first.total).max(1);
            groups::part(&gateway, &call, &query.with_page(start, u32::try_from(rest).unwrap_or(0))).await?
        }
        None => Part::default(),
    };
    // What is read later is no older.
    let revision = if second.revision.is_empty() { first.revision } else { second.revision };
    let bodies = [first.bodies, second.bodies].concat();
    let list = resource::list(&bodies, first.total + second.total, start);
    Ok(respond::json(StatusCode::OK, list).revision(&revision))
}
