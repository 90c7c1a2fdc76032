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

/// The departures of the last minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Departures {
    minutes: Vec<Minute>,
    /// Whether those counted are a crowd that was told. Once so many are forgotten that the rest is none, the next is another.
    told: bool,
}

/// What happened in one minute since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Minute {
    number: i64,
    departures: u64,
    /// How many users there were before the first of them.
    users: u64,
}

/// So many left within the [`WINDOW`], of so many users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// Those who left.
    pub departures: u64,
    /// How many there were.
    pub users: u64,
}

impl Departures {
    /// Reads what [`Self::to_text`] wrote. What can't be read counts nobody.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let minute = |part: &str| {
            let mut numbers = part.split(':');
            let number = numbers.next()?.parse().ok()?;
            let (departures, users) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
            Some(Minute { number, departures, users })
        };
        Self { minutes: text.split_whitespace().filter_map(minute).collect(), told: text.starts_with('!') }
    }

    /// As the database keeps it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { minutes, told } = self;
        let minute = |Minute { number, departures, users }: &Minute| format!("{number}:{departures}:{users}");
        let told = told.then(|| "!".to_owned());
        told.into_iter().chain(minutes.iter().map(minute)).collect::<Vec<_>>().join(" ")
    }

    /// Counts some more, of so many users, and forgets those of long ago. Answers with the crowd that leaves, once: when it
    /// becomes more than 500, or more than a fifth of the users.
    pub fn add(&mut self, now: Timestamp, count: u64, users: u64) -> Option<Crowd> {
        let this = now.0.div_euclid(MINUTE);
        // A clock that was set back loses nobody.
        self.minutes.retain(|minute| (this - minute.number).abs() <= MINUTES);
        let told = self.told && self.crowd().is_some();
        match self.minutes.iter_mut().find(|minute| minute.number == this) {
            Some(minute) => minute.departures = minute.departures.saturating_add(count),
            None => self.minutes.push(Minute { number: this, departures: count, users }),
        }
        let crowd = self.crowd();
        self.told = crowd.is_some();
        crowd.filter(|_| !told)
    }

    /// Whether one more, of so many users, is beyond the limit: one of a crowd.
    #[must_use]
    pub fn is_full(&self, now: Timestamp, users: u64) -> bool {
        let mut next = self.clone();
        next.add(now, 1, users);
        next.crowd().is_some()
    }

    /// Those counted, if they are a crowd.
    #[must_use]
    pub fn crowd(&self) -> Option<Crowd> {
        let departures = self.minutes.iter().fold(0, |sum: u64, minute| sum.saturating_add(minute.departures));
        let users = self.minutes.iter().map(|minute| minute.users).max()?;
        let crowd = departures > HANDFUL && (departures > MANY || departures.saturating_mul(5) > users);
        crowd.then_some(Crowd { departures, users })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Crowd, Departures, MINUTE, WINDOW};
    use crate::clock::Timestamp;

    const NOON: i64 = 1_700_000_000_000_000;

    proptest! {
        /// A crowd is told when those who left within ten minutes become one: not again while they are one, and again
        /// after a time in which those who were left of it were none.
        #[test]
        fn a_crowd_is_told_once_and_no_other_is(
            events in prop::collection::vec((seconds(), count(), any::<bool>()), 0..60),
        ) {
            let (mut now, mut users, mut departures) = (NOON, 100, Departures::default());
            let (mut all, mut is) = (Vec::<(i64, u64, u64)>::new(), false);
            let crowd = |all: &[(i64, u64, u64)], now: i64| {
                // Minutes are whole: what is between ten and eleven of them ago may count or not.
                let lately = all.iter().filter(|(at, ..)| now / MINUTE - at / MINUTE <= 10);
                let (left, there) =
                    lately.fold((0, 0), |(left, there), (_, count, users)| (left + count, u64::max(there, *users)));
                left > 5 && left * 5 > there
            };
            for (seconds, count, deletes) in events {
                now += seconds * 1_000_000;
                let still = is && crowd(&all, now);
                let full = departures.is_full(Timestamp(now), users);
                let with_another = [all.as_slice(), &[(now, 1, users)]].concat();
                prop_assert_eq!(full, crowd(&with_another, now));
                all.push((now, count, users));
                let told = departures.add(Timestamp(now), count, users);
                users = if deletes { users.saturating_sub(count) } else { users };
                departures = Departures::parse(&departures.to_text());
                is = crowd(&all, now);
                prop_assert_eq!(told.is_some(), is && !still);
                prop_assert_eq!(departures.told, is);
            }
        }
    }

    /// From one to the next: often soon, sometimes after all is forgotten.
    fn seconds() -> impl Strategy<Value = i64> {
        prop_oneof![6 => 0..150_i64, 1 => 600..2_000_i64]
    }

    /// Few, mostly; sometimes a crowd at once.
    fn count() -> impl Strategy<Value = u64> {
        prop_oneof![6 => 1..4_u64, 1 => 4..60_u64]
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
            let told = Departures::default().add(Timestamp(NOON), departures, users);
            assert_eq!(told, crowd.then_some(Crowd { departures, users }));
        }
    }

    #[test]
    fn one_by_one_they_are_a_crowd_too_whether_deleted_or_not_and_later_another() {
        for deletes in [false, true] {
            let (mut departures, mut users, mut told) = (Departures::default(), 100_u64, Vec::new());
            for n in 1..=40 {
                told.extend(departures.add(Timestamp(NOON + n), 1, users).map(|_| n));
                users -= u64::from(deletes);
            }
            assert_eq!(told, [21], "once");
            let later = Timestamp(NOON + 12 * MINUTE);
            assert_eq!(departures.add(later, 1, users), None);
            assert!(departures.add(later, 30, users).is_some(), "another");
        }
    }

    #[test]
    fn another_crowd_that_leaves_at_once_after_a_pause_is_told() {
        let mut departures = Departures::default();
        assert!(departures.add(Timestamp(NOON), 30, 100).is_some());
        assert_eq!(departures.add(Timestamp(NOON + MINUTE), 1, 70), None, "the same");
        let week = i64::try_from(WINDOW.as_micros()).unwrap() * 6 * 24 * 7;
        assert!(departures.add(Timestamp(NOON + week), 30, 69).is_some());
    }

    #[test]
    fn what_cannot_be_read_counts_nobody() {
        let read = Departures::parse("! x 1: :2 3:4:5 6:7");
        assert_eq!((read.to_text().as_str(), Departures::default().to_text().as_str()), ("! 3:4:5", ""));
    }
}
