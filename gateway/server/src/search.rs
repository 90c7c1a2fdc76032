//! `POST /.search` at the root (RFC 7644 section 3.4.3): users and groups in one list, users first.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use scim::list::{SearchRequest, Start};
use scim::{Error, ScimType};

use crate::call::{Call, object};
use crate::list::List;
use crate::query::Query;
use crate::scim_error::Refusal;
use crate::{Gateway, groups, users};

/// `POST /.search`.
pub(crate) async fn search(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.user_body).await?;
    let query = Query::of_search(SearchRequest::parse(object(&body)?)?);
    let (schemas, mode) = (gateway.schemas(&call, &query).await?, gateway.mode(&call, &query).await?);
    let of_types = query.by_type([schemas.users, schemas.groups], mode)?;
    let list = match query.start() {
        Start::Index(start) => by_index(&gateway, &call, *start, query.count(), of_types).await?,
        Start::Cursor(cursor) => by_cursor(&gateway, &call, cursor, query.count(), of_types).await?,
    };
    Ok(list.respond(query.start()))
}

async fn by_index(
    gateway: &Gateway,
    call: &Call,
    start: u64,
    count: u32,
    [of_users, of_groups]: [Option<Query>; 2],
) -> Result<List, Refusal> {
    let first = match of_users {
        Some(query) => users::page(gateway, call, &query).await?,
        None => List::empty(),
    };
    let in_all = first.total.unwrap_or_default();
    let listed = first.resources.len() as u64;
    // A page of users that was cut short is the whole page: what comes next are users.
    let reaches_the_end = (start - 1).saturating_add(listed) >= in_all;
    let rest = if reaches_the_end { u64::from(count).saturating_sub(listed) } else { 0 };
    let second = match of_groups {
        Some(query) => {
            let start = Start::Index(start.saturating_sub(in_all).max(1));
            groups::page(gateway, call, &query.with_page(start, u32::try_from(rest).unwrap_or(0))).await?
        }
        None => List::empty(),
    };
    Ok(List {
        resources: [first.resources, second.resources].concat(),
        total: Some(in_all + second.total.unwrap_or_default()),
        next_cursor: None,
        // What is read later is no older.
        revision: if second.revision.is_empty() { first.revision } else { second.revision },
    })
}

/// Read by cursor, a page holds resources of one type: the cursor's first letter says which, the rest is a cursor of its
/// list.
async fn by_cursor(
    gateway: &Gateway,
    call: &Call,
    cursor: &str,
    count: u32,
    [of_users, of_groups]: [Option<Query>; 2],
) -> Result<List, Refusal> {
    let at = |query: Query, cursor: &str| query.with_page(Start::Cursor(cursor.to_owned()), count);
    let in_groups = cursor.strip_prefix('g').or((cursor.is_empty() && of_users.is_none()).then_some(""));
    if let Some(cursor) = in_groups {
        let Some(query) = of_groups else { return Ok(List::empty()) };
        let mut list = groups::page(gateway, call, &at(query, cursor)).await?;
        list.next_cursor = list.next_cursor.map(|next| format!("g{next}"));
        return Ok(List { total: None, ..list });
    }
    let cursor = if cursor.is_empty() { Some("") } else { cursor.strip_prefix('u') };
    let (Some(cursor), Some(query)) = (cursor, of_users) else {
        let none =
            "the cursor is not one of this list; send the last nextCursor as it is, with the same filter and order";
        return Err(Error::bad_request(ScimType::InvalidCursor, none).into());
    };
    let mut list = users::page(gateway, call, &at(query, cursor)).await?;
    let groups_follow = (count > 0 && of_groups.is_some()).then(|| "g".to_owned());
    list.next_cursor = list.next_cursor.map(|next| format!("u{next}")).or(groups_follow);
    Ok(List { total: None, ..list })
}
