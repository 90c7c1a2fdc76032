//! What processes use of the processor and of memory, as Linux counts it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// How long a look at idle processes lasts, and how much they may use in it.
const LOOK: Duration = Duration::from_millis(300);
const IDLE: Duration = Duration::from_millis(20);
/// Looks at processes that do not come to rest.
const LOOKS: usize = 400;

/// Some processes.
#[derive(Debug)]
pub(crate) struct Processes {
    ids: Vec<u32>,
    tick: Duration,
}

impl Processes {
    pub(crate) fn new(ids: Vec<u32>) -> Result<Self> {
        let asked = Command::new("getconf").arg("CLK_TCK").output().context("asking for the length of a tick")?;
        let ticks: u32 = String::from_utf8_lossy(&asked.stdout).trim().parse().context("ticks in a second")?;
        Ok(Self { ids, tick: Duration::from_secs(1) / ticks })
    }

    /// The processor time they have used.
    pub(crate) fn used(&self) -> Result<Duration> {
        self.ids.iter().map(|id| Ok(self.tick * ticks(*id)?)).sum()
    }

    /// Waits until they have finished what they do behind the last answer, twice in a row doing nothing, so that it
    /// neither burdens what is measured next nor goes uncounted.
    pub(crate) async fn settle(&self) -> Result<()> {
        let (mut before, mut quiet) = (self.used()?, 0);
        for _ in 0..LOOKS {
            tokio::time::sleep(LOOK).await;
            let now = self.used()?;
            quiet = if now.saturating_sub(before) <= IDLE { quiet + 1 } else { 0 };
            if quiet == 2 {
                return Ok(());
            }
            before = now;
        }
        bail!("the product does not come to rest");
    }
}

/// The bytes of memory that a process has for itself just now.
pub(crate) fn resident(id: u32) -> Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).context("a process is gone")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has memory")?;
    let kib: usize = line.trim().trim_end_matches(" kB").parse().context("a number of KiB")?;
    Ok(kib << 10)
}

/// `utime` and `stime`, fields 14 and 15; the name before them may hold anything, so it is counted from its end.
fn ticks(id: u32) -> Result<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).context("a process is gone")?;
    let (_, fields) = stat.rsplit_once(") ").context("a process has a name")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<u32>);
    let (Some(user), Some(system)) = (times.next(), times.next()) else { bail!("/proc/{id}/stat is too short") };
    Ok(user? + system?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_a_bounded_time_and_some_memory() {
        let this = Processes::new(vec![std::process::id()]).unwrap();
        assert!(this.used().unwrap() < Duration::from_hours(1));
        assert!(resident(std::process::id()).unwrap() > 1 << 20);
    }
}
