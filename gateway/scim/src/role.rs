//! A role as a resource: a label to pick from, which is all it holds.

use std::fmt::Write as _;

use domain::grant::ContextType;
use serde_json::{Map, Value, json};

use crate::schema::{DRAFT_ROLE_URN, OKTA_ROLE_URN, ROLES};

/// A label that is on offer or in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role<'a> {
    /// The label, which is its id too.
    pub label: &'a str,
    /// Whether it gives something.
    pub recognised: bool,
}

impl Role<'_> {
    /// The whole resource; `base` is the base URL without a trailing slash.
    #[must_use]
    pub fn resource(self, base: &str) -> Map<String, Value> {
        let Self { label, recognised } = self;
        let description =
            if recognised { "Fluent recognises it." } else { "In use, but Fluent does not recognise it." };
        let mut draft = Map::new();
        draft.insert("value".into(), label.into());
        draft.insert("display".into(), label.into());
        let kind = label.split('_').next().and_then(|kind| kind.parse::<ContextType>().ok());
        if let Some(kind) = kind.filter(|_| recognised) {
            draft.insert("type".into(), kind.as_str().into());
        }
        draft.insert("supported".into(), recognised.into());
        let mut resource = Map::new();
        resource.insert("schemas".into(), json!([OKTA_ROLE_URN, DRAFT_ROLE_URN]));
        resource.insert("id".into(), label.into());
        resource.insert("displayName".into(), label.into());
        resource.insert("description".into(), description.into());
        resource.insert(DRAFT_ROLE_URN.into(), draft.into());
        let location = format!("{base}{}/{}", ROLES.endpoint, encoded(label));
        resource.insert("meta".into(), json!({ "resourceType": ROLES.name, "location": location }));
        resource
    }
}

/// The text as one segment of a path (RFC 3986 section 2.3).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a text does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Role;
    use crate::schema::{DRAFT_ROLE_URN, OKTA_ROLE_URN, ROLES};

    #[test]
    fn a_role_is_what_okta_and_the_draft_look_for() {
        let role = Role { label: "agent_2 3/é_A", recognised: true }.resource("https://host/scim/v2");
        assert_eq!(role["schemas"], json!([OKTA_ROLE_URN, DRAFT_ROLE_URN]));
        assert_eq!((&role["id"], &role["displayName"]), (&json!("agent_2 3/é_A"), &role["id"]));
        let draft = json!({ "value": role["id"], "display": role["id"], "type": "AGENT", "supported": true });
        assert_eq!(role[DRAFT_ROLE_URN], draft);
        assert_eq!(role["meta"]["location"], "https://host/scim/v2/Roles/agent_2%203%2F%C3%A9_A");
        let unknown = Role { label: "AGENT_1_X", recognised: false }.resource("");
        assert_eq!((unknown[DRAFT_ROLE_URN].get("type"), &unknown[DRAFT_ROLE_URN]["supported"]), (None, &json!(false)));
    }

    #[test]
    fn a_role_holds_nothing_its_schemas_do_not_define() {
        let role = Role { label: "ACCOUNT_0_A", recognised: true }.resource("");
        let draft = role[DRAFT_ROLE_URN].as_object().unwrap();
        assert_eq!(draft.len(), ROLES.extensions[0].attributes.len());
        assert!(draft.keys().all(|name| ROLES.extensions[0].attribute(name).is_some()));
        let common = ["schemas", "id", "meta", DRAFT_ROLE_URN];
        assert!(role.keys().all(|name| common.contains(&&**name) || ROLES.schema.attribute(name).is_some()));
    }
}
