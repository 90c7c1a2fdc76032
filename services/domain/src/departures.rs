//! How many people left lately: whether so many that a slip of the identity provider is likelier than the truth.

use std::time::Duration;

use crate::clock::Timestamp;

/// How long a departure counts, at least; to the minute.
pub const WINDOW: Duration = Duration::from_mins(10);

const MINUTE: i64 = 60_000_000;
const MINUTES: i64 = 10;
/// So many are a crowd in any tenant.
const MANY: u64 = 500;
/// So few are no crowd, however small the tenant.
const HANDFUL: u64 = 5;

/// The departures of the last minutes, counted by the minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Departures(Vec<(i64, u64)>);

impl Departures {
    /// Reads what [`Self::to_text`] wrote. What can't be read counts nobody.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let minute = |part: &str| {
            let (minute, count) = part.split_once(':')?;
            Some((minute.parse().ok()?, count.parse().ok()?))
        };
        Self(text.split_whitespace().filter_map(minute).collect())
    }

    /// As the database keeps it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let minutes: Vec<_> = self.0.iter().map(|(minute, count)| format!("{minute}:{count}")).collect();
        minutes.join(" ")
    }

    /// Counts some more, and forgets those of long ago.
    pub fn add(&mut self, now: Timestamp, count: u64) {
        let minute = now.0.div_euclid(MINUTE);
        self.0.retain(|(of, _)| counts(*of, minute));
        match self.0.iter_mut().find(|(of, _)| *of == minute) {
            Some((_, known)) => *known = known.saturating_add(count),
            None => self.0.push((minute, count)),
        }
    }

    /// How many there were within the [`WINDOW`] before now.
    #[must_use]
    pub fn lately(&self, now: Timestamp) -> u64 {
        let minute = now.0.div_euclid(MINUTE);
        let lately = self.0.iter().filter(|(of, _)| counts(*of, minute));
        lately.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// A clock that was set back loses nobody.
fn counts(of: i64, minute: i64) -> bool {
    (minute - of).abs() <= MINUTES
}

/// Whether so many departures from a tenant of so many users are a crowd: more than 500, or more than a fifth.
#[must_use]
pub fn is_crowd(departures: u64, users: u64) -> bool {
    departures > HANDFUL && (departures > MANY || departures.saturating_mul(5) > users)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Departures, MINUTE, WINDOW, is_crowd};
    use crate::clock::Timestamp;

    proptest! {
        /// Everybody of the last ten minutes counts, and nobody of more than eleven minutes ago.
        #[test]
        fn who_left_lately_is_counted(events in prop::collection::vec((0..90_i64, 1..4_u64), 0..60), later in 0..30_i64) {
            let (mut now, mut departures, mut all) = (1_700_000_000_000_000, Departures::default(), Vec::new());
            for (seconds, count) in events {
                now += seconds * 1_000_000;
                departures.add(Timestamp(now), count);
                all.push((now, count));
                departures = Departures::parse(&departures.to_text());
            }
            now += later * MINUTE;
            let window = i64::try_from(WINDOW.as_micros()).unwrap();
            let within = |reach| all.iter().filter(|(at, _)| now - at <= reach).map(|(_, count)| count).sum::<u64>();
            let lately = departures.lately(Timestamp(now));
            prop_assert!(within(window) <= lately && lately <= within(window + MINUTE));
        }
    }

    #[test]
    fn a_crowd_is_a_fifth_or_five_hundred_and_never_a_handful() {
        for (departures, users, crowd) in [
            (1, 1, false),
            (5, 5, false),
            (6, 6, true),
            (20, 100, false),
            (21, 100, true),
            (500, 1_000_000, false),
            (501, 1_000_000, true),
        ] {
            assert_eq!(is_crowd(departures, users), crowd, "{departures} of {users}");
        }
    }

    #[test]
    fn what_cannot_be_read_counts_nobody() {
        assert_eq!(Departures::parse("x 1: :2 3:4").0, [(3, 4)]);
    }
}
