//! How long a filter takes to read, beside parsers that others wrote. Those run in a program of their own
//! (`tests/bench/parsers`), which `cargo xtask bench scim` builds.

use std::hint::black_box;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use scim::Mode;
use scim::filter::Filter;

use crate::report::{Goal, Report};

/// Names the program with the others' parsers.
const PARSERS: &str = "ROLECALL_BENCH_PARSERS";
/// As often as the others are timed, in `tests/bench/parsers`.
const PARSES: u32 = 20_000;
const ROUNDS: usize = 7;

/// The others, in the order of the columns.
const OTHERS: [&str; 3] = ["scim_v2", "scim-filter", "scim_proto"];

const FILTERS: [&str; 10] = [
    r#"userName eq "bjensen""#,
    r#"userName Eq "bjensen""#,
    r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
    r#"emails[type eq "work" and value co "@example.com"]"#,
    r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#,
    r#"userName eq "a\"b\u00e9""#,
    "x eq -1.5e3",
    r#"members.$ref eq "x""#,
    r#"emails[type eq "work"].value eq "a@b""#,
    "not(a pr)",
];

pub(super) fn run(report: &mut Report) -> Result<()> {
    let others = others()?;
    report.section(
        "parse",
        "Reading a filter, nanoseconds; a dash: refused",
        &["ours", OTHERS[0], OTHERS[1], OTHERS[2], "ours/fastest"],
    );
    for (n, filter) in FILTERS.into_iter().enumerate() {
        let ours = time(filter)?;
        let fastest = others[n].iter().copied().fold(f64::NAN, f64::min);
        let goal = (!fastest.is_nan()).then_some(Goal::Below("ours/fastest", 1.0));
        let [a, b, c] = others[n];
        report.row(&filter.replace("ietf:params:scim:schemas", "…"), &[ours, a, b, c, ours / fastest], goal)?;
    }
    Ok(())
}

/// Nanoseconds for one parse of ours, which must accept the filter.
fn time(filter: &str) -> Result<f64> {
    let parse = || Filter::parse(black_box(filter), Mode::Lenient).is_ok();
    ensure!(parse(), "ours refuses {filter}");
    let round = || {
        let begun = Instant::now();
        for _ in 0..PARSES {
            black_box(parse());
        }
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(PARSES)
    };
    Ok((0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min))
}

/// Nanoseconds of the others for each filter; not a number where one refuses it, or is not there.
fn others() -> Result<[[f64; OTHERS.len()]; FILTERS.len()]> {
    let mut times = [[f64::NAN; OTHERS.len()]; FILTERS.len()];
    let Some(program) = std::env::var_os(PARSERS) else { return Ok(times) };
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("its input")?.write_all(FILTERS.join("\n").as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the others' parsers stopped");
    for line in String::from_utf8(output.stdout)?.lines() {
        let mut parts = line.split('\t');
        let (Some(name), Some(n), Some(time)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let column = OTHERS.iter().position(|other| *other == name).context("a parser of that name")?;
        times[n.parse::<usize>()?][column] = time.parse().unwrap_or(f64::NAN);
    }
    Ok(times)
}
