//! What every process of the program needs: a runtime, and a way to say why it stopped.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use runtime::config::ConfigErrors;

/// The exit code for a configuration that can't be used (`EX_USAGE` of sysexits).
const CONFIGURATION: u8 = 64;

/// A runtime with a thread for each core.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")
}

/// Prints an error with its causes. Mistakes in the configuration have an exit code of their own.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let mut text = String::from("rolecall: ");
    for (depth, cause) in error.chain().enumerate() {
        let _ = write!(text, "{}{cause}", if depth > 0 { ": " } else { "" });
    }
    eprintln!("{text}");
    if error.is::<ConfigErrors>() { ExitCode::from(CONFIGURATION) } else { ExitCode::FAILURE }
}
