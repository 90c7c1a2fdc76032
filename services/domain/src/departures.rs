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
    /// Whether a crowd is known to have left, and none since would be another.
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
        match self.minutes.iter_mut().find(|minute| minute.number == this) {
            Some(minute) => minute.departures = minute.departures.saturating_add(count),
            None => self.minutes.push(Minute { number: this, departures: count, users }),
        }
        let departures = self.minutes.iter().fold(0, |sum: u64, minute| sum.saturating_add(minute.departures));
        let users = self.minutes.iter().map(|minute| minute.users).max().unwrap_or(users);
        let crowd = departures > HANDFUL && (departures > MANY || departures.saturating_mul(5) > users);
        let told = std::mem::replace(&mut self.told, crowd);
        (crowd && !told).then_some(Crowd { departures, users })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Crowd, Departures, MINUTE, WINDOW};
    use crate::clock::Timestamp;

    const NOON: i64 = 1_700_000_000_000_000;

    proptest! {
        /// More than a fifth of those who were there, gone within ten minutes, are always told, and never twice without a
        /// time between in which they were no crowd; and nobody is, of whom no fifth left within eleven minutes.
        #[test]
        fn a_crowd_is_told_once_and_no_other_is(
            events in prop::collection::vec((0..150_i64, 1..4_u64, any::<bool>()), 0..60),
        ) {
            let (mut now, mut users, mut departures) = (NOON, 100, Departures::default());
            let (mut all, mut was) = (Vec::<(i64, u64, u64)>::new(), false);
            for (seconds, count, deletes) in events {
                now += seconds * 1_000_000;
                all.push((now, count, users));
                let told = departures.add(Timestamp(now), count, users);
                users = if deletes { users.saturating_sub(count) } else { users };
                departures = Departures::parse(&departures.to_text());
                let crowd_within = |reach: i64| {
                    let lately = all.iter().filter(|(at, ..)| now - at <= reach);
                    let (left, there) =
                        lately.fold((0, 0), |(left, there), (_, count, users)| (left + count, u64::max(there, *users)));
                    left > 5 && left * 5 > there
                };
                let window = i64::try_from(WINDOW.as_micros()).unwrap();
                if told.is_some() {
                    prop_assert!(!was, "told twice");
                }
                // Minutes are whole: what is between ten and eleven of them ago may count or not.
                let is = departures.told;
                prop_assert!(is || !crowd_within(window) || crowd_within(window + MINUTE) != crowd_within(window));
                prop_assert!(!is || told.is_some() || was);
                was = is;
            }
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
    fn what_cannot_be_read_counts_nobody() {
        let read = Departures::parse("! x 1: :2 3:4:5 6:7");
        assert_eq!((read.to_text().as_str(), Departures::default().to_text().as_str()), ("! 3:4:5", ""));
    }
}
