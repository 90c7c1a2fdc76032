//! Garbles seeds, the same way for the same start.

/// What the languages read here are made of.
const WORDS: &[&str] = &[
    "\"", "\\", "\\u0000", "\\ud800", "(", ")", "[", "]", "{", "}", ":", ",", ".", "$ref", " and ", " or ", "not (",
    " eq ", " pr", "null", "true", "1e400", "-0", "members", "value", "bulkId:", "urn:", "\u{0}", "\u{202e}",
    "\u{feff}", "ß", "_",
];

/// The longest input made.
const LONGEST: usize = 4 << 10;

/// A source of inputs.
#[derive(Debug)]
pub struct Mutator {
    seeds: Vec<&'static str>,
    state: u64,
}

impl Mutator {
    /// A source that begins at `start`.
    #[must_use]
    pub fn new(seeds: Vec<&'static str>, start: u64) -> Self {
        Self { seeds, state: start }
    }

    /// The next input: a seed, changed in one to eight places.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.seed().as_bytes().to_vec();
        for _ in 0..=self.below(8) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let until = (at + self.below(16)).min(input.len());
        match self.below(6) {
            0 => input.splice(at..until, []).for_each(drop),
            1 => {
                let part = input[at..until].repeat(1 + self.below(20));
                input.splice(at..at, part).for_each(drop);
            }
            2 => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..at, word.bytes()).for_each(drop);
            }
            3 => {
                let other = self.seed().as_bytes();
                let from = self.below(other.len() + 1);
                input.splice(at..until, other[from..].iter().copied()).for_each(drop);
            }
            _ => {
                let byte = self.below(256).to_le_bytes()[0];
                if let Some(there) = input.get_mut(at) {
                    *there = byte;
                }
            }
        }
    }

    fn seed(&mut self) -> &'static str {
        let which = self.below(self.seeds.len());
        self.seeds[which]
    }

    /// A number below `end`, which is not 0 (`SplitMix64`).
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap_or(0)
    }
}
