//! Stories told to the whole family from outside, in both shapes: an IdP speaks SCIM, and Fluent is looked at.
//!
//! A story is a function of a [`harness::Shape`]; [`stories!`] makes a test of it for each shape.

pub mod asking;
pub mod replay;

use anyhow::{Context as _, Result, ensure};
use harness::{Answer, Family, eventually};
use serde_json::{Value, json};

/// Makes two tests of each story: one in a single process, one in several.
#[macro_export]
macro_rules! stories {
    ($($story:ident),* $(,)?) => {
        mod single {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() -> anyhow::Result<()> {
                    super::$story(harness::Shape::Single).await
                }
            )*
        }
        mod processes {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() -> anyhow::Result<()> {
                    super::$story(harness::Shape::Processes).await
                }
            )*
        }
    };
}

/// Waits until the user's extension shows a state; answers the user.
pub async fn until_state(family: &Family, id: &str, state: &str) -> Result<Answer> {
    let mut last = None;
    let found = eventually(format!("the state is {state}"), async || {
        let answer = family.scim.get(&format!("/Users/{id}")).await.ok()?;
        let is = answer.state() == state;
        last = Some(answer.body.clone());
        is.then_some(answer)
    });
    found.await.with_context(|| format!("{last:?}"))
}

/// The names of the mutations about one account that Fluent was sent after a point of its log, in order.
pub async fn mutations(family: &Family, name: &str, after: u64) -> Result<Vec<String>> {
    let known = ["createUser", "updateUser", "removeUserRolesFromUser"];
    let entries = family.fluent.log(after).await?;
    let about = entries.iter().filter(|entry| entry["username"].as_str() == Some(name));
    let fields = about.flat_map(|entry| entry["fields"].as_array().cloned().unwrap_or_default());
    let names = fields.filter_map(|field| field["name"].as_str().map(str::to_owned));
    Ok(names.filter(|name| known.contains(&name.as_str())).collect())
}

/// Labels as SCIM has them.
#[must_use]
pub fn labels(of: &[&str]) -> Value {
    of.iter().map(|label| json!({ "value": label })).collect()
}

/// The operations after which these are the labels of a user or a group.
#[must_use]
pub fn relabel(of: &[&str]) -> Value {
    json!([{"op": "replace", "path": "roles", "value": labels(of)}])
}

/// Makes a group with labels and members.
pub async fn group(family: &Family, name: &str, of: &[&str], members: &[&str]) -> Result<Answer> {
    let members: Vec<_> = members.iter().map(|id| json!({ "value": id })).collect();
    let schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"];
    let body = json!({"schemas": schemas, "displayName": name, "roles": labels(of), "members": members});
    let made = family.scim.post("/Groups", &body).await?;
    ensure!(made.status == 201, "{}", made.body);
    Ok(made)
}

/// A change by PATCH, which must be accepted.
pub async fn change(family: &Family, path: &str, operations: &Value) -> Result<Answer> {
    let changed = family.scim.patch(path, operations).await?;
    ensure!(changed.status < 300, "{operations}: {}", changed.body);
    Ok(changed)
}

/// Carries out operations in one request, each of which must succeed; answers what is said of each.
pub async fn bulk(family: &Family, operations: &[Value]) -> Result<Vec<Value>> {
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"];
    let answer = family.scim.post("/Bulk", &json!({"schemas": schemas, "Operations": operations})).await?;
    let done = answer.body["Operations"].as_array().cloned().unwrap_or_default();
    ensure!(answer.status == 200 && done.len() == operations.len(), "{}: {}", answer.status, answer.body);
    for one in &done {
        ensure!(one["status"].as_str().is_some_and(|status| status.starts_with('2')), "{one}");
    }
    Ok(done)
}

/// Gives the tenant rules of its own: logical roles, each with what it stands for.
pub fn put_rules(family: &Family, rules: &[(&str, &[&str])]) -> Result<()> {
    let rule = |(logical, targets): &(&str, &[&str])| {
        json!({"condition": {"type": "HAS_APP_ROLE", "appRole": logical},
               "action": {"type": "MAPPING_ROLE_ASSIGNMENT", "sourceAppRole": logical, "targetRoles": targets}})
    };
    let file = family.folder().join("rules.json");
    std::fs::write(&file, json!({"rules": rules.iter().map(rule).collect::<Vec<_>>()}).to_string())?;
    family.operate(&["tenant", "rules", "put", family.tenant, file.to_str().context("a path")?])?;
    Ok(())
}
