//! `/Roles`: the labels a tenant accepts or uses, so that an administrator picks from a list instead of typing.
//!
//! Nobody writes them. Those of locations, which may be thousands, are listed only under a filter on how a label begins,
//! or where the tenant turns them on. A tenant that wants the letter of the RFCs has none of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::settings::RoleLocations;
use http::StatusCode;
use scim::Error;
use scim::filter::{Comparison, Expr, Literal, Operator};
use scim::list::{SearchRequest, Start};
use scim::path::AttrPath;
use scim::role::Role;
use scim::schema::{ROLES, ResourceType};
use serde_json::Value;

use crate::Gateway;
use crate::admission::Cost;
use crate::call::{Call, object};
use crate::guardrail::Settings;
use crate::list::List;
use crate::query::Query;
use crate::respond::{self, Headers as _};
use crate::scim_error::Refusal;
use crate::tenant::mode;
use crate::upstream::Selection;

/// The resource type, for a tenant that has it.
pub(crate) fn resource_type(settings: &Settings) -> Option<&'static ResourceType> {
    (mode(settings) == scim::Mode::Lenient).then_some(&ROLES)
}

/// `GET /Roles`.
pub(crate) async fn list(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let query = Query::parse(call.query())?;
    Ok(page(&gateway, &call, &query).await?.respond(query.start()))
}

/// `POST /Roles/.search` (RFC 7644 section 3.4.3).
pub(crate) async fn search(State(gateway): State<Arc<Gateway>>, mut call: Call) -> Result<Response, Refusal> {
    let body = call.body(gateway.limits.user_body).await?;
    let query = Query::of_search(SearchRequest::parse(object(&body)?)?);
    Ok(page(&gateway, &call, &query).await?.respond(query.start()))
}

async fn page(gateway: &Gateway, call: &Call, query: &Query) -> Result<List, Refusal> {
    let settings = settings(gateway, call).await?;
    let base = gateway.base(call);
    let (wanted, heavy) = query.selection(&ROLES, mode(&settings), &base)?;
    if heavy {
        gateway.admission.count(&call.caller.tenant, Cost::HeavyList)?;
    }
    let all_locations = settings.role_locations == RoleLocations::Listed;
    let (page, revision) = gateway.upstream.list_labels(&call.caller, wanted, all_locations).await?;
    let resources = page.items.iter().map(|offered| body(offered.role(), query, &base)).collect();
    Ok(List { resources, total: page.total, next_cursor: page.next_cursor, revision })
}

/// `GET /Roles/{id}`.
pub(crate) async fn get(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let query = Query::parse(call.query())?;
    settings(&gateway, &call).await?;
    let base = gateway.base(&call);
    let is_it = Comparison { operator: Operator::Eq, literal: Literal::Text(call.id.clone()) };
    let id = AttrPath { urn: None, name: "id".into(), sub: None };
    let filter = Expr::Compare(id, is_it).to_string();
    let wanted = Selection { filter, sort: None, start: Start::Index(1), count: 1, base_url: base.clone() };
    let (page, revision) = gateway.upstream.list_labels(&call.caller, wanted, true).await?;
    let offered = page.items.first().ok_or_else(|| Error::not_found("role"))?;
    Ok(respond::json(StatusCode::OK, body(offered.role(), &query, &base)).revision(&revision))
}

/// What the tenant chose, if it has roles.
async fn settings(gateway: &Gateway, call: &Call) -> Result<Settings, Refusal> {
    let settings = gateway.tenant(call).await?.settings;
    match resource_type(&settings) {
        Some(_) => Ok(settings),
        None => Err(Error::not_found("endpoint").into()),
    }
}

fn body(role: Role<'_>, query: &Query, base: &str) -> String {
    let mut resource = role.resource(base);
    if let Some(projection) = query.projection(&ROLES) {
        projection.apply(&mut resource);
    }
    Value::Object(resource).to_string()
}
