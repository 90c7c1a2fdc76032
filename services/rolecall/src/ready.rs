//! The ready file: how a test, or a script, learns where a process listens on ports it did not choose.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Writes `addresses` as JSON. The file appears whole or not at all.
pub(crate) fn write(path: Option<&Path>, addresses: &impl Serialize) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let draft = path.with_extension("draft");
    std::fs::write(&draft, serde_json::to_vec(addresses)?).context("writing the ready file")?;
    std::fs::rename(&draft, path).context("writing the ready file")
}
