//! The documents that the gateway would store.

use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const GROUP_LABELS: &str = "urn:ietf:params:scim:schemas:extension:fluent:2.0:Group";

/// A SCIM resource without what the server owns.
#[derive(Clone, Debug)]
pub(crate) struct Document(Value);

/// An active user without labels.
pub(crate) fn user(name: &str) -> Document {
    Document(json!({ "schemas": [USER], "userName": name, "active": true }))
}

/// A group without labels.
pub(crate) fn group(name: &str) -> Document {
    Document(json!({ "schemas": [GROUP], "displayName": name }))
}

impl Document {
    pub(crate) fn inactive(self) -> Self {
        self.with("active", json!(false))
    }

    pub(crate) fn external_id(self, id: &str) -> Self {
        self.with("externalId", json!(id))
    }

    pub(crate) fn email(self, address: &str) -> Self {
        self.with("emails", json!([{ "value": address, "type": "work" }]))
    }

    /// Labels, in the place where users and groups each have them.
    pub(crate) fn labels(mut self, labels: &[&str]) -> Self {
        let roles: Vec<Value> = labels.iter().map(|label| json!({ "value": label })).collect();
        if self.0["schemas"][0] == GROUP {
            self.0["schemas"] = json!([GROUP, GROUP_LABELS]);
            return self.with(GROUP_LABELS, json!({ "roles": roles }));
        }
        self.with("roles", json!(roles))
    }

    /// An attribute that changes the profile and nothing else.
    pub(crate) fn title(self, title: &str) -> Self {
        self.with("title", json!(title))
    }

    /// Values of an extension.
    pub(crate) fn extension(self, urn: &str, values: Value) -> Self {
        self.with(urn, values)
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }

    /// What is sent.
    pub(crate) fn bytes<B: From<Vec<u8>>>(&self) -> B {
        self.0.to_string().into_bytes().into()
    }

    /// Whether `stored` says the same, in whatever order.
    pub(crate) fn is(&self, stored: &[u8]) -> bool {
        serde_json::from_slice::<Value>(stored).unwrap() == self.0
    }
}
