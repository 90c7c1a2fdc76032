//! The table of reasons: every way a call between parts can fail, with its kind. A new one is a new line here.

use std::fmt;

use super::Kind;

/// Why a call failed, for programs: a name in `SCREAMING_SNAKE_CASE` that never changes its meaning.
///
/// The constants can be used as patterns.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason {
    name: &'static str,
    kind: Kind,
}

macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident: $kind:ident,)+) => {
        impl Reason {
            $($(#[$doc])+ pub const $name: Self = Self { name: stringify!($name), kind: Kind::$kind };)+

            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

reasons! {
    // The general reasons, one for each kind.
    /// The request is wrong in a way no other reason names.
    INVALID_ARGUMENT: InvalidArgument,
    /// No credential was presented.
    UNAUTHENTICATED: Unauthenticated,
    /// The credential does not allow this.
    PERMISSION_DENIED: PermissionDenied,
    /// Something that was named does not exist.
    NOT_FOUND: NotFound,
    /// Something that was to be made exists.
    ALREADY_EXISTS: AlreadyExists,
    /// The system is not in the state this request needs.
    FAILED_PRECONDITION: FailedPrecondition,
    /// Another request came first.
    ABORTED: Aborted,
    /// A limit is reached.
    RESOURCE_EXHAUSTED: ResourceExhausted,
    /// The part asked cannot answer now.
    UNAVAILABLE: Unavailable,
    /// The answer did not come in time.
    DEADLINE_EXCEEDED: DeadlineExceeded,
    /// A position outside what exists.
    OUT_OF_RANGE: OutOfRange,
    /// A fault of ours.
    INTERNAL: Internal,
    /// Not offered.
    UNIMPLEMENTED: Unimplemented,

    // Who asks.
    /// The bearer token is malformed, unknown, expired or revoked.
    TOKEN_INVALID: Unauthenticated,
    /// The token is good, but not for this.
    SCOPE_MISSING: PermissionDenied,
    /// The tenant named is not the credential's.
    TENANT_MISMATCH: PermissionDenied,
    /// Only another part of Rolecall may call this.
    PEER_REQUIRED: PermissionDenied,
    /// As many tokens as a tenant may have are live.
    TOKEN_LIMIT: ResourceExhausted,
    /// The tenant has sent more than its share.
    RATE_LIMITED: ResourceExhausted,

    // What is asked for.
    /// No such tenant.
    TENANT_NOT_FOUND: NotFound,
    /// A tenant of that name exists.
    TENANT_EXISTS: AlreadyExists,
    /// No such user.
    USER_NOT_FOUND: NotFound,
    /// No such group.
    GROUP_NOT_FOUND: NotFound,
    /// A member that was named does not exist.
    MEMBER_NOT_FOUND: InvalidArgument,
    /// The tenant defines no such extension.
    SCHEMA_NOT_FOUND: NotFound,
    /// No such change of catalogue, rules or settings waits for an operator.
    GROUND_NOT_FOUND: NotFound,
    /// No such bearer token.
    TOKEN_NOT_FOUND: NotFound,
    /// No such Fluent account, or none that is ours.
    ACCOUNT_NOT_FOUND: NotFound,
    /// The tenant has no entry in the folder of Fluent addresses and secrets.
    FLUENT_NOT_CONFIGURED: FailedPrecondition,

    // What a request may say.
    /// A message lacks a field it needs.
    FIELD_MISSING: InvalidArgument,
    /// A field's value cannot be read.
    FIELD_INVALID: InvalidArgument,
    /// The filter cannot be parsed or names something unknown.
    INVALID_FILTER: InvalidArgument,
    /// The page token or cursor is not one of ours.
    INVALID_CURSOR: InvalidArgument,
    /// The cursor was one of ours and is too old.
    EXPIRED_CURSOR: InvalidArgument,
    /// To answer, more would have to be looked at than one request may ask for.
    TOO_MANY: InvalidArgument,
    /// More than one request may hold.
    TOO_LARGE: InvalidArgument,
    /// A freshness token that cannot be authenticated.
    REVISION_TOKEN_INVALID: InvalidArgument,
    /// A label that the guardrail refuses.
    LABEL_UNMATCHED: InvalidArgument,
    /// A user without a label, where the tenant refuses that.
    LABELS_MISSING: InvalidArgument,
    /// The change would hold more users than the tenant's limit.
    TOO_MANY_HELD: InvalidArgument,
    /// A user name that the tenant's policy does not let change.
    RENAME_REFUSED: FailedPrecondition,

    // What a change runs into.
    /// Another resource bears a value that must be unique.
    UNIQUENESS: AlreadyExists,
    /// The resource is not at the version the request names.
    VERSION_MISMATCH: FailedPrecondition,
    /// The membership would make a group a member of itself.
    NESTING_CYCLE: InvalidArgument,
    /// The membership would nest groups deeper than is allowed.
    NESTING_TOO_DEEP: InvalidArgument,
    /// The set of rules contradicts itself.
    RULES_MALFORMED: InvalidArgument,
    /// No complete copy of Fluent's catalogue is there yet.
    CATALOGUE_MISSING: Unavailable,
    /// The copy of Fluent's catalogue is too old to refuse a name by.
    CATALOGUE_STALE: Unavailable,
    /// A newer holder of the lease has written since.
    FENCED: Aborted,
    /// The state machine has no such step from where the thing stands.
    STATE_CONFLICT: FailedPrecondition,

    // Freshness and the feed.
    /// A token or position of another life of the database.
    EPOCH_MISMATCH: FailedPrecondition,
    /// A token or position of another tenant.
    REVISION_OF_OTHER_TENANT: FailedPrecondition,
    /// A token or position ahead of the head: the database was restored and nobody said so.
    REVISION_AHEAD: FailedPrecondition,
    /// The snapshot or position asked for is no longer kept.
    FEED_TRUNCATED: OutOfRange,
    /// Nobody can say how fresh the answer would be.
    FRESHNESS_UNKNOWN: Unavailable,

    // Who cannot answer.
    /// The database cannot be reached or does not answer in time.
    STORE_UNAVAILABLE: Unavailable,
    /// The writer's queue is full.
    STORE_BUSY: Unavailable,
    /// Fluent cannot be reached or does not answer in time.
    FLUENT_UNAVAILABLE: Unavailable,
    /// Fluent refused the sign-in.
    FLUENT_UNAUTHENTICATED: FailedPrecondition,
    /// Fluent refused the request, for good.
    FLUENT_REFUSED: FailedPrecondition,
    /// This process is stopping.
    SHUTTING_DOWN: Unavailable,
}

impl Reason {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.name
    }

    /// The kind of failure it is.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// The reason of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.name == name)
    }

    /// The reason that says no more than its kind.
    #[must_use]
    pub const fn general(kind: Kind) -> Self {
        match kind {
            Kind::InvalidArgument => Self::INVALID_ARGUMENT,
            Kind::Unauthenticated => Self::UNAUTHENTICATED,
            Kind::PermissionDenied => Self::PERMISSION_DENIED,
            Kind::NotFound => Self::NOT_FOUND,
            Kind::AlreadyExists => Self::ALREADY_EXISTS,
            Kind::FailedPrecondition => Self::FAILED_PRECONDITION,
            Kind::Aborted => Self::ABORTED,
            Kind::ResourceExhausted => Self::RESOURCE_EXHAUSTED,
            Kind::Unavailable => Self::UNAVAILABLE,
            Kind::DeadlineExceeded => Self::DEADLINE_EXCEEDED,
            Kind::OutOfRange => Self::OUT_OF_RANGE,
            Kind::Internal => Self::INTERNAL,
            Kind::Unimplemented => Self::UNIMPLEMENTED,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
