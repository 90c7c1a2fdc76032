//! The users that are stored: the same in the product and in the floor.

use std::fmt::Write as _;

/// The document of a user without labels, as the product stores it.
pub(crate) fn document(name: &str) -> String {
    format!("{{{}}}", attributes(name))
}

/// What an IdP posts to make a user with these labels.
pub(crate) fn posted(name: &str, labels: &[&str]) -> String {
    let mut body = format!("{{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:User\"],{}", attributes(name));
    for (index, label) in labels.iter().enumerate() {
        let before = if index == 0 { ",\"roles\":[" } else { "," };
        let _ = write!(body, "{before}{{\"value\":\"{label}\"}}");
    }
    body.push_str(if labels.is_empty() { "}" } else { "]}" });
    body
}

/// The one e-mail address of a user.
pub(crate) fn email(name: &str) -> String {
    format!("{name}@example.com")
}

/// The `externalId` of a user.
pub(crate) fn external_id(name: &str) -> String {
    format!("ext-{name}")
}

/// The names of what [`document`] holds, as the audit trail lists them.
pub(crate) const ATTRIBUTES: &str = r#"["active","emails","externalId","name","userName"]"#;

fn attributes(name: &str) -> String {
    format!(
        "\"active\":true,\"emails\":[{{\"primary\":true,\"type\":\"work\",\"value\":\"{}\"}}],\"externalId\":\"{}\",\
         \"name\":{{\"familyName\":\"Doe\",\"givenName\":\"Pat\"}},\"userName\":\"{name}\"",
        email(name),
        external_id(name),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_posted_is_the_document_and_its_labels() {
        let mut posted: Value = serde_json::from_str(&posted("ada", &["A_1_B", "A_2_C"])).unwrap();
        let posted = posted.as_object_mut().unwrap();
        assert_eq!(posted.remove("roles"), Some(json!([{"value": "A_1_B"}, {"value": "A_2_C"}])));
        assert!(posted.remove("schemas").is_some());
        let document: Value = serde_json::from_str(&document("ada")).unwrap();
        assert_eq!(document, json!(posted));
        let names: Vec<&String> = posted.keys().collect();
        assert_eq!(json!(names), serde_json::from_str::<Value>(ATTRIBUTES).unwrap());
    }
}
