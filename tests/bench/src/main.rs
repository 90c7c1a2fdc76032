//! Benchmarks: the real program beside a floor measured in the same run, so that a number means the same on every
//! machine. `cargo xtask bench spine` builds all of it in release mode and runs it.
//!
//! Product and floor take turns, and the median of the rounds is reported, because no machine is quiet. Client, product
//! and floor share the machine's cores.
#![allow(clippy::print_stdout, reason = "a benchmark talks to its user")]

mod constant;
mod cpu;
mod floor;
mod gets;
mod load;
mod options;
mod person;
mod posts;
mod report;
mod resolver;
mod revocation;
mod scim;
mod stats;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use harness::Dial;

use options::Choice;

/// The product's allocator, so that the floors have no worse one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "bench", about = "Rolecall, measured")]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The path from the IdP to Fluent: revocations, POST and GET of users.
    Spine(Options),
    /// The role-resolver: kept sets against a bare call, and how soon a change is answered everywhere.
    Resolver(resolver::Options),
    /// The SCIM protocol: reading filters, members of large groups, look-ups and pages among a million users.
    Scim(scim::Options),
    /// Serves standard input as the answer of every gRPC call: the floor of kept sets. With an address, after a GET there.
    Bare {
        /// A Redis server that is asked for one key first.
        #[arg(long)]
        redis: Option<String>,
    },
    /// Serves standard input as a SCIM body through the product's HTTP stack: the floor of GET.
    Constant,
}

/// How much is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Deactivations for each row.
    #[arg(long, default_value_t = 2_000)]
    samples: usize,
    /// POST in a second beside the second row of deactivations.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// POST, and transactions of the floor, in a round.
    #[arg(long, default_value_t = 2_000)]
    posts: usize,
    /// GET in a round.
    #[arg(long, default_value_t = 20_000)]
    gets: usize,
    /// Rounds whose median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    choice: Choice<Part>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From the answer to a deactivation to `INACTIVE` in Fluent.
    Revocation,
    /// POST of users.
    Posts,
    /// GET of users.
    Gets,
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match Program::parse().command {
            Command::Spine(options) => spine(&options).await,
            Command::Resolver(options) => resolver::run(&options).await,
            Command::Scim(options) => scim::run(&options).await,
            Command::Bare { redis } => resolver::floor::serve(redis.as_deref()).await,
            Command::Constant => constant::serve().await,
        }
    })
}

async fn spine(options: &Options) -> Result<()> {
    let mut report = options.choice.report("spine")?;
    if options.choice.runs(&Part::Revocation) {
        revocation::run(options, &mut report).await?;
    }
    if options.choice.runs(&Part::Posts) {
        posts::run(options, &mut report).await?;
    }
    if options.choice.runs(&Part::Gets) {
        gets::run(options, &mut report).await?;
    }
    report.end();
    Ok(())
}

/// A family whose tenant may ask for as much as there is.
pub(crate) fn lifted() -> Dial {
    let limits = [
        ("ROLECALL_GATEWAY__LIMITS__READS_PER_SECOND", "0"),
        ("ROLECALL_GATEWAY__LIMITS__WRITES_PER_SECOND", "0"),
        ("ROLECALL_GATEWAY__LIMITS__TENANT_CONCURRENCY", "1024"),
        ("ROLECALL_GATEWAY__LIMITS__CONCURRENCY", "1024"),
    ];
    Dial { environment: limits.map(|(name, value)| (name, value.to_owned())).to_vec(), ..Dial::default() }
}
