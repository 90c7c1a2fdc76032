//! What a tenant may choose. Each choice is an enumeration, its default the one that grants less or keeps less.

/// What a request gets that adds an unmatched label and takes nothing away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guardrail {
    /// It is refused, naming each label, its reason and a suggestion; nothing is stored.
    #[default]
    Reject,
    /// It is accepted; those concerned are held.
    Hold,
}

/// What a new active user without labels gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutLabels {
    /// It is accepted and held: group labels may follow.
    #[default]
    Hold,
    /// It is refused.
    Reject,
}

/// What becomes of an account whose user was renamed: Fluent can't rename it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rename {
    /// The user is held until an operator chooses.
    #[default]
    Hold,
    /// The old account is emptied and made inactive, then a new one is made.
    Replace,
    /// The request is refused, unless it also deactivates or takes something away.
    Refuse,
}

/// What happens to an account that stood in Fluent before Rolecall knew its user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adoption {
    /// It is adopted if its name is exactly the same, it holds no `ACCOUNT` grant and its type is not `API`.
    #[default]
    Adopt,
    /// It is parked until an operator decides.
    ParkAll,
}

/// What PUT does to what it leaves out, access always excepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PutOmitted {
    /// It is cleared (RFC 7644 section 3.5.1).
    #[default]
    Clear,
    /// It is kept.
    Keep,
}

/// How the `roles` values of one PATCH are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RolesPatch {
    /// As the operations say.
    #[default]
    AsSent,
    /// As the whole list: for IdPs that only ever add.
    Overwrite,
}

/// Whether the `displayName` of a group is a label of its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DisplayNames {
    /// It is just a name.
    #[default]
    Names,
    /// It is one where it is recognised; never for `ACCOUNT`.
    Labels,
}

/// How strictly requests of the identity provider are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What real providers send beside the RFCs is understood.
    #[default]
    Lenient,
    /// By the letter of RFC 7643 and RFC 7644: for conformance runs.
    Strict,
}

/// Whether the list of labels a tenant accepts names its locations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoleLocations {
    /// Only to one who asks for labels that begin so.
    #[default]
    OnFilter,
    /// Always.
    Listed,
}

/// What a tenant is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// Real people.
    #[default]
    Production,
    /// Development: HTTP Basic is accepted where the process allows it too.
    Development,
}

/// Which rule set is in force where there are two: Fluent's own setting, and the tenant's table. Sets are never mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RulesFrom {
    /// The tenant's table, once it has one; else Fluent's setting.
    #[default]
    Own,
    /// Fluent's setting, while it is there; else the tenant's table.
    Fluent,
}

/// What happens to those who are deactivated or deleted beyond the guard's limit: see [`crate::departures`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MassDepartures {
    /// They go like all others, and an alarm is raised.
    #[default]
    Alert,
    /// An alarm is raised, and their accounts are kept until an operator releases them.
    Hold,
}

/// How many of a tenant's users a change that nobody asked for by name may hit before it waits for an operator, in per cent:
/// 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeLimit(u8);

impl ChangeLimit {
    /// So few people are no crowd, however small the tenant.
    const HANDFUL: u64 = 5;

    /// The limit; `None` where it is out of bounds.
    #[must_use]
    pub fn new(percent: u32) -> Option<Self> {
        u8::try_from(percent).ok().filter(|percent| (1..=100).contains(percent)).map(Self)
    }

    /// In per cent.
    #[must_use]
    pub fn percent(self) -> u32 {
        self.0.into()
    }

    /// The most people of so many users.
    #[must_use]
    pub fn most(self, users: u64) -> u64 {
        (users.saturating_mul(self.0.into()) / 100).max(Self::HANDFUL)
    }
}

impl Default for ChangeLimit {
    fn default() -> Self {
        Self(5)
    }
}

/// A tenant's choices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The account's name in labels, beside `0`; empty means only `0`.
    pub account_name: String,
    /// See [`Guardrail`].
    pub guardrail: Guardrail,
    /// See [`WithoutLabels`].
    pub without_labels: WithoutLabels,
    /// See [`Rename`].
    pub rename: Rename,
    /// See [`Adoption`].
    pub adoption: Adoption,
    /// See [`PutOmitted`].
    pub put_omitted: PutOmitted,
    /// See [`RolesPatch`].
    pub roles_patch: RolesPatch,
    /// See [`DisplayNames`].
    pub display_names: DisplayNames,
    /// See [`Protocol`].
    pub protocol: Protocol,
    /// See [`RoleLocations`].
    pub role_locations: RoleLocations,
    /// See [`Environment`].
    pub environment: Environment,
    /// See [`RulesFrom`].
    pub rules_from: RulesFrom,
    /// See [`ChangeLimit`].
    pub change_limit: ChangeLimit,
    /// See [`MassDepartures`].
    pub mass_departures: MassDepartures,
}
