//! POST of users without labels, beside the same rows written one transaction at a time.
//!
//! Beside both stands a constant that the same HTTP stack answers at once: a client that has one request under way waits
//! for that and for the transaction at least, so no server of this kind has a better ratio than `ceiling`.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;
use harness::{Family, Shape};
use http::{Method, StatusCode};

use crate::constant::Constant;
use crate::cpu::Processes;
use crate::floor::{Floor, Way};
use crate::load::{self, Asks, Load, Target};
use crate::report::{Goal, Report};
use crate::stats::{Summary, median, millis, number};
use crate::{Options, lifted, person};

/// How many at once.
const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Syncs of the disk that are timed beside each turn.
const SYNCS: usize = 50;

/// Product and floor on one engine.
struct Contest {
    target: Target,
    processes: Processes,
    floor: Floor,
    bare: (Target, Constant),
    next: Arc<AtomicUsize>,
    posts: usize,
    family: Family,
}

/// One turn of the product and what came with it.
struct Turn {
    load: Load,
    /// Microseconds of the processor for each POST, with what it led to behind the answer.
    cpu: f64,
}

/// Measures both engines.
pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    let family = Family::start_with(Shape::Single, lifted()).await?;
    let floor = Floor::sqlite(&family.folder().join("floor.db")).await?;
    let contest = Contest::new(family, floor, options)?;
    report.section(
        "posts",
        "POST /Users, no labels; floor: the same rows, one prepared transaction at a time by one thread",
        &["posts/s", "floor/s", "http/s", "ratio", "ceiling", "cpu us/post", "p50 ms", "p99 ms", "fdatasync ms"],
    );
    contest.rows("SQLite, one process", options, report).await?;
    drop(contest);

    let family = Family::start_with(Shape::Processes, lifted()).await?;
    let floor = Floor::postgres(family.database().await?).await?;
    let contest = Contest::new(family, floor, options)?;
    contest.rows("PostgreSQL, separate processes", options, report).await?;
    let mut rates = Vec::new();
    for _ in 0..options.rounds {
        rates.push(contest.floor(Way::Together).await?);
    }
    let none = f64::NAN;
    let name = "floor, each transaction sent at once";
    report.row(name, &[none, median(rates), none, none, none, none, none, none, none], None)
}

impl Contest {
    fn new(family: Family, floor: Floor, options: &Options) -> Result<Self> {
        let constant = Constant::start(person::document("constant").as_bytes())?;
        let of = |url: &str| Target::new(url, family.scim.token(), "application/scim+json");
        Ok(Self {
            bare: (of(&constant.url)?, constant),
            target: of(family.scim.base())?,
            processes: Processes::new(family.pids())?,
            floor,
            next: Arc::default(),
            posts: options.posts,
            family,
        })
    }

    async fn rows(&self, name: &str, options: &Options, report: &mut Report) -> Result<()> {
        self.turn(16).await?;
        self.floor(Way::OneByOne).await?;
        for connections in CONNECTIONS {
            let (mut turns, mut floors, mut bare, mut syncs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for _ in 0..options.rounds {
                syncs.push(sync(self.family.folder())?);
                turns.push(self.turn(connections).await?);
                floors.push(self.floor(Way::OneByOne).await?);
                bare.push(self.bare(connections).await?);
            }
            let rate = median(turns.iter().map(|turn| turn.load.rate()));
            let ratio = median(turns.iter().zip(&floors).map(|(turn, floor)| turn.load.rate() / floor));
            let ceiling = median(floors.iter().zip(&bare).map(|(floor, bare)| bare / (bare + floor)));
            let ceiling = if connections == 1 { ceiling } else { f64::NAN };
            let cpu = median(turns.iter().map(|turn| turn.cpu));
            let latencies = Summary::of(turns.into_iter().flat_map(|turn| turn.load.latencies).collect());
            let goal = (connections == 1).then_some(Goal::AtLeast("ratio", 0.7));
            let ending = if connections == 1 { "" } else { "s" };
            let name = format!("{name}, {connections} connection{ending}");
            report.row(
                &name,
                &[rate, median(floors), median(bare), ratio, ceiling, cpu, latencies.p50, latencies.p99, median(syncs)],
                goal,
            )?;
        }
        Ok(())
    }

    /// The product's turn: from rest to rest.
    async fn turn(&self, connections: usize) -> Result<Turn> {
        self.processes.settle().await?;
        let (target, next) = (self.target.clone(), Arc::clone(&self.next));
        let asks: Asks = Arc::new(move |_| {
            let name = format!("poster-{}", next.fetch_add(1, Ordering::Relaxed));
            target.ask(Method::POST, "/Users", person::posted(&name, &[]))
        });
        let before = self.processes.used()?;
        let load = load::run(&self.target, connections, self.posts, StatusCode::CREATED, asks).await?;
        self.processes.settle().await?;
        let used = self.processes.used()?.saturating_sub(before);
        Ok(Turn { load, cpu: used.as_secs_f64() * 1e6 / number(self.posts) })
    }

    /// The constant's turn: answers in a second.
    async fn bare(&self, connections: usize) -> Result<f64> {
        let target = self.bare.0.clone();
        let asks: Asks = Arc::new(move |_| target.ask(Method::POST, "/Users/1", person::posted("constant", &[])));
        Ok(load::run(&self.bare.0, connections, self.posts, StatusCode::OK, asks).await?.rate())
    }

    /// The floor's turn: transactions in a second.
    async fn floor(&self, way: Way) -> Result<f64> {
        Ok(number(self.posts) / self.floor.write(self.posts, way).await?.as_secs_f64())
    }
}

/// What one sync of the disk takes, in milliseconds: the least that a transaction alone can take.
fn sync(folder: &Path) -> Result<f64> {
    let path = folder.join("syncs");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[7; 4096])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(millis(began.elapsed()));
    }
    std::fs::remove_file(path)?;
    Ok(median(times))
}
