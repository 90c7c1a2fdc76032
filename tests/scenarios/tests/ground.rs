//! What labels mean changes under people's feet: a role goes and returns, few or many depend on it.
#![allow(clippy::unwrap_used, reason = "a command that says what it should not is a failed test")]

use anyhow::{Result, ensure};
use harness::{Family, Shape};
use scenarios::{stories, until_state};

stories!(
    a_role_that_goes_holds_its_holders_and_frees_them_when_it_returns,
    a_role_that_many_hold_goes_only_when_an_operator_confirms_it,
);

const FORKLIFT: &str = "AGENT_CHIC-01_FORKLIFT";
const HELD: [&str; 1] = ["FORKLIFT in AGENT 1023434"];

/// Somebody's label that nobody knows is refused after a newer read of Fluent, and so asks for one.
async fn read_again(family: &Family) -> Result<()> {
    let refused = family.scim.hire("nobody", &["AGENT_CHIC-01_NO_SUCH_ROLE"]).await?;
    ensure!(refused.status == 400, "{}", refused.body);
    Ok(())
}

async fn a_role_that_goes_holds_its_holders_and_frees_them_when_it_returns(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    family.fluent.put_role("FORKLIFT").await?;
    let hired = family.scim.hire("ann", &[FORKLIFT, "AGENT_CHIC-01_STORE"]).await?;
    assert_eq!(hired.status, 201, "{}", hired.body);
    family.fluent.until_works("ann", &["FORKLIFT in AGENT 1023434", "STORE in AGENT 1023434"]).await?;

    family.fluent.remove_role("FORKLIFT").await?;
    read_again(&family).await?;
    let held = until_state(&family, hired.id(), "held").await?;
    let reasons = &held.body["urn:ietf:params:scim:schemas:extension:fluent:2.0:User"]["reasons"];
    assert!(reasons.to_string().contains("UNKNOWN_ROLE"), "{reasons}");
    family.fluent.until_works("ann", &["STORE in AGENT 1023434"]).await?;

    family.fluent.put_role("FORKLIFT").await?;
    read_again(&family).await?;
    until_state(&family, hired.id(), "provisioned").await?;
    family.fluent.until_works("ann", &["FORKLIFT in AGENT 1023434", "STORE in AGENT 1023434"]).await?;
    Ok(())
}

async fn a_role_that_many_hold_goes_only_when_an_operator_confirms_it(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    family.fluent.put_role("FORKLIFT").await?;
    let names: Vec<String> = (0..6).map(|n| format!("driver-{n}")).collect();
    let mut ids = Vec::new();
    for name in &names {
        let hired = family.scim.hire(name, &[FORKLIFT]).await?;
        assert_eq!(hired.status, 201, "{}", hired.body);
        ids.push(hired.id().to_owned());
    }
    for name in &names {
        family.fluent.until_works(name, &HELD).await?;
    }
    family.fluent.remove_role("FORKLIFT").await?;
    read_again(&family).await?;
    let pending = String::from_utf8(family.operate(&["tenant", "ground", "pending", "dev"])?.stdout)?;
    assert!(pending.contains("read in Fluent") && pending.contains("FORKLIFT"), "{pending}");
    let id = pending.split_whitespace().next().unwrap();
    let preview = String::from_utf8(family.operate(&["tenant", "ground", "preview", "dev", id])?.stdout)?;
    assert_eq!(preview.lines().count(), 6, "{preview}");
    assert!(preview.lines().all(|line| line.ends_with("held, -FORKLIFT in AGENT 1023434")), "{preview}");

    // What waits takes nothing; what the identity provider takes goes at once.
    let fired = family.scim.delete(&format!("/Users/{}", ids[0])).await?;
    assert_eq!(fired.status, 204, "{}", fired.body);
    family.fluent.until_gone(&names[0]).await?;
    for name in &names[1..] {
        assert!(family.fluent.account(name).await?.is_some_and(|account| account.works_as(&HELD)), "{name}");
    }
    family.operate(&["tenant", "ground", "confirm", "dev", id])?;
    for name in &names {
        family.fluent.until_gone(name).await?;
    }
    let pending = family.operate(&["tenant", "ground", "pending", "dev"])?.stdout;
    assert!(pending.is_empty(), "{}", String::from_utf8_lossy(&pending));
    assert!(family.operate(&["tenant", "ground", "confirm", "dev", id]).is_err(), "it was decided");
    Ok(())
}
