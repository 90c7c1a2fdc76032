//! Everything that reads what a stranger sends, fed with seeds and what becomes of them when they are garbled.
//!
//! The tests run a fixed number of garbled seeds, the same every time; `cargo xtask fuzz` goes on for as long as it is
//! told. A target panics where a promise is broken: nothing else is looked at, so a target is a function of bytes.
#![allow(clippy::missing_panics_doc, reason = "to panic is how a target says that a promise is broken")]

mod mutate;
mod targets;

pub use mutate::Mutator;

/// Something that reads bytes of a stranger.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Reads the bytes; panics if a promise is broken.
    pub run: fn(&[u8]),
    corpus: &'static str,
}

macro_rules! targets {
    ($($name:ident,)*) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            run: targets::$name,
            corpus: include_str!(concat!("../corpus/", stringify!($name), ".txt")),
        },)*];
    };
}

targets! {
    filter,
    path,
    patch,
    resource,
    bulk,
    search,
    token,
    label,
    cursor,
    place,
}

impl Target {
    /// The seeds: each line of the corpus is one.
    pub fn seeds(&self) -> impl Iterator<Item = &'static str> {
        self.corpus.lines()
    }
}

#[cfg(test)]
mod tests {
    use super::{Mutator, TARGETS};

    /// How many garbled seeds of each target a run of the tests looks at.
    const ROUNDS: usize = 20_000;

    #[test]
    fn every_seed_is_read() {
        for target in TARGETS {
            assert!(target.seeds().count() >= 5, "{} has seeds", target.name);
            target.seeds().for_each(|seed| (target.run)(seed.as_bytes()));
        }
    }

    /// B01: whatever reads a stranger's bytes, without a panic, and with what each target promises of what it accepts.
    #[test]
    fn no_garbled_seed_breaks_a_promise() {
        for target in TARGETS {
            let mut mutator = Mutator::new(target.seeds().collect(), 1);
            for _ in 0..ROUNDS {
                let input = mutator.next_input();
                let broken = std::panic::catch_unwind(|| (target.run)(&input)).is_err();
                assert!(!broken, "{} breaks on {:?}", target.name, String::from_utf8_lossy(&input));
            }
        }
    }
}
