//! The database goes away and comes back: what was asked meanwhile is refused and not half done, whoever asks a part
//! whether it is ready is told, and afterwards everything goes on by itself.

use anyhow::Result;
use harness::{Dial, Family, Part, Shape, eventually};
use scenarios::until_state;
use serde_json::json;

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const CHICAGO_GRANT: &str = "WAREHOUSE_ASSOCIATE in AGENT 1023434";
const ALL: [Part; 4] = [Part::Gateway, Part::RoleResolver, Part::IdentityStore, Part::FluentPusher];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_family_outlives_its_database() -> Result<()> {
    let (admin, anywhere) = Dial::ADMIN;
    let dial = Dial { own_postgres: true, environment: vec![(admin, anywhere.to_owned())], ..Dial::default() };
    let mut family = Family::start_with(Shape::Processes, dial).await?;
    let ann = family.scim.hire("ann", &[CHICAGO]).await?;
    let ann = until_state(&family, ann.id(), "provisioned").await?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT]).await?;
    for part in ALL {
        until_ready(&family, part, true).await?;
    }

    // Accepted, and perhaps not pushed yet.
    assert_eq!(family.scim.hire("cal", &[CHICAGO]).await?.status, 201);
    family.postgres()?.kill()?;
    let refused = family.scim.hire("bob", &[CHICAGO]).await?;
    assert_eq!(refused.status, 503, "{}", refused.body);
    let path = format!("/Users/{}", ann.id());
    let dismissal = json!([{"op": "replace", "path": "active", "value": false}]);
    let refused = family.scim.patch(&path, &dismissal).await?;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").parse::<u32>().is_ok(), "whoever asks is told when to ask again");
    for (part, check) in
        [(Part::IdentityStore, "identity_store_database"), (Part::FluentPusher, "fluent_pusher_database")]
    {
        until_ready(&family, part, false).await?;
        let (_, checks) = family.readiness(part).await?;
        let fallen: Vec<_> = checks.as_object().into_iter().flatten().filter(|(_, it)| it["ready"] == false).collect();
        assert!(fallen.len() == 1 && fallen[0].0 == check, "{checks}");
    }
    // A part whose peer is away answers what it can, and says so of the rest.
    for part in [Part::Gateway, Part::RoleResolver] {
        assert!(family.readiness(part).await?.0, "{part:?} has no database");
    }

    family.postgres()?.restart()?;
    for part in ALL {
        until_ready(&family, part, true).await?;
    }
    // Nothing of what was refused was done.
    let read = eventually("identity-store answers", async || {
        family.scim.get(&path).await.ok().filter(|answer| answer.status == 200)
    })
    .await?;
    assert_eq!(read.body["active"], true, "{}", read.body);
    assert_eq!(read.body["meta"]["version"], ann.body["meta"]["version"], "{}", read.body);
    let bob = family.scim.get("/Users?filter=userName%20eq%20%22bob%22").await?;
    assert_eq!(bob.body["totalResults"], 0, "{}", bob.body);

    // What was under way goes on, and what is asked again is done.
    family.fluent.until_works("cal", &[CHICAGO_GRANT]).await?;
    assert_eq!(family.scim.hire("bob", &[CHICAGO]).await?.status, 201);
    assert_eq!(family.scim.patch(&path, &dismissal).await?.status, 200);
    family.fluent.until_works("bob", &[CHICAGO_GRANT]).await?;
    family.fluent.until_gone("ann").await?;
    Ok(())
}

/// Waits until a part says that it is ready, or not.
async fn until_ready(family: &Family, part: Part, wanted: bool) -> Result<()> {
    eventually(format!("{part:?} is ready: {wanted}"), async || {
        family.readiness(part).await.ok().filter(|(ready, _)| *ready == wanted).map(drop)
    })
    .await
}
