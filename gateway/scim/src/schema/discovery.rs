//! The bodies of `/Schemas`, `/ResourceTypes` and `/ServiceProviderConfig`, made from the schema data.

use serde_json::{Map, Value, json};

use super::{Attribute, ROLES, ResourceType, Returned, Schema, Schemas, Type};

const SCHEMA_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
const RESOURCE_TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const CONFIG_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/// What a server can truly do; `/ServiceProviderConfig` states it (RFC 7643 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent statement of the RFC's document")]
pub struct Features {
    /// PATCH.
    pub patch: bool,
    /// Bulk: the most operations and bytes in one request, where it is served.
    pub bulk: Option<Bulk>,
    /// Filters: the most resources one answer holds, where they are served.
    pub filter_max_results: Option<u32>,
    /// Reading lists in pages.
    pub pagination: Pagination,
    /// Changing one's own password.
    pub change_password: bool,
    /// Sorting.
    pub sort: bool,
    /// Entity tags.
    pub etag: bool,
    /// The ways to authenticate that are offered.
    pub authentication: &'static [Authentication],
}

/// Pages by index and by cursor (RFC 9865 section 4); by index where a request does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pagination {
    /// How many resources a page has if the client does not say.
    pub default_page_size: u32,
    /// The most resources on one page.
    pub max_page_size: u32,
    /// How long a cursor is good for, in seconds.
    pub cursor_timeout: u64,
}

/// The limits of `/Bulk`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// The most operations in one request.
    pub max_operations: u32,
    /// The largest body, in bytes.
    pub max_payload_size: u32,
}

/// A way to authenticate (RFC 7643 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// A bearer token issued by an operator.
    BearerToken,
    /// Short-lived bearer tokens by OAuth 2.0 client credentials.
    ClientCredentials,
    /// HTTP Basic, for development.
    Basic,
}

/// Whether this URN, in any case, is a built-in schema of any resource type. No other extension may go by it.
pub(crate) fn is_schema(urn: &str) -> bool {
    built_in().any(|schema| schema.id.eq_ignore_ascii_case(urn))
}

/// Every built-in schema of any resource type.
pub(crate) fn built_in() -> impl Iterator<Item = &'static Schema> {
    Schemas::BUILT_IN.all().chain(ROLES.schemas())
}

/// The body of `/Schemas/{urn}`; `base` is the base URL without a trailing slash.
#[must_use]
pub fn schema_body(schema: &Schema, base: &str) -> Value {
    json!({
        "schemas": [SCHEMA_URN],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.attributes.iter().filter(|it| is_listed(it)).map(attribute_body).collect::<Vec<_>>(),
        "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{}", schema.id) },
    })
}

/// The body of `/ResourceTypes/{name}`; `base` is the base URL without a trailing slash.
#[must_use]
pub fn resource_type_body(kind: &ResourceType, base: &str) -> Value {
    let extensions: Vec<_> =
        kind.extensions.iter().map(|schema| json!({ "schema": schema.id, "required": false })).collect();
    json!({
        "schemas": [RESOURCE_TYPE_URN],
        "id": kind.name,
        "name": kind.name,
        "endpoint": kind.endpoint,
        "description": kind.description,
        "schema": kind.schema.id,
        "schemaExtensions": extensions,
        "meta": { "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", kind.name) },
    })
}

/// The body of `/ServiceProviderConfig`; `base` is the base URL without a trailing slash.
///
/// Where bulk is not served its limits still stand there: authentik splits its work by `maxOperations` even then.
#[must_use]
pub fn config_body(features: &Features, base: &str) -> Value {
    let bulk = features.bulk.unwrap_or(Bulk { max_operations: 1_000, max_payload_size: 8 << 20 });
    let authentication: Vec<_> =
        features.authentication.iter().enumerate().map(|(n, way)| authentication_body(*way, n == 0)).collect();
    json!({
        "schemas": [CONFIG_URN],
        "patch": { "supported": features.patch },
        "bulk": {
            "supported": features.bulk.is_some(),
            "maxOperations": bulk.max_operations,
            "maxPayloadSize": bulk.max_payload_size,
        },
        "filter": {
            "supported": features.filter_max_results.is_some(),
            "maxResults": features.filter_max_results.unwrap_or(0),
        },
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": features.pagination.default_page_size,
            "maxPageSize": features.pagination.max_page_size,
            "cursorTimeout": features.pagination.cursor_timeout,
        },
        "changePassword": { "supported": features.change_password },
        "sort": { "supported": features.sort },
        "etag": { "supported": features.etag },
        "authenticationSchemes": authentication,
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    })
}

fn authentication_body(way: Authentication, primary: bool) -> Value {
    let (kind, name, description) = match way {
        Authentication::BearerToken => {
            ("oauthbearertoken", "Bearer token", "A token that an operator issues for one tenant.")
        }
        Authentication::ClientCredentials => {
            ("oauth2", "OAuth 2.0 client credentials", "Short-lived tokens from the token endpoint.")
        }
        Authentication::Basic => ("httpbasic", "HTTP Basic", "For development only."),
    };
    json!({ "type": kind, "name": name, "description": description, "primary": primary })
}

/// What is never returned is thrown away, so it is not offered; Microsoft's validator would expect it back.
fn is_listed(attribute: &Attribute) -> bool {
    attribute.returned != Returned::Never
}

fn attribute_body(attribute: &Attribute) -> Value {
    let Attribute {
        name,
        kind,
        multi_valued,
        description,
        required,
        case_exact,
        mutability,
        returned,
        uniqueness,
        canonical_values,
        reference_types,
        sub_attributes,
    } = attribute;
    let mut body = Map::new();
    body.insert("name".into(), (*name).into());
    body.insert("type".into(), kind.as_str().into());
    body.insert("multiValued".into(), (*multi_valued).into());
    body.insert("description".into(), (*description).into());
    body.insert("required".into(), (*required).into());
    body.insert("mutability".into(), mutability.as_str().into());
    body.insert("returned".into(), returned.as_str().into());
    body.insert("uniqueness".into(), uniqueness.as_str().into());
    if matches!(kind, Type::String | Type::Reference | Type::Binary) {
        body.insert("caseExact".into(), (*case_exact).into());
    }
    if !canonical_values.is_empty() {
        body.insert("canonicalValues".into(), json!(canonical_values));
    }
    if !reference_types.is_empty() {
        body.insert("referenceTypes".into(), json!(reference_types));
    }
    if !sub_attributes.is_empty() {
        // Microsoft's validator can't map a `display` below `emails`. Where one is sent it is kept all the same.
        let listed = sub_attributes.iter().filter(|sub| !(*name == "emails" && sub.name == "display"));
        body.insert("subAttributes".into(), listed.map(attribute_body).collect());
    }
    body.into()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Authentication, Features, Pagination, built_in, config_body, resource_type_body, schema_body};
    use crate::schema::{Attribute, Mutability, Returned, Type, USERS};

    fn every_attribute(attributes: &'static [Attribute], visit: &mut impl FnMut(&Attribute)) {
        for attribute in attributes {
            visit(attribute);
            every_attribute(attribute.sub_attributes, visit);
        }
    }

    #[test]
    fn every_type_sub_attribute_has_canonical_values() {
        for schema in built_in() {
            every_attribute(schema.attributes, &mut |attribute| {
                assert!(attribute.name != "type" || !attribute.canonical_values.is_empty(), "{attribute:?}");
            });
        }
    }

    #[test]
    fn the_data_is_coherent() {
        for schema in built_in() {
            every_attribute(schema.attributes, &mut |attribute| {
                assert_eq!(attribute.kind == Type::Complex, !attribute.sub_attributes.is_empty(), "{attribute:?}");
                assert!(!attribute.description.is_empty(), "{attribute:?}");
                assert_eq!(attribute.mutability == Mutability::WriteOnly, attribute.returned == Returned::Never);
                assert!(attribute.name.is_ascii());
            });
        }
    }

    #[test]
    fn no_schema_body_holds_a_null() {
        fn check(value: &Value) {
            match value {
                Value::Null => panic!("a null in /Schemas"),
                Value::Array(items) => items.iter().for_each(check),
                Value::Object(members) => members.values().for_each(check),
                _ => {}
            }
        }
        built_in().for_each(|schema| check(&schema_body(schema, "https://host/scim/v2")));
    }

    #[test]
    fn the_config_states_what_it_is_told() {
        let features = Features {
            patch: true,
            bulk: None,
            filter_max_results: Some(1_000),
            pagination: Pagination { default_page_size: 100, max_page_size: 1_000, cursor_timeout: 3_600 },
            change_password: false,
            sort: false,
            etag: true,
            authentication: &[Authentication::BearerToken],
        };
        let body = config_body(&features, "https://host/scim/v2");
        assert_eq!(body["patch"]["supported"], true);
        assert_eq!(body["sort"]["supported"], false);
        assert_eq!(body["filter"]["maxResults"], 1_000);
        assert_eq!(body["pagination"]["defaultPaginationMethod"], "index");
        assert_eq!(body["pagination"]["cursorTimeout"], 3_600);
        assert_eq!(body["bulk"]["supported"], false);
        assert_eq!(body["authenticationSchemes"][0]["type"], "oauthbearertoken");
        let users = resource_type_body(&USERS, "https://host/scim/v2");
        assert_eq!(users["meta"]["location"], "https://host/scim/v2/ResourceTypes/User");
    }
}
