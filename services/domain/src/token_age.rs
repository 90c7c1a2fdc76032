//! When an operator should hear of a token's age: before it ends, so that the next is in place in time, and once it is a
//! year old, for a secret that old was seen by too many.

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;

const DAY: Duration = Duration::from_hours(24);
/// How old a token may become without a word.
const YEAR: Duration = Duration::from_hours(24 * 365);

/// How near its end a token is that is still good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ageing {
    /// It was made a year ago or before, and does not end within 30 days.
    YearOld,
    /// It ends within 30 days.
    Within30Days,
    /// It ends within 14 days.
    Within14Days,
    /// It ends within 3 days.
    Within3Days,
}

impl Ageing {
    /// Each, the most urgent last.
    pub const ALL: [Self; 4] = [Self::YearOld, Self::Within30Days, Self::Within14Days, Self::Within3Days];

    /// What is to be said of a token; `None` while it is neither old nor near its end, and once it has ended.
    #[must_use]
    pub fn of(created_at: Timestamp, expires_at: Timestamp, now: Timestamp) -> Option<Self> {
        let ends_within = |days: u32| expires_at <= now.plus(DAY * days);
        if expires_at <= now {
            None
        } else if ends_within(3) {
            Some(Self::Within3Days)
        } else if ends_within(14) {
            Some(Self::Within14Days)
        } else if ends_within(30) {
            Some(Self::Within30Days)
        } else {
            (created_at.plus(YEAR) <= now).then_some(Self::YearOld)
        }
    }

    /// The moment by which what ends, or before which what was made, is spoken of.
    #[must_use]
    pub fn horizon(now: Timestamp) -> (Timestamp, Timestamp) {
        let year = i64::try_from(YEAR.as_micros()).unwrap_or(i64::MAX);
        (now.plus(DAY * 30), Timestamp(now.0.saturating_sub(year)))
    }

    /// The name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::YearOld => "year_old",
            Self::Within30Days => "ends_within_30_days",
            Self::Within14Days => "ends_within_14_days",
            Self::Within3Days => "ends_within_3_days",
        }
    }
}

/// For people.
impl fmt::Display for Ageing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::YearOld => "a year old",
            Self::Within30Days => "ends within 30 days",
            Self::Within14Days => "ends within 14 days",
            Self::Within3Days => "ends within 3 days",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Ageing, DAY};
    use crate::clock::Timestamp;

    #[test]
    fn a_tokens_end_is_announced_three_times_and_its_year_once() {
        let day = |n: u32| Timestamp(0).plus(DAY * n);
        let of = |expires, now| Ageing::of(day(0), day(expires), day(now));
        assert_eq!(of(180, 0), None);
        assert_eq!(of(180, 149), None);
        assert_eq!(of(180, 150), Some(Ageing::Within30Days));
        assert_eq!(of(180, 166), Some(Ageing::Within14Days));
        assert_eq!(of(180, 177), Some(Ageing::Within3Days));
        assert_eq!(of(180, 179), Some(Ageing::Within3Days));
        assert_eq!(of(180, 180), None, "it has ended");
        assert_eq!(of(500, 364), None);
        assert_eq!(of(500, 365), Some(Ageing::YearOld));
        assert_eq!(of(500, 470), Some(Ageing::Within30Days), "what is more urgent is said");
    }

    #[test]
    fn nobody_who_is_spoken_of_is_beyond_the_horizon() {
        for (created, expires, now) in (0..20).flat_map(|c| (0..20).map(move |e| (c * 40, e * 40, 400))) {
            let day = |n: u32| Timestamp(0).plus(DAY * n);
            let (ends_by, made_before) = Ageing::horizon(day(now));
            if Ageing::of(day(created), day(expires), day(now)).is_some() {
                assert!(day(expires) <= ends_by || day(created) <= made_before);
            }
        }
    }
}
