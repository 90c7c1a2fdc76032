//! Every way a call of the store can fail.

use domain::label::Label;
use domain::matching::{Unmatched, describe};

/// Why a call failed. What the database said, once it is open, is in the log and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No such tenant.
    #[error("there is no tenant of that name")]
    TenantNotFound,
    /// A tenant of that name exists.
    #[error("there is a tenant of that name already")]
    TenantExists,
    /// No such user.
    #[error("there is no user of that id")]
    UserNotFound,
    /// No such group.
    #[error("there is no group of that id")]
    GroupNotFound,
    /// A member that was named does not exist.
    #[error("no user and no group has the id of a member")]
    MemberNotFound {
        /// The id.
        id: String,
    },
    /// Another resource bears a name that must be unique.
    #[error("another resource has the same {attribute}; it must be unique")]
    NameTaken {
        /// The attribute.
        attribute: &'static str,
    },
    /// The resource is not at the version the caller knows.
    #[error("the resource has changed since the version named; read it again")]
    VersionMismatch,
    /// A group would come to contain itself.
    #[error("the group would come to contain itself")]
    NestingCycle,
    /// A value can't be accepted.
    #[error("{field}: {expected}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What would be right.
        expected: String,
    },
    /// More than one request may ask for.
    #[error("{what}")]
    TooLarge {
        /// What there is too much of, and how much there may be.
        what: String,
    },
    /// The filter is none, or names what is unknown.
    #[error("{0}")]
    InvalidFilter(String),
    /// Labels that give nothing, where the tenant wants such a change refused.
    #[error("Fluent does not recognise these labels: {}", describe(labels))]
    LabelsUnmatched {
        /// Each with why.
        labels: Vec<(Label, Unmatched)>,
    },
    /// A change of a group's labels would hold more people than one change may.
    #[error("the labels it adds give nothing, and more than {most} active users would be held for them")]
    TooManyHeld {
        /// How many one change may hold.
        most: u64,
    },
    /// Nobody can say what a label means before the first complete read of the catalogue.
    #[error("Fluent's roles, retailers and locations have not been read yet")]
    CatalogueMissing,
    /// To answer, more would have to be looked at than one request may ask for.
    #[error("{0}")]
    TooMany(String),
    /// A position of another life of the database, or one ahead of the head.
    #[error("the position belongs to another life of the database; start over")]
    EpochMismatch,
    /// The feed no longer reaches back so far.
    #[error("the feed no longer reaches back so far; start over from the list of all users")]
    FeedTruncated,
    /// No such change waits.
    #[error("no such change waits; it was decided, withdrawn, or replaced by a newer one")]
    GroundNotFound,
    /// What a preview compares with changed under it.
    #[error("catalogue, rules, settings or the group changed meanwhile; ask again")]
    Moved,
    /// A later reader has written.
    #[error("a later reader of the catalogue has written")]
    Fenced,
    /// A rule set that can't be accepted.
    #[error("the rules are malformed: {0}")]
    RulesMalformed(domain::rules::MalformedRules),
    /// A bearer token that is not good, whatever is wrong with it.
    #[error("the token is not good")]
    TokenInvalid,
    /// The tenant defines no such extension.
    #[error("the tenant defines no extension of that URN")]
    SchemaNotFound,
    /// No such token.
    #[error("there is no token of that id")]
    TokenNotFound,
    /// As many tokens as a tenant may have are good.
    #[error("the tenant has five good tokens already; revoke one first")]
    TooManyTokens,
    /// What was waited for did not come in time.
    #[error("no newer read of the catalogue came in time")]
    TooLate,
    /// Too many changes wait already.
    #[error("too many changes are waiting; try again")]
    Busy,
    /// The database did not answer, or did not confirm a commit: it may have happened, or not.
    #[error("the database can't answer now; try again")]
    Unavailable,
    /// The database can't be opened: with what it said, for who starts the part.
    #[error("{0}")]
    Opening(String),
    /// A fault of ours.
    #[error("an internal error")]
    Internal,
}
