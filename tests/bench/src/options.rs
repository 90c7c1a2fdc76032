//! What every benchmark lets one choose.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::report::Report;

/// Which of the parts `P` are run, and where the measurements go.
#[derive(Clone, Debug, Args)]
pub(crate) struct Choice<P: ValueEnum + Send + Sync + 'static> {
    /// Only these parts, instead of all.
    #[arg(long)]
    only: Vec<P>,
    /// A file that gets a line of JSON for every measurement.
    #[arg(long)]
    json: Option<PathBuf>,
}

impl<P: ValueEnum + PartialEq + Send + Sync + 'static> Choice<P> {
    /// Whether a part is to be run.
    pub(crate) fn runs(&self, part: &P) -> bool {
        self.only.is_empty() || self.only.contains(part)
    }

    /// The report of the benchmark of this name.
    pub(crate) fn report(&self, bench: &'static str) -> Result<Report> {
        Report::new(bench, self.json.as_deref())
    }
}
