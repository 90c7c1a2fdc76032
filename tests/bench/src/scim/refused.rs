//! How soon what is too deep, too long or too wide is refused: a client must not keep a core busy with it. That it is
//! refused, and within which bounds, tests show.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use scim::Mode;
use scim::filter::Filter;
use scim::json::{Limits, read_object};
use scim::path::Path;

use crate::report::{Goal, Report};
use crate::stats::millis;

/// How often each is read; the slowest counts.
const ROUNDS: usize = 20;
/// How much of what is repeated.
const MANY: usize = 1_000_000;

/// D01 and D02.
pub(super) fn run(report: &mut Report) -> Result<()> {
    report.section("refused", "What is refused, milliseconds until it is: the slowest of several", &["ms", "MB"]);
    let texts = [
        ("((((…", "(".repeat(MANY)),
        ("not (not (…", "not (".repeat(MANY)),
        ("a pr or a pr or …", "a pr or ".repeat(MANY)),
        ("a.a.a.…", "a.".repeat(MANY)),
        ("a text of 64 kB", format!("userName eq \"{}\"", "x".repeat(64 << 10))),
    ];
    for (what, text) in &texts {
        let refuses = || Filter::parse(black_box(text), Mode::Lenient).is_err();
        row(report, &format!("filter {what}"), text, 5.0, refuses)?;
    }
    for (what, text) in &texts {
        let refuses = || Path::parse(black_box(text), Mode::Lenient).is_err();
        row(report, &format!("PATCH path {what}"), text, 5.0, refuses)?;
    }
    let keys = |key: &dyn Fn(usize) -> String| {
        let keys: Vec<_> = (0..MANY).map(|n| format!("\"{}\":0", key(n))).collect();
        format!("{{{}}}", keys.join(","))
    };
    let bodies = [
        ("[[[[…", format!("{{\"a\":{}", "[".repeat(MANY))),
        ("{\"a\":{\"a\":…", "{\"a\":".repeat(MANY)),
        ("a million keys", keys(&|n| format!("k{n}"))),
        ("a million keys of one length and ending", keys(&|n| format!("{n:08}aaaaaaaa"))),
        ("a million values in a list", format!("{{\"a\":[{}0]}}", "0,".repeat(MANY))),
    ];
    for (what, body) in &bodies {
        let refuses = || read_object(black_box(body.as_bytes()), &Limits::default()).is_err();
        row(report, &format!("body {what}"), body, 50.0, refuses)?;
    }
    Ok(())
}

fn row(report: &mut Report, what: &str, text: &str, goal: f64, read: impl Fn() -> bool) -> Result<()> {
    let mut slowest = 0.0_f64;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let refused = black_box(read());
        slowest = slowest.max(millis(begun.elapsed()));
        ensure!(refused, "{what} is accepted");
    }
    let size = crate::stats::number(text.len()) / 1e6;
    report.row(what, &[slowest, size], Some(Goal::Below("ms", goal)))
}
