//! Holdings, the ground, and reports of outcomes.

use std::collections::BTreeMap;

use domain::catalogue::Catalogue;
use domain::grant::ContextType;
use domain::id::{GroupId, MemberId, UserId};
use domain::label::Label;
use domain::revision::{Epoch, Revision};
use domain::rules::Rules;
use proto::identity::v1 as pb;

use super::{place, position, read_epoch, read_place, settings_to_proto, users};
use crate::failure::Failure;
use crate::model::{
    CatalogueRead, FluentRules, Ground, GroundContent, Held, HeldThrough, HoldersWanted, Holding, Holdings, KeptSet,
    Outcome, Read, RulesRead, UserKey,
};

pub(crate) fn user_keys(keys: Vec<pb::UserKey>) -> Result<Vec<UserKey>, Failure> {
    use pb::user_key::Key;
    let missing = || Failure::Invalid { field: "users", expected: "each must be named".into() };
    keys.into_iter()
        .map(|pb::UserKey { key }| {
            Ok(match key.ok_or_else(missing)? {
                Key::Id(id) => UserKey::Id(id),
                Key::UserName(name) => UserKey::UserName(name),
                Key::ExternalId(id) => UserKey::ExternalId(id),
            })
        })
        .collect()
}

/// Reads what a caller keeps. A set that names what is no id was not made here, so it is not kept.
pub(crate) fn kept_sets(kept: Vec<pb::KeptSet>) -> Vec<KeptSet> {
    let read = |pb::KeptSet { user_id, revision, group_ids }| {
        let groups = group_ids.iter().map(|id| id.parse().ok()).collect::<Option<_>>()?;
        Some(KeptSet { user: user_id.parse().ok()?, revision: Revision(revision), groups })
    };
    kept.into_iter().filter_map(read).collect()
}

pub(crate) fn holdings(read: Read<Holdings>) -> pb::GetHoldingsResponse {
    let Read { value: Holdings { ground_version, users }, position: at } = read;
    pb::GetHoldingsResponse {
        position: Some(position(at)),
        ground_version: ground_version.0,
        holdings: users.into_iter().map(|user| user.map_or_else(pb::Holding::default, held)).collect(),
    }
}

fn held(held: Held) -> pb::Holding {
    match held {
        Held::Unchanged(user) => {
            pb::Holding { found: true, unchanged: true, user_id: user.to_string(), ..Default::default() }
        }
        Held::Read(read) => holding(read),
        Held::Back(user, labels) => deleted(user, labels),
    }
}

/// One who was deleted and is held back.
fn deleted(user: UserId, labels: BTreeMap<Label, HeldThrough>) -> pb::Holding {
    let labels = labels.into_iter().map(held_label).collect();
    pb::Holding { user_id: user.to_string(), labels, held_back: true, ..Default::default() }
}

fn held_label((label, through): (Label, HeldThrough)) -> pb::HeldLabel {
    let HeldThrough { direct, groups, named_by } = through;
    pb::HeldLabel {
        label: label.as_str().to_owned(),
        direct,
        group_ids: groups.iter().map(ToString::to_string).collect(),
        named_by_group_ids: named_by.iter().map(ToString::to_string).collect(),
    }
}

fn holding(holding: Holding) -> pb::Holding {
    let Holding { id, user_name, active, labels, stamp, groups, mut nesting, version, document, held_back } = holding;
    let group = |(group, stamp): (GroupId, Revision)| {
        let (mut direct, mut nested_ids) = (false, Vec::new());
        for member in nesting.remove(&group).unwrap_or_default() {
            match member {
                MemberId::User(_) => direct = true,
                MemberId::Group(id) => nested_ids.push(id.to_string()),
            }
        }
        pb::GroupStamp { group_id: group.to_string(), stamp: stamp.0, direct, nested_ids }
    };
    pb::Holding {
        found: true,
        user_id: id.to_string(),
        user_name,
        active,
        labels: labels.into_iter().map(held_label).collect(),
        stamp: stamp.0,
        groups: groups.into_iter().map(group).collect(),
        version: version.0,
        document: document.unwrap_or_default().into(),
        unchanged: false,
        held_back,
    }
}

pub(crate) fn holders_wanted(request: pb::ListLabelHoldersRequest) -> Result<(String, HoldersWanted), Failure> {
    let pb::ListLabelHoldersRequest { tenant, context_type, contexts, roles, labels, after_id, limit } = request;
    let invalid = |field, expected: &str| Failure::Invalid { field, expected: expected.into() };
    let context_type: ContextType =
        context_type.parse().map_err(|_| invalid("context_type", "it must be ACCOUNT, RETAILER or AGENT"))?;
    let after = match &*after_id {
        "" => None,
        id => Some(id.parse().map_err(|_| invalid("after_id", "it must be a user's id"))?),
    };
    Ok((tenant, HoldersWanted { context_type, contexts, roles, labels, after, limit }))
}

pub(crate) fn ground(read: Read<Ground>) -> pb::GetGroundResponse {
    let Read { value: Ground { version, content }, position: at } = read;
    let (position, version) = (Some(position(at)), version.0);
    let Some(GroundContent { catalogue: known, rules, rules_setting_id, settings }) = content else {
        return pb::GetGroundResponse { position, version, ..Default::default() };
    };
    pb::GetGroundResponse {
        position,
        version,
        catalogue: known.as_ref().map(catalogue),
        rules: rules
            .iter()
            .map(|(logical_role, targets)| pb::Rule {
                logical_role: logical_role.to_string(),
                target_roles: targets.iter().map(ToString::to_string).collect(),
            })
            .collect(),
        settings: Some(settings_to_proto(settings)),
        rules_setting_id: rules_setting_id.unwrap_or_default(),
    }
}

/// Rules that were read; malformed ones would be refused by the reader, and are refused here again.
fn read_rules(rules: Vec<pb::Rule>) -> Result<Rules, Failure> {
    let pair = |pb::Rule { logical_role, target_roles }: pb::Rule| {
        (logical_role.into(), target_roles.into_iter().map(Into::into).collect())
    };
    Rules::new(rules.into_iter().map(pair)).map_err(Failure::RulesMalformed)
}

fn rules_read(read: Option<pb::RulesRead>) -> Result<RulesRead, Failure> {
    use pb::rules_read::Read;
    Ok(match read.and_then(|pb::RulesRead { read }| read) {
        None => RulesRead::Unasked,
        Some(Read::Found(pb::FluentRules { setting_id, rules })) => {
            RulesRead::Found(FluentRules { setting_id, rules: read_rules(rules)? })
        }
        Some(Read::Absent(_)) => RulesRead::Absent,
        Some(Read::Fault(fault)) => RulesRead::Fault(fault),
    })
}

fn catalogue(catalogue: &Catalogue) -> pb::Catalogue {
    pb::Catalogue {
        roles: catalogue.roles().map(ToString::to_string).collect(),
        retailers: catalogue.retailers().map(place).collect(),
        locations: catalogue.locations().map(place).collect(),
    }
}

/// The parts of the request: tenant, read.
pub(crate) fn catalogue_read(request: pb::PutCatalogueRequest) -> Result<(String, CatalogueRead), Failure> {
    let pb::PutCatalogueRequest { tenant, fence, wanted_seen, catalogue, rules } = request;
    let Some(pb::Catalogue { roles, retailers, locations }) = catalogue else {
        return Err(Failure::Invalid { field: "catalogue", expected: "it must be given".into() });
    };
    let read = CatalogueRead {
        fence,
        wanted_seen,
        roles,
        retailers: retailers.into_iter().map(read_place).collect(),
        locations: locations.into_iter().map(read_place).collect(),
        rules: rules_read(rules)?,
    };
    Ok((tenant, read))
}

/// What a report consists of: tenant, epoch, and each user with its outcome. What is no epoch is none of ours, and a
/// text that is no id names a user who is gone: neither is an error.
type Report = (String, Option<Epoch>, Vec<(UserId, Outcome)>);

/// The parts of the request.
pub(crate) fn user_outcomes(request: pb::ReportOutcomesRequest) -> Result<Report, Failure> {
    let pb::ReportOutcomesRequest { tenant, epoch, outcomes } = request;
    let mut reports = Vec::with_capacity(outcomes.len());
    for pb::UserOutcome { user_id, outcome } in outcomes {
        let missing = || Failure::Invalid { field: "outcomes", expected: "each must have an outcome".into() };
        let outcome = users::read_outcome(outcome.ok_or_else(missing)?)?;
        if let Ok(user) = user_id.parse() {
            reports.push((user, outcome));
        }
    }
    Ok((tenant, read_epoch(&epoch).ok(), reports))
}
