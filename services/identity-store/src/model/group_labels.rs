//! The tenant's own table of group labels.

use domain::id::GroupId;
use domain::label::Label;

/// How the tenant's own table names a group, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupKey {
    /// By `externalId`, exactly.
    ExternalId(String),
    /// By id.
    Id(GroupId),
    /// By `displayName`, without regard to case.
    DisplayName(String),
}

/// One entry of the tenant's own table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLabels {
    /// Which groups.
    pub key: GroupKey,
    /// Their labels.
    pub labels: Vec<Label>,
}
