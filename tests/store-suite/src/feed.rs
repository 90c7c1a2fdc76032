//! The feed: every committed change once, in order, with what it means and whom it concerns.

use proto::common::v1::{Position, Settings};
use proto::identity::v1::feed_entry::Change;
use proto::identity::v1::{ListAffectedUsersRequest, Outcome, State};
use runtime::error::{Error, Kind, Reason};
use tokio::sync::watch;

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::{Tenant, sorted};
use crate::together::at_once;

/// Each kind of change has an entry of its kind, which says whether it can take access away.
pub async fn every_kind_of_change_is_told_with_what_it_means(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let mut after = tenant.head().await;
    // The entries since this was last called: all of one revision.
    let mut news = async || {
        let entries = tenant.entries_after(after.clone()).await;
        assert!(entries.iter().all(|entry| entry.revision == after.revision + 1), "{entries:?}");
        after = tenant.head().await;
        let takes_away = entries.iter().any(|entry| entry.takes_away);
        (takes_away, entries.into_iter().map(|entry| entry.change.unwrap()).collect::<Vec<_>>())
    };
    let users = |(takes_away, changes): (bool, Vec<Change>)| {
        let [Change::UserChanged(change)] = &changes[..] else { panic!("a user changed: {changes:?}") };
        (takes_away, change.exists, change.active, change.access_changed)
    };

    let ann = tenant.user(&user("ann").labels(&["A"])).await;
    assert_eq!(users(news().await), (false, true, true, true));
    tenant.replace_user(&ann, 0, &user("ann").labels(&["A"]).title("Clerk")).await.unwrap();
    assert_eq!(users(news().await), (false, true, true, false));
    tenant.replace_user(&ann, 0, &user("ann").labels(&["A", "B"])).await.unwrap();
    assert_eq!(users(news().await), (false, true, true, true));
    tenant.replace_user(&ann, 0, &user("ann").labels(&["C", "B"])).await.unwrap();
    assert_eq!(users(news().await), (true, true, true, true));
    tenant.replace_user(&ann, 0, &user("ann").labels(&["C", "B"]).inactive()).await.unwrap();
    assert_eq!(users(news().await), (true, true, false, true));
    tenant.replace_user(&ann, 0, &user("ann").labels(&["C", "B"])).await.unwrap();
    assert_eq!(users(news().await), (false, true, true, true));

    let staff = tenant.group(&group("staff"), &[]).await;
    news().await;
    tenant.add_members(&staff, std::slice::from_ref(&ann)).await.unwrap();
    let (takes_away, changes) = news().await;
    let [Change::MembersChanged(change)] = &changes[..] else { panic!("members changed: {changes:?}") };
    assert!(!takes_away && change.added[0].id == ann && !change.added[0].is_group && change.removed.is_empty());
    tenant.put_group(&staff, &group("staff").labels(&["A"])).await.unwrap();
    let (_, changes) = news().await;
    assert!(matches!(&changes[..], [Change::GroupChanged(change)] if change.group_id == staff && change.exists));
    tenant.put_group(&staff, &group("staff")).await.unwrap();
    assert!(news().await.0);
    tenant.remove_members(&staff, std::slice::from_ref(&ann)).await.unwrap();
    let (takes_away, changes) = news().await;
    let [Change::MembersChanged(change)] = &changes[..] else { panic!("members changed: {changes:?}") };
    assert!(takes_away && change.added.is_empty() && change.removed[0].id == ann);
    tenant.add_members(&staff, std::slice::from_ref(&ann)).await.unwrap();
    news().await;
    tenant.delete_group(&staff).await.unwrap();
    let (takes_away, changes) = news().await;
    assert!(takes_away);
    let gone =
        |change: &Change| matches!(change, Change::GroupChanged(change) if change.group_id == staff && !change.exists);
    assert!(changes.iter().any(gone));

    tenant.delete_user(&ann, 0).await.unwrap();
    let (takes_away, exists, ..) = users(news().await);
    assert!(takes_away && !exists);
    tenant.put_catalogue(1, 0, &["A"]).await.unwrap();
    assert!(matches!(&news().await.1[..], [Change::CatalogueChanged(_)]));
    tenant.put_catalogue(1, 0, &["B"]).await.unwrap();
    assert!(news().await.0);
    tenant.put_settings(Settings { account_name: "ACME".into(), ..Default::default() }).await.unwrap();
    assert!(matches!(&news().await.1[..], [Change::SettingsChanged(_)]));
}

/// Fifty writers, every third write refused, four readers beside them: each reads every revision once, in order, and
/// skips none.
pub async fn every_revision_is_read_once_and_in_order_beside_writers(backend: &Backend) {
    const WRITERS: usize = 50;
    const WRITES: usize = 9;
    let tenant = Tenant::new(backend).await;
    tenant.user(&user("taken")).await;
    let start = tenant.head().await;
    let (finish, finished) = watch::channel(None);
    let readers: Vec<_> = (0..4_u32)
        .map(|n| {
            let (tenant, mut after, finished) = (tenant.clone(), start.clone(), finished.clone());
            tokio::spawn(async move {
                let mut read = Vec::new();
                while finished.borrow().is_none_or(|last| after.revision < last) {
                    let answer = tenant.read_feed(after.clone(), n * 3).await.unwrap();
                    assert!(answer.head.unwrap().revision >= after.revision);
                    read.extend(answer.entries.into_iter().map(|entry| entry.revision));
                    after.revision = read.last().copied().unwrap_or(after.revision);
                    tokio::task::yield_now().await;
                }
                read
            })
        })
        .collect();
    let made: usize = at_once((0..WRITERS).map(|writer| {
        let tenant = tenant.clone();
        async move {
            let mut made = 0;
            for write in 0..WRITES {
                let name = if write % 3 == 1 { "TAKEN".to_owned() } else { format!("u{writer}.{write}") };
                made += usize::from(tenant.add_user(&user(&name)).await.is_ok());
            }
            made
        }
    }))
    .await
    .into_iter()
    .sum();
    let last = tenant.head().await.revision;
    assert_eq!(last, start.revision + made as u64);
    finish.send(Some(last)).unwrap();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), (start.revision + 1..=last).collect::<Vec<_>>());
    }
}

/// A consumer that reads one revision at a time gets all entries of each, and the same as one who reads all at once.
pub async fn a_limit_never_cuts_a_revision(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let mut after = tenant.head().await;
    let ann = tenant.user(&user("ann")).await;
    let bob = tenant.user(&user("bob")).await;
    let staff = tenant.group(&group("staff").labels(&["A"]), &[ann]).await;
    let request = proto::identity::v1::UpdateGroupRequest {
        document: Some(group("people").labels(&["B"]).bytes()),
        replace_members: true,
        add_member_ids: vec![bob],
        ..Default::default()
    };
    tenant.update_group(&staff, request).await.unwrap();
    let all = tenant.entries_after(after.clone()).await;
    let mut one_by_one = Vec::new();
    for revision in after.revision + 1..=tenant.head().await.revision {
        let answer = tenant.read_feed(after.clone(), 1).await.unwrap();
        assert!(!answer.entries.is_empty() && answer.entries.iter().all(|entry| entry.revision == revision));
        one_by_one.extend(answer.entries);
        after.revision = revision;
    }
    assert_eq!(one_by_one, all);
    assert!(tenant.read_feed(after, 1).await.unwrap().entries.is_empty());
}

/// A consumer for whom it is urgent reads what takes access away by itself, and hears with the head that there is some.
pub async fn what_takes_away_is_found_whatever_lies_between(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let start = tenant.head().await;
    let mut taking = Vec::new();
    let mut after = start.clone();
    for n in 0..3 {
        let id = tenant.user(&user(&format!("u{n}"))).await;
        tenant.user(&user(&format!("between{n}"))).await;
        tenant.delete_user(&id, 0).await.unwrap();
        taking.push((tenant.head().await.revision, id));
        tenant.user(&user(&format!("after{n}"))).await;
    }
    let head = tenant.head().await;
    let told = tenant.watched_head(|told| told.revision == head.revision).await;
    assert_eq!(Some(told.taken_away), taking.last().map(|(revision, _)| *revision));

    let all = tenant.read_taking_away(start, 0).await;
    let found: Vec<_> = all
        .entries
        .into_iter()
        .map(|entry| match entry.change {
            Some(Change::UserChanged(change)) if entry.takes_away && !change.exists => (entry.revision, change.user_id),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, taking);
    assert_eq!((all.through, all.head), (head.revision, Some(head.clone())), "there is nothing more up to the head");
    // One by one: it says how far it looked.
    for (revision, _) in &taking {
        let answer = tenant.read_taking_away(after.clone(), 1).await;
        assert_eq!(answer.entries.iter().map(|entry| entry.revision).collect::<Vec<_>>(), [*revision]);
        let last = taking.last().is_some_and(|(last, _)| last == revision);
        assert_eq!(answer.through, if last { head.revision } else { *revision });
        after.revision = answer.through;
    }
    // The whole feed says it too.
    let answer = tenant.read_feed(after.clone(), 2).await.unwrap();
    assert!(answer.entries.is_empty() && answer.through == head.revision);
    let beginning = Position { revision: 0, ..after };
    assert_eq!(tenant.read_feed(beginning, 2).await.unwrap().through, 2);
}

/// Memberships are taken as they were when the entry was committed, nested ones and those of deleted groups too.
pub async fn those_affected_are_the_members_of_that_moment(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let [ann, bob, cid] = [
        tenant.user(&user("ann").labels(&["ACCOUNT_0_KEPT"])).await,
        tenant.user(&user("bob")).await,
        tenant.user(&user("cid").labels(&["ACCOUNT_0_GONE"])).await,
    ];
    let made = tenant.head().await.revision;
    let inner = tenant.group(&group("inner"), std::slice::from_ref(&ann)).await;
    let outer = tenant.group(&group("outer"), std::slice::from_ref(&bob)).await;
    let version = |answer: proto::identity::v1::UpdateGroupResponse| answer.group.unwrap().version;
    let nested = version(tenant.add_members(&outer, std::slice::from_ref(&inner)).await.unwrap());
    let labelled = version(tenant.put_group(&outer, &group("outer").labels(&["A"])).await.unwrap());
    let left = version(tenant.remove_members(&outer, std::slice::from_ref(&bob)).await.unwrap());
    let relabelled = version(tenant.put_group(&outer, &group("outer").labels(&["B"])).await.unwrap());
    tenant.delete_group(&outer).await.unwrap();
    let deleted = tenant.head().await.revision;
    tenant.delete_user(&ann, 0).await.unwrap();
    let dismissed = tenant.head().await.revision;
    tenant.put_catalogue(1, 0, &["KEPT", "GONE"]).await.unwrap();
    let catalogue = tenant.put_catalogue(1, 0, &["KEPT"]).await.unwrap().position.unwrap().revision;

    let everyone = sorted([ann.clone(), bob.clone()]);
    assert_eq!(tenant.affected(made).await, std::slice::from_ref(&cid));
    assert_eq!(tenant.affected(nested).await, std::slice::from_ref(&ann));
    assert_eq!(tenant.affected(labelled).await, everyone);
    assert_eq!(tenant.affected(left).await, std::slice::from_ref(&bob));
    assert_eq!(tenant.affected(relabelled).await, std::slice::from_ref(&ann));
    assert_eq!(tenant.affected(deleted).await, std::slice::from_ref(&ann));
    assert_eq!(tenant.affected(dismissed).await, std::slice::from_ref(&ann));
    assert!(tenant.affected(catalogue).await.contains(&cid), "the holder of a label that names what is gone");
}

/// One who starts over gets every user there is, in order, and the position to go on from.
pub async fn all_users_are_listed_once(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    assert!(tenant.all_users().await.iter().all(|message| message.users.is_empty()));
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(tenant.user(&user(&format!("u{n}"))).await);
    }
    let inactive = tenant.user(&user("inactive").inactive()).await;
    tenant.delete_user(&ids.remove(0), 0).await.unwrap();
    let messages = tenant.all_users().await;
    assert_eq!(messages[0].position.as_ref(), Some(&tenant.head().await));
    let users: Vec<_> = messages.into_iter().flat_map(|message| message.users).collect();
    assert!(users.iter().all(|user| user.exists && user.active == (user.user_id != inactive)));
    ids.push(inactive);
    assert_eq!(users.into_iter().map(|user| user.user_id).collect::<Vec<_>>(), sorted(ids));
}

/// A watcher is told at once where all tenants stand, and then of every move, never backwards.
pub async fn a_watcher_hears_of_every_commit(backend: &Backend) {
    const WRITES: u64 = 20;
    let tenant = Tenant::new(backend).await;
    let start = tenant.watched_head(|_| true).await.revision;
    let watching = tokio::spawn({
        let tenant = tenant.clone();
        async move {
            let mut told = start;
            tenant
                .watched_head(|head| {
                    assert!(head.revision >= told);
                    told = head.revision;
                    told >= start + WRITES
                })
                .await
        }
    });
    at_once((0..WRITES).map(|n| {
        let tenant = tenant.clone();
        async move { tenant.user(&user(&format!("u{n}"))).await }
    }))
    .await;
    assert_eq!(watching.await.unwrap().revision, start + WRITES);
}

/// Another epoch, or a revision that has not happened: a restored database must not be read on as if nothing were.
pub async fn a_position_of_another_history_is_refused(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    tenant.user(&user("ann")).await;
    let head = tenant.head().await;
    let elsewhere = Position { epoch: vec![7; 16].into(), ..head.clone() };
    assert_eq!(tenant.read_feed(elsewhere.clone(), 0).await.unwrap_err().reason(), Reason::EPOCH_MISMATCH);
    let ahead = Position { revision: head.revision + 1, ..head.clone() };
    assert_eq!(tenant.read_feed(ahead.clone(), 0).await.unwrap_err().kind(), Kind::FailedPrecondition);
    for position in [elsewhere, ahead] {
        let request = ListAffectedUsersRequest { tenant: tenant.name.clone(), position: Some(position) };
        let refused = match tenant.feed().list_affected_users(request).await {
            Err(status) => status,
            Ok(stream) => stream.into_inner().message().await.unwrap_err(),
        };
        assert_eq!(Error::from(refused).kind(), Kind::FailedPrecondition);
    }
    assert!(tenant.read_feed(head, 0).await.unwrap().entries.is_empty());
}

/// After the epoch is renewed, positions and reports of the old one count no more, and tokens are new ones.
pub async fn a_new_life_of_the_database_begins_a_new_history(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ann = tenant.add_user(&user("ann")).await.unwrap();
    let (id, version) = ann.user.map(|user| (user.id, user.version)).unwrap();
    let old = tenant.head().await;
    backend.insider.renew_epoch().await;
    let new = tenant.head().await;
    assert_ne!(new.epoch, old.epoch);
    assert_eq!(new.revision, old.revision);
    assert_eq!(tenant.read_feed(old.clone(), 0).await.unwrap_err().reason(), Reason::EPOCH_MISMATCH);
    let outcome = Outcome { state: State::Provisioned.into(), revision: version, ..Default::default() };
    tenant.report(&old.epoch, &id, outcome.clone()).await.unwrap();
    assert_eq!(tenant.get_user(&id).await.unwrap().outcome, None);
    tenant.report(&new.epoch, &id, outcome.clone()).await.unwrap();
    assert_eq!(tenant.get_user(&id).await.unwrap().outcome, Some(outcome));
    let unchanged = tenant.replace_user(&id, 0, &user("ann")).await.unwrap();
    assert!(!unchanged.changed);
    assert_ne!(unchanged.revision_token, ann.revision_token, "the same revision in another epoch");
    tenant.user(&user("bob")).await;
    assert_eq!(tenant.entries_after(new).await.len(), 1);
}
