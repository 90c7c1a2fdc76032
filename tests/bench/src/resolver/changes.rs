//! A group of very many members gets another label, again and again, while three replicas in processes of their own
//! answer: how long from the IdP's answer until every one of them answers right, and what it costs the store.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use domain::clock::Clock;
use domain::token::Pepper;
use harness::{Dial, Family, Part, Shape};
use identity_store::Store;
use identity_store::model::Actor;
use serde_json::json;
use tokio::task::JoinSet;

use super::load::Target;
use crate::cpu::Processes;
use crate::report::{Goal, Report};
use crate::stats::{Summary, millis, number};

const REPLICAS: usize = 3;
/// People made at one time.
const TOGETHER: usize = 64;

pub(crate) async fn run(members: usize, changes: usize, report: &mut Report) -> Result<()> {
    let mut family = Family::start_with(Shape::Processes, Dial::default()).await?;
    family.stop(Part::FluentPusher).await?;
    let ids = hire(&family, members).await?;
    let group = join(&family, &ids).await?;
    let mut targets = Vec::new();
    let ids = Arc::new(ids);
    for n in 0..REPLICAS {
        let address = if n == 0 { family.grpc.clone() } else { family.replica(Part::RoleResolver).await? };
        let target = Target::connect(&format!("http://{address}"), &family.reader_token, Arc::clone(&ids)).await?;
        for user in 0..100 {
            target.ask(user).await?;
        }
        targets.push(target);
    }
    let store = Processes::new(vec![family.pid(Part::IdentityStore)?])?;
    store.settle().await?;

    let labels = ["AGENT_CHIC-01_WAREHOUSE_ASSOCIATE", "AGENT_NYC-05_WAREHOUSE_ASSOCIATE"];
    let (mut waits, mut asked) = (Vec::new(), 0);
    let before = store.used()?;
    for change in 0..changes {
        let label = labels[change % 2];
        let operations = json!([{ "op": "replace",
            "path": "urn:ietf:params:scim:schemas:extension:fluent:2.0:Group:roles", "value": [{ "value": label }] }]);
        let answer = family.scim.patch(&format!("/Groups/{group}"), &operations).await?;
        ensure!((200..300).contains(&answer.status), "{answer:?}");
        let answered = Instant::now();
        let mut replicas = JoinSet::new();
        for target in targets.clone() {
            replicas.spawn(async move {
                // Another member each time, as real readers are.
                let mut tries = 0;
                loop {
                    tries += 1;
                    let answer = target.ask(change * 7 + tries).await?.effective.unwrap_or_default();
                    if answer.grants.iter().any(|grant| grant.labels.iter().any(|held| held == label)) {
                        return Ok::<_, tonic::Status>((answered.elapsed(), tries));
                    }
                }
            });
        }
        let mut slowest = 0.0_f64;
        while let Some(right) = replicas.join_next().await {
            let (wait, tries) = right??;
            slowest = slowest.max(millis(wait));
            asked += tries;
        }
        waits.push(slowest);
    }
    let used = store.used()?.saturating_sub(before).as_secs_f64() * 1e3 / number(changes);
    let spread = Summary::of(waits);
    report.section(
        "changes",
        &format!("a label of a group of {members}, {REPLICAS} replicas: from the 2xx until all answer right"),
        &["changes", "p50 ms", "p90 ms", "p99 ms", "max ms", "reads/change", "store cpu ms"],
    );
    let reads = number(asked) / number(changes);
    let row = [number(spread.count), spread.p50, spread.p90, spread.p99, spread.max, reads, used];
    report.row("until every replica answers right", &row, Some(Goal::Below("p99 ms", 50.0)))
}

/// The family's own store, beside its identity-store.
pub(super) async fn open(family: &Family) -> Result<Store> {
    let text = std::fs::read_to_string(family.folder().join("rolecall.toml"))?;
    let database = text.lines().find_map(|line| line.strip_prefix("database = \"")).unwrap_or_default();
    let store = Store::open(database.trim_end_matches('"'), Clock::System, Pepper::derive(b"only writes")).await;
    store.map_err(|failure| anyhow::anyhow!("{failure}"))
}

/// People without labels of their own, straight into the store.
async fn hire(family: &Family, count: usize) -> Result<Vec<String>> {
    let (store, tenant) = (open(family).await?, family.tenant.parse::<domain::id::TenantId>()?);
    let mut tasks = JoinSet::new();
    for one in 0..TOGETHER {
        let (store, tenant) = (store.clone(), tenant.clone());
        tasks.spawn(async move {
            let mut ids = Vec::new();
            for n in (one..count).step_by(TOGETHER) {
                let document = json!({ "userName": format!("member-{n}"), "active": true }).to_string();
                let made = store.create_user(&tenant, Actor::default(), document.into()).await;
                ids.push(made.map_err(|failure| anyhow::anyhow!("{failure}"))?.value.id.to_string());
            }
            Ok::<_, anyhow::Error>(ids)
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(ids) = tasks.join_next().await {
        all.extend(ids??);
    }
    Ok(all)
}

async fn join(family: &Family, members: &[String]) -> Result<String> {
    let (store, tenant) = (open(family).await?, family.tenant.parse()?);
    let document = json!({ "displayName": "everybody" }).to_string();
    let made = store.create_group(&tenant, Actor::default(), document.into(), members, false).await;
    Ok(made.map_err(|failure| anyhow::anyhow!("{failure}"))?.value.id.to_string())
}
