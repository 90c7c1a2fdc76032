//! GET of one user, beside the same HTTP stack answering a constant of the same size.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use harness::{Family, Shape};
use http::{Method, StatusCode};
use serde_json::Value;

use crate::constant::Constant;
use crate::cpu::Processes;
use crate::load::{self, Asks, Load, Target};
use crate::report::{Goal, Report};
use crate::stats::{Summary, median, number};
use crate::{Options, lifted, person};

const CONNECTIONS: usize = 16;
/// How many times as many the floor answers in its turn, so that it lasts about as long.
const FLOOR: usize = 5;
/// Users that are asked for in turn.
const USERS: usize = 1_000;
const LABEL: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";

/// Measures both shapes.
pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.section(
        "gets",
        "GET /Users/{id}, 16 connections; floor: a constant of the same size through the same HTTP stack",
        &["gets/s", "floor/s", "ratio", "cpu us/get", "floor cpu us", "p50 ms", "p99 ms"],
    );
    let goal = Some(Goal::AtLeast("ratio", 0.4));
    shape(Shape::Single, "SQLite, one process", goal, options, report).await?;
    shape(Shape::Processes, "PostgreSQL, separate processes", None, options, report).await
}

async fn shape(shape: Shape, name: &str, goal: Option<Goal>, options: &Options, report: &mut Report) -> Result<()> {
    let family = Family::start_with(shape, lifted()).await?;
    let target = Target::new(family.scim.base(), family.scim.token(), "application/scim+json")?;
    let product = Processes::new(family.pids())?;
    let ids = Arc::new(hire(&target).await?);
    product.settle().await?;

    let asks = |target: &Target| -> Asks {
        let (target, ids) = (target.clone(), Arc::clone(&ids));
        Arc::new(move |index| target.ask(Method::GET, &format!("/Users/{}", ids[index % ids.len()]), ""))
    };
    let body = load::answers(&target, 1, 1, StatusCode::OK, asks(&target)).await?.pop().context("one answer")?;
    let constant = Constant::start(&body)?;
    let floor = Processes::new(vec![constant.pid()])?;
    let constant = Target::new(&constant.url, family.scim.token(), "application/scim+json").map(|it| (it, constant))?;

    let mut rounds = Vec::new();
    for round in 0..=options.rounds {
        let count = if round == 0 { options.gets / 10 } else { options.gets };
        let ours = turn(&target, &product, count, asks(&target)).await?;
        let bare = turn(&constant.0, &floor, count * FLOOR, asks(&constant.0)).await?;
        // The first warms both up.
        if round > 0 {
            rounds.push((ours, bare));
        }
    }
    let rate = median(rounds.iter().map(|(ours, _)| ours.0.rate()));
    let bare = median(rounds.iter().map(|(_, bare)| bare.0.rate()));
    let ratio = median(rounds.iter().map(|(ours, bare)| ours.0.rate() / bare.0.rate()));
    let cpu = median(rounds.iter().map(|(ours, _)| ours.1));
    let bare_cpu = median(rounds.iter().map(|(_, bare)| bare.1));
    let latencies = Summary::of(rounds.into_iter().flat_map(|(ours, _)| ours.0.latencies).collect());
    report.row(name, &[rate, bare, ratio, cpu, bare_cpu, latencies.p50, latencies.p99], goal)
}

/// The load, and the microseconds of the processor for each request.
async fn turn(target: &Target, processes: &Processes, count: usize, asks: Asks) -> Result<(Load, f64)> {
    let before = processes.used()?;
    let load = load::run(target, CONNECTIONS, count, StatusCode::OK, asks).await?;
    let used = processes.used()?.saturating_sub(before);
    Ok((load, used.as_secs_f64() * 1e6 / number(count)))
}

/// Makes the users; answers their ids.
async fn hire(target: &Target) -> Result<Vec<String>> {
    let of = target.clone();
    let asks: Asks =
        Arc::new(move |index| of.ask(Method::POST, "/Users", person::posted(&format!("read-{index}"), &[LABEL])));
    let bodies = load::answers(target, CONNECTIONS, USERS, StatusCode::CREATED, asks).await?;
    bodies.iter().map(|body| id(body)).collect()
}

/// The id in a resource.
pub(crate) fn id(body: &[u8]) -> Result<String> {
    let resource: Value = serde_json::from_slice(body)?;
    resource["id"].as_str().map(str::to_owned).context("a resource has an id")
}
