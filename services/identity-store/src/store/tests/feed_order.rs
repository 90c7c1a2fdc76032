//! The feed beside many writers of two processes, some of whom hold their commits up or take them back: every change that
//! is committed is read once and in order. Writers who take their revision before the tenant's lock show that the test sees
//! when it is not so.

use async_trait::async_trait;
use domain::departures::Departures;
use domain::id::{GroupId, TenantId};
use domain::revision::{Position, Revision};
use futures_util::future::join_all;
use sql::{Engine, Tx, params};
use tokio::sync::watch;

use super::fixture::{Fixture, each};
use crate::model::{Change, Wanted};
use crate::store::commit::{Applied, Counts, Scope, Write};
use crate::store::feed;
use crate::{Failure, Store};

const WRITERS: usize = 50;
const WRITES: usize = 4;
const READERS: u32 = 4;

/// What becomes of a change.
#[derive(Clone, Copy)]
enum Fate {
    Kept,
    /// It is taken back.
    Refused,
    /// It takes the transaction with it.
    Lost,
}

/// A change of a group of its own, that holds its transaction up for some microseconds.
#[derive(Clone, Copy)]
struct HeldUp {
    group: GroupId,
    micros: i64,
    fate: Fate,
}

#[async_trait]
impl Write for HeldUp {
    type Answer = ();

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<()>, Failure> {
        let entry = feed::write(scope, 0, false, &Change::Group { group: self.group, exists: true });
        scope.tx.batch(vec![entry]).await?;
        hold_up(scope.tx, self.micros).await?;
        match self.fate {
            Fate::Kept => Ok(Applied::Changed(())),
            Fate::Refused => Err(Failure::Busy),
            Fate::Lost => {
                scope.tx.script("ROLLBACK").await?;
                Err(Failure::Unavailable)
            }
        }
    }
}

async fn hold_up(tx: &mut Tx<'_>, micros: i64) -> Result<(), Failure> {
    match tx.engine() {
        Engine::Sqlite => std::thread::park_timeout(std::time::Duration::from_micros(micros.unsigned_abs())),
        Engine::Postgres => {
            tx.execute("SELECT pg_sleep(CAST($1 AS BIGINT) / 1000000.0)", params![micros]).await?;
        }
    }
    Ok(())
}

/// When a writer takes its revision.
#[derive(Clone, Copy)]
enum Takes {
    /// As the store does.
    UnderTheLock,
    /// In a transaction of its own, as from a sequence.
    Before,
}

async fn write(store: &Store, tenant: &TenantId, takes: Takes, write: HeldUp) -> Result<Revision, Failure> {
    match takes {
        Takes::UnderTheLock => Ok(store.committer.write(tenant, write).await?.position.revision),
        Takes::Before => write_early(store, tenant, write).await,
    }
}

async fn write_early(store: &Store, tenant: &TenantId, write: HeldUp) -> Result<Revision, Failure> {
    const TAKE: &str = "UPDATE tenants SET revision = revision + 1 WHERE id = $1 RETURNING revision";
    const LOCK: &str = "SELECT revision FROM tenants WHERE id = $1 {for update}";
    let id = tenant.clone();
    let taking = store.database.write(move |tx| {
        Box::pin(async move {
            let row = tx.row(TAKE, params![id.as_str()]).await?.ok_or(Failure::TenantNotFound)?;
            Ok::<_, Failure>(Revision::from_db(row.int(0)?))
        })
    });
    let revision = taking.await?;
    let (tenant, now) = (tenant.clone(), store.now());
    let writing = store.database.write(move |tx| {
        Box::pin(async move {
            hold_up(tx, write.micros).await?;
            tx.row(LOCK, params![tenant.as_str()]).await?;
            let crowd = (1, &Departures::parse(""));
            let counts = Counts::default();
            write.apply(&mut Scope { tx, tenant: &tenant, revision, now, held_back: 0, crowd, counts }).await.map(drop)
        })
    });
    writing.await.map(|()| revision)
}

/// What was committed, and what each of some readers read beside the writers.
async fn beside_writers(f: &Fixture, takes: Takes) -> (Vec<(Revision, GroupId)>, Vec<Vec<(Revision, GroupId)>>) {
    let stores = match f.store.database.engine() {
        Engine::Sqlite => [f.store.clone(), f.store.clone()],
        Engine::Postgres => [f.store.clone(), f.replica().await],
    };
    let start = f.head().await;
    let (finish, finished) = watch::channel(None);
    let readers: Vec<_> = (0..READERS)
        .map(|n| {
            let (store, tenant) = (stores[n as usize % 2].clone(), f.tenant.clone());
            tokio::spawn(follow(store, tenant, start, n * 3, finished.clone()))
        })
        .collect();
    let writers = (0..WRITERS).map(|writer| {
        let (store, tenant) = (stores[writer % 2].clone(), f.tenant.clone());
        tokio::spawn(async move {
            let mut made = Vec::new();
            for number in 0..WRITES {
                let fate = match (writer + number) % 20 {
                    0 => Fate::Lost,
                    3 | 8 | 13 => Fate::Refused,
                    _ => Fate::Kept,
                };
                let change = HeldUp { group: GroupId::new(), micros: rand::random_range(0..2_000), fate };
                match (write(&store, &tenant, takes, change).await, fate) {
                    (Ok(revision), Fate::Kept) => made.push((revision, change.group)),
                    (Err(Failure::Busy), Fate::Refused) | (Err(Failure::Unavailable), Fate::Lost) => {}
                    (answer, _) => panic!("{answer:?}"),
                }
            }
            made
        })
    });
    let mut made: Vec<_> = join_all(writers.collect::<Vec<_>>()).await.into_iter().flat_map(Result::unwrap).collect();
    made.sort_unstable_by_key(|(revision, _)| *revision);
    finish.send(Some(f.head().await.revision)).unwrap();
    (made, join_all(readers).await.into_iter().map(Result::unwrap).collect())
}

/// Reads the feed as a consumer does, at most so many revisions at a time, up to the revision it is told of.
async fn follow(
    store: Store,
    tenant: TenantId,
    mut after: Position,
    limit: u32,
    finished: watch::Receiver<Option<Revision>>,
) -> Vec<(Revision, GroupId)> {
    let mut read = Vec::new();
    while finished.borrow().is_none_or(|last| after.revision < last) {
        let page = store.read_feed(&tenant, after, Wanted::All, limit).await.unwrap().value;
        read.extend(page.entries.into_iter().map(|entry| match entry.change {
            Change::Group { group, .. } => (entry.revision, group),
            other => panic!("{other:?}"),
        }));
        after.revision = page.through;
        tokio::task::yield_now().await;
    }
    read
}

/// `C12`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_read_once_and_in_order_beside_writers_who_are_held_up_and_fail() {
    each(async |f| {
        let start = f.head().await.revision.0;
        let (made, reads) = beside_writers(f, Takes::UnderTheLock).await;
        let revisions: Vec<_> = made.iter().map(|(revision, _)| revision.0).collect();
        assert_eq!(revisions, (start + 1..=start + made.len() as u64).collect::<Vec<_>>());
        assert!(reads.iter().all(|read| *read == made));
    })
    .await;
}

/// What the test above rests on: `C12` without the tenant's lock before the revision.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_taken_before_the_lock_is_skipped() {
    each(async |f| {
        let (made, reads) = beside_writers(f, Takes::Before).await;
        assert!(reads.iter().any(|read| *read != made));
    })
    .await;
}
