//! B11: what Entra ID, Okta and the others send works at the first try.
#![allow(clippy::print_stdout, reason = "what is answered otherwise is worth reading when the test fails")]

use std::collections::BTreeSet;

use anyhow::Result;
use harness::{Dial, Family, Shape};
use scenarios::replay::{Level, replay};
use scenarios::stories;

stories!(every_idp_is_at_home);

/// Cases of level "must" that are answered otherwise, each with its reason.
const OTHERWISE: &[(&str, &str)] = &[];

async fn every_idp_is_at_home(shape: Shape) -> Result<()> {
    // Many of the recorded requests carry labels that no account knows.
    let family = Family::start_with(shape, Dial::settings(&["--guardrail", "hold"])).await?;
    let outcomes = replay(&family.scim).await?;
    let otherwise: BTreeSet<&str> = OTHERWISE.iter().map(|(case, _)| *case).collect();
    let mut surprises = Vec::new();
    for outcome in &outcomes {
        let (good, listed) = (outcome.faults.is_empty(), otherwise.contains(outcome.case.as_str()));
        if !good {
            println!("{:?} {}: {:?}", outcome.level, outcome.case, outcome.faults);
        }
        if outcome.level == Level::Must && good == listed {
            surprises.push(outcome.case.clone());
        }
    }
    let good = outcomes.iter().filter(|outcome| outcome.faults.is_empty()).count();
    println!("{good} of {} cases as their IdP wants them", outcomes.len());
    assert!(surprises.is_empty(), "not as listed: {surprises:#?}");
    Ok(())
}
