//! To and from identity-store's contract.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::catalogue::{self, Catalogue};
use domain::clock::Timestamp;
use domain::difference::{Difference, Turn};
use domain::effective::{Holding, Source};
use domain::explain::Nesting;
use domain::holders::Candidates;
use domain::id::{GroupId, InvalidId, TenantId, UserId};
use domain::label::Label;
use domain::revision::{Epoch, Position, Revision};
use domain::rules::{MalformedRules, Rules};
use proto::admin::v1 as admin;
use proto::common::v1 as common;
use proto::identity::v1 as identity;

use crate::authorise::Credential;
use crate::cache::{Change, Dependency, FeedPage, Heads, Kept, Stamps};
use crate::explanation::Nested;
use crate::ground::{Ground, GroundRead, GroundVersion};
use crate::offered::InUse;
use crate::preview::{Change as Preview, Differences};
use crate::resolver::{Held, Holdings, Person, Who};

/// The scope that lets a token's holder ask who may do what.
const ROLES_READ: &str = "roles:read";

/// An answer that breaks the contract.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the answer lacks a position, or its epoch is not 16 bytes")]
    Position,
    #[error("{asked} users were asked for and {answered} answered")]
    Count { asked: usize, answered: usize },
    #[error("an identifier cannot be read")]
    Id(#[from] InvalidId),
    #[error("a set is called unchanged that nobody said to keep")]
    Unasked,
    #[error("a grant lacks its role or context")]
    Grant,
    #[error("a label comes from nowhere")]
    Sourceless,
    #[error("the rules contradict each other")]
    Rules(#[from] MalformedRules),
}

pub(crate) fn holdings_request<'a>(
    tenant: &TenantId,
    users: &[Who],
    kept: impl Iterator<Item = &'a Kept>,
) -> identity::GetHoldingsRequest {
    let users = users.iter().cloned().map(user_key).collect();
    let kept = kept.map(kept_set).collect();
    identity::GetHoldingsRequest { tenant: tenant.to_string(), users, kept, ..identity::GetHoldingsRequest::default() }
}

fn kept_set(kept: &Kept) -> identity::KeptSet {
    let entry = kept.entry();
    identity::KeptSet {
        user_id: entry.user.to_string(),
        revision: kept.right_at().revision.0,
        group_ids: entry.groups.iter().map(ToString::to_string).collect(),
    }
}

pub(crate) fn nested_request(tenant: &TenantId, user: &Who) -> identity::GetHoldingsRequest {
    let one = std::slice::from_ref(user);
    identity::GetHoldingsRequest { with_nesting: true, ..holdings_request(tenant, one, std::iter::empty()) }
}

pub(crate) fn holders_request(
    tenant: &TenantId,
    labels: &Candidates,
    after: Option<UserId>,
    limit: u32,
) -> identity::ListLabelHoldersRequest {
    let Candidates { context_type, contexts, roles, labels } = labels.clone();
    identity::ListLabelHoldersRequest {
        tenant: tenant.to_string(),
        context_type: context_type.as_str().to_owned(),
        contexts: contexts.into_iter().collect(),
        roles: roles.into_iter().collect(),
        labels: labels.into_iter().collect(),
        after_id: after.map(|id| id.to_string()).unwrap_or_default(),
        limit,
    }
}

/// Reads a page of holders.
pub(crate) fn holders(answer: identity::ListLabelHoldersResponse) -> Result<Vec<UserId>, Malformed> {
    let identity::ListLabelHoldersResponse { user_ids, position: _ } = answer;
    Ok(user_ids.iter().map(|id| id.parse()).collect::<Result<_, _>>()?)
}

pub(crate) fn in_use_request(tenant: &TenantId, prefixes: &[String], limit: u32) -> identity::ListLabelsInUseRequest {
    let (first, rest) = prefixes.split_first().map_or((String::new(), &[][..]), |(first, rest)| (first.clone(), rest));
    let (tenant, or_starts_with) = (tenant.to_string(), rest.to_vec());
    identity::ListLabelsInUseRequest { tenant, starts_with: first, limit, or_starts_with }
}

/// Reads labels in use.
pub(crate) fn in_use(answer: identity::ListLabelsInUseResponse) -> Result<InUse, Malformed> {
    let identity::ListLabelsInUseResponse { labels, position, ground_version } = answer;
    let position = self::position(position)?;
    let ground = GroundVersion { epoch: position.epoch, revision: Revision(ground_version) };
    Ok(InUse { labels: labels.iter().map(|label| Label::new(label)).collect(), position, ground })
}

/// Reads the answer to a question about one user and how it is in its groups.
pub(crate) fn nested_holding(answer: identity::GetHoldingsResponse) -> Result<Nested, Malformed> {
    let mut nesting = Nesting::default();
    for group in answer.holdings.iter().flat_map(|holding| &holding.groups) {
        let identity::GroupStamp { group_id, stamp: _, direct, nested_ids } = group;
        let id = group_id.parse()?;
        if *direct {
            nesting.direct.insert(id);
        }
        nesting.nested.insert(id, nested_ids.iter().map(|id| id.parse()).collect::<Result<_, _>>()?);
    }
    let Holdings { position, ground, users } = holdings(answer, 1)?;
    let user = match users.into_iter().next().flatten() {
        None => None,
        Some(Held::Read(Person { id, name: _, groups: _, holding })) => Some((id, holding)),
        Some(Held::Unchanged(_)) => return Err(Malformed::Unasked),
    };
    Ok(Nested { position, ground, user, nesting })
}

fn user_key(who: Who) -> identity::UserKey {
    use identity::user_key::Key;
    let key = match who {
        Who::Id(id) => Key::Id(id),
        Who::UserName(name) => Key::UserName(name),
        Who::ExternalId(id) => Key::ExternalId(id),
    };
    identity::UserKey { key: Some(key) }
}

/// Reads the answer to a question about `asked` users.
pub(crate) fn holdings(answer: identity::GetHoldingsResponse, asked: usize) -> Result<Holdings, Malformed> {
    let identity::GetHoldingsResponse { position, ground_version, holdings } = answer;
    if holdings.len() != asked {
        return Err(Malformed::Count { asked, answered: holdings.len() });
    }
    let position = self::position(position)?;
    let ground = GroundVersion { epoch: position.epoch, revision: Revision(ground_version) };
    Ok(Holdings { position, ground, users: holdings.into_iter().map(user).collect::<Result<_, _>>()? })
}

fn user(holding: identity::Holding) -> Result<Option<Held>, Malformed> {
    let identity::Holding {
        found,
        user_id,
        user_name,
        active,
        labels,
        groups,
        unchanged,
        // Of accounts, not of roles.
        held_back: _,
        // What is kept is as old as the answer, so no stamp of it can be newer.
        stamp: _,
        version: _,
        document: _,
    } = holding;
    if !found {
        return Ok(None);
    }
    let id = user_id.parse()?;
    if unchanged {
        return Ok(Some(Held::Unchanged(id)));
    }
    let labels = labels.into_iter().map(held_label).collect::<Result<BTreeMap<_, _>, _>>()?;
    let group = |identity::GroupStamp { group_id, stamp: _, direct: _, nested_ids: _ }: identity::GroupStamp| {
        group_id.parse::<GroupId>()
    };
    let groups = groups.into_iter().map(group).collect::<Result<_, _>>()?;
    Ok(Some(Held::Read(Person { id, name: user_name, groups, holding: Holding { active, labels } })))
}

fn held_label(held: identity::HeldLabel) -> Result<(Label, BTreeSet<Source>), Malformed> {
    let identity::HeldLabel { label, direct, group_ids, named_by_group_ids } = held;
    let mut sources: BTreeSet<Source> = direct.then_some(Source::Direct).into_iter().collect();
    for group in group_ids {
        sources.insert(Source::Group(group.parse()?));
    }
    for group in named_by_group_ids {
        sources.insert(Source::GroupName(group.parse()?));
    }
    if sources.is_empty() {
        return Err(Malformed::Sourceless);
    }
    Ok((Label::new(&label), sources))
}

pub(crate) fn watch_request() -> identity::WatchHeadsRequest {
    identity::WatchHeadsRequest {}
}

/// Tenants whose names are none of ours are nobody's that is followed here.
pub(crate) fn heads(answer: identity::WatchHeadsResponse) -> Result<Heads, Malformed> {
    let identity::WatchHeadsResponse { epoch, heads, complete: _ } = answer;
    let head = |head: identity::Head| {
        let identity::Head { tenant, revision, catalogue_wanted: _, catalogue_served: _, taken_away: _ } = head;
        Some((tenant.parse().ok()?, Revision(revision)))
    };
    let epoch = Epoch::from_slice(&epoch).ok_or(Malformed::Position)?;
    Ok(Heads { epoch, tenants: heads.into_iter().filter_map(head).collect() })
}

pub(crate) fn feed_request(tenant: &TenantId, after: Position, limit: u32) -> identity::ReadFeedRequest {
    let after = Some(super::position(after));
    identity::ReadFeedRequest { tenant: tenant.to_string(), after, limit, taking_away: false }
}

pub(crate) fn affected_request(tenant: &TenantId, change: Position) -> identity::ListAffectedUsersRequest {
    identity::ListAffectedUsersRequest { tenant: tenant.to_string(), position: Some(super::position(change)) }
}

/// How the users stand is asked again when it is told.
pub(crate) fn affected(answer: identity::ListAffectedUsersResponse) -> Result<Vec<UserId>, Malformed> {
    let identity::ListAffectedUsersResponse { users } = answer;
    Ok(users.into_iter().map(|user| user.user_id.parse()).collect::<Result<_, _>>()?)
}

pub(crate) fn feed_page(answer: identity::ReadFeedResponse) -> Result<FeedPage, Malformed> {
    // Every entry was wanted, so the last of them is what it was read through to.
    let identity::ReadFeedResponse { entries, head, through: _ } = answer;
    let changes = entries.into_iter().map(change).collect::<Result<_, _>>()?;
    Ok(FeedPage { changes, head: position(head)? })
}

/// What an entry of the feed stamps: the user that changed, the group whose labels changed or that is gone, the members
/// that joined or left and not their group, the ground. Members that are not named, and an entry of a kind that is not
/// known yet, may stamp anything: that is what a change of the ground does.
fn change(entry: identity::FeedEntry) -> Result<Change, Malformed> {
    use identity::feed_entry::Change as Kind;
    let identity::FeedEntry { revision, at_us: _, takes_away: _, change } = entry;
    let stamps = match change {
        // A profile alone stamps too: the user's name is part of what is kept.
        Some(Kind::UserChanged(user)) => Stamps::Some(vec![Dependency::User(user.user_id.parse()?)]),
        Some(Kind::GroupChanged(group)) => Stamps::Some(vec![Dependency::Group(group.group_id.parse()?)]),
        Some(Kind::MembersChanged(identity::MembersChanged { group_id: _, added, removed, unnamed: false })) => {
            let members = added.into_iter().chain(removed).map(|identity::Member { id, is_group }| {
                Ok(if is_group { Dependency::Group(id.parse()?) } else { Dependency::User(id.parse()?) })
            });
            Stamps::Some(members.collect::<Result<_, Malformed>>()?)
        }
        Some(
            Kind::MembersChanged(identity::MembersChanged { unnamed: true, .. })
            | Kind::RulesChanged(_)
            | Kind::CatalogueChanged(_)
            | Kind::SettingsChanged(_),
        )
        | None => Stamps::Ground,
    };
    Ok(Change { revision: Revision(revision), stamps })
}

pub(crate) fn preview_request(tenant: &TenantId, change: Preview) -> admin::PreviewGroundRequest {
    use admin::preview_ground_request::Change as Asked;
    let change = match change {
        Preview::Rules(rules) => Asked::Rules(rules),
        Preview::LabelsOfGroup { group, labels } => {
            Asked::LabelsOfGroup(admin::LabelsOfGroup { group_id: group.to_string(), labels })
        }
    };
    admin::PreviewGroundRequest { tenant: tenant.to_string(), change: Some(change) }
}

/// Reads some of those for whom a change would make a difference.
pub(crate) fn differences(answer: admin::PreviewGroundResponse) -> Result<Differences, Malformed> {
    let admin::PreviewGroundResponse { users, position } = answer;
    let user = |user: admin::UserDifference| {
        let turn = match user.turn() {
            admin::Turn::Unspecified => None,
            admin::Turn::Held => Some(Turn::Held),
            admin::Turn::Freed => Some(Turn::Freed),
        };
        let admin::UserDifference { user_id, user_name: _, gained, lost, turn: _ } = user;
        let grants = |grants: Vec<common::Grant>| {
            let grants = grants.into_iter().map(|grant| super::grant(Some(grant)).map_err(|_| Malformed::Grant));
            grants.collect::<Result<_, _>>()
        };
        let difference = Difference { gained: grants(gained)?, lost: grants(lost)?, turn };
        Ok::<_, Malformed>((user_id.parse()?, difference))
    };
    let users = users.into_iter().map(user).collect::<Result<_, _>>()?;
    Ok(Differences { users, position: self::position(position)? })
}

pub(crate) fn ground_request(tenant: &str, known: Option<u64>) -> identity::GetGroundRequest {
    identity::GetGroundRequest { tenant: tenant.to_owned(), known_version: known.unwrap_or(0) }
}

/// Reads the answer to one who said to hold version `known`.
pub(crate) fn ground(answer: identity::GetGroundResponse, known: Option<u64>) -> Result<GroundRead, Malformed> {
    let identity::GetGroundResponse { position, version, catalogue, rules, settings, rules_setting_id: _ } = answer;
    let Position { epoch, revision: _ } = self::position(position)?;
    if known == Some(version) {
        return Ok(GroundRead::Unchanged(GroundVersion { epoch, revision: Revision(version) }));
    }
    let common::Settings {
        account_name,
        // How requests are judged and pushed; they give and take no grant.
        guardrail: _,
        without_labels: _,
        rename: _,
        adoption: _,
        put_omitted: _,
        roles_patch: _,
        display_names,
        protocol: _,
        role_locations: _,
        environment: _,
        // The rules that came with it are those in force.
        rules_from: _,
        change_limit: _,
        mass_departures: _,
    } = settings.unwrap_or_default();
    let names_are_labels = display_names == i32::from(common::DisplayNames::Labels);
    let rules = Rules::new(rules.into_iter().map(|rule| {
        let identity::Rule { logical_role, target_roles } = rule;
        (Arc::from(logical_role), target_roles.into_iter().map(Arc::from).collect())
    }))?;
    let catalogue = catalogue.map(|catalogue| {
        let identity::Catalogue { roles, retailers, locations } = catalogue;
        let [retailers, locations] = [retailers, locations].map(|places| places.into_iter().map(place));
        Catalogue::new(&account_name, roles.into_iter().map(Arc::from), retailers, locations)
    });
    let version = GroundVersion { epoch, revision: Revision(version) };
    Ok(GroundRead::Whole(Ground { version, catalogue, rules, names_are_labels }))
}

fn place(place: identity::Place) -> catalogue::Place {
    let identity::Place { id, r#ref } = place;
    catalogue::Place { id: id.into(), reference: (!r#ref.is_empty()).then(|| r#ref.into()) }
}

pub(crate) fn verify_request(token: &str) -> identity::VerifyTokenRequest {
    identity::VerifyTokenRequest { token: token.to_owned() }
}

pub(crate) fn credential(answer: identity::VerifyTokenResponse) -> Result<Credential, Malformed> {
    let identity::VerifyTokenResponse { token_id: _, tenant, scopes, expires_at_us } = answer;
    Ok(Credential {
        tenant: tenant.parse()?,
        reads_roles: scopes.iter().any(|scope| scope == ROLES_READ),
        expires: Timestamp(expires_at_us),
    })
}

fn position(position: Option<common::Position>) -> Result<Position, Malformed> {
    let common::Position { epoch, revision } = position.ok_or(Malformed::Position)?;
    let epoch = Epoch::from_slice(&epoch).ok_or(Malformed::Position)?;
    Ok(Position { epoch, revision: Revision(revision) })
}
