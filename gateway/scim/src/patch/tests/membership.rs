//! A group's members after a PATCH: the delta against a plain set to which each operation is done in turn.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::request;
use crate::leniency::Mode;
use crate::patch::{MemberDelta, PATCH_URN, PatchRequest};
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

/// RFC 7644 section 3.5.2.2 with the error of section 3.12, operation by operation against a plain set.
fn by_the_letter(changes: &[Membership], members: &mut BTreeSet<String>) -> bool {
    changes.iter().all(|change| {
        let selects = match change {
            Membership::Remove(ids) if !ids.is_empty() => ids.iter().any(|id| members.contains(&id.to_string())),
            _ => true,
        };
        change.apply(members);
        selects
    })
}

proptest! {
    #[test]
    fn in_strict_mode_a_filter_must_select_a_member(
        changes in prop::collection::vec(any_membership(), 1..6),
        before in prop::collection::btree_set(0..6_u8, 0..4),
    ) {
        let before: BTreeSet<_> = before.into_iter().map(|id| id.to_string()).collect();
        let is_strict = |change: &Membership| !matches!(change, Membership::Remove(ids) if ids.is_empty());
        let changes: Vec<_> = changes.into_iter().filter(is_strict).collect();
        prop_assume!(!changes.is_empty());
        let operation = |change: &Membership| match change {
            Membership::Add(ids) => json!({"op": "add", "path": "members", "value": values(ids)}),
            Membership::Replace(ids) => json!({"op": "replace", "path": "members", "value": values(ids)}),
            Membership::Clear => json!({"op": "remove", "path": "members"}),
            Membership::Remove(_) => change.operation(0),
        };
        let operations: Vec<_> = changes.iter().map(operation).collect();
        let body = json!({"schemas": [PATCH_URN], "Operations": operations});
        let Value::Object(body) = body else { unreachable!() };
        let mut after = before.clone();
        let sound = by_the_letter(&changes, &mut after);
        let read = PatchRequest::parse(&GROUPS, body, Mode::Strict);
        let checked = read.and_then(|mut patch| {
            patch.take_needed().check(|id| before.contains(id))?;
            Ok(patch.take_members().unwrap_or_default())
        });
        match checked {
            Ok(delta) => {
                prop_assert!(sound);
                let mut members = before;
                delta.apply_to(&mut members);
                prop_assert_eq!(members, after);
            }
            Err(error) => {
                prop_assert!(!sound);
                prop_assert_eq!(&error.to_json()["scimType"], "noTarget");
            }
        }
    }
}

fn values(ids: &[u8]) -> Vec<Value> {
    ids.iter().map(|id| json!({"value": id.to_string()})).collect()
}
