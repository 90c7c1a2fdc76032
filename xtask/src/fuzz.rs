//! Fuzzing by hand: the program `fuzz` in release mode, with its promises checked in full.

use anyhow::Result;

use crate::stage::{self, cargo};

/// Feeds every target, or the one that is named, with garbled seeds.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    stage::run(cargo(&["run", "--release", "--locked", "-p", "fuzz", "--"]).args(arguments))
}
