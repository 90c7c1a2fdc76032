//! The plan against a naive Fluent: whatever stood there, and whichever way contexts are combined, Fluent ends with
//! exactly what is wanted, and no step on the way gives what neither the old nor the new set holds.

use proptest::collection::btree_set;
use proptest::prelude::*;

use super::{Limits, Mutation, Update, Wanted, plan};
use crate::account::{Account, Context, Profile, Roles, Status};

type Pair = (String, String, String);

fn roles<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Roles {
    let mut roles = Roles::default();
    for (role, kind, id) in pairs {
        roles.insert(role, Context { kind: kind.clone(), id: id.clone() });
    }
    roles
}

fn account(status: Status, roles: Roles, title: Option<&str>) -> Account {
    let profile = Profile { title: title.map(str::to_owned), ..Profile::default() };
    Account { id: "1".into(), username: "ada".into(), kind: "LOCATION".into(), status, profile, roles }
}

/// Fluent, as its documents describe it: additive updates, removal by name.
fn apply(account: &mut Account, mutation: &Mutation, contexts_replaced: bool) {
    match mutation {
        Mutation::Remove(named) => account.roles = account.roles.minus(named),
        Mutation::Update(Update { status, profile, roles }) => {
            if let Some(status) = status {
                account.status = status.clone();
            }
            if profile.title.is_some() {
                account.profile.title.clone_from(&profile.title);
            }
            if contexts_replaced {
                account.roles =
                    account.roles.pairs().filter(|(role, _)| roles.iter().all(|(n, _)| n != *role)).collect();
            }
            for (role, context) in roles.pairs() {
                account.roles.insert(role, context.clone());
            }
        }
    }
}

fn pairs() -> impl Strategy<Value = Roles> {
    let pair = ("[ABC]", prop_oneof!["ACCOUNT", "RETAILER", "AGENT", "CUSTOMER"], "[0-3]");
    btree_set(pair, 0..12).prop_map(|pairs| roles(&pairs))
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Active), Just(Status::Inactive), Just(Status::Other("CREATED".into()))]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        Just(Wanted::Nothing),
        pairs().prop_map(Wanted::AtMost),
        (pairs(), proptest::option::of("[xy]"))
            .prop_map(|(roles, title)| Wanted::Exactly { roles, profile: Profile { title, ..Profile::default() } }),
    ]
}

/// What Fluent should hold in the end, said in the simplest way.
fn oracle(present: &Account, wanted: &Wanted) -> Account {
    let mut end = present.clone();
    let most = match wanted {
        Wanted::Nothing => Roles::default(),
        Wanted::AtMost(most) => present.roles.and(most),
        Wanted::Exactly { roles, profile } => {
            if !roles.is_empty() {
                end.status = Status::Active;
                end.profile.title = profile.title.clone().or(end.profile.title);
            }
            roles.clone()
        }
    };
    if most.is_empty() {
        end.status = Status::Inactive;
    }
    end.roles = most;
    end
}

proptest! {
    #[test]
    fn fluent_ends_as_wanted_and_no_step_widens(
        old in pairs(), status in status(), wanted in wanted(), contexts_replaced: bool, bytes in 1_usize..400,
    ) {
        let start = account(status, old.clone(), Some("x"));
        let end = oracle(&start, &wanted);
        let mut now = start.clone();
        let mut added = false;
        for mutation in plan(&start, &wanted, Limits { bytes }) {
            let before = now.clone();
            apply(&mut now, &mutation, contexts_replaced);
            prop_assert_ne!(&before, &now, "a mutation that changes nothing is not sent");
            let stray = now.roles.minus(&old).minus(&end.roles);
            prop_assert!(stray.is_empty(), "neither old nor new: {:?}", stray);
            prop_assert!(end.roles.and(&before.roles).minus(&now.roles).is_empty(), "what stays is never taken off");
            prop_assert!(end.status != Status::Inactive || now.status == Status::Inactive, "the door is shut first");
            added |= !now.roles.minus(&before.roles).is_empty();
            prop_assert!(!added || before.roles.minus(&end.roles).is_empty(), "added before the surplus had gone");
        }
        prop_assert_eq!(&now, &end);
        prop_assert!(plan(&now, &wanted, Limits::default()).is_empty(), "what is as wanted needs nothing");
    }

    #[test]
    fn two_mutations_are_enough_where_all_fits_in_one(old in pairs(), status in status(), wanted in wanted()) {
        let start = account(status, old, Some("x"));
        let end = oracle(&start, &wanted);
        let surplus = !start.roles.minus(&end.roles).is_empty();
        let rest = start.status != end.status || start.profile != end.profile || !end.roles.minus(&start.roles).is_empty();
        prop_assert_eq!(plan(&start, &wanted, Limits::default()).len(), usize::from(surplus) + usize::from(rest));
    }
}

#[test]
fn a_role_that_is_named_carries_all_its_contexts() {
    let held = roles(&[pair("STORE", "AGENT", "1"), pair("ADMIN", "ACCOUNT", "0")]);
    let whole = roles(&[pair("STORE", "AGENT", "1"), pair("STORE", "AGENT", "2")]);
    let wanted = Wanted::Exactly {
        roles: roles(&[pair("STORE", "AGENT", "1"), pair("STORE", "AGENT", "2"), pair("ADMIN", "ACCOUNT", "0")]),
        profile: Profile::default(),
    };
    let plan = plan(&account(Status::Active, held, None), &wanted, Limits::default());
    assert_eq!(plan, [Mutation::Update(Update { roles: whole, ..Update::default() })]);
}

#[test]
fn five_thousand_contexts_stay_under_fluents_request_limit() {
    let many: Vec<_> = (0..50_000).map(|id| pair(&format!("ROLE_{}", id % 50), "AGENT", &format!("{id}"))).collect();
    let wanted = Wanted::Exactly { roles: roles(&many), profile: Profile::default() };
    let start = account(Status::Active, Roles::default(), None);
    let plan = plan(&start, &wanted, Limits::default());
    assert!(plan.len() > 1);
    for mutation in &plan {
        let Mutation::Update(update) = mutation else { panic!("nothing is to be removed") };
        assert!(serde_json::to_vec(update).unwrap().len() < 2_000_000);
    }
}

fn pair(role: &str, kind: &str, id: &str) -> Pair {
    (role.into(), kind.into(), id.into())
}
