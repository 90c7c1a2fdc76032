//! Between the contracts and our own types. Every message that comes in is taken apart whole, so that a new field can't
//! be overlooked.

pub(crate) mod report;

use std::sync::Arc;

use domain::catalogue::Place;
use domain::clock::Timestamp;
use domain::grant::{ContextType, Grant};
use domain::id::{InvalidId, TenantId, UserId};
use domain::revision::{Epoch, Position, Revision};
use domain::settings::{Adoption, DisplayNames, Rename};
use proto::common::v1 as common;
use proto::identity::v1 as identity;
use proto::roles::v1 as roles;

use crate::account::Roles;
use crate::outcome::{Outcome, Standing};
use crate::peers::{
    CatalogueCopy, Concerned, Effective, FeedEntry, FeedPage, Ground, Head, Labels, Person, Policies, Present,
    RulesRead, Subject,
};
use crate::store::{Attention, Presence};

/// A message from another part that does not hold what its contract promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field holds what it can't.
    #[error("{0} is not valid")]
    Invalid(&'static str),
}

pub(crate) fn tenant(text: &str) -> Result<TenantId, InvalidId> {
    text.parse()
}

pub(crate) fn user(text: &str) -> Result<UserId, Malformed> {
    text.parse().map_err(|_| Malformed::Invalid("user_id"))
}

pub(crate) fn epoch(bytes: &[u8]) -> Result<Epoch, Malformed> {
    Epoch::from_slice(bytes).ok_or(Malformed::Invalid("epoch"))
}

pub(crate) fn position(position: Option<common::Position>) -> Result<Position, Malformed> {
    let common::Position { epoch: bytes, revision } = position.ok_or(Malformed::Missing("position"))?;
    Ok(Position { epoch: epoch(&bytes)?, revision: Revision(revision) })
}

pub(crate) fn position_out(position: Position) -> common::Position {
    let Position { epoch, revision } = position;
    common::Position { epoch: epoch.as_bytes().to_vec().into(), revision: revision.0 }
}

pub(crate) fn head(head: identity::Head) -> Result<(TenantId, Head), Malformed> {
    let identity::Head { tenant: name, revision, catalogue_wanted, catalogue_served, taken_away } = head;
    let id = tenant(&name).map_err(|_| Malformed::Invalid("tenant"))?;
    let (revision, taken_away) = (Revision(revision), Revision(taken_away));
    Ok((id, Head { revision, taken_away, catalogue_wanted, catalogue_served }))
}

pub(crate) fn feed_page(page: identity::ReadFeedResponse) -> Result<FeedPage, Malformed> {
    let identity::ReadFeedResponse { entries, head, through } = page;
    let entries = entries.into_iter().map(feed_entry).collect::<Result<_, _>>()?;
    let Position { epoch, revision: _ } = position(head)?;
    Ok(FeedPage { entries, through: Position { epoch, revision: Revision(through) } })
}

fn feed_entry(entry: identity::FeedEntry) -> Result<FeedEntry, Malformed> {
    use identity::feed_entry::Change;
    let identity::FeedEntry { revision, at_us, takes_away, change } = entry;
    let concerned = match change.ok_or(Malformed::Missing("change"))? {
        Change::UserChanged(identity::UserChanged { user_id, user_name, exists, active, access_changed: _ }) => {
            Concerned::User(Subject { user: user(&user_id)?, user_name, presence: Presence::of(exists, active) })
        }
        Change::MembersChanged(_) | Change::GroupChanged(_) => Concerned::Members,
        Change::RulesChanged(_) | Change::CatalogueChanged(_) | Change::SettingsChanged(_) => Concerned::Ground,
    };
    Ok(FeedEntry { revision: Revision(revision), at: Timestamp(at_us), takes_away, concerned })
}

pub(crate) fn subjects(users: Vec<identity::UserState>) -> Result<Vec<Subject>, Malformed> {
    let subject = |state| {
        let identity::UserState { user_id, user_name, exists, active } = state;
        Ok(Subject { user: user(&user_id)?, user_name, presence: Presence::of(exists, active) })
    };
    users.into_iter().map(subject).collect()
}

pub(crate) fn presents(answer: identity::GetHoldingsResponse, asked: &[UserId]) -> Result<Vec<Present>, Malformed> {
    let identity::GetHoldingsResponse { position: _, ground_version: _, holdings } = answer;
    holdings.into_iter().zip(asked).map(|(holding, user)| present(holding, *user)).collect()
}

/// An answer about a user that exists names it: it must be the one that was asked about.
fn check_user(named: &str, asked: UserId) -> Result<(), Malformed> {
    if named.is_empty() || user(named)? == asked { Ok(()) } else { Err(Malformed::Invalid("user_id")) }
}

fn present(holding: identity::Holding, asked: UserId) -> Result<Present, Malformed> {
    let identity::Holding {
        found,
        user_id,
        user_name,
        active,
        labels: held,
        stamp: _,
        groups: _,
        version: _,
        document,
        // Nothing is kept here, so nothing is answered so.
        unchanged: _,
        held_back,
    } = holding;
    check_user(&user_id, asked)?;
    if found && active {
        return Ok(Present::Active(Person { user_name, document }));
    }
    if !held_back {
        return Ok(Present::Gone);
    }
    let mut labels = Labels::default();
    for identity::HeldLabel { label, direct, group_ids, named_by_group_ids: _ } in held {
        if direct || !group_ids.is_empty() { labels.stated.push(label) } else { labels.names.push(label) }
    }
    Ok(Present::HeldBack(labels))
}

pub(crate) fn ground(answer: identity::GetGroundResponse) -> Ground {
    let identity::GetGroundResponse { position: _, version, catalogue, rules: _, settings, rules_setting_id } = answer;
    Ground {
        version,
        catalogue: catalogue.map(catalogue_copy),
        policies: settings.map(|settings| policies(&settings)),
        rules_setting_id: (!rules_setting_id.is_empty()).then_some(rules_setting_id),
    }
}

fn policies(settings: &common::Settings) -> Policies {
    let common::Settings {
        account_name: _,
        guardrail: _,
        without_labels: _,
        rename: _,
        adoption: _,
        put_omitted: _,
        roles_patch: _,
        display_names: _,
        protocol: _,
        role_locations: _,
        environment: _,
        rules_from: _,
        change_limit: _,
        mass_departures: _,
    } = settings;
    Policies {
        rename: match settings.rename() {
            common::Rename::Unspecified | common::Rename::Hold => Rename::Hold,
            common::Rename::Replace => Rename::Replace,
            common::Rename::Refuse => Rename::Refuse,
        },
        adoption: match settings.adoption() {
            common::Adoption::Unspecified | common::Adoption::Adopt => Adoption::Adopt,
            common::Adoption::ParkAll => Adoption::ParkAll,
        },
        display_names: match settings.display_names() {
            common::DisplayNames::Unspecified | common::DisplayNames::Names => DisplayNames::Names,
            common::DisplayNames::Labels => DisplayNames::Labels,
        },
    }
}

fn catalogue_copy(catalogue: identity::Catalogue) -> CatalogueCopy {
    let identity::Catalogue { roles, retailers, locations } = catalogue;
    let place = |place| {
        let identity::Place { id, r#ref } = place;
        Place { id: id.into(), reference: (!r#ref.is_empty()).then(|| r#ref.into()) }
    };
    CatalogueCopy {
        roles,
        retailers: retailers.into_iter().map(place).collect(),
        locations: locations.into_iter().map(place).collect(),
    }
}

pub(crate) fn catalogue_out(copy: CatalogueCopy) -> identity::Catalogue {
    let CatalogueCopy { roles, retailers, locations } = copy;
    let place = |place: Place| {
        let Place { id, reference } = place;
        identity::Place { id: id.to_string(), r#ref: reference.map(|text| text.to_string()).unwrap_or_default() }
    };
    identity::Catalogue {
        roles,
        retailers: retailers.into_iter().map(place).collect(),
        locations: locations.into_iter().map(place).collect(),
    }
}

pub(crate) fn rules_out(read: RulesRead) -> identity::RulesRead {
    use identity::rules_read::Read;
    let rule = |(logical, targets): (&Arc<str>, &[Arc<str>])| identity::Rule {
        logical_role: logical.to_string(),
        target_roles: targets.iter().map(ToString::to_string).collect(),
    };
    let read = match read {
        RulesRead::Absent => Read::Absent(true),
        RulesRead::Found { setting_id, rules } => {
            Read::Found(identity::FluentRules { setting_id, rules: rules.iter().map(rule).collect() })
        }
        RulesRead::Fault(fault) => Read::Fault(fault),
    };
    identity::RulesRead { read: Some(read) }
}

pub(crate) fn effective_sets(
    answer: roles::BatchGetEffectiveRolesResponse,
    asked: &[UserId],
) -> Result<Vec<Option<Effective>>, Malformed> {
    let roles::BatchGetEffectiveRolesResponse { results, revision_token: _, position: _ } = answer;
    let result = |(roles::BatchResult { effective: set }, user): (_, &UserId)| set.map(|set| effective(set, *user));
    results.into_iter().zip(asked).map(|one| result(one).transpose()).collect()
}

fn effective(set: roles::EffectiveSet, asked: UserId) -> Result<Effective, Malformed> {
    let roles::EffectiveSet { user_id, active, held, grants, unmatched, has_labels } = set;
    check_user(&user_id, asked)?;
    let grants = grants
        .into_iter()
        .map(|roles::SourcedGrant { grant: one, labels: _ }| grant(one.ok_or(Malformed::Missing("grant"))?))
        .collect::<Result<Vec<_>, _>>()?;
    let unmatched = unmatched
        .into_iter()
        .map(|label| {
            let reason = reason(label.reason());
            let common::UnmatchedLabel { label, reason: _, suggestion: _ } = label;
            (reason, label)
        })
        .collect();
    Ok(Effective { active, held, roles: grants.iter().collect(), unmatched, has_labels })
}

/// Adds what labels give.
pub(crate) fn add_given(given: &mut Roles, answer: roles::MatchLabelsResponse) -> Result<(), Malformed> {
    let roles::MatchLabelsResponse { unmatched: _, grants } = answer;
    let grants = grants.into_iter().map(grant).collect::<Result<Vec<_>, _>>()?;
    for (role, context) in grants.iter().collect::<Roles>().pairs() {
        given.insert(role, context.clone());
    }
    Ok(())
}

fn grant(grant: common::Grant) -> Result<Grant, Malformed> {
    let kind = match grant.context_type() {
        common::ContextType::Account => ContextType::Account,
        common::ContextType::Retailer => ContextType::Retailer,
        common::ContextType::Agent => ContextType::Agent,
        common::ContextType::Unspecified => return Err(Malformed::Invalid("context_type")),
    };
    let common::Grant { role, context_type: _, context_id } = grant;
    Ok(Grant { role: Arc::from(role), context_type: kind, context_id: Arc::from(context_id) })
}

fn reason(reason: common::UnmatchedReason) -> &'static str {
    match reason {
        common::UnmatchedReason::Unspecified | common::UnmatchedReason::Malformed => "MALFORMED",
        common::UnmatchedReason::UnknownContextType => "UNKNOWN_CONTEXT_TYPE",
        common::UnmatchedReason::UnknownContext => "UNKNOWN_CONTEXT",
        common::UnmatchedReason::UnknownRole => "UNKNOWN_ROLE",
        common::UnmatchedReason::RuleTargetUnknown => "RULE_TARGET_UNKNOWN",
        common::UnmatchedReason::Ambiguous => "AMBIGUOUS",
    }
}

pub(crate) fn outcome_out(user: UserId, revision: Revision, outcome: Outcome) -> identity::UserOutcome {
    let Outcome { standing, reasons, fluent_id, pushed_at, roles } = outcome;
    let state = match standing {
        Standing::Provisioned => identity::State::Provisioned,
        Standing::Inactive => identity::State::Inactive,
        Standing::Held => identity::State::Held,
        Standing::Failed => identity::State::Failed,
    };
    let outcome = identity::Outcome {
        state: state.into(),
        reasons,
        fluent_user_id: fluent_id.unwrap_or_default(),
        pushed_at_us: pushed_at.map_or(0, |at| at.0),
        effective_roles: grants_out(&roles),
        revision: revision.0,
    };
    identity::UserOutcome { user_id: user.to_string(), outcome: Some(outcome) }
}

/// Only what Rolecall gives: contexts of other types never stay on an account of ours.
fn grants_out(roles: &Roles) -> Vec<common::Grant> {
    let kind = |text: &str| match text.parse() {
        Ok(ContextType::Account) => Some(common::ContextType::Account),
        Ok(ContextType::Retailer) => Some(common::ContextType::Retailer),
        Ok(ContextType::Agent) => Some(common::ContextType::Agent),
        Err(_) => None,
    };
    let grant = |(role, context): (&str, &crate::account::Context)| {
        let context_type = kind(&context.kind)?.into();
        Some(common::Grant { role: role.to_owned(), context_type, context_id: context.id.clone() })
    };
    roles.pairs().filter_map(grant).collect()
}

pub(crate) fn attention_out(attention: Attention) -> proto::push::v1::Attention {
    let Attention { user, reason, detail } = attention;
    proto::push::v1::Attention { user_id: user.to_string(), reason, detail }
}
