//! What tests and checks need from outside, installed where it is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::stage::{cargo, root, run};

/// Installs the servers that tests start, from Debian's packages.
pub(crate) fn servers() -> Result<()> {
    let mut missing = Vec::new();
    if !on_path("redis-server") {
        missing.push("redis-server");
    }
    if !Path::new("/usr/lib/postgresql").exists() {
        missing.push("postgresql");
    }
    install(&missing)
}

/// Installs what the foreign suites run in.
pub(crate) fn python() -> Result<()> {
    let mut missing = Vec::new();
    let works = Command::new("python3").args(["-c", "import ensurepip, venv"]).stderr(Stdio::null()).status();
    if !works.is_ok_and(|status| status.success()) {
        missing.push("python3-venv");
    }
    if !on_path("curl") {
        missing.push("curl");
    }
    install(&missing)
}

/// Installs Debian's packages of these names.
fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let apt = |arguments: &[&str]| {
        run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()))
    };
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}

/// The `buf` command, from the npm registry.
pub(crate) fn buf() -> Result<PathBuf> {
    const VERSION: &str = "1.75.0";
    let folder = root().join("target/tools/buf");
    let program = folder.join("node_modules/.bin/buf");
    if !program.exists() {
        std::fs::create_dir_all(&folder)?;
        let package = format!("@bufbuild/buf@{VERSION}");
        run(Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&folder)
            .arg(package))?;
    }
    Ok(program)
}

/// The `cargo-deny` command: the installed one, else built here once.
pub(crate) fn deny() -> Result<PathBuf> {
    if on_path("cargo-deny") {
        return Ok("cargo-deny".into());
    }
    let folder = root().join("target/tools/deny");
    let program = folder.join("bin/cargo-deny");
    if !program.exists() {
        run(cargo(&["install", "--quiet", "--locked", "cargo-deny", "--root"]).arg(&folder))?;
    }
    Ok(program)
}

/// Whether a program is on the path.
fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|paths| std::env::split_paths(&paths).any(|folder| folder.join(program).is_file()))
}
