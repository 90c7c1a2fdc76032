//! Feeds the targets with garbled seeds for a while: `cargo xtask fuzz`.
#![allow(clippy::print_stdout, reason = "a command talks to its user")]

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail};
use clap::Parser;
use fuzz::{Mutator, TARGETS};

#[derive(Debug, Parser)]
struct Arguments {
    /// For how long each target is fed, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target.
    #[arg(long)]
    target: Option<String>,
}

fn main() -> Result<()> {
    let Arguments { seconds, target: only } = Arguments::parse();
    let start = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    for target in TARGETS.iter().filter(|target| only.as_deref().is_none_or(|only| only == target.name)) {
        let mut mutator = Mutator::new(target.seeds().collect(), start);
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut count = 0_u64;
        while Instant::now() < until {
            let input = mutator.next_input();
            if std::panic::catch_unwind(|| (target.run)(&input)).is_err() {
                bail!("{} breaks on {:?}", target.name, String::from_utf8_lossy(&input));
            }
            count += 1;
        }
        println!("{}: {count} inputs, none broke a promise", target.name);
    }
    Ok(())
}
