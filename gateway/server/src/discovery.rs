//! What this server can do: `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas` (RFC 7644 section 4).
//!
//! They need a token like everything else: who has none learns nothing here, not even which version runs. Parameters
//! are ignored.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use scim::bulk::MAX_OPERATIONS;
use scim::schema::ResourceType;
use scim::schema::discovery::{
    Authentication, Bulk, Features, Pagination, config_body, resource_type_body, schema_body,
};
use serde_json::Value;

use crate::call::Call;
use crate::respond;
use crate::scim_error::Refusal;
use crate::tenant::Tenant;
use crate::{Gateway, Limits, roles};

/// What is served, and nothing that is not.
fn features(limits: &Limits) -> Features {
    let max_payload_size = u32::try_from(limits.bulk_body).unwrap_or(u32::MAX);
    Features {
        patch: true,
        bulk: Some(Bulk { max_operations: MAX_OPERATIONS, max_payload_size }),
        filter_max_results: Some(scim::list::MAX_COUNT),
        pagination: Pagination {
            default_page_size: scim::list::DEFAULT_COUNT,
            max_page_size: scim::list::MAX_COUNT,
            cursor_timeout: domain::cursor::LIFETIME.as_secs(),
        },
        change_password: false,
        sort: true,
        etag: true,
        authentication: &[Authentication::BearerToken, Authentication::ClientCredentials],
    }
}

/// `GET /ServiceProviderConfig`.
pub(crate) async fn config(State(gateway): State<Arc<Gateway>>, call: Call) -> Response {
    json(&config_body(&features(&gateway.limits), &gateway.base(&call)))
}

/// `GET /ResourceTypes`.
pub(crate) async fn all_resource_types(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let base = gateway.base(&call);
    let kinds = resource_types(&gateway.tenant(&call).await?);
    Ok(list(kinds.iter().map(|kind| resource_type_body(kind, &base)).collect()))
}

/// `GET /ResourceTypes/{name}`.
pub(crate) async fn resource_type(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let kinds = resource_types(&gateway.tenant(&call).await?);
    let kind = kinds.into_iter().find(|kind| kind.name == call.id);
    let kind = kind.ok_or_else(|| scim::Error::not_found("resource type"))?;
    Ok(json(&resource_type_body(kind, &gateway.base(&call))))
}

/// `GET /Schemas`.
pub(crate) async fn all_schemas(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let base = gateway.base(&call);
    let kinds = resource_types(&gateway.tenant(&call).await?);
    let schemas = kinds.iter().flat_map(|kind| kind.schemas());
    Ok(list(schemas.map(|schema| schema_body(schema, &base)).collect()))
}

/// `GET /Schemas/{urn}`.
pub(crate) async fn schema(State(gateway): State<Arc<Gateway>>, call: Call) -> Result<Response, Refusal> {
    let kinds = resource_types(&gateway.tenant(&call).await?);
    let schema = kinds.iter().flat_map(|kind| kind.schemas()).find(|schema| schema.id.eq_ignore_ascii_case(&call.id));
    let schema = schema.ok_or_else(|| scim::Error::not_found("schema"))?;
    Ok(json(&schema_body(schema, &gateway.base(&call))))
}

/// What a tenant has, in the order it is listed.
fn resource_types(tenant: &Tenant) -> Vec<&'static ResourceType> {
    tenant.schemas.resource_types().into_iter().chain(roles::resource_type(&tenant.settings)).collect()
}

fn list(bodies: Vec<Value>) -> Response {
    let total = bodies.len() as u64;
    json(&scim::list::response(bodies, total, 1))
}

fn json(body: &Value) -> Response {
    respond::json(StatusCode::OK, body.to_string())
}
