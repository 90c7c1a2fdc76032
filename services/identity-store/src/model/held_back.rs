//! Who is held back by the guard against mass deactivation.

use domain::clock::Timestamp;
use domain::id::UserId;
use domain::revision::Revision;

/// One who left beyond the guard against mass deactivation, and whose account is kept until it is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// The user.
    pub id: UserId,
    /// Its userName, or the last it had.
    pub user_name: String,
    /// Whether it was deleted; else it is inactive.
    pub deleted: bool,
    /// Since when.
    pub since: Timestamp,
}

/// Who is to be released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// These.
    Named(Vec<UserId>),
    /// Those held back at this revision or before it.
    Through(Revision),
}

/// What came of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// How many were released by it.
    pub released: u64,
    /// Whether there may be more of those who were to be.
    pub more: bool,
    /// How many the tenant still holds back.
    pub left: u64,
}
