//! A crowd that the identity provider dismisses: told at once, and held back where the tenant chose so.

use anyhow::Result;
use harness::{Dial, Family, Shape, eventually};
use scenarios::{stories, until_state};
use serde_json::json;

stories!(a_crowd_is_held_back_until_an_operator_releases_it);

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const CHICAGO_GRANT: &str = "WAREHOUSE_ASSOCIATE in AGENT 1023434";
const PEOPLE: usize = 12;
/// A handful is no crowd: the sixth is beyond.
const WITHIN: usize = 5;

fn held_back(family: &Family, arguments: &[&str]) -> Result<String> {
    let output = family.operate(&[&["tenant", "held-back"], arguments].concat())?;
    Ok(String::from_utf8(output.stdout)?)
}

/// S31: those within the limit go; those beyond it are gone for everyone who asks and keep their accounts, the alarm is
/// raised at once, and a release takes everything away, from some or from all.
async fn a_crowd_is_held_back_until_an_operator_releases_it(shape: Shape) -> Result<()> {
    let family = Family::start_with(shape, Dial::settings(&["--mass-departures", "hold"])).await?;
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let name = format!("p{n}");
        people.push(format!("/Users/{}", family.scim.hire(&name, &[CHICAGO]).await?.id()));
    }
    for n in 0..PEOPLE {
        family.fluent.until_works(&format!("p{n}"), &[CHICAGO_GRANT]).await?;
    }
    let dismissed = json!([{"op": "replace", "path": "active", "value": false}]);
    for (n, path) in people.iter().enumerate() {
        if n % 2 == 0 {
            assert_eq!(family.scim.delete(path).await?.status, 204, "taking away is never refused");
        } else {
            assert_eq!(family.scim.patch(path, &dismissed).await?.status, 200);
        }
    }
    for n in 0..WITHIN {
        family.fluent.until_gone(&format!("p{n}")).await?;
    }
    for n in [5, 7, 9, 11] {
        let shown = until_state(&family, people[n].trim_start_matches("/Users/"), "held").await?;
        let reasons = &shown.body["urn:ietf:params:scim:schemas:extension:fluent:2.0:User"]["reasons"];
        assert_eq!((reasons, &shown.body["active"]), (&json!(["MASS_DEPARTURE"]), &json!(false)));
    }
    let works = async |from: usize| -> Result<()> {
        for n in from..PEOPLE {
            family.fluent.until_works(&format!("p{n}"), &[CHICAGO_GRANT]).await?;
        }
        Ok(())
    };
    works(WITHIN).await?;
    eventually("the alarm is raised", async || family.logs().contains("a crowd within ten minutes").then_some(()))
        .await?;

    let listed = held_back(&family, &["list", "dev"])?;
    assert_eq!(listed.lines().count(), PEOPLE - WITHIN, "{listed}");
    let id_of = |n: usize| people[n].trim_start_matches("/Users/");
    assert!(listed.contains(id_of(6)) && listed.contains("deleted") && listed.contains("inactive"), "{listed}");
    assert_eq!(held_back(&family, &["release", "dev", "--user", id_of(5)])?, "1 released; 6 held back\n");
    family.fluent.until_gone("p5").await?;
    until_state(&family, id_of(5), "inactive").await?;
    works(6).await?;

    let back = json!([{"op": "replace", "path": "active", "value": true}]);
    assert_eq!(family.scim.patch(&people[7], &back).await?.status, 200);
    until_state(&family, id_of(7), "provisioned").await?;
    let reminded = family.operate(&["tenant", "settings", "dev", "--mass-departures", "alert"])?;
    assert!(String::from_utf8(reminded.stderr)?.contains("5 stay held back"));
    assert_eq!(held_back(&family, &["release", "dev", "--all"])?, "5 released; 0 held back\n");
    for n in [6, 8, 9, 10, 11] {
        family.fluent.until_gone(&format!("p{n}")).await?;
    }
    family.fluent.until_works("p7", &[CHICAGO_GRANT]).await?;
    assert_eq!(held_back(&family, &["release", "dev", "--all"])?, "0 released; 0 held back\n");
    Ok(())
}
