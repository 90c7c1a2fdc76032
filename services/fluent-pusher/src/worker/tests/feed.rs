//! From the feed to the work: who is concerned, what is urgent, and when everything begins anew.

use super::{CLERK, CLOSED, STORE, open};
use crate::testing::{Setup, agents};

#[tokio::test]
async fn a_restored_database_is_noticed_and_everything_is_pushed_again() {
    let setup = Setup::start().await;
    let kept = setup.hire("kept", &[STORE]);
    let lost = setup.hire("lost", &[STORE]);
    setup.settle().await;
    // An older backup: one user is not in it, the other held more.
    setup.fakes.change(|world| {
        world.users.remove(&lost);
        world.users.get_mut(&kept).unwrap().grants = agents(&[STORE, CLERK]);
        (world.epoch, world.revision) = (domain::revision::Epoch::new(), 1);
        world.entries.clear();
    });
    setup.settle().await;
    assert_eq!(setup.account("kept"), open(&["STORE@AGENT:1", "STORE_ASSISTANT@AGENT:1"]));
    assert_eq!(setup.account("lost"), CLOSED);
}

#[tokio::test]
async fn one_that_has_fallen_behind_the_feed_starts_over() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.change(ada, |user| user.deleted = true);
    setup.fakes.change(|world| (world.floor, world.entries) = (world.revision, Vec::new()));
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);
}

#[tokio::test]
async fn a_change_that_concerns_many_is_asked_for_and_reaches_each() {
    let setup = Setup::start().await;
    let ids: Vec<_> = (0..5).map(|n| setup.hire(&format!("u{n}"), &[STORE])).collect();
    setup.settle().await;
    setup.fakes.change(|world| {
        for id in &ids {
            world.users.get_mut(id).unwrap().grants = agents(&[CLERK]);
        }
        let gone = proto::identity::v1::GroupChanged { group_id: "g".to_owned(), exists: false };
        world.append(true, proto::identity::v1::feed_entry::Change::GroupChanged(gone));
    });
    setup.settle().await;
    for n in 0..5 {
        assert_eq!(setup.account(&format!("u{n}")), open(&["STORE_ASSISTANT@AGENT:1"]));
    }
}

#[tokio::test]
async fn what_any_part_of_a_revision_takes_away_is_urgent_for_all_it_concerns() {
    let setup = Setup::start().await;
    setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.fakes.change(|world| {
        let changed = || proto::identity::v1::GroupChanged { group_id: "g".to_owned(), exists: true };
        world.append(false, proto::identity::v1::feed_entry::Change::GroupChanged(changed()));
        world.append_part(true, proto::identity::v1::feed_entry::Change::GroupChanged(changed()));
    });
    setup.follow().await;
    assert_eq!(setup.store.backlog(&setup.tenant.id).await.unwrap().due_revocations, 1);
}
