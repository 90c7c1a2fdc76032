//! PATCH of one member, as Entra ID and Okta send it, in groups of different sizes: the size must not show.

use std::time::Instant;

use anyhow::{Context as _, Result};
use harness::{Family, Shape};
use http::{HeaderValue, Method, StatusCode};

use super::{Options, SHAPES, bulk, database};
use crate::cpu::Processes;
use crate::lifted;
use crate::load::{Connection, Target};
use crate::report::{Goal, Report};
use crate::stats::{median, millis};

/// From how many members on a changed group is answered without a body.
const TERSE: usize = 1_000;
/// Changes that are made before any is timed.
const WARM: usize = 20;
/// Numbers of the groups begin here, beyond those of any team.
const CROWDS: usize = 1 << 24;

/// What an IdP sends to add one member, and to remove it.
struct Dialect {
    name: &'static str,
    add: fn(&str) -> String,
    remove: fn(&str) -> String,
}

const DIALECTS: [Dialect; 2] = [
    Dialect {
        name: "Entra ID",
        add: |id| format!(r#"{{"op":"Add","path":"members","value":[{{"value":"{id}"}}]}}"#),
        remove: |id| format!(r#"{{"op":"Remove","path":"members","value":[{{"value":"{id}"}}]}}"#),
    },
    Dialect {
        name: "Okta",
        add: |id| format!(r#"{{"op":"add","path":"members","value":[{{"value":"{id}","display":"x@example.com"}}]}}"#),
        remove: |id| format!(r#"{{"op":"remove","path":"members[value eq \"{id}\"]"}}"#),
    },
];

pub(super) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.section(
        "patch",
        &format!("PATCH of one member, one at a time, in groups of {:?}: median", options.groups),
        &["smallest ms", "middle ms", "largest ms", "largest/smallest"],
    );
    for (shape, name) in SHAPES {
        run_in(shape, name, options, report).await?;
    }
    Ok(())
}

async fn run_in(shape: Shape, name: &str, options: &Options, report: &mut Report) -> Result<()> {
    let family = Family::start_with(shape, lifted()).await?;
    let rows = database(&family, shape)?;
    let most = options.groups.iter().copied().max().context("a size of a group")?;
    // One more than are members: who joins and leaves.
    bulk::hire(&rows, family.tenant, most + 1).await?;
    for (n, members) in options.groups.iter().enumerate() {
        bulk::crowd(&rows, family.tenant, CROWDS + n, *members).await?;
    }
    let target = Target::new(family.scim.base(), family.scim.token(), "application/scim+json")?;
    let mut connection = Connection::open(&target).await?;
    let joins = bulk::user(most).to_string();
    for Dialect { name: idp, add, remove } in &DIALECTS {
        Processes::new(family.pids())?.settle().await?;
        let (adds, removes) = (add(&joins), remove(&joins));
        for (what, body, opposite, minimal) in [
            ("adds", &adds, &removes, false),
            ("removes", &removes, &adds, false),
            ("adds, return=minimal", &adds, &removes, true),
            ("removes, return=minimal", &removes, &adds, true),
        ] {
            let mut times = vec![Vec::new(); options.groups.len()];
            for turn in 0..WARM + options.patches {
                for (n, members) in options.groups.iter().enumerate() {
                    let path = format!("/Groups/{}", bulk::group(CROWDS + n));
                    let terse = minimal || *members > TERSE;
                    let expected = if terse { StatusCode::NO_CONTENT } else { StatusCode::OK };
                    let ask = |operation: &str| {
                        let mut ask = target.ask(Method::PATCH, &path, patch(operation));
                        if minimal {
                            ask.headers_mut().insert("prefer", HeaderValue::from_static("return=minimal"));
                        }
                        ask
                    };
                    let begun = Instant::now();
                    connection.send(ask(body), expected).await?;
                    if turn >= WARM {
                        times[n].push(millis(begun.elapsed()));
                    }
                    connection.send(ask(opposite), expected).await?;
                }
            }
            let medians: Vec<_> = times.into_iter().map(median).collect();
            let at = |n: usize| medians.get(n).copied().unwrap_or(f64::NAN);
            let last = medians.len() - 1;
            let values = [at(0), at(last / 2), at(last), at(last) / at(0)];
            let goal = Some(Goal::Below("largest/smallest", 1.3));
            report.row(&format!("{name}, {idp} {what}"), &values, goal)?;
        }
    }
    Ok(())
}

fn patch(operation: &str) -> String {
    format!(r#"{{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{operation}]}}"#)
}
