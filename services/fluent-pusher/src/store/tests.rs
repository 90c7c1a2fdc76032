//! The tables, on SQLite and, where `ROLECALL_TEST_POSTGRES` names a server's database, on PostgreSQL.

mod plans;

use std::time::Duration;

use domain::clock::Timestamp;
use domain::id::{TenantId, UserId};
use domain::revision::{Epoch, Position, Revision};
use sql::{Engine, Value, params};

use super::{Change, Ending, Entry, Finished, Presence, Standing, Store, Take, enqueue};
use crate::testing::clock;

const TERM: Duration = Duration::from_mins(1);

pub(super) async fn each(test: impl AsyncFn(&Store, &TenantId)) {
    each_on(std::env::var("ROLECALL_TEST_POSTGRES").ok(), test).await;
}

/// The same with tables of its own: nobody else fills them or makes statistics of them.
async fn each_of_its_own(test: impl AsyncFn(&Store, &TenantId)) {
    let postgres = match std::env::var("ROLECALL_TEST_POSTGRES") {
        Ok(server) => Some(servers::fresh_database_on(&server, "push").await.unwrap()),
        Err(_) => None,
    };
    each_on(postgres, test).await;
}

async fn each_on(postgres: Option<String>, test: impl AsyncFn(&Store, &TenantId)) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite:{}", folder.path().join("push.db").display());
    for url in [Some(sqlite), postgres].into_iter().flatten() {
        // Tests share a server's tables; each has a tenant of its own, and is an instance of its own.
        let name = format!("t{}", UserId::new());
        let store = Store::open(&url.parse().unwrap(), sql::Options::default(), clock(), &name).await.unwrap();
        let tenant = name.parse().unwrap();
        test(&store, &tenant).await;
    }
}

fn change(user: UserId, name: &str, gone: bool, position: Position) -> Change {
    let presence = Presence::of(true, !gone);
    Change { user, user_name: name.to_owned(), presence, takes_away: gone, at: Timestamp(0), position }
}

fn at(epoch: Epoch, revision: u64) -> Position {
    Position { epoch, revision: Revision(revision) }
}

const DONE: Ending = Ending::Done { attention: None };

#[tokio::test]
async fn a_thousand_changes_of_one_user_are_one_entry() {
    each(async |store, tenant| {
        let (user, epoch) = (UserId::new(), Epoch::new());
        let changes = (1..=1000).map(|revision| change(user, "Ada", false, at(epoch, revision))).collect();
        store.advance(tenant, changes, at(epoch, 1000)).await.unwrap();
        assert_eq!(store.position(tenant).await.unwrap(), Some(at(epoch, 1000)));
        let jobs = store.claim(tenant, 10, TERM).await.unwrap();
        assert_eq!((jobs.len(), jobs[0].desired, jobs[0].account.as_str()), (1, at(epoch, 1000), "ada"));
        assert!(store.finish(tenant, &jobs[0], DONE, None).await.unwrap());
        assert_eq!(store.next_due(tenant).await.unwrap(), None);
        // Met again after a crash that came before the position moved.
        store.enqueue(tenant, vec![change(user, "Ada", false, at(epoch, 999))]).await.unwrap();
        assert_eq!(store.next_due(tenant).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn revocations_go_first_then_the_oldest() {
    each(async |store, tenant| {
        let epoch = Epoch::new();
        let order = [(1, "a", false), (2, "b", false), (3, "role gone", false), (4, "dismissed", true)];
        for (revision, name, gone) in order {
            let change = change(UserId::new(), name, gone, at(epoch, revision));
            store.enqueue(tenant, vec![Change { takes_away: revision > 2, ..change }]).await.unwrap();
            store.clock.advance(Duration::from_secs(1));
        }
        let backlog = store.backlog(tenant).await.unwrap();
        assert_eq!((backlog.due, backlog.due_revocations), (4, 2));
        let order: Vec<_> = store.claim(tenant, 10, TERM).await.unwrap().into_iter().map(|job| job.account).collect();
        assert_eq!(order, ["dismissed", "role gone", "a", "b"]);
        assert!(store.claim(tenant, 10, TERM).await.unwrap().is_empty(), "leased is leased");
    })
    .await;
}

#[tokio::test]
async fn one_turn_gives_back_forgets_what_was_told_and_takes_more() {
    each(async |store, tenant| {
        let epoch = Epoch::new();
        for (revision, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
            let at = at(epoch, revision);
            store.enqueue(tenant, vec![change(UserId::new(), name, name == "d", at)]).await.unwrap();
            store.clock.advance(Duration::from_secs(1));
        }
        let only = store.turn(tenant, vec![], vec![], Take::Revocations(9), TERM).await.unwrap();
        assert_eq!(only.jobs.iter().map(|job| job.account.as_str()).collect::<Vec<_>>(), ["d"]);
        let two = store.turn(tenant, vec![], vec![], Take::Any(2), TERM).await.unwrap();
        assert_eq!(two.jobs.iter().map(|job| job.account.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(two.next_due, None, "there may be more that is due now");

        let jobs = only.jobs.into_iter().chain(two.jobs);
        let mut finished: Vec<_> =
            jobs.map(|job| Finished { report: Some(job.account.clone().into()), ending: DONE, job }).collect();
        finished[1].job.lease.fence -= 1;
        let turn = store.turn(tenant, finished, vec![], Take::Any(5), TERM).await.unwrap();
        assert_eq!(turn.held, [true, false, true]);
        assert_eq!(turn.jobs.iter().map(|job| job.account.as_str()).collect::<Vec<_>>(), ["c"]);
        assert_eq!(turn.next_due, Some(store.now().plus(TERM)), "the lease of the one that was not given back");
        let mut told = store.unreported(tenant, 10).await.unwrap();
        told.sort();
        assert_eq!(told.iter().map(|(account, _)| account.as_str()).collect::<Vec<_>>(), ["b", "d"]);

        let again = Ending::Again { at: store.now().plus(Duration::from_secs(5)), counts: true };
        let finished = vec![Finished { job: turn.jobs[0].clone(), ending: again, report: None }];
        let turn = store.turn(tenant, finished, told, Take::Any(5), TERM).await.unwrap();
        assert_eq!((turn.jobs, turn.next_due), (vec![], Some(store.now().plus(Duration::from_secs(5)))));
        assert!(store.unreported(tenant, 10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_end_that_cannot_be_written_down_costs_the_others_nothing() {
    each(async |store, tenant| {
        let epoch = Epoch::new();
        let changes = ["a", "b", "c"].map(|name| change(UserId::new(), name, false, at(epoch, 1)));
        store.advance(tenant, changes.to_vec(), at(epoch, 1)).await.unwrap();
        let jobs = store.claim(tenant, 3, TERM).await.unwrap();
        // PostgreSQL keeps no text with this character in it, SQLite does.
        let ending = |account: &str| match account {
            "b" => Ending::Failed { detail: "\0".to_owned(), again: None },
            _ => DONE,
        };
        let finished = jobs.into_iter().map(|job| Finished { ending: ending(&job.account), job, report: None });
        let turn = store.turn(tenant, finished.collect(), vec![], Take::Nothing, TERM).await.unwrap();
        assert_eq!((turn.held.len(), turn.held[0], turn.held[2]), (3, true, true));
    })
    .await;
}

#[tokio::test]
async fn what_overtakes_is_looked_at_where_the_user_is_and_takes_no_name() {
    each(async |store, tenant| {
        let (ada, new, epoch) = (UserId::new(), UserId::new(), Epoch::new());
        store.enqueue(tenant, vec![change(ada, "ada", false, at(epoch, 1))]).await.unwrap();
        let job = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
        assert!(
            store.record(tenant, "here", &job, "ada", Standing::Ours { fluent_id: "7".into() }, None).await.unwrap()
        );
        store.finish(tenant, &job, DONE, None).await.unwrap();
        let renamed = Change { takes_away: true, ..change(ada, "eve", false, at(epoch, 5)) };
        let lost = Change { takes_away: true, ..change(new, "kim", false, at(epoch, 6)) };
        store.overtake(tenant, vec![renamed, lost]).await.unwrap();
        let jobs = store.claim(tenant, 10, TERM).await.unwrap();
        assert_eq!(jobs.len(), 1, "who has nothing loses nothing");
        assert_eq!((jobs[0].account.as_str(), jobs[0].user_name.as_str(), jobs[0].revokes), ("ada", "eve", true));
        store.finish(tenant, &jobs[0], DONE, None).await.unwrap();
        // What came before does not bring it back, whoever tells it.
        let before = change(ada, "ada", false, at(epoch, 3));
        store.enqueue(tenant, vec![before.clone()]).await.unwrap();
        store.overtake(tenant, vec![before]).await.unwrap();
        assert!(store.claim(tenant, 10, TERM).await.unwrap().is_empty());
        // One who is gone does not push out who bears the name.
        store.overtake(tenant, vec![change(new, "ada", true, at(epoch, 7))]).await.unwrap();
        assert!(store.claim(tenant, 10, TERM).await.unwrap().is_empty());
        store.overtake(tenant, vec![change(new, "kim", true, at(epoch, 8))]).await.unwrap();
        assert_eq!(store.claim(tenant, 10, TERM).await.unwrap()[0].account, "kim");
    })
    .await;
}

#[tokio::test]
async fn two_replicas_that_store_the_same_at_once_store_it_once() {
    each(async |store, tenant| {
        let epoch = Epoch::new();
        let all: Vec<_> = (1..=600).map(|n| change(UserId::new(), &format!("u{n}"), false, at(epoch, n))).collect();
        let backwards: Vec<_> = all.iter().rev().cloned().collect();
        let (one, other) = tokio::join!(store.enqueue(tenant, all), store.enqueue(tenant, backwards));
        assert!(one.and(other).is_ok());
        assert_eq!(store.backlog(tenant).await.unwrap().due, 600);
    })
    .await;
}

/// By name and by user. Whoever would lease them meanwhile passes them over, and leases what is beside them.
#[tokio::test]
async fn entries_that_changes_concern_stay_locked_until_they_are_written() {
    each(async |store, tenant| {
        if store.database.engine() == Engine::Sqlite {
            return;
        }
        let (epoch, ada) = (Epoch::new(), UserId::new());
        let changes = vec![
            change(ada, "Ada", false, at(epoch, 1)),
            change(UserId::new(), "Bob", false, at(epoch, 2)),
            change(UserId::new(), "Cy", false, at(epoch, 3)),
        ];
        store.enqueue(tenant, changes).await.unwrap();
        let (name, other) = (tenant.clone(), store.clone());
        let jobs = store.database.write(move |tx| {
            Box::pin(async move {
                let users = Value::ids([&ada.as_bytes()[..]]);
                let values = params![name.as_str(), Value::texts(["bob", "dan"]), users];
                assert_eq!(tx.rows(enqueue::WORK, values).await?.len(), 2);
                other.claim(&name, 9, TERM).await
            })
        });
        let accounts: Vec<_> = jobs.await.unwrap().into_iter().map(|job| job.account).collect();
        assert_eq!(accounts, ["cy"]);
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_was_lost_changes_nothing_and_makes_the_account_due() {
    each(async |store, tenant| {
        let epoch = Epoch::new();
        store.enqueue(tenant, vec![change(UserId::new(), "ada", false, at(epoch, 1))]).await.unwrap();
        let slow = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
        store.clock.advance(TERM);
        let quick = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
        assert!(store.finish(tenant, &quick, DONE, None).await.unwrap());
        assert_eq!(store.next_due(tenant).await.unwrap(), None);
        assert!(!store.finish(tenant, &slow, Ending::Done { attention: Some("RENAMED") }, None).await.unwrap());
        assert!(store.attention(tenant, 10).await.unwrap().is_empty());
        assert!(store.next_due(tenant).await.unwrap().is_some(), "what the slow one sent is looked over");
    })
    .await;
}

#[tokio::test]
async fn what_changes_while_it_is_pushed_stays_due() {
    each(async |store, tenant| {
        let (user, epoch) = (UserId::new(), Epoch::new());
        store.enqueue(tenant, vec![change(user, "ada", false, at(epoch, 1))]).await.unwrap();
        let job = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
        store.enqueue(tenant, vec![change(user, "ada", true, at(epoch, 2))]).await.unwrap();
        store.finish(tenant, &job, DONE, Some(b"one".to_vec())).await.unwrap();
        let next = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
        assert_eq!((next.desired, next.gone, next.revokes), (at(epoch, 2), true, true));
        // An outcome told is forgotten, unless another has taken its place.
        let told = store.unreported(tenant, 10).await.unwrap();
        store.finish(tenant, &next, DONE, Some(b"two".to_vec())).await.unwrap();
        store.reported(tenant, told).await.unwrap();
        assert_eq!(store.unreported(tenant, 10).await.unwrap(), [("ada".to_owned(), b"two".to_vec())]);
    })
    .await;
}

#[tokio::test]
async fn the_account_belongs_to_the_user_who_now_bears_its_name() {
    each(async |store, tenant| {
        let (first, second, epoch) = (UserId::new(), UserId::new(), Epoch::new());
        store.enqueue(tenant, vec![change(first, "ada", false, at(epoch, 1))]).await.unwrap();
        let making = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
        assert!(
            store.record(tenant, "here", &making, "ada", Standing::Ours { fluent_id: "7".into() }, None).await.unwrap()
        );
        store.finish(tenant, &making, DONE, None).await.unwrap();
        store.enqueue(tenant, vec![change(first, "eve", false, at(epoch, 2))]).await.unwrap();
        let job = store.claim(tenant, 10, TERM).await.unwrap();
        assert_eq!(
            job.iter().map(|job| job.account.as_str()).collect::<Vec<_>>(),
            ["ada"],
            "a rename keeps its account"
        );
        store.enqueue(tenant, vec![change(second, "Ada", false, at(epoch, 3))]).await.unwrap();
        let ours = Standing::Ours { fluent_id: "7".into() };
        let since = store.now();
        let expected = Entry {
            user: Some(second),
            user_name: "ada".into(),
            standing: ours,
            since,
            decision: None,
            fluent: "here".into(),
            profile_of: Some(first),
        };
        assert_eq!(store.ledger(tenant, "ada").await.unwrap(), Some(expected));
        store.clock.advance(TERM);
        let jobs = store.claim(tenant, 10, TERM).await.unwrap();
        let whose = |account: &str| jobs.iter().find(|job| job.account == account).map(|job| job.user);
        assert_eq!((whose("ada"), whose("eve")), (Some(second), Some(first)));
        // One who is gone has no claim on a name that another bears.
        store.enqueue(tenant, vec![change(UserId::new(), "ada", true, at(epoch, 4))]).await.unwrap();
        store.clock.advance(TERM);
        assert!(store.claim(tenant, 10, TERM).await.unwrap().iter().all(|job| !job.gone));
    })
    .await;
}

#[tokio::test]
async fn the_ledger_is_written_under_the_lease_and_for_its_user_alone() {
    each(async |store, tenant| {
        let (first, second, epoch) = (UserId::new(), UserId::new(), Epoch::new());
        store.enqueue(tenant, vec![change(first, "bob", false, at(epoch, 1))]).await.unwrap();
        let slow = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
        store.clock.advance(TERM);
        let job = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
        assert!(!store.record(tenant, "here", &slow, "bob", Standing::Creating, None).await.unwrap());
        assert!(store.record(tenant, "here", &job, "bob", Standing::Creating, None).await.unwrap());
        assert!(!store.forget(tenant, &slow).await.unwrap());
        // The name goes to another while the account is being made: so does the account.
        store.enqueue(tenant, vec![change(first, "rob", false, at(epoch, 2))]).await.unwrap();
        store.enqueue(tenant, vec![change(second, "bob", false, at(epoch, 3))]).await.unwrap();
        assert!(!store.made(tenant, "here", &job, "bob", "7").await.unwrap());
        let entry = store.ledger(tenant, "bob").await.unwrap().unwrap();
        assert_eq!((entry.user, entry.standing), (Some(second), Standing::Ours { fluent_id: "7".into() }));
        assert!(!store.forget(tenant, &job).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn an_entry_that_is_void_while_it_is_worked_on_costs_its_worker_the_lease() {
    each(async |store, tenant| {
        let (user, epoch) = (UserId::new(), Epoch::new());
        store.enqueue(tenant, vec![change(user, "anna", false, at(epoch, 1))]).await.unwrap();
        let old = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
        store.enqueue(tenant, vec![change(user, "zoe", false, at(epoch, 2))]).await.unwrap();
        store.enqueue(tenant, vec![change(user, "anna", false, at(epoch, 3))]).await.unwrap();
        let new = store.claim(tenant, 10, TERM).await.unwrap();
        assert_eq!(new.iter().map(|job| job.account.as_str()).collect::<Vec<_>>(), ["anna"]);
        assert!(!store.record(tenant, "here", &old, "anna", Standing::Creating, None).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn all_accounts_of_one_who_is_gone_are_looked_at() {
    each(async |store, tenant| {
        let (user, epoch) = (UserId::new(), Epoch::new());
        for (revision, name) in [(1, "anna"), (2, "zoe")] {
            // Nothing we do gives a user two accounts; if it has them all the same, both are closed.
            store.enqueue(tenant, vec![change(UserId::new(), name, false, at(epoch, revision))]).await.unwrap();
            let job = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
            let ours = Standing::Ours { fluent_id: revision.to_string() };
            assert!(store.record(tenant, "here", &job, name, ours, None).await.unwrap());
            store.finish(tenant, &job, DONE, None).await.unwrap();
        }
        let (named, users) = (tenant.as_str().to_owned(), user.as_bytes().to_vec());
        let both = async |sql: &'static str| {
            let (named, users) = (named.clone(), users.clone());
            let write = store
                .database
                .write(move |tx| Box::pin(async move { tx.execute(sql, sql::params![named, users]).await }));
            write.await.unwrap()
        };
        assert_eq!(both("UPDATE push_ledger SET user_id = $2 WHERE tenant = $1").await, 2);
        assert_eq!(both("UPDATE push_work SET user_id = $2 WHERE tenant = $1").await, 2);
        store.enqueue(tenant, vec![change(user, "zoe", true, at(epoch, 3))]).await.unwrap();
        let jobs = store.claim(tenant, 10, TERM).await.unwrap();
        assert_eq!(jobs.iter().filter(|job| job.gone).count(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_dismissal_does_not_wait_as_long_as_the_push_it_overtakes() {
    each(async |store, tenant| {
        let (user, epoch) = (UserId::new(), Epoch::new());
        store.enqueue(tenant, vec![change(user, "ada", false, at(epoch, 1))]).await.unwrap();
        let job = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
        store.enqueue(tenant, vec![change(user, "ada", true, at(epoch, 2))]).await.unwrap();
        let again = Ending::Again { at: store.now().plus(Duration::from_hours(1)), counts: true };
        assert!(store.finish(tenant, &job, again.clone(), None).await.unwrap());
        let next = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
        assert_eq!((next.gone, next.attempts), (true, 0));
        // Its own failure does make it wait.
        assert!(store.finish(tenant, &next, again, None).await.unwrap());
        assert!(store.claim(tenant, 1, TERM).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_long_row_of_renamed_users_moves_up_to_the_last() {
    each(async |store, tenant| {
        let (users, epoch): (Vec<_>, _) = ((0..20).map(|_| UserId::new()).collect(), Epoch::new());
        for (number, user) in (0..).zip(&users) {
            let name = format!("name{number}");
            store.enqueue(tenant, vec![change(*user, &name, false, at(epoch, 1))]).await.unwrap();
            let job = store.claim(tenant, 1, TERM).await.unwrap().remove(0);
            assert!(
                store
                    .record(tenant, "here", &job, &name, Standing::Ours { fluent_id: name.clone() }, None)
                    .await
                    .unwrap()
            );
            store.finish(tenant, &job, DONE, None).await.unwrap();
        }
        for (number, user) in (1..).zip(&users) {
            store.enqueue(tenant, vec![change(*user, &format!("name{number}"), false, at(epoch, 2))]).await.unwrap();
        }
        store.enqueue(tenant, vec![change(UserId::new(), "name0", false, at(epoch, 3))]).await.unwrap();
        let jobs = store.claim(tenant, 100, TERM).await.unwrap();
        for (number, user) in (1..).zip(&users) {
            let account = format!("name{number}");
            assert!(jobs.iter().any(|job| job.user == *user && job.account == account), "{account}");
        }
    })
    .await;
}

#[tokio::test]
async fn after_a_resync_those_who_are_not_named_are_taken_for_gone() {
    each(async |store, tenant| {
        let (here, lost, old, new) = (UserId::new(), UserId::new(), Epoch::new(), Epoch::new());
        let both = vec![change(here, "here", false, at(old, 8)), change(lost, "lost", false, at(old, 9))];
        store.advance(tenant, both, at(old, 9)).await.unwrap();
        for job in store.claim(tenant, 10, TERM).await.unwrap() {
            store.finish(tenant, &job, DONE, None).await.unwrap();
        }
        store.begin_resync(tenant, at(new, 3)).await.unwrap();
        assert_eq!(store.position(tenant).await.unwrap(), None, "a crash now begins the resync again");
        store.enqueue(tenant, vec![change(here, "here", false, at(new, 3))]).await.unwrap();
        store.end_resync(tenant, at(new, 3)).await.unwrap();
        assert_eq!(store.position(tenant).await.unwrap(), Some(at(new, 3)));
        let jobs = store.claim(tenant, 10, TERM).await.unwrap();
        let seen: Vec<_> = jobs.iter().map(|job| (job.account.as_str(), job.gone, job.revokes)).collect();
        assert_eq!(seen, [("lost", true, true), ("here", false, false)]);
    })
    .await;
}

#[tokio::test]
async fn the_catalogue_has_one_reader_at_a_time_and_each_read_a_larger_number() {
    each(async |store, tenant| {
        let lease = async |owner| store.of_instance(owner).lease_catalogue(tenant, TERM, None).await.unwrap();
        assert_eq!(lease("one").await, Some(1));
        assert_eq!(lease("two").await, None);
        assert_eq!(lease("one").await, Some(2));
        store.clock.advance(TERM);
        assert_eq!(lease("two").await, Some(3));
        assert_eq!(lease("one").await, None);
        // What a reader that was overtaken says of its end is passed over.
        let now = store.now();
        store.end_catalogue(tenant, 2, now, now).await.unwrap();
        assert_eq!(lease("one").await, None);
        store.end_catalogue(tenant, 3, now, now).await.unwrap();
        assert_eq!(
            store.of_instance("one").lease_catalogue(tenant, TERM, Some(Timestamp(now.0 - 1))).await.unwrap(),
            None
        );
        assert_eq!(lease("one").await, Some(4));
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_comes_back_takes_up_what_it_had_under_way() {
    each(async |store, tenant| {
        let epoch = Epoch::new();
        store.enqueue(tenant, vec![change(UserId::new(), "ada", false, at(epoch, 1))]).await.unwrap();
        let before = store.claim(tenant, 10, TERM).await.unwrap();
        store.of_instance("two").take_back().await.unwrap();
        assert!(store.claim(tenant, 10, TERM).await.unwrap().is_empty(), "another's lease is left alone");
        store.take_back().await.unwrap();
        let again = store.claim(tenant, 10, TERM).await.unwrap();
        assert!(again[0].lease.fence > before[0].lease.fence);
        // What the earlier life still says changes nothing.
        assert!(!store.finish(tenant, &before[0], DONE, None).await.unwrap());
    })
    .await;
}
