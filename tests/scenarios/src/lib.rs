//! Stories told to the whole family from outside, in both shapes: an IdP speaks SCIM, and Fluent is looked at.
//!
//! A story is a function of a [`harness::Shape`]; [`stories!`] makes a test of it for each shape.

pub mod replay;

use anyhow::{Context as _, Result};
use harness::{Answer, Family, eventually};

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
