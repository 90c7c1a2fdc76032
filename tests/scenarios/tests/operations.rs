//! What operators count on: parts come and go, mistakes are told, nothing personal is printed.

use anyhow::Result;
use harness::{Dial, Family, Part, Shape, eventually, run_program};
use scenarios::{stories, until_state};
use serde_json::json;

stories!(nothing_personal_is_printed, a_stop_lets_requests_finish, a_revoked_token_opens_nothing);

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const CHICAGO_GRANT: &str = "WAREHOUSE_ASSOCIATE in AGENT 1023434";

async fn nothing_personal_is_printed(shape: Shape) -> Result<()> {
    let verbose = vec![("ROLECALL_TELEMETRY__FILTER", "trace,h2=info,hyper=info,tower=info".to_owned())];
    let family = Family::start_with(shape, Dial { environment: verbose, ..Dial::default() }).await?;
    let body = json!({
        "userName": "canary-name@canary.example", "externalId": "canary-external", "displayName": "canary-display",
        "title": "canary-title", "name": {"givenName": "canary-given", "familyName": "canary-family"},
        "emails": [{"value": "canary-mail@canary.example", "type": "work"}], "roles": [{"value": CHICAGO}],
        "phoneNumbers": [{"value": "canary-phone", "type": "work"}], "password": "canary-password",
    });
    let hired = family.scim.post("/Users", &body).await?;
    assert_eq!(hired.status, 201, "{}", hired.body);
    until_state(&family, hired.id(), "provisioned").await?;
    family.scim.get("/Users?filter=userName%20eq%20%22canary-name%40canary.example%22").await?;
    family.scim.post("/Users", &body).await?;
    family.scim.post("/Users", &json!({"userName": ["canary-broken"]})).await?;
    assert_eq!(family.scim.delete(&format!("/Users/{}", hired.id())).await?.status, 204);
    family.fluent.until_gone("canary-name@canary.example").await?;
    let logs = family.logs();
    for secret in [family.scim.token(), &family.reader_token, "dev-secret", "dev-password"] {
        // `rolecall dev` prints its token once, on purpose: to standard output, for whoever started it.
        let allowed = if shape == Shape::Single && secret == family.scim.token() { 6 } else { 0 };
        assert!(logs.matches(secret).count() <= allowed, "a secret is in the logs");
    }
    let hits: Vec<&str> = logs.lines().filter(|line| line.contains("canary")).take(5).collect();
    assert!(hits.is_empty(), "personal data in the logs: {hits:#?}");
    Ok(())
}

async fn a_stop_lets_requests_finish(shape: Shape) -> Result<()> {
    let mut family = Family::start(shape).await?;
    let scim = family.scim.clone();
    let hiring = tokio::spawn(async move {
        let mut answered = 0;
        for number in 0.. {
            match scim.hire(&format!("w{number}"), &[]).await {
                Ok(answer) if answer.status == 201 => answered += 1,
                // A listener that is gone, or one that says it is going: nothing was lost.
                _ => break,
            }
        }
        answered
    });
    eventually("somebody was hired", async || {
        let list = family.scim.get("/Users?count=0").await.ok()?;
        (list.body["totalResults"].as_u64()? > 3).then_some(())
    })
    .await?;
    let status = family.stop(Part::Gateway).await?;
    assert!(status.success(), "{status}");
    let answered: u64 = hiring.await?;
    family.run(Part::Gateway).await?;
    let list = family.scim.get("/Users?count=0").await?;
    assert!(list.body["totalResults"].as_u64().unwrap_or(0) >= answered, "every 201 is kept: {}", list.body);
    Ok(())
}

async fn a_revoked_token_opens_nothing(shape: Shape) -> Result<()> {
    if shape == Shape::Single {
        // A development set-up has one token and no operator's access.
        return Ok(());
    }
    let family = Family::start(shape).await?;
    assert_eq!(family.scim.get("/Users?count=1").await?.status, 200);
    let id = family.scim.token().split('_').nth(1).unwrap_or_default().to_owned();
    family.operate(&["token", "revoke", "dev", &id])?;
    eventually("the token is refused everywhere", async || {
        (family.scim.get("/Users?count=1").await.ok()?.status == 401).then_some(())
    })
    .await?;
    family.operate(&["token", "issue", "dev", "--days", "10", "--note", "short"])?;
    let listed = String::from_utf8(family.operate(&["token", "list", "dev"])?.stdout)?;
    assert!(listed.contains(&id) && !listed.contains(family.scim.token()), "{listed}");
    let warned = |line: &&str| line.contains("ends within 14 days");
    assert!(listed.lines().filter(warned).all(|line| line.ends_with("short")), "{listed}");
    assert_eq!(listed.lines().filter(warned).count(), 1, "{listed}");
    Ok(())
}

#[tokio::test]
async fn a_dismissal_needs_no_resolver() -> Result<()> {
    let mut family = Family::start(Shape::Processes).await?;
    let hired = family.scim.hire("ann", &[CHICAGO]).await?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT]).await?;
    until_state(&family, hired.id(), "provisioned").await?;
    family.kill(Part::RoleResolver)?;
    let refused = family.scim.hire("bob", &[CHICAGO]).await?;
    assert_eq!(refused.status, 503, "what adds labels waits: {}", refused.body);
    assert!(refused.header("retry-after").parse::<u32>().is_ok());
    let path = format!("/Users/{}", hired.id());
    let titled = family.scim.patch(&path, &json!([{"op": "add", "path": "title", "value": "x"}])).await?;
    assert_eq!(titled.status, 200, "what adds none passes: {}", titled.body);
    let dismissed = family.scim.patch(&path, &json!([{"op": "replace", "path": "active", "value": false}])).await?;
    assert_eq!(dismissed.status, 200, "{}", dismissed.body);
    family.fluent.until_gone("ann").await?;
    family.run(Part::RoleResolver).await?;
    assert_eq!(family.scim.hire("bob", &[CHICAGO]).await?.status, 201);
    family.fluent.until_works("bob", &[CHICAGO_GRANT]).await?;
    Ok(())
}

#[tokio::test]
async fn whoever_is_killed_comes_back_and_nothing_is_lost() -> Result<()> {
    let mut family = Family::start(Shape::Processes).await?;
    for (round, part) in [Part::IdentityStore, Part::FluentPusher, Part::Gateway].into_iter().enumerate() {
        let name = format!("worker-{round}");
        let hired = family.scim.hire(&name, &[CHICAGO]).await?;
        assert_eq!(hired.status, 201, "{}", hired.body);
        family.kill(part)?;
        family.run(part).await?;
        family.fluent.until_works(&name, &[CHICAGO_GRANT]).await?;
        let path = format!("/Users/{}", hired.id());
        eventually("the dismissal is accepted", async || {
            (family.scim.delete(&path).await.ok()?.status == 204).then_some(())
        })
        .await?;
        family.fluent.until_gone(&name).await?;
    }
    Ok(())
}

#[test]
fn all_mistakes_in_a_configuration_are_told_at_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("rolecall.toml");
    std::fs::write(&file, "[gateway]\nlisten = \"nowhere\"\ncolour = \"red\"\n[gateway.limits]\nuser_body = 0\n")?;
    let output = run_program(&["gateway", "--check-config", "--config", &file.display().to_string()])?;
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8(output.stderr)?;
    for key in
        ["gateway.listen", "gateway.colour", "gateway.limits.user_body", "gateway.identity_store.uri", "peers.secret"]
    {
        assert!(told.contains(key), "{key} in {told}");
    }
    Ok(())
}

#[test]
fn no_part_starts_without_complete_authentication() -> Result<()> {
    for part in ["gateway", "identity-store", "role-resolver", "fluent-pusher"] {
        let output = run_program(&[part])?;
        assert_eq!(output.status.code(), Some(64), "{part}");
        assert!(String::from_utf8(output.stderr)?.contains("peers.secret"), "{part}");
    }
    Ok(())
}
