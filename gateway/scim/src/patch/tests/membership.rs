//! A group's members after a PATCH: the delta against a plain set to which each operation is done in turn.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::request;
use crate::patch::MemberDelta;
use crate::schema::GROUPS;

/// A change to a group's members, spelt in one of the ways providers have.
#[derive(Clone, Debug)]
enum Membership {
    Add(Vec<u8>),
    Remove(Vec<u8>),
    Replace(Vec<u8>),
    Clear,
}

impl Membership {
    fn apply(&self, members: &mut BTreeSet<String>) {
        let text = |ids: &Vec<u8>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        match self {
            Self::Add(ids) => members.extend(text(ids)),
            Self::Remove(ids) => text(ids).iter().for_each(|id| {
                members.remove(id);
            }),
            Self::Replace(ids) => *members = text(ids).into_iter().collect(),
            Self::Clear => members.clear(),
        }
    }

    fn operation(&self, dialect: usize) -> Value {
        let listed =
            |ids: &[u8]| ids.iter().map(|id| json!({"$ref": null, "value": id.to_string()})).collect::<Vec<_>>();
        match self {
            Self::Add(ids) => match dialect % 3 {
                0 => json!({"op": "Add", "path": "members", "value": listed(ids)}),
                1 => json!({"op": "add", "value": {"Members": listed(ids)}}),
                _ => json!({"op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:Group:members",
                    "value": ids.iter().map(ToString::to_string).collect::<Vec<_>>()}),
            },
            Self::Remove(ids) if dialect.is_multiple_of(2) && !ids.is_empty() => {
                let terms: Vec<_> = ids.iter().map(|id| format!("value eq \"{id}\"")).collect();
                json!({"op": "remove", "path": format!("members[{}]", terms.join(" or "))})
            }
            Self::Remove(ids) => json!({"op": "Remove", "path": "members", "value": listed(ids)}),
            Self::Replace(ids) => match dialect % 2 {
                0 => json!({"op": "replace", "path": "members", "value": listed(ids)}),
                _ => json!({"op": "replace", "value": {"members": listed(ids), "id": "x"}}),
            },
            Self::Clear => match dialect % 3 {
                0 => json!({"op": "remove", "path": "members"}),
                1 => json!({"op": "remove", "path": "members", "value": null}),
                _ => json!({"op": "Replace", "path": "members", "value": null}),
            },
        }
    }
}

fn any_membership() -> impl Strategy<Value = Membership> {
    let ids = || prop::collection::vec(0..6u8, 0..4);
    prop_oneof![
        4 => ids().prop_map(Membership::Add),
        4 => ids().prop_map(Membership::Remove),
        1 => ids().prop_map(Membership::Replace),
        1 => Just(Membership::Clear),
    ]
}

proptest! {
    #[test]
    fn a_delta_does_to_members_what_the_operations_say(
        before in prop::collection::btree_set((0..6u8).prop_map(|id| id.to_string()), 0..6),
        changes in prop::collection::vec((any_membership(), 0..6usize), 0..8),
    ) {
        let mut expected = before.clone();
        for (change, _) in &changes {
            change.apply(&mut expected);
        }
        let operations: Vec<_> = changes.iter().map(|(change, dialect)| change.operation(*dialect)).collect();
        let request = request(&GROUPS, operations.into()).unwrap();
        let mut members = before;
        if let Some(delta) = request.members() {
            delta.apply_to(&mut members);
            if let MemberDelta::Change { add, remove } = delta {
                prop_assert!(add.is_disjoint(remove));
            }
        }
        prop_assert_eq!(members, expected);
        prop_assert!(request.is_members_only());
    }
}
