//! The schemas of `/Roles`: Okta's, and that of the IETF's expired draft on roles and entitlements as its extension. Who
//! looks for either finds it in `/ResourceTypes`.

use super::builtin::{attr, kind, text};
use super::{ResourceType, Schema, Type};

/// URN of the schema by which Okta finds roles.
pub const OKTA_ROLE_URN: &str = "urn:okta:scim:schemas:core:1.0:Role";
/// URN of the draft's schema.
pub const DRAFT_ROLE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Role";

/// A role as Okta reads it; its `id` is what a user's `roles` hold.
pub static OKTA_ROLE: Schema = Schema {
    id: OKTA_ROLE_URN,
    name: "Role",
    description: "A label that may stand among a user's roles",
    attributes: &[
        text("displayName", "The label.").exact().read_only(),
        text("description", "Whether Fluent recognises it.").read_only(),
    ],
};

/// A role as the draft has it.
pub static DRAFT_ROLE: Schema = Schema {
    id: DRAFT_ROLE_URN,
    name: "RoleValue",
    description: "What to write among a user's roles",
    attributes: &[
        text("value", "The label.").exact().read_only(),
        text("display", "The label.").exact().read_only(),
        kind(&["ACCOUNT", "RETAILER", "AGENT"]).read_only(),
        attr("supported", Type::Boolean, "Whether Fluent recognises it, so that it gives something.").read_only(),
    ],
};

/// Roles, which nobody writes.
pub static ROLES: ResourceType = ResourceType {
    name: "Role",
    endpoint: "/Roles",
    description: "The labels to pick from",
    schema: &OKTA_ROLE,
    extensions: &[&DRAFT_ROLE],
};
