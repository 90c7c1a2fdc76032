//! To and from the contract of the longer answers: explanations, holders and watches.

use domain::explain::{Cause, Explanation, Way, Ways};
use domain::grant::Grant;
use domain::id::UserId;
use domain::label::Label;
use domain::matching::Unmatched;
use domain::revision::Position;
use prost::Message as _;
use proto::roles::v1 as roles;
use runtime::error::Error;

use super::{effective, granted, invalid, texts, unmatched};
use crate::cache::{Entry, Kept};
use crate::holders::Found;
use crate::watch::News;

/// About how much one message of a watch may hold, in bytes: what clients take without being told to take more.
const MESSAGE: usize = 1 << 20;

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
    let News { users, told } = news;
    let (mut messages, mut last, mut bytes) = (Vec::new(), roles::WatchRolesResponse::default(), 0);
    for (id, kept) in users {
        let effective = kept.map(|kept| effective(kept.entry()));
        let user = roles::WatchedUser { user_id: id.to_string(), effective };
        let size = user.encoded_len();
        if bytes + size > MESSAGE && !last.users.is_empty() {
            messages.push(std::mem::take(&mut last));
            bytes = 0;
        }
        bytes += size;
        last.users.push(user);
    }
    last.revision_token = told.map(token).unwrap_or_default();
    messages.push(last);
    messages
}

#[cfg(test)]
mod tests {
    use domain::effective::EffectiveSet;
    use domain::id::UserId;
    use domain::label::Label;
    use domain::matching::{Reason, Unmatched};
    use domain::revision::{Epoch, Position, Revision};

    use super::{MESSAGE, News, news};
    use crate::cache::{CacheKey, Entry, Kept};

    #[test]
    fn sets_that_are_too_much_for_one_message_are_told_in_several_and_the_last_has_the_token() {
        let at = Position { epoch: Epoch::new(), revision: Revision(1) };
        let label = |n: usize| Label::new(&format!("{n}{}", "x".repeat(1_000)));
        let unmatched = (0..300).map(|n| (label(n), Unmatched::because(Reason::Malformed))).collect();
        let set = EffectiveSet { active: true, has_labels: true, unmatched, ..EffectiveSet::default() };
        let user = |_| {
            let id = UserId::new();
            let name = CacheKey::derive(b"key").name(&"acme".parse().unwrap(), "ann");
            let entry = Entry { user: id, name, right_at: at, groups: Box::default(), set: set.clone() };
            (id, Some(Kept::new(entry, 0)))
        };
        let users: Vec<_> = (0..10).map(user).collect();
        let ids: Vec<_> = users.iter().map(|(id, _)| id.to_string()).collect();
        let messages = news(News { users, told: Some(at) }, |_| "token".to_owned());
        let told = messages.iter().flat_map(|message| &message.users).map(|user| user.user_id.clone());
        assert_eq!(told.collect::<Vec<_>>(), ids);
        assert!(messages.iter().all(|message| prost::Message::encoded_len(message) <= MESSAGE + 1_000));
        let tokens: Vec<_> = messages.iter().map(|message| &*message.revision_token).collect();
        assert_eq!(tokens, ["", "", "", "token"]);
    }
}
