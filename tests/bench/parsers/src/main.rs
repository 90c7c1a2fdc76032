//! Times parsers of SCIM filters that others wrote: filters on standard input, a line each; for each crate and filter a
//! line of crate, number of the filter and nanoseconds for one parse, or `refused`.

use std::hint::black_box;
use std::io::BufRead as _;
use std::time::Instant;

/// The allocator the product has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As often as ours is timed, in `tests/bench/src/scim/parse.rs`.
const PARSES: u32 = 20_000;
const ROUNDS: usize = 7;

fn main() {
    let filters: Vec<String> = std::io::stdin().lock().lines().map_while(Result::ok).collect();
    for (n, filter) in filters.iter().enumerate() {
        let filter = || black_box(filter.as_str());
        time("scim_v2", n, || filter().parse::<scim_v2::filter::Filter>().is_ok());
        time("scim-filter", n, || scim_filter::parser::filter(filter()).is_ok_and(|(rest, _)| rest.is_empty()));
        time("scim_proto", n, || filter().parse::<scim_proto::filter::ScimFilter>().is_ok());
    }
}

fn time(name: &str, n: usize, parse: impl Fn() -> bool) {
    if !parse() {
        println!("{name}\t{n}\trefused");
        return;
    }
    let round = || {
        let begun = Instant::now();
        for _ in 0..PARSES {
            black_box(parse());
        }
        begun.elapsed() / PARSES
    };
    let best = (0..ROUNDS).map(|_| round()).min().unwrap_or_default();
    println!("{name}\t{n}\t{}", best.as_nanos());
}
