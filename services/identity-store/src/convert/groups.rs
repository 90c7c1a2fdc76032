//! Groups and their members.

use domain::id::MemberId;
use domain::revision::Revision;
use proto::common::v1::Actor;
use proto::identity::v1 as pb;

use crate::model::{Group, GroupUpdate};

pub(crate) fn group(group: Group) -> pb::Group {
    let Group { id, document, created_at, modified_at, version, member_count } = group;
    pb::Group {
        id: id.to_string(),
        document: document.into(),
        created_at_us: created_at.0,
        modified_at_us: modified_at.0,
        version: version.0,
        member_count,
    }
}

pub(crate) fn member(member: &MemberId) -> pb::Member {
    match member {
        MemberId::User(id) => pb::Member { id: id.to_string(), is_group: false },
        MemberId::Group(id) => pb::Member { id: id.to_string(), is_group: true },
    }
}

/// The parts of the request: tenant, actor, group, change.
pub(crate) fn group_update(request: pb::UpdateGroupRequest) -> (String, Option<Actor>, String, GroupUpdate) {
    let pb::UpdateGroupRequest {
        tenant,
        actor,
        id,
        expected_version,
        document,
        replace_members,
        add_member_ids,
        remove_member_ids,
        adds_unmatched,
        only_if_it_takes_away,
    } = request;
    let update = GroupUpdate {
        expected: Revision(expected_version),
        document: document.map(Into::into),
        replace_members,
        add: add_member_ids,
        remove: remove_member_ids,
        adds_unmatched,
        only_if_it_takes_away,
    };
    (tenant, actor, id, update)
}
