//! Users and what became of them.

use domain::clock::Timestamp;
use domain::revision::Revision;
use proto::identity::v1 as pb;

use super::{grant, read_grant};
use crate::failure::Failure;
use crate::model::{Outcome, State, User, UserGroup};

pub(crate) fn user(user: User) -> pb::User {
    let User { id, document, created_at, modified_at, version, outcome: reported, groups } = user;
    pb::User {
        id: id.to_string(),
        document: document.into(),
        created_at_us: created_at.0,
        modified_at_us: modified_at.0,
        version: version.0,
        outcome: reported.map(outcome),
        groups: groups.into_iter().map(user_group).collect(),
    }
}

fn user_group(group: UserGroup) -> pb::UserGroup {
    let UserGroup { id, display_name, direct } = group;
    pb::UserGroup { id: id.to_string(), display_name, direct }
}

fn outcome(outcome: Outcome) -> pb::Outcome {
    let Outcome { state, reasons, fluent_user_id, pushed_at, effective_roles, revision } = outcome;
    let state = match state {
        State::Pending => pb::State::Pending,
        State::Provisioned => pb::State::Provisioned,
        State::Inactive => pb::State::Inactive,
        State::Held => pb::State::Held,
        State::Failed => pb::State::Failed,
    };
    pb::Outcome {
        state: state.into(),
        reasons,
        fluent_user_id,
        pushed_at_us: pushed_at.0,
        effective_roles: effective_roles.iter().map(grant).collect(),
        revision: revision.0,
    }
}

pub(super) fn read_outcome(outcome: pb::Outcome) -> Result<Outcome, Failure> {
    let state = match outcome.state() {
        pb::State::Pending => State::Pending,
        pb::State::Provisioned => State::Provisioned,
        pb::State::Inactive => State::Inactive,
        pb::State::Held => State::Held,
        pb::State::Failed => State::Failed,
        pb::State::Unspecified => {
            return Err(Failure::Invalid { field: "outcome.state", expected: "it must be a known state".into() });
        }
    };
    let pb::Outcome { state: _, reasons, fluent_user_id, pushed_at_us, effective_roles, revision } = outcome;
    if reasons.iter().chain([&fluent_user_id]).any(|text| text.contains('\0')) {
        let expected = "its texts must not hold the character U+0000".into();
        return Err(Failure::Invalid { field: "outcome", expected });
    }
    Ok(Outcome {
        state,
        reasons,
        fluent_user_id,
        pushed_at: Timestamp(pushed_at_us),
        effective_roles: effective_roles.into_iter().map(read_grant).collect::<Result<_, _>>()?,
        revision: Revision(revision),
    })
}
