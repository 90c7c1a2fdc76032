//! The role-resolver. Closed loop: a set kept in the process, in Redis, and one that is computed, each against its floor.
//! Open loop at half of that: percentiles of both; and beside a Redis that is too slow. And label changes of a large group, until every replica is right.

mod changes;
pub(crate) mod floor;
mod load;

use std::sync::Arc;

use anyhow::Result;
use clap::{Args, ValueEnum};
use harness::servers::{Redis, Wire};
use harness::{Dial, Family, Part as Process, Shape};
use identity_store::Store;
use identity_store::model::Include;
use prost::Message as _;
use proto::roles::v1::GetEffectiveRolesResponse;

use crate::cpu::Processes;
use crate::options::Choice;
use crate::report::{Goal, Report};
use crate::stats::{median, number};
use floor::Bare;
use load::Target;

/// How much is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Calls in a round.
    #[arg(long, default_value_t = 40_000)]
    calls: usize,
    /// Rounds whose median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Members of the group whose label changes.
    #[arg(long, default_value_t = 50_000)]
    members: usize,
    /// Changes of its label.
    #[arg(long, default_value_t = 300)]
    changes: usize,
    #[command(flatten)]
    choice: Choice<Part>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A set kept in the process.
    Near,
    /// A set kept in Redis.
    Redis,
    /// A set that is computed.
    Miss,
    /// A Redis that takes two seconds for every command.
    Slow,
    /// Changes of a large group's label.
    Changes,
}

/// Calls under way at one time.
const CALLERS: usize = 16;
/// Users that are asked about in turn.
const USERS: usize = 500;
const LABELS: [&str; 3] =
    ["AGENT_CHIC-01_WAREHOUSE_ASSOCIATE", "AGENT_NYC-05_WAREHOUSE_ASSOCIATE", "RETAILER_LAKESIDE_STORE_MANAGER"];
/// The columns of what is kept.
const KEPT: [&str; 7] = ["calls/s", "floor/s", "ratio", "cpu us/call", "floor cpu us", "store cpu us", "reads/call"];
const NO_NEAR: (&str, &str) = ("ROLECALL_ROLE_RESOLVER__CACHE__NEAR_BYTES", "0");
/// Every question is put to the store.
const NO_TRUST: (&str, &str) = ("ROLECALL_ROLE_RESOLVER__CACHE__CONFIRMED_WITHIN", "0s");

/// Measures what is asked for.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let mut report = options.choice.report("resolver")?;
    let runs = |part| options.choice.runs(&part);
    report.section("kept", "GetEffectiveRoles by id, 16 callers; the floor answers the same bytes", &KEPT);
    for (part, name, environment, goal) in [
        (Part::Near, "kept in the process; floor: a bare tonic call", vec![], Some(0.85)),
        (Part::Redis, "kept in Redis; floor: a bare tonic call and a GET", vec![NO_NEAR], Some(0.7)),
        (Part::Miss, "computed; floor: its SQL alone", vec![NO_NEAR, NO_TRUST], None),
    ] {
        if runs(part) {
            kept(part, name, environment, goal, options, &mut report).await?;
        }
    }
    if runs(Part::Slow) {
        slow(options, &mut report).await?;
    }
    if runs(Part::Changes) {
        changes::run(options.members, options.changes, &mut report).await?;
    }
    report.end();
    Ok(())
}

async fn kept(
    part: Part,
    name: &'static str,
    environment: Vec<(&'static str, &'static str)>,
    goal: Option<f64>,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let mut dial = Dial::default();
    let variables = environment.into_iter().chain([Dial::ADMIN]);
    dial.environment.extend(variables.map(|(name, value)| (name, value.to_owned())));
    let mut family = Family::start_with(Shape::Processes, dial).await?;
    let ids = Arc::new(people(&family, USERS).await?);
    family.stop(Process::FluentPusher).await?;
    let ours = Target::connect(&format!("http://{}", family.grpc), &family.reader_token, Arc::clone(&ids)).await?;
    let answer = ours.warm().await?;
    let resolver = Processes::new(vec![family.pid(Process::RoleResolver)?])?;
    let store = Processes::new(vec![family.pid(Process::IdentityStore)?])?;
    resolver.settle().await?;

    let sql = if part == Part::Miss { Some(Alone::open(&family, Arc::clone(&ids)).await?) } else { None };
    let redis = if part == Part::Redis { Some(family.redis()?.url()) } else { None };
    let bare = Bare::start(&answer.encode_to_vec(), redis.as_deref())?;
    let bare_cpu = Processes::new(vec![bare.pid()])?;
    let floor = Target::connect(&bare.url, &family.reader_token, ids).await?;

    let (mut rates, mut floors, mut cpu, mut floor_cpu, mut store_cpu) = (vec![], vec![], vec![], vec![], vec![]);
    let mut reads = vec![];
    for round in 0..=options.rounds {
        let count = if round == 0 { options.calls / 10 } else { options.calls };
        let each = |used: std::time::Duration| used.as_secs_f64() * 1e6 / number(count);
        let asked = store_reads(&family).await?;
        let before = (resolver.used()?, store.used()?);
        let rate = ours.closed(CALLERS, count).await?;
        let used = (resolver.used()?.saturating_sub(before.0), store.used()?.saturating_sub(before.1));
        let asked = store_reads(&family).await? - asked;
        let before = bare_cpu.used()?;
        let floor_rate = match &sql {
            Some(alone) => alone.closed(CALLERS, count).await,
            None => floor.closed(CALLERS, count).await,
        };
        let (floor_rate, floor_used) = (floor_rate?, bare_cpu.used()?.saturating_sub(before));
        // The first warms both up.
        if round > 0 {
            rates.push(rate);
            floors.push(floor_rate);
            cpu.push(each(used.0));
            store_cpu.push(each(used.1));
            reads.push(asked / number(count));
            floor_cpu.push(if sql.is_some() { f64::NAN } else { each(floor_used) });
        }
    }
    let ratio = median(rates.iter().zip(&floors).map(|(ours, floor)| ours / floor));
    let rate = median(rates);
    let row = [rate, median(floors), ratio, median(cpu), median(floor_cpu), median(store_cpu), median(reads)];
    report.row(name, &row, goal.map(|goal| Goal::AtLeast("ratio", goal)))?;
    if part == Part::Near {
        let columns = ["calls/s", "p50 ms", "p90 ms", "p99 ms", "max ms"];
        report.section("open", "kept in the process, open loop at half of the peak", &columns);
        for (name, target) in [("role-resolver", &ours), ("a bare tonic call", &floor)] {
            let spread = target.open(rate / 2.0, options.calls / 4).await?;
            report.row(name, &[rate / 2.0, spread.p50, spread.p90, spread.p99, spread.max], None)?;
        }
        report.section("kept", "GetEffectiveRoles by id, further", &KEPT);
    }
    Ok(())
}

/// How often the family's role-resolver has asked identity-store for anything.
async fn store_reads(family: &Family) -> Result<f64> {
    let told = family.metrics(Process::RoleResolver).await?;
    let counts = told.lines().filter_map(|line| {
        let (labels, count) = line.strip_prefix("rolecall_client_requests_total{")?.rsplit_once("} ")?;
        labels.contains("rolecall.identity.").then(|| count.parse::<f64>().ok()).flatten()
    });
    Ok(counts.sum())
}

/// Calls at a rate, of sets that are kept in Redis alone, from the moment on at which it takes two seconds for everything.
async fn slow(options: &Options, report: &mut Report) -> Result<()> {
    const PACE: f64 = 500.0;
    let server = Redis::start()?;
    let wire = Wire::start(&server.address(), "MGET")?;
    let environment = vec![(NO_NEAR.0, NO_NEAR.1.to_owned())];
    let redis = Some(format!("redis://{}/", wire.address()));
    let mut family = Family::start_with(Shape::Processes, Dial { environment, redis, ..Dial::default() }).await?;
    let ids = Arc::new(people(&family, USERS).await?);
    family.stop(Process::FluentPusher).await?;
    let target = Target::connect(&format!("http://{}", family.grpc), &family.reader_token, ids).await?;
    target.warm().await?;
    let columns = ["calls/s", "p50 ms", "p90 ms", "p99 ms", "max ms"];
    report.section("slow", "kept in Redis alone, open loop", &columns);
    for (name, late) in [("Redis as it is", 0), ("Redis takes 2 s for every command", 2)] {
        let late = std::time::Duration::from_secs(late);
        wire.answer_late(late, late);
        let spread = target.open(PACE, options.calls / 8).await?;
        let goal = (!late.is_zero()).then_some(Goal::Below("p99 ms", 300.0));
        report.row(name, &[PACE, spread.p50, spread.p90, spread.p99, spread.max], goal)?;
    }
    Ok(())
}

/// Hires people with a few labels each; answers their ids.
async fn people(family: &Family, count: usize) -> Result<Vec<String>> {
    let mut ids = Vec::with_capacity(count);
    for n in 0..count {
        ids.push(family.scim.hire(&format!("kept-{n}"), &LABELS[..=n % LABELS.len()]).await?.id().to_owned());
    }
    Ok(ids)
}

/// The statements behind a computed set, without gRPC and without matching.
struct Alone {
    store: Store,
    tenant: domain::id::TenantId,
    ids: Arc<Vec<String>>,
}

impl Alone {
    async fn open(family: &Family, ids: Arc<Vec<String>>) -> Result<Self> {
        Ok(Self { store: changes::open(family).await?, tenant: family.tenant.parse()?, ids })
    }

    async fn closed(&self, callers: usize, count: usize) -> Result<f64> {
        let begun = std::time::Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for caller in 0..callers {
            let (store, tenant, ids) = (self.store.clone(), self.tenant.clone(), Arc::clone(&self.ids));
            tasks.spawn(async move {
                for n in (caller..count).step_by(callers) {
                    let key = identity_store::model::UserKey::Id(ids[n % ids.len()].clone());
                    let read = store.get_holdings(&tenant, vec![key], vec![], Include::default()).await;
                    read.map_err(|failure| anyhow::anyhow!("{failure}"))?;
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(number(count) / begun.elapsed().as_secs_f64())
    }
}

/// Whether an answer is about that user.
fn same(answer: &GetEffectiveRolesResponse, user: &str) -> bool {
    answer.effective.as_ref().is_some_and(|set| set.user_id == user)
}
