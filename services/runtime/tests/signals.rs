//! Signals, as a process meets them: the first begins the drain, the second ends it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use runtime::admin::Readiness;
use runtime::drain::Shutdown;

/// Set in the process that is to be stopped: this test program, started anew.
const CHILD: &str = "RUNTIME_TEST_STOPPED_CHILD";

#[tokio::test]
async fn a_signal_begins_the_drain_and_a_second_one_ends_the_process() {
    if std::env::var_os(CHILD).is_some() {
        stopped().await;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_signal_begins_the_drain_and_a_second_one_ends_the_process", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id().to_string();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    for (awaited, signal) in [("serving", "-TERM"), ("draining, not ready", "-INT")] {
        assert!(lines.any(|line| line.ends_with(awaited)), "the child never said `{awaited}`");
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

async fn stopped() {
    let readiness = Readiness::default();
    let shutdown = Shutdown::new(readiness.clone());
    shutdown.listen_for_signals().unwrap();
    println!("serving");
    shutdown.requested().await;
    println!("draining, {}", if readiness.is_ready() { "ready" } else { "not ready" });
    std::future::pending::<()>().await;
}
