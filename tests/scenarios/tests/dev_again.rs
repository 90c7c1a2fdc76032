//! `rolecall dev`, started again on the folder that it was started on before, beside a simulator that begins empty.

use anyhow::Result;
use harness::{Family, Part, Shape};

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const GRANT: &str = "WAREHOUSE_ASSOCIATE in AGENT 1023434";

#[tokio::test]
async fn everyone_is_pushed_to_the_new_simulator_and_nobody_is_taken_for_another() -> Result<()> {
    let mut family = Family::start(Shape::Single).await?;
    let ada = family.scim.hire("ada", &[CHICAGO]).await?;
    family.fluent.until_works("ada", &[GRANT]).await?;
    family.scim.hire("bob", &[CHICAGO]).await?;
    family.fluent.until_works("bob", &[GRANT]).await?;
    for killed in [false, true] {
        if killed {
            family.kill(Part::Gateway)?;
        } else {
            family.stop(Part::Gateway).await?;
        }
        family.run(Part::Gateway).await?;
        for name in ["ada", "bob"] {
            family.fluent.until_works(name, &[GRANT]).await?;
        }
    }
    // Ids begin anew there: whoever has ada's old one is not dismissed with her.
    let zoe = family.scim.hire("zoe", &[CHICAGO]).await?;
    assert_eq!(zoe.status, 201, "{}", zoe.body);
    family.fluent.until_works("zoe", &[GRANT]).await?;
    assert_eq!(family.scim.delete(&format!("/Users/{}", ada.id())).await?.status, 204);
    family.fluent.until_gone("ada").await?;
    for name in ["bob", "zoe"] {
        family.fluent.until_works(name, &[GRANT]).await?;
    }
    Ok(())
}
