//! The SCIM protocol at its limits: how long a filter takes to read, how soon a hostile one is refused, whether a group's size shows in a PATCH of one
//! member, and whether a look-up or a page notices that there are a million users.

mod bulk;
mod lists;
mod parse;
mod patch;
mod refused;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use domain::clock::Clock;
use domain::token::Pepper;
use harness::{Family, Shape};
use identity_store::Store;

use crate::options::Choice;

/// How much is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Members of the groups that one member joins and leaves.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 5_000, 50_000])]
    groups: Vec<usize>,
    /// PATCH of each kind for each group.
    #[arg(long, default_value_t = 400)]
    patches: usize,
    /// Stored users.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000, 1_000_000])]
    users: Vec<usize>,
    /// Requests of each kind in a round.
    #[arg(long, default_value_t = 300)]
    requests: usize,
    /// Rounds, in which the sizes take turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[command(flatten)]
    choice: Choice<Part>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Reading filters.
    Parse,
    /// What is refused, and how soon.
    Refused,
    /// One member joins and leaves a group.
    Patch,
    /// Look-ups and pages.
    Lists,
}

/// Both shapes, each with its name.
const SHAPES: [(Shape, &str); 2] =
    [(Shape::Single, "SQLite, one process"), (Shape::Processes, "PostgreSQL, separate processes")];

/// Measures what is asked for.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let mut report = options.choice.report("scim")?;
    if options.choice.runs(&Part::Parse) {
        parse::run(&mut report)?;
    }
    if options.choice.runs(&Part::Refused) {
        refused::run(&mut report)?;
    }
    if options.choice.runs(&Part::Patch) {
        patch::run(options, &mut report).await?;
    }
    if options.choice.runs(&Part::Lists) {
        lists::run(options, &mut report).await?;
    }
    report.end();
    Ok(())
}

/// Where a family's identity-store keeps its rows.
fn database(family: &Family, shape: Shape) -> Result<String> {
    match shape {
        Shape::Single => Ok(format!("sqlite:{}", family.folder().join("data/identity.db").display())),
        Shape::Processes => {
            let text = std::fs::read_to_string(family.folder().join("rolecall.toml"))?;
            let database = text.lines().find_map(|line| line.strip_prefix("database = \""));
            Ok(database.context("a database in the configuration")?.trim_end_matches('"').to_owned())
        }
    }
}

/// The store on those rows, beside the family's own.
async fn store(database: &str) -> Result<Store> {
    let store = Store::open(database, Clock::System, Pepper::derive(b"only looks")).await;
    store.map_err(|failure| anyhow::anyhow!("{failure}"))
}
