//! Many changes stored at once end as the same changes stored one by one; and what overtakes, overtakes for good.

mod one_by_one;

use std::time::Duration;

use domain::clock::Timestamp;
use domain::id::{TenantId, UserId};
use domain::revision::{Epoch, Position, Revision};
use proptest::prelude::*;
use sql::params;

use crate::store::{Change, Ending, Presence, Standing, Store};
use crate::testing::clock;

const NAMES: [&str; 4] = ["ada", "Eve", "kim", "zoe"];
const USERS: usize = 5;
const TERM: Duration = Duration::from_mins(1);

/// What happens to the tables.
#[derive(Clone, Debug)]
enum Step {
    /// So many changes, each of a user: its name, how it is, whether that takes away; and whether it is told again after
    /// all that came before it.
    Store(Vec<(usize, usize, Presence, bool, bool)>),
    /// Entries are worked on: so many get an account that is made or parked, and are given back, or not.
    Work(usize, bool, bool),
    /// An operator has a renamed user's account replaced.
    Replace(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let presence =
        prop_oneof![6 => Just(Presence::Active), 2 => Just(Presence::Inactive), 2 => Just(Presence::Deleted)];
    let change = (0..USERS, 0..NAMES.len(), presence, any::<bool>(), prop::bool::weighted(0.1));
    prop_oneof![
        5 => prop::collection::vec(change, 1..12).prop_map(Step::Store),
        3 => (1..4_usize, prop::bool::weighted(0.8), prop::bool::weighted(0.8))
            .prop_map(|(count, ours, back)| Step::Work(count, ours, back)),
        1 => (0..USERS).prop_map(Step::Replace),
    ]
}

/// Both tables of a tenant, as texts. The first fence of an entry is anything.
async fn dump(store: &Store, tenant: &TenantId) -> Vec<String> {
    const WORK: &str = "SELECT account, user_name, renamed, gone, revokes, revokes_since, due_at, attempts, lease_until, \
         desired_revision, fence, user_id FROM push_work WHERE tenant = $1 ORDER BY account";
    const LEDGER: &str = "SELECT account, user_name, standing, decision, decided_for, user_id FROM push_ledger \
         WHERE tenant = $1 ORDER BY account";
    let name = tenant.as_str().to_owned();
    let read = store.database.read(move |tx| {
        Box::pin(async move {
            let mut lines = Vec::new();
            for row in tx.rows(WORK, params![&name]).await? {
                let numbers: Vec<_> = (2..10).map(|column| row.maybe_int(column)).collect::<Result<_, _>>()?;
                let fence = row.int(10)? & 0x00ff_ffff;
                lines.push(format!("{} {} {numbers:?} {fence} {:?}", row.text(0)?, row.text(1)?, row.bytes(11)?));
            }
            for row in tx.rows(LEDGER, params![&name]).await? {
                let texts: Vec<_> = (0..5).map(|column| row.maybe_text(column)).collect::<Result<_, _>>()?;
                lines.push(format!("{texts:?} {:?}", row.maybe_bytes(5)?));
            }
            Ok::<_, sql::Error>(lines)
        })
    });
    read.await.unwrap()
}

async fn one_by_one(store: &Store, tenant: &TenantId, changes: Vec<Change>) {
    let (tenant, now) = (tenant.clone(), store.now());
    let write = store.database.write(move |tx| {
        Box::pin(async move {
            for change in changes {
                one_by_one::store(tx, &tenant, change, now).await?;
            }
            Ok::<_, sql::Error>(())
        })
    });
    write.await.unwrap();
}

async fn live(store: &Store, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let [set, single]: [TenantId; 2] = [(); 2].map(|()| format!("t{}", UserId::new()).parse().unwrap());
    let (users, epoch): (Vec<_>, _) = ((0..USERS).map(|_| UserId::new()).collect(), Epoch::new());
    let mut told = Vec::<Change>::new();
    for step in steps {
        store.clock.advance(Duration::from_secs(1));
        match step {
            Step::Store(changes) => {
                let mut page = Vec::new();
                for (user, name, presence, takes_away, again) in changes {
                    let position = Position { epoch, revision: Revision(told.len() as u64 + 1) };
                    let (user, user_name, at) = (users[user], NAMES[name].to_owned(), Timestamp(7));
                    let change = Change { user, user_name, presence, takes_away, at, position };
                    page.push(if again { told.get(name * 3).unwrap_or(&change).clone() } else { change.clone() });
                    told.push(change);
                }
                store.enqueue(&set, page.clone()).await.unwrap();
                one_by_one(store, &single, page).await;
            }
            Step::Work(count, ours, back) => {
                for tenant in [&set, &single] {
                    let mut jobs = store.claim(tenant, 100, TERM).await.unwrap();
                    // Which of those that have waited as long come first is left open.
                    jobs.sort_by(|one, other| one.account.cmp(&other.account));
                    for job in jobs.split_off(count.min(jobs.len())) {
                        let again = Ending::Again { at: store.now(), counts: false };
                        store.finish(tenant, &job, again, None).await.unwrap();
                    }
                    for job in jobs {
                        let fluent_id = job.account.clone();
                        let standing = if ours { Standing::Ours { fluent_id } } else { Standing::Parked };
                        store.record(tenant, "here", &job, &job.user_name, standing, None).await.unwrap();
                        if back {
                            store.finish(tenant, &job, Ending::Done { attention: None }, None).await.unwrap();
                        }
                    }
                }
            }
            Step::Replace(user) => {
                for tenant in [&set, &single] {
                    store.decide(tenant, users[user], crate::store::Decision::Replace).await.unwrap();
                }
            }
        }
        prop_assert_eq!(dump(store, &set).await, dump(store, &single).await);
    }
    Ok(())
}

fn compare(url: &str, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = url.parse().unwrap();
    let open = Store::open(&url, sql::Options::default(), clock(), "one");
    let store = runtime.block_on(open).unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases, ..ProptestConfig::default() });
    let histories = prop::collection::vec(step(), 1..20);
    runner.run(&histories, |steps| runtime.block_on(live(&store, steps))).unwrap();
}

#[test]
fn changes_stored_at_once_end_as_stored_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    compare(&format!("sqlite:{}", folder.path().join("push.db").display()), 150);
    if let Ok(url) = std::env::var("ROLECALL_TEST_POSTGRES") {
        compare(&url, 15);
    }
}
