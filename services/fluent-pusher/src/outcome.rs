//! What became of a user in Fluent, as identity-store is told, so that SCIM clients see it.

use domain::clock::Timestamp;
use domain::label::Label;

use crate::account::{Account, Roles, Status};
use crate::peers::Effective;

/// How a user stands in Fluent once its account has been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Fluent holds exactly the effective set.
    Provisioned,
    /// The account is closed, or there is none.
    Inactive,
    /// The user is given nothing new.
    Held,
    /// Pushing failed, for good or for now.
    Failed,
}

impl Standing {
    /// The name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "provisioned",
            Self::Inactive => "inactive",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

/// Why an account needs a person.
pub(crate) const ACCOUNT_EXISTS: &str = "ACCOUNT_EXISTS";
/// The user's name changed and Fluent's can't.
pub(crate) const RENAMED: &str = "RENAMED";
/// The user left beyond the guard against mass deactivation, and nobody has released it yet.
pub(crate) const MASS_DEPARTURE: &str = "MASS_DEPARTURE";
/// Nothing is ever sent to this account.
pub(crate) const PROTECTED: &str = "PROTECTED";
/// No label at all.
pub(crate) const NO_LABELS: &str = "NO_LABELS";

/// What became of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it stands.
    pub standing: Standing,
    /// Why: a name, maybe with more for people after a colon.
    pub reasons: Vec<String>,
    /// Fluent's id of the account.
    pub fluent_id: Option<String>,
    /// When Fluent was last made, or found, equal.
    pub pushed_at: Option<Timestamp>,
    /// What the account then held.
    pub roles: Roles,
}

impl Outcome {
    /// There is no account, or nothing was looked at.
    pub(crate) fn without_account(standing: Standing, reasons: Vec<String>) -> Self {
        Self { standing, reasons, fluent_id: None, pushed_at: None, roles: Roles::default() }
    }

    /// As the account now stands.
    pub(crate) fn of(account: &Account, standing: Standing, reasons: Vec<String>, now: Timestamp) -> Self {
        Self {
            standing,
            reasons,
            fluent_id: Some(account.id.clone()),
            pushed_at: Some(now),
            roles: if account.status == Status::Active { account.roles.clone() } else { Roles::default() },
        }
    }
}

/// Why a user is held, for people and programs.
pub(crate) fn held_reasons(set: &Effective) -> Vec<String> {
    if !set.has_labels {
        return vec![NO_LABELS.to_owned()];
    }
    set.unmatched.iter().map(|(reason, label)| format!("{reason}: {}", Label::new(label).for_people())).collect()
}
