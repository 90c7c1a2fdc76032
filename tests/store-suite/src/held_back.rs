//! Who leaves beyond the guard against mass deactivation is held back, where a tenant has it hold, until it is released.

use std::time::Duration;

use proto::admin::v1::NamedUsers;
use proto::admin::v1::release_held_back_request::Which;
use proto::common::v1::{DisplayNames, MassDepartures, Settings};
use proto::identity::v1::feed_entry::Change;
use proto::identity::v1::{Holding, UserChanged};
use runtime::error::Reason;

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::{Tenant, sorted};
use crate::together::at_once;

/// The crowd of these tests: more than a fifth of them are beyond the limit, so the ninth who leaves is.
const PEOPLE: usize = 40;
const WITHIN: usize = 8;

async fn choose(tenant: &Tenant, choice: MassDepartures) {
    let settings = Settings { mass_departures: choice.into(), ..Settings::default() };
    tenant.put_settings(settings).await.unwrap();
}

/// A tenant that has the guard hold, and its people, each with a label.
async fn company(backend: &Backend) -> (Tenant, Vec<String>) {
    let tenant = Tenant::new(backend).await;
    choose(&tenant, MassDepartures::Hold).await;
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        people.push(tenant.user(&user(&format!("u{n}")).labels(&["A"])).await);
    }
    (tenant, people)
}

async fn deactivate(tenant: &Tenant, people: &[String], n: usize) {
    let inactive = user(&format!("u{n}")).labels(&["A"]).inactive();
    tenant.replace_user(&people[n], 0, &inactive).await.unwrap();
}

/// So many leave that each further one is held back.
async fn crowd(tenant: &Tenant, people: &[String]) {
    for n in 0..WITHIN {
        deactivate(tenant, people, n).await;
    }
}

async fn ids(tenant: &Tenant) -> Vec<String> {
    let (users, total) = tenant.held_back().await;
    assert_eq!(total, users.len() as u64);
    users.into_iter().map(|user| user.user_id).collect()
}

fn named(ids: &[&String]) -> Which {
    Which::Named(NamedUsers { user_ids: ids.iter().map(ToString::to_string).collect() })
}

/// They are gone for everyone who reads of them, and those before them are held back no more than anybody where the tenant
/// has the guard alert. S31.
pub async fn where_a_tenant_says_so_those_beyond_the_limit_are_held_back(backend: &Backend) {
    let (tenant, people) = company(backend).await;
    crowd(&tenant, &people).await;
    assert_eq!(tenant.held_back().await, (vec![], 0));
    deactivate(&tenant, &people, 8).await;
    // Nobody leaves twice.
    deactivate(&tenant, &people, 8).await;
    tenant.delete_user(&people[9], 0).await.unwrap();
    tenant.delete_user(&people[0], 0).await.unwrap();
    let (users, total) = tenant.held_back().await;
    let mut told: Vec<_> = users.iter().map(|user| (user.user_name.as_str(), user.deleted)).collect();
    told.sort_unstable();
    assert_eq!((told, total), (vec![("u8", false), ("u9", true)], 2));
    assert!(users.iter().all(|user| user.since_us > 0));
    let holding = tenant.holding(&people[8]).await;
    assert!(holding.found && !holding.active && holding.held_back);
    let holding = tenant.holding(&people[9]).await;
    assert!(!holding.found && holding.held_back);
    for n in [0, 1] {
        assert!(!tenant.holding(&people[n]).await.held_back);
    }

    let (tenant, people) = company(backend).await;
    choose(&tenant, MassDepartures::Alert).await;
    for n in 0..PEOPLE {
        deactivate(&tenant, &people, n).await;
    }
    assert_eq!(tenant.held_back().await, (vec![], 0));
}

/// However many of them share a commit.
pub async fn a_crowd_that_leaves_at_once_is_held_back_from_the_limit_on(backend: &Backend) {
    let (tenant, people) = company(backend).await;
    at_once(people.iter().map(|id| {
        let (tenant, id) = (tenant.clone(), id.clone());
        async move { tenant.delete_user(&id, 0).await.unwrap() }
    }))
    .await;
    assert_eq!(ids(&tenant).await.len(), PEOPLE - WITHIN);
}

/// So that its account keeps no more than that: what it held directly and through groups, also of one who was inactive
/// before.
pub async fn what_a_deleted_user_held_is_told_as_it_was(backend: &Backend) {
    let (tenant, people) = company(backend).await;
    // Its name would be a label where names are.
    let inner = tenant.group(&group("AGENT_77_N"), &people[8..11]).await;
    tenant.group(&group("outer").labels(&["B"]), std::slice::from_ref(&inner)).await;
    crowd(&tenant, &people).await;
    tenant.delete_user(&people[8], 0).await.unwrap();
    deactivate(&tenant, &people, 9).await;
    tenant.remove_members(&inner, std::slice::from_ref(&people[9])).await.unwrap();
    tenant.delete_user(&people[9], 0).await.unwrap();
    for (n, labels) in [(8, vec!["A", "B"]), (9, vec!["A"])] {
        let Holding { user_id, held_back, .. } = tenant.holding(&people[n]).await;
        assert_eq!((user_id.as_str(), held_back), (people[n].as_str(), true));
        assert_eq!(tenant.labels(&people[n]).await, labels);
    }
}

/// Its memberships are as they were when it was deleted; what its groups bear is not.
pub async fn what_a_deleted_user_held_through_a_group_goes_with_the_group(backend: &Backend) {
    let (tenant, people) = company(backend).await;
    let inner = tenant.group(&group("inner").labels(&["A", "B", "C"]), &people[8..9]).await;
    let outer = tenant.group(&group("outer").labels(&["B", "D"]), std::slice::from_ref(&inner)).await;
    let other = tenant.group(&group("other").labels(&["D"]), &people[9..10]).await;
    crowd(&tenant, &people).await;
    tenant.delete_user(&people[8], 0).await.unwrap();
    let held = async || {
        let is_concerned = tenant.affected(tenant.head().await.revision).await.contains(&people[8]);
        (tenant.labels(&people[8]).await.concat(), is_concerned)
    };
    let told = |labels: &str, is_concerned| (labels.to_owned(), is_concerned);
    assert_eq!(held().await, told("ABCD", true));
    tenant.delete_group(&other).await.unwrap();
    assert_eq!(held().await, told("ABCD", false), "a group that the user was not in");
    tenant.put_group(&inner, &group("inner").labels(&["X"])).await.unwrap();
    assert_eq!(held().await, told("ABD", true), "A was its own, and B comes through another group too");
    let back = group("inner").labels(&["C"]);
    tenant.put_group(&inner, &back).await.unwrap();
    assert_eq!(held().await, told("ABCD", true), "as it would be of a member");
    tenant.delete_group(&outer).await.unwrap();
    assert_eq!(held().await, told("AC", true));
    tenant.delete_group(&inner).await.unwrap();
    assert_eq!(held().await, told("A", true));
}

/// Nothing of it was lost. Whether it is held back the next time it leaves is asked then.
pub async fn who_returns_is_held_back_no_more_and_is_judged_anew(backend: &Backend) {
    let (tenant, people) = company(backend).await;
    crowd(&tenant, &people).await;
    for n in [8, 9] {
        deactivate(&tenant, &people, n).await;
        tenant.replace_user(&people[n], 0, &user(&format!("u{n}")).labels(&["A"])).await.unwrap();
    }
    assert_eq!(tenant.held_back().await, (vec![], 0));
    assert!(!tenant.holding(&people[8]).await.held_back);
    deactivate(&tenant, &people, 8).await;
    assert_eq!(ids(&tenant).await, [people[8].clone()], "the crowd still leaves");
    backend.insider.pass_time(Duration::from_mins(12)).await;
    deactivate(&tenant, &people, 9).await;
    assert_eq!(ids(&tenant).await, [people[8].clone()], "one by itself is no crowd");
}

/// It takes access away, from a user who is as it was before; done again it does nothing.
pub async fn a_release_is_told_by_the_feed_once_for_each(backend: &Backend) {
    let (tenant, people) = company(backend).await;
    crowd(&tenant, &people).await;
    deactivate(&tenant, &people, 8).await;
    tenant.delete_user(&people[9], 0).await.unwrap();
    deactivate(&tenant, &people, 10).await;
    let unsaid = tenant.release(Which::Named(NamedUsers { user_ids: vec!["x".into(); 1_001] })).await.unwrap();
    assert_eq!((unsaid.released, unsaid.left), (0, 3), "nobody has such an id");
    let many = vec![people[8].clone(); 1_001];
    let refused = tenant.release(Which::Named(NamedUsers { user_ids: many })).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::TOO_LARGE);

    let (before, audited) = (tenant.head().await, backend.insider.audit_entries(&tenant.name).await);
    let others = [&people[0], &people[20]];
    let done = tenant.release(named(&[&[&people[8], &people[9]][..], &others].concat())).await.unwrap();
    assert_eq!((done.released, done.more, done.left), (2, false, 1));
    assert!(!done.revision_token.is_empty());
    assert_eq!(ids(&tenant).await, [people[10].clone()]);
    assert_eq!(backend.insider.audit_entries(&tenant.name).await, audited + 2);
    let mut entries = tenant.entries_after(before.clone()).await;
    entries
        .sort_by_key(|entry| if let Some(Change::UserChanged(change)) = &entry.change { change.exists } else { true });
    let mut told = Vec::new();
    for entry in entries {
        assert!(entry.takes_away);
        let Some(Change::UserChanged(change)) = entry.change else { panic!("of a user") };
        assert_eq!(tenant.affected(entry.revision).await, std::slice::from_ref(&change.user_id));
        told.push(change);
    }
    let changed = |n: usize, exists| UserChanged {
        user_id: people[n].clone(),
        user_name: format!("u{n}"),
        exists,
        active: false,
        access_changed: false,
    };
    assert_eq!(told, [changed(9, false), changed(8, true)]);
    let taking = tenant.read_taking_away(before, 0).await;
    assert_eq!(taking.entries.len(), 2);

    let trace = tenant.trace(backend).await;
    let done = tenant.release(named(&[&people[8], &people[9]])).await.unwrap();
    assert_eq!((done.released, done.left), (0, 1));
    assert_eq!(tenant.trace(backend).await, trace);
    assert!(!tenant.holding(&people[8]).await.held_back && !tenant.holding(&people[9]).await.held_back);
}

/// An operator releases those it has seen.
pub async fn nobody_is_released_who_came_after_the_list(backend: &Backend) {
    let (tenant, people) = company(backend).await;
    crowd(&tenant, &people).await;
    for n in 8..12 {
        deactivate(&tenant, &people, n).await;
    }
    let through = tenant.head().await.revision;
    deactivate(&tenant, &people, 12).await;
    // One of them left again since.
    tenant.replace_user(&people[8], 0, &user("u8").labels(&["A"])).await.unwrap();
    deactivate(&tenant, &people, 8).await;
    let done = tenant.release(Which::ThroughRevision(through)).await.unwrap();
    assert_eq!((done.released, done.more, done.left), (3, false, 2));
    assert_eq!(ids(&tenant).await, sorted([8, 12].map(|n| people[n].clone())));
    let done = tenant.release(Which::ThroughRevision(tenant.head().await.revision)).await.unwrap();
    assert_eq!((done.released, done.left), (2, 0));
}

/// Turning the guard back releases nobody in silence.
pub async fn who_is_held_back_stays_so_whatever_the_setting_becomes(backend: &Backend) {
    let (tenant, people) = company(backend).await;
    crowd(&tenant, &people).await;
    deactivate(&tenant, &people, 8).await;
    choose(&tenant, MassDepartures::Alert).await;
    deactivate(&tenant, &people, 9).await;
    assert_eq!(ids(&tenant).await, [people[8].clone()]);
    tenant.delete_user(&people[8], 0).await.unwrap();
    assert_eq!(ids(&tenant).await, [people[8].clone()]);
    assert_eq!(tenant.release(named(&[&people[8]])).await.unwrap().released, 1);
}

/// Its account may bear another name: nobody but an operator releases it. Whose an account is by then, the pusher knows.
pub async fn who_was_deleted_stays_held_back_whoever_bears_its_name(backend: &Backend) {
    let (tenant, people) = company(backend).await;
    crowd(&tenant, &people).await;
    for id in &people[8..10] {
        tenant.delete_user(id, 0).await.unwrap();
    }
    let successor = tenant.user(&user("U8")).await;
    tenant.replace_user(&people[30], 0, &user("u9").labels(&["A"])).await.unwrap();
    assert_eq!(ids(&tenant).await, sorted([8, 9].map(|n| people[n].clone())));
    assert!(!tenant.holding(&successor).await.held_back);
    tenant.delete_user(&successor, 0).await.unwrap();
    assert_eq!(ids(&tenant).await.len(), 3, "the successor is held back for itself");
    let before = tenant.head().await;
    assert_eq!(tenant.release(named(&[&people[8]])).await.unwrap().released, 1);
    let entries = tenant.entries_after(before).await;
    let [entry] = &entries[..] else { panic!("one entry: {entries:?}") };
    let Some(Change::UserChanged(change)) = &entry.change else { panic!("of a user") };
    assert_eq!((&change.user_id, change.exists), (&people[8], false));
}

/// Its labels are nowhere but with the note, and its account keeps no more than they give: so what becomes of the roles,
/// places, rules or settings that they name concerns it, and nothing else does.
pub async fn what_the_ground_gives_concerns_also_the_deleted_who_are_held_back(backend: &Backend) {
    let (tenant, people) = company(backend).await;
    tenant.put_catalogue(1, 0, &["A", "B", "C"]).await.unwrap();
    tenant.group(&group("g").labels(&["AGENT_1_B"]), &people[8..9]).await;
    crowd(&tenant, &people).await;
    for n in [0, 8, 9] {
        tenant.delete_user(&people[n], 0).await.unwrap();
    }
    let concerned = async || {
        let affected = tenant.affected(tenant.head().await.revision).await;
        [0, 8, 9].map(|n| affected.contains(&people[n]))
    };
    tenant.put_catalogue(1, 0, &["A", "B"]).await.unwrap();
    assert_eq!(concerned().await, [false, false, false], "a role that none of them had");
    tenant.put_catalogue(1, 0, &["A"]).await.unwrap();
    assert_eq!(concerned().await, [false, true, false], "a role that one of them had");
    let names = DisplayNames::Labels.into();
    let settings =
        Settings { display_names: names, mass_departures: MassDepartures::Hold.into(), ..Settings::default() };
    tenant.put_settings(settings).await.unwrap();
    assert_eq!(concerned().await, [false, true, true], "what concerns everyone");
    assert_eq!(tenant.affected(tenant.head().await.revision).await.len(), PEOPLE - 1);
}
