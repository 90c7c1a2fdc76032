//! Groups: members change by deltas that nobody loses, nesting has no cycles, and no order of changes meets an error.

use std::collections::BTreeSet;

use proto::identity::v1::UpdateGroupRequest;
use proto::identity::v1::feed_entry::Change;
use runtime::error::Reason;
use tokio::task::JoinHandle;

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::{Tenant, sorted};
use crate::together::{at_once, many_at_once};

async fn users(tenant: &Tenant, prefix: &str, count: usize) -> Vec<String> {
    many_at_once((0..count).map(|n| {
        let (tenant, name) = (tenant.clone(), format!("{prefix}{n}"));
        async move { tenant.user(&user(&name)).await }
    }))
    .await
}

/// Sixty-four members added at once, each by a call of its own, are all members. `C01`
pub async fn members_added_at_once_all_stay(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ids = users(&tenant, "u", 64).await;
    let staff = tenant.group(&group("staff"), &[]).await;
    let answers = at_once(ids.iter().cloned().map(|id| {
        let (tenant, staff) = (tenant.clone(), staff.clone());
        async move { tenant.add_members(&staff, &[id]).await.unwrap() }
    }))
    .await;
    assert!(answers.iter().all(|answer| answer.changed));
    assert_eq!(tenant.members(&staff).await, sorted(ids));
    assert_eq!(tenant.get_group(&staff).await.unwrap().member_count, 64);
}

/// Whatever order adds and removes of one member take, the end is what the last of them said. `C02`
pub async fn a_member_added_and_removed_at_once_ends_as_the_last_revision_says(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ann = tenant.user(&user("ann")).await;
    let staff = tenant.group(&group("staff"), &[]).await;
    let before = tenant.head().await;
    at_once((0..64).map(|n| {
        let (tenant, staff, ann) = (tenant.clone(), staff.clone(), [ann.clone()]);
        async move {
            let answer = if n % 2 == 0 {
                tenant.add_members(&staff, &ann).await
            } else {
                tenant.remove_members(&staff, &ann).await
            };
            answer.unwrap();
        }
    }))
    .await;
    let mut is_member = false;
    for entry in tenant.entries_after(before).await {
        let Some(Change::MembersChanged(change)) = entry.change else { panic!("nothing else changed") };
        assert_eq!((change.added.len(), change.removed.len()), if is_member { (0, 1) } else { (1, 0) });
        is_member = !is_member;
    }
    assert_eq!(tenant.members(&staff).await, if is_member { vec![ann] } else { vec![] });
}

/// A group's name changes, members come and go by themselves or with the whole list, all at once: what is there in the end
/// is what the changes make in the order of their revisions, and only who was named in a removal, or left out of a
/// replacement, is gone. `C03`
pub async fn a_groups_document_changes_beside_its_members_and_nobody_is_lost(backend: &Backend) {
    const ROUNDS: usize = 10;
    let tenant = Tenant::new(backend).await;
    let (stay, go, come) =
        (users(&tenant, "s", ROUNDS).await, users(&tenant, "g", ROUNDS).await, users(&tenant, "c", ROUNDS).await);
    let staff = tenant.group(&group("staff"), &[stay.clone(), go.clone()].concat()).await;
    let mut changes = Vec::new();
    for round in 0..ROUNDS {
        let document = |what: &str| Some(group(&format!("{what} {round}")).bytes());
        let (going, coming) = (vec![go[round].clone()], vec![come[round].clone()]);
        let all = [&stay[..], &go[round + 1..], &come[..round]].concat();
        changes.extend([
            UpdateGroupRequest { document: document("patched"), ..Default::default() },
            UpdateGroupRequest { add_member_ids: coming, ..Default::default() },
            UpdateGroupRequest { remove_member_ids: going.clone(), ..Default::default() },
            // What a PATCH without a path adds: a name, and members to those there are.
            UpdateGroupRequest { document: document("added"), add_member_ids: going, ..Default::default() },
            // A PUT.
            UpdateGroupRequest {
                document: document("put"),
                replace_members: true,
                add_member_ids: all,
                ..Default::default()
            },
        ]);
    }
    let mut done = at_once(changes.into_iter().map(|change| {
        let (tenant, staff) = (tenant.clone(), staff.clone());
        async move {
            let answer = tenant.update_group(&staff, change.clone()).await.unwrap();
            answer.changed.then(|| (answer.group.unwrap().version, change))
        }
    }))
    .await
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    done.sort_by_key(|(version, _)| *version);
    let mut members: BTreeSet<String> = [stay.clone(), go].concat().into_iter().collect();
    let mut name = group("staff").bytes::<Vec<u8>>();
    for (_, change) in done {
        members.retain(|id| !change.replace_members && !change.remove_member_ids.contains(id));
        members.extend(change.add_member_ids);
        name = change.document.map_or(name, Into::into);
    }
    assert!(stay.iter().all(|id| members.contains(id)), "nobody named them");
    assert_eq!(tenant.members(&staff).await, members.iter().cloned().collect::<Vec<_>>());
    let stored = tenant.get_group(&staff).await.unwrap();
    assert_eq!(stored.member_count, members.len() as u64);
    assert_eq!(stored.document, name);
}

/// Replacing the members keeps those named, takes the others away, and is one change.
pub async fn a_replacement_of_the_members_keeps_exactly_those_named(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ids = users(&tenant, "u", 4).await;
    let staff = tenant.group(&group("staff"), &ids[..3]).await;
    let before = tenant.head().await;
    let request = UpdateGroupRequest { replace_members: true, add_member_ids: ids[2..].to_vec(), ..Default::default() };
    let answer = tenant.update_group(&staff, request.clone()).await.unwrap();
    assert_eq!(answer.group.unwrap().member_count, 2);
    assert_eq!(tenant.members(&staff).await, sorted(ids[2..].to_vec()));
    let entries = tenant.entries_after(before).await;
    let [Some(Change::MembersChanged(change))] = &entries.iter().map(|e| e.change.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("one change of members: {entries:?}")
    };
    assert_eq!((change.added.len(), change.removed.len()), (1, 2));
    assert!(!tenant.update_group(&staff, request).await.unwrap().changed);
}

/// A request that removes members, or labels, is carried out without the parts that can't be: members who are gone, a
/// group that contains this one, a name that is taken. One that removes nothing is refused for each.
pub async fn members_are_taken_away_whatever_else_is_asked(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ids = users(&tenant, "u", 6).await;
    let nobody = [uuid::Uuid::new_v4().to_string(), "no id".to_owned()];
    tenant.group(&group("taken"), &[]).await;
    let staff = tenant.group(&group("staff").labels(&["A", "B"]), &ids[..4]).await;
    let outer = tenant.group(&group("outer"), std::slice::from_ref(&staff)).await;

    let add = [&ids[2..5], &nobody, std::slice::from_ref(&outer)].concat();
    let request = UpdateGroupRequest { replace_members: true, add_member_ids: add, ..Default::default() };
    tenant.update_group(&staff, request.clone()).await.unwrap();
    assert_eq!(tenant.members(&staff).await, sorted(ids[2..5].to_vec()), "ann and bob went, the fifth came");
    // The same again removes nobody.
    assert_eq!(tenant.update_group(&staff, request).await.unwrap_err().reason(), Reason::MEMBER_NOT_FOUND);

    let taken = |labels: &[&str]| Some(group("TAKEN").labels(labels).bytes());
    let request = UpdateGroupRequest {
        document: taken(&["A", "B"]),
        add_member_ids: vec![ids[5].clone(), outer.clone()],
        remove_member_ids: vec![ids[2].clone()],
        ..Default::default()
    };
    let answer = tenant.update_group(&staff, request).await.unwrap().group.unwrap();
    assert!(group("staff").labels(&["A", "B"]).is(&answer.document), "the name stays");
    assert_eq!(tenant.members(&staff).await, sorted(ids[3..6].to_vec()));

    let request = UpdateGroupRequest { document: taken(&["A"]), add_member_ids: nobody.into(), ..Default::default() };
    let answer = tenant.update_group(&staff, request).await.unwrap().group.unwrap();
    assert!(group("staff").labels(&["A"]).is(&answer.document));
    let request = UpdateGroupRequest { document: taken(&["A"]), ..Default::default() };
    assert_eq!(tenant.update_group(&staff, request).await.unwrap_err().reason(), Reason::UNIQUENESS);
}

/// A user shows the groups it is in, each once, direct ones first, nested ones too; alone and in a list; until it leaves.
pub async fn a_user_shows_the_groups_it_is_in(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ids = users(&tenant, "u", 3).await;
    let inner = tenant.group(&group("inner \"x\""), &ids[..2]).await;
    let outer = tenant.group(&group("outer"), std::slice::from_ref(&inner)).await;
    let both = tenant.group(&group("both"), &[inner.clone(), ids[0].clone()]).await;
    let direct = |id: &String, name: &str| (id.clone(), name.to_owned(), true);
    let indirect = |id: &String, name: &str| (id.clone(), name.to_owned(), false);
    let first = vec![direct(&inner, "inner \"x\""), direct(&both, "both"), indirect(&outer, "outer")];
    let second = vec![direct(&inner, "inner \"x\""), indirect(&outer, "outer"), indirect(&both, "both")];
    let listed = tenant.list_users("", 1, 10).await.unwrap().users;
    for (id, expected) in ids.iter().zip([first, second, vec![]]) {
        assert_eq!(tenant.groups_of(id).await, expected);
        let user = listed.iter().find(|user| user.id == *id).unwrap();
        let groups = user.groups.iter().map(|group| (group.id.clone(), group.display_name.clone(), group.direct));
        assert_eq!(groups.collect::<Vec<_>>(), expected);
    }
    assert!(tenant.get_user(&ids[0]).await.unwrap().groups.is_empty(), "nobody asked");

    tenant.remove_members(&inner, &ids[..1]).await.unwrap();
    assert_eq!(tenant.groups_of(&ids[0]).await, [direct(&both, "both")]);
    tenant.delete_group(&outer).await.unwrap();
    assert_eq!(tenant.groups_of(&ids[1]).await, [direct(&inner, "inner \"x\""), indirect(&both, "both")]);
}

/// A user deleted while it is added to a group is no member afterwards, and one who gets its name has nothing of it. `C11`
pub async fn a_deleted_user_is_a_member_of_nothing(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let staff = tenant.group(&group("staff").labels(&["ACCOUNT_0_STAFF"]), &[]).await;
    for round in 0..20 {
        let document = user(&format!("ann{round}")).labels(&["ACCOUNT_0_OLD"]);
        let old = tenant.user(&document).await;
        let calls = [tenant.clone(), tenant.clone(), tenant.clone()];
        let [first, second, third] = calls;
        let (old, staff) = (old.clone(), staff.clone());
        let adding = tokio::spawn({
            let (old, staff) = (old.clone(), staff.clone());
            async move { first.add_members(&staff, &[old]).await.map_err(|error| error.reason()) }
        });
        let deleting = tokio::spawn({
            let old = old.clone();
            async move { second.delete_user(&old, 0).await }
        });
        let making = tokio::spawn(async move {
            let document = user(&format!("ANN{round}"));
            loop {
                match third.add_user(&document).await {
                    Ok(made) => break made.user.unwrap().id,
                    Err(error) => assert_eq!(error.reason(), Reason::UNIQUENESS),
                }
            }
        });
        assert!(matches!(adding.await.unwrap(), Ok(_) | Err(Reason::MEMBER_NOT_FOUND)));
        deleting.await.unwrap().unwrap();
        let new = making.await.unwrap();
        assert!(tenant.labels(&new).await.is_empty());
        assert!(!tenant.holding(&old).await.found);
        assert!(tenant.members(&staff).await.is_empty());
        assert_eq!(tenant.get_group(&staff).await.unwrap().member_count, 0);
    }
}

/// A into B and B into A at once: one is accepted, the other would close the circle.
pub async fn two_groups_at_once_do_not_come_to_contain_each_other(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    for round in 0..20 {
        let a = tenant.group(&group(&format!("a{round}")), &[]).await;
        let b = tenant.group(&group(&format!("b{round}")), &[]).await;
        let answers = at_once([(a.clone(), b.clone()), (b.clone(), a.clone())].map(|(outer, inner)| {
            let tenant = tenant.clone();
            async move { tenant.add_members(&outer, &[inner]).await.map_err(|error| error.reason()) }
        }))
        .await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert!(answers.iter().any(|answer| answer.as_ref().is_err_and(|reason| *reason == Reason::NESTING_CYCLE)));
    }
}

/// Neither directly nor over any number of groups between.
pub async fn a_group_does_not_contain_itself_through_others(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let mut chain = vec![tenant.group(&group("0"), &[]).await];
    for n in 1..5 {
        let inner = chain[n - 1].clone();
        chain.push(tenant.group(&group(&n.to_string()), &[inner]).await);
    }
    for outer in &chain {
        let closing = tenant.add_members(&chain[0], std::slice::from_ref(outer)).await;
        assert_eq!(closing.unwrap_err().reason(), Reason::NESTING_CYCLE);
    }
    // Two ways to one group are no circle.
    tenant.add_members(&chain[4], &chain[..1]).await.unwrap();
}

/// Members come in order of id; a reader may begin after any of them, there or gone.
pub async fn members_are_listed_in_order_and_after_any_of_them(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let nested = tenant.group(&group("nested"), &[]).await;
    let ids = sorted([users(&tenant, "u", 20).await, vec![nested]].concat());
    let staff = tenant.group(&group("staff"), &ids).await;
    assert_eq!(tenant.members(&staff).await, ids);
    tenant.remove_members(&staff, &ids[9..10]).await.unwrap();
    assert_eq!(tenant.members_after(&staff, &ids[9]).await.unwrap(), ids[10..]);
    assert_eq!(tenant.members_after(&staff, &ids[20]).await.unwrap(), Vec::<String>::new());
    let nobody = uuid::Uuid::new_v4().to_string();
    assert_eq!(tenant.members_after(&nobody, "").await.unwrap_err().reason(), Reason::GROUP_NOT_FOUND);
}

/// Fifty thousand join a group in one write, and leave it in another. Dismissals that come meanwhile, to the process that
/// writes and to another, wait for that write and are done: none is refused, with the waits that production has.
pub async fn users_are_deactivated_beside_a_write_of_fifty_thousand_memberships(backend: &Backend) {
    const MEMBERS: usize = 50_000;
    let tenant = Tenant::new(backend).await.over(backend.insider.as_in_production().await);
    let ids = backend.insider.stock(&tenant.name, MEMBERS).await;
    let mut there = ids.iter();

    let making = tokio::spawn({
        let (tenant, ids) = (tenant.clone(), ids.clone());
        async move { tenant.group(&group("everyone"), &ids).await }
    });
    dismiss_beside(&tenant, &mut there, &making).await;
    let everyone = making.await.unwrap();
    assert_eq!(tenant.get_group(&everyone).await.unwrap().member_count, MEMBERS as u64);

    let leaving = tokio::spawn({
        let (tenant, everyone, ids) = (tenant.clone(), everyone.clone(), ids.clone());
        async move { tenant.remove_members(&everyone, &ids).await.unwrap() }
    });
    dismiss_beside(&tenant, &mut there, &leaving).await;
    assert_eq!(leaving.await.unwrap().group.unwrap().member_count, 0);
}

/// Dismisses two users at a time, each by another call, until a write is done; the last two at least come beside it.
async fn dismiss_beside<T>(tenant: &Tenant, there: &mut std::slice::Iter<'_, String>, write: &JoinHandle<T>) {
    loop {
        let over = write.is_finished();
        let both = there.by_ref().take(2).cloned();
        at_once(both.map(|id| {
            let (tenant, document) = (tenant.clone(), user(&id.replace('-', "")).inactive());
            async move {
                assert!(tenant.replace_user(&id, 0, &document).await.unwrap().changed);
                assert!(!tenant.holding(&id).await.active);
            }
        }))
        .await;
        if over {
            return;
        }
    }
}

/// Groups and users changed in opposite orders, over and over: what would be a deadlock is solved inside. `C14`
pub async fn changes_in_opposite_order_never_meet_an_error(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ids = users(&tenant, "u", 8).await;
    let groups = [tenant.group(&group("a"), &[]).await, tenant.group(&group("b"), &[]).await];
    at_once((0..16_usize).map(|n| {
        let (tenant, mut ids, mut groups) = (tenant.clone(), ids.clone(), groups.clone());
        async move {
            if n % 2 == 1 {
                ids.reverse();
                groups.reverse();
            }
            for round in 0..4 {
                for id in &groups {
                    tenant.add_members(id, &ids).await.unwrap();
                }
                for (number, id) in ids.iter().enumerate() {
                    let number = if n % 2 == 1 { ids.len() - 1 - number } else { number };
                    let document = user(&format!("u{number}")).title(&format!("{n} {round}"));
                    tenant.replace_user(id, 0, &document).await.unwrap();
                }
                for id in groups.iter().rev() {
                    tenant.remove_members(id, &ids).await.unwrap();
                }
            }
        }
    }))
    .await;
}

/// A text that can be no id names nobody: it is left out, while an id that is nobody's is refused.
pub async fn a_member_that_can_be_nobody_is_left_out(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ann = tenant.user(&user("ann")).await;
    let staff = tenant.group(&group("staff"), &["string id 1".to_owned()]).await;
    assert!(tenant.members(&staff).await.is_empty());
    tenant.add_members(&staff, &["fake-member-id".to_owned(), ann.clone()]).await.unwrap();
    assert_eq!(tenant.members(&staff).await, [ann.as_str()]);
    let head = tenant.head().await;
    tenant.add_members(&staff, &["fake-member-id".to_owned()]).await.unwrap();
    assert_eq!(tenant.head().await, head, "nothing changed");
    let nobody = uuid::Uuid::new_v4().to_string();
    assert_eq!(tenant.add_members(&staff, &[nobody]).await.unwrap_err().reason(), Reason::MEMBER_NOT_FOUND);
}
