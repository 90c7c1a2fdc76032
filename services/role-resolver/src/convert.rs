//! To and from the contract this service answers. With its child, the only place that knows both the contracts and the
//! domain. Every message is taken apart field by field, so that a new field is a compile error here.

pub(crate) mod identity;
pub(crate) mod labels;
pub(crate) mod once;
pub(crate) mod reports;

use std::collections::BTreeSet;

use domain::effective::EffectiveSet;
use domain::grant::{ContextType, Grant};
use domain::id::TenantId;
use domain::label::Label;
use domain::matching::{Matched, Reason as Why, Unmatched};
use domain::revision::{Position, RevisionKey};
use prost::Message as _;
use proto::common::v1 as common;
use proto::roles::v1 as roles;
use runtime::error::{Error, Reason};
use runtime::grpc::MAX_MESSAGE_BYTES;

use crate::cache::{Entry, Kept};
use crate::consistency::{self, Freshness};
use crate::resolver::{Answer, Who};

/// The most users or labels one request may name.
pub(crate) const MOST: usize = 1_000;
/// What an answer takes besides its results, in bytes, and each result besides its content.
const ROOM: usize = 1_024;
const EACH: usize = 8;

pub(crate) fn tenant(text: &str) -> Result<TenantId, Error> {
    if text.is_empty() {
        return Err(missing("tenant", "the name of a tenant"));
    }
    text.parse().map_err(|error: domain::id::InvalidId| invalid("tenant", error.to_string()))
}

pub(crate) fn who(user: Option<roles::UserRef>) -> Result<Who, Error> {
    use roles::user_ref::Ref;
    const NEEDED: &str = "one of `id`, `user_name` and `external_id`";
    let roles::UserRef { r#ref } = user.ok_or_else(|| missing("user", NEEDED))?;
    match r#ref {
        None => Err(missing("user", NEEDED)),
        Some(Ref::Id(text) | Ref::UserName(text) | Ref::ExternalId(text)) if text.is_empty() => {
            Err(invalid("user", format!("the name is empty; it must be {NEEDED}")))
        }
        Some(Ref::Id(id)) => Ok(Who::Id(id)),
        Some(Ref::UserName(name)) => Ok(Who::UserName(name)),
        Some(Ref::ExternalId(id)) => Ok(Who::ExternalId(id)),
    }
}

pub(crate) fn whos(users: Vec<roles::UserRef>) -> Result<Vec<Who>, Error> {
    at_most("users", users.len())?;
    users.into_iter().map(|user| who(Some(user))).collect()
}

pub(crate) fn labels(labels: &[String]) -> Result<Vec<Label>, Error> {
    at_most("labels", labels.len())?;
    Ok(labels.iter().map(|label| Label::new(label)).collect())
}

/// Reads how fresh the answer must be; `tenant` is whose token it may name.
pub(crate) fn freshness(
    consistency: Option<common::Consistency>,
    key: &RevisionKey,
    tenant: &TenantId,
) -> Result<Freshness, Error> {
    use common::consistency::Requirement;
    let common::Consistency { requirement } = consistency.unwrap_or_default();
    match requirement {
        None | Some(Requirement::MinimizeLatency(true)) => Ok(Freshness::Latency),
        Some(Requirement::FullyConsistent(true)) => Ok(Freshness::Head),
        Some(Requirement::AtLeastAsFresh(token)) => consistency::open(key, tenant, &token).map(Freshness::AtLeast),
        Some(Requirement::MinimizeLatency(false) | Requirement::FullyConsistent(false)) => {
            Err(invalid("consistency", "a requirement is set to false; set it to true or leave it out"))
        }
    }
}

/// Reads the token of the state that `tenant` knows; `None` for that of now.
pub(crate) fn position_after(token: &str, key: &RevisionKey, tenant: &TenantId) -> Result<Option<Position>, Error> {
    if token.is_empty() { Ok(None) } else { consistency::open(key, tenant, token).map(Some) }
}

pub(crate) fn grant(grant: Option<common::Grant>) -> Result<Grant, Error> {
    let grant = grant.ok_or_else(|| missing("grant", "a role and a context"))?;
    let kind = grant.context_type();
    let common::Grant { role, context_type: _, context_id } = grant;
    let context_type = match kind {
        common::ContextType::Unspecified => {
            return Err(missing("grant.context_type", "ACCOUNT, RETAILER or AGENT"));
        }
        common::ContextType::Account => ContextType::Account,
        common::ContextType::Retailer => ContextType::Retailer,
        common::ContextType::Agent => ContextType::Agent,
    };
    if role.is_empty() {
        return Err(missing("grant.role", "the name of a Fluent role"));
    }
    if context_id.is_empty() {
        return Err(missing("grant.context_id", "Fluent's id of the context"));
    }
    Ok(Grant { role: role.into(), context_type, context_id: context_id.into() })
}

/// The one set of an answer about one user.
pub(crate) fn only(sets: Vec<Option<Kept>>) -> Result<Kept, Error> {
    let found = sets.into_iter().next().flatten();
    found.ok_or_else(|| Error::new(Reason::USER_NOT_FOUND, "there is no such user in the tenant"))
}

pub(crate) fn one(answer: Answer) -> Result<roles::GetEffectiveRolesResponse, Error> {
    let Answer { position: read, token, sets, asked: _ } = answer;
    Ok(roles::GetEffectiveRolesResponse {
        effective: Some(effective(only(sets)?.entry())),
        revision_token: token,
        position: Some(position(read)),
    })
}

/// The sets of an answer, if they fit into one message. One user may be asked for many times, so what does not fit is not
/// written down first.
pub(crate) fn batch(answer: Answer) -> Result<roles::BatchGetEffectiveRolesResponse, Error> {
    let Answer { position: read, token, sets, asked: _ } = answer;
    let mut room = MAX_MESSAGE_BYTES - ROOM;
    let mut results = Vec::with_capacity(sets.len());
    for kept in sets {
        let result = roles::BatchResult { effective: kept.map(|kept| effective(kept.entry())) };
        room = room.checked_sub(EACH + result.encoded_len()).ok_or_else(|| {
            let message = "the sets of these users do not fit into one message of 16 MiB: ask for fewer";
            Error::new(Reason::TOO_LARGE, message).with("field", "users")
        })?;
        results.push(result);
    }
    Ok(roles::BatchGetEffectiveRolesResponse { results, revision_token: token, position: Some(position(read)) })
}

/// Whether the one user of the answer holds `grant`.
pub(crate) fn check(answer: Answer, grant: &Grant) -> Result<roles::CheckRoleResponse, Error> {
    let Answer { position: _, token, sets, asked: _ } = answer;
    let kept = only(sets)?;
    let set = &kept.entry().set;
    Ok(roles::CheckRoleResponse { allowed: set.grants.contains_key(grant), held: set.held(), revision_token: token })
}

pub(crate) fn checks(checks: Vec<roles::RoleCheck>) -> Result<Vec<(Who, Grant)>, Error> {
    at_most("checks", checks.len())?;
    let one = |roles::RoleCheck { user, grant: asked }| Ok((who(user)?, grant(asked)?));
    checks.into_iter().map(one).collect()
}

/// Whether each user of the answer holds the grant asked about.
pub(crate) fn batch_check(answer: Answer, grants: &[Grant]) -> roles::BatchCheckRoleResponse {
    let Answer { position: _, token, sets, asked: _ } = answer;
    let result = |(kept, grant): (Option<Kept>, &Grant)| match kept {
        None => roles::RoleCheckResult::default(),
        Some(kept) => {
            let set = &kept.entry().set;
            roles::RoleCheckResult { found: true, allowed: set.grants.contains_key(grant), held: set.held() }
        }
    };
    roles::BatchCheckRoleResponse { results: sets.into_iter().zip(grants).map(result).collect(), revision_token: token }
}

pub(crate) fn matched((labels, grants): (Vec<(Label, Unmatched)>, Matched)) -> roles::MatchLabelsResponse {
    roles::MatchLabelsResponse {
        unmatched: labels.iter().map(|(label, why)| unmatched((label, why))).collect(),
        grants: grants.iter().map(granted).collect(),
    }
}

fn effective(entry: &Entry) -> roles::EffectiveSet {
    let Entry { user, name: _, right_at: _, groups: _, set } = entry;
    let EffectiveSet { active, grants, unmatched: refused, has_labels } = set;
    let sourced = |(grant, labels): (&Grant, &BTreeSet<Label>)| roles::SourcedGrant {
        grant: Some(granted(grant)),
        labels: texts(labels),
    };
    roles::EffectiveSet {
        user_id: user.to_string(),
        active: *active,
        held: set.held(),
        grants: grants.iter().map(sourced).collect(),
        unmatched: refused.iter().map(unmatched).collect(),
        has_labels: *has_labels,
    }
}

fn granted(grant: &Grant) -> common::Grant {
    let Grant { role, context_type, context_id } = grant;
    let context_type = match context_type {
        ContextType::Account => common::ContextType::Account,
        ContextType::Retailer => common::ContextType::Retailer,
        ContextType::Agent => common::ContextType::Agent,
    };
    common::Grant { role: role.to_string(), context_type: context_type.into(), context_id: context_id.to_string() }
}

fn texts(labels: &BTreeSet<Label>) -> Vec<String> {
    labels.iter().map(|label| label.as_str().to_owned()).collect()
}

fn unmatched((label, why): (&Label, &Unmatched)) -> common::UnmatchedLabel {
    let Unmatched { reason, suggestion } = why;
    let reason = match reason {
        Why::Malformed => common::UnmatchedReason::Malformed,
        Why::UnknownContextType => common::UnmatchedReason::UnknownContextType,
        Why::UnknownContext => common::UnmatchedReason::UnknownContext,
        Why::UnknownRole => common::UnmatchedReason::UnknownRole,
        Why::RuleTargetUnknown => common::UnmatchedReason::RuleTargetUnknown,
        Why::Ambiguous => common::UnmatchedReason::Ambiguous,
    };
    common::UnmatchedLabel {
        label: label.as_str().to_owned(),
        reason: reason.into(),
        suggestion: suggestion.clone().unwrap_or_default(),
    }
}

fn position(position: Position) -> common::Position {
    let Position { epoch, revision } = position;
    common::Position { epoch: epoch.as_bytes().to_vec().into(), revision: revision.0 }
}

fn at_most(field: &'static str, count: usize) -> Result<(), Error> {
    if count > MOST {
        let message = format!("`{field}` names {count}; one request may name at most {MOST}");
        return Err(Error::new(Reason::TOO_LARGE, message).with("field", field));
    }
    Ok(())
}

fn missing(field: &'static str, needed: &str) -> Error {
    Error::new(Reason::FIELD_MISSING, format!("`{field}` is missing; it must be {needed}")).with("field", field)
}

fn invalid(field: &'static str, message: impl std::fmt::Display) -> Error {
    Error::new(Reason::FIELD_INVALID, format!("`{field}`: {message}")).with("field", field)
}
