//! The defences of the cache. A test turns one off at a time, to show what it is there for.

/// A defence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Defence {
    /// A set is no good for later states once something it depends on has a stamp above it.
    Stamps,
    /// Nothing is said of what was forgotten.
    Floor,
    /// Nothing is said of what the feed has not told yet.
    Position,
    /// What is kept in Redis is believed only if it bears our MAC.
    Mac,
    /// What is kept in Redis is never replaced by something older.
    NeverLower,
    /// Of those who need the same at one time, one asks.
    SingleFlight,
}
