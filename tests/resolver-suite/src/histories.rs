//! Random histories. After each step every replica answers as the rules say, whatever it keeps and whatever became of
//! Redis meanwhile. A failing history is shortened and printed.

use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::asker::Asker;
use crate::company::Catalogue;
use crate::family::{Engine, Family};
use crate::mischief::Mischief;
use crate::step::{Step, catalogue, step};
use crate::tenant::Tenant;
use crate::watcher::Watcher;

/// A history, and what its askers roll.
#[derive(Clone, Debug)]
struct History {
    catalogue: Catalogue,
    steps: Vec<Step>,
    seed: u64,
}

fn history(steps: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = History> {
    let parts = (catalogue(), prop::collection::vec(step(), steps), any::<u64>());
    parts.prop_map(|(catalogue, steps, seed)| History { catalogue, steps, seed })
}

/// When it is asked.
#[derive(Clone, Copy, Debug)]
enum When {
    /// After each step.
    Between,
    /// All the time, while one step follows another.
    Beside,
}

/// Runs so many histories in one family, each on a tenant of its own.
fn run(runtime: &Runtime, family: &Family, cases: u32, when: When, mischief: Option<Mischief>) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let mischief = Mutex::new(mischief);
    let told = TestRunner::new(config).run(&history(1..=40), |history| {
        let mut mischief = mischief.lock();
        runtime.block_on(play(family, &history, when, mischief.as_mut()));
        Ok(())
    });
    told.unwrap_or_else(|failed| panic!("{failed}"));
}

async fn play(family: &Family, history: &History, when: When, mut mischief: Option<&mut Mischief>) {
    let History { catalogue, steps, seed } = history;
    let mut tenant = Tenant::new(family.store(), family.key.clone(), catalogue.clone()).await;
    let asker = |replica| Asker::new(replica, &tenant, &family.key, *seed);
    let mut askers: Vec<_> = family.replicas.iter().map(asker).collect();
    let at = usize::try_from(*seed % family.replicas.len() as u64).unwrap();
    let watcher = Watcher::begin(&family.replicas[at], &tenant, &family.key).await;
    let mut beside = JoinSet::new();
    let over = CancellationToken::new();
    if let When::Beside = when {
        for mut asker in askers.drain(..) {
            let over = over.clone();
            beside.spawn(async move {
                while !over.is_cancelled() {
                    asker.ask().await;
                }
            });
        }
    }
    for (number, step) in steps.iter().enumerate() {
        tenant.take(step).await;
        if let Some(mischief) = &mut mischief {
            mischief.happen(seed.wrapping_add(number as u64));
        }
        let count = askers.len();
        for (at, asker) in askers.iter_mut().enumerate() {
            // Each is asked everything in its turn, so that what they keep is of different ages.
            if at == number % count {
                asker.ask().await;
            } else if (number + at) % 2 == 0 {
                asker.ask_briefly().await;
            }
        }
    }
    watcher.end(&tenant).await;
    over.cancel();
    while let Some(asked) = beside.join_next().await {
        asked.unwrap();
    }
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn alone(engine: Engine, cases: u32) {
    let runtime = runtime();
    let family = runtime.block_on(Family::start(engine, None));
    run(&runtime, &family, cases, When::Between, None);
    run(&runtime, &family, cases / 4, When::Beside, None);
}

#[test]
fn on_sqlite_every_answer_is_what_the_rules_say() {
    alone(Engine::Sqlite, 60);
}

#[test]
fn on_postgresql_every_answer_is_what_the_rules_say() {
    alone(Engine::Postgres, 24);
}

/// Beside a Redis of which everything becomes that can.
fn beside_redis(engine: Engine, cases: u32) {
    let runtime = runtime();
    let (family, mischief) = runtime.block_on(async {
        let mischief = Mischief::start();
        (Family::start(engine, Some(&mischief.url())).await, mischief)
    });
    run(&runtime, &family, cases, When::Between, Some(mischief));
    // What was tried was used: sets that were kept in either place, and such as the store confirmed.
    let told: String = family.replicas.iter().map(|replica| replica.metrics.encode()).collect();
    let count = |series: &str| -> f64 {
        told.lines().filter_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok()).sum()
    };
    for source in ["Near", "Shared", "Compared", "Computed"] {
        let answers = count(&format!("rolecall_resolver_answers_total{{source=\"{source}\"}}"));
        assert!(answers > 0.0, "no answer came from {source}");
    }
    assert!(count("rolecall_resolver_shared_forged_total") > 0.0, "no forged set was found out");
}

#[test]
fn on_sqlite_every_answer_is_what_the_rules_say_whatever_becomes_of_redis() {
    beside_redis(Engine::Sqlite, 20);
}

#[test]
fn on_postgresql_every_answer_is_what_the_rules_say_whatever_becomes_of_redis() {
    beside_redis(Engine::Postgres, 10);
}
