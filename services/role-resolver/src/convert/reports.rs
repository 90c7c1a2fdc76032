//! To and from the contract of the longer answers: explanations, holders, watches and previews.

use domain::difference::{Difference, Turn};
use domain::explain::{Cause, Explanation, Way, Ways};
use domain::grant::Grant;
use domain::id::UserId;
use domain::label::Label;
use domain::matching::Unmatched;
use domain::revision::Position;
use proto::roles::v1 as roles;
use runtime::error::{Error, Reason};
use runtime::grpc::in_parts;

use super::{effective, granted, invalid, missing, position, texts, unmatched};
use crate::cache::{Entry, Kept};
use crate::holders::Found;
use crate::preview::{Change, Differences};
use crate::watch::News;

/// Whom a list begins after.
pub(crate) fn after(id: &str) -> Result<Option<UserId>, Error> {
    if id.is_empty() {
        return Ok(None);
    }
    id.parse().map(Some).map_err(|error: domain::id::InvalidId| invalid("after_user_id", error))
}

pub(crate) fn explanation(id: UserId, explanation: Explanation, token: String) -> roles::ExplainRolesResponse {
    let held = explanation.held();
    let Explanation { active, grants, unmatched: refused, has_labels } = explanation;
    let explained = |(grant, causes): (Grant, Vec<Cause>)| roles::ExplainedGrant {
        grant: Some(granted(&grant)),
        causes: causes.into_iter().map(cause).collect(),
    };
    let label = |(label, (why, ways)): (Label, (Unmatched, Ways))| roles::ExplainedLabel {
        label: Some(unmatched((&label, &why))),
        ways: Some(label_ways(ways)),
    };
    roles::ExplainRolesResponse {
        user_id: id.to_string(),
        active,
        held,
        grants: grants.into_iter().map(explained).collect(),
        unmatched: refused.into_iter().map(label).collect(),
        has_labels,
        revision_token: token,
    }
}

fn cause(cause: Cause) -> roles::GrantCause {
    let Cause { label, rule, ways } = cause;
    roles::GrantCause {
        label: label.as_str().to_owned(),
        rule: rule.as_deref().unwrap_or_default().to_owned(),
        ways: Some(label_ways(ways)),
    }
}

fn label_ways(ways: Ways) -> roles::LabelWays {
    let Ways { listed, more } = ways;
    let mut answer = roles::LabelWays { more: u32::try_from(more).unwrap_or(u32::MAX), ..Default::default() };
    for way in listed {
        match way {
            Way::Direct => answer.direct = true,
            Way::Through(groups) => {
                let group_ids = groups.iter().map(ToString::to_string).collect();
                answer.through.push(roles::GroupPath { group_ids });
            }
        }
    }
    answer
}

/// Those of some users who hold `grant`.
pub(crate) fn holders(found: Found, grant: &Grant) -> roles::ListRoleHoldersResponse {
    let Found { answer, last } = found;
    let holder = |kept: Kept| {
        let Entry { user, set, .. } = kept.entry();
        let labels = set.grants.get(grant)?;
        Some(roles::RoleHolder { user_id: user.to_string(), held: set.held(), labels: texts(labels) })
    };
    roles::ListRoleHoldersResponse {
        holders: answer.sets.into_iter().flatten().filter_map(holder).collect(),
        last_user_id: last.map(|id| id.to_string()).unwrap_or_default(),
        revision_token: answer.token,
    }
}

/// What is told at a time, in as many messages as it takes; the last has the token of the position, if there is one.
pub(crate) fn news(news: News, token: impl FnOnce(Position) -> String) -> Vec<roles::WatchRolesResponse> {
    let News { users, position: stood, told } = news;
    let user = |(id, kept): (UserId, Option<Kept>)| roles::WatchedUser {
        user_id: id.to_string(),
        effective: kept.map(|kept| effective(kept.entry())),
    };
    let message =
        |users| roles::WatchRolesResponse { users, revision_token: String::new(), position: stood.map(position) };
    let mut messages: Vec<_> = in_parts(users.into_iter().map(user)).into_iter().map(message).collect();
    if let (Some(last), Some(told)) = (messages.last_mut(), told) {
        last.revision_token = token(told);
    }
    messages
}

pub(crate) fn change(change: Option<roles::preview_change_request::Change>) -> Result<Change, Error> {
    use roles::preview_change_request::Change as Asked;
    match change.ok_or_else(|| missing("change", "rules, or the labels of a group"))? {
        Asked::Rules(rules) => Ok(Change::Rules(rules)),
        Asked::LabelsOfGroup(roles::LabelsOfGroup { group_id, labels }) => {
            let group = group_id.parse().map_err(|_| Error::new(Reason::GROUP_NOT_FOUND, "no group has that id"))?;
            Ok(Change::LabelsOfGroup { group, labels })
        }
    }
}

pub(crate) fn differences(page: Differences, token: String) -> roles::PreviewChangeResponse {
    let Differences { users, position: _ } = page;
    let one = |(id, difference): (UserId, Difference)| {
        let Difference { gained, lost, turn } = difference;
        let turn = match turn {
            None => roles::Turn::Unspecified,
            Some(Turn::Held) => roles::Turn::Held,
            Some(Turn::Freed) => roles::Turn::Freed,
        };
        let [gained, lost] = [gained, lost].map(|grants| grants.iter().map(granted).collect());
        roles::UserDifference { user_id: id.to_string(), gained, lost, turn: turn.into() }
    };
    roles::PreviewChangeResponse { users: users.into_iter().map(one).collect(), revision_token: token }
}
