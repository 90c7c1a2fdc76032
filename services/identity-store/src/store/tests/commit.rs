//! Changes that share a transaction: what one of them meets is nobody else's affair, and what was undone is told to
//! nobody as a fact.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::clock::Clock;
use domain::id::UserId;
use domain::revision::Revision;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all, join3};
use parking_lot::Mutex;
use sql::{Engine, params};

use super::fixture::{Fixture, each};
use crate::Failure;
use crate::model::{Actor, Written};
use crate::store::commit::{Applied, OPEN, Scope, Write};

/// A change that the database does not answer in time.
struct Slow;

#[async_trait]
impl Write for Slow {
    type Answer = ();

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<()>, Failure> {
        if scope.tx.engine() == Engine::Postgres {
            scope.tx.script("SET LOCAL statement_timeout = 20").await?;
            scope.tx.script("SELECT pg_sleep(60)").await?;
        }
        Err(Failure::Unavailable)
    }
}

/// A change in which the transaction is lost.
struct Lost;

#[async_trait]
impl Write for Lost {
    type Answer = ();

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<()>, Failure> {
        scope.tx.script("ROLLBACK").await?;
        Err(Failure::Unavailable)
    }
}

/// A change that lasts for so long, by the store's clock, and says which transaction it is in.
struct Lasting(Duration, Clock);

#[async_trait]
impl Write for Lasting {
    type Answer = String;

    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<String>, Failure> {
        const CHANGE: &str = "UPDATE tenants SET feed_floor = feed_floor WHERE id = $1";
        const WHICH: &str = "SELECT CAST(pg_current_xact_id() AS TEXT)";
        let Self(lasting, clock) = self;
        clock.advance(*lasting);
        scope.tx.execute(CHANGE, params![scope.tenant.as_str()]).await?;
        let which = match scope.tx.engine() {
            Engine::Sqlite => String::new(),
            Engine::Postgres => scope.tx.row(WHICH, vec![]).await?.ok_or(Failure::Internal)?.text(0)?.to_owned(),
        };
        Ok(Applied::Changed(which))
    }
}

/// How many transactions commit changes that last so long and wait at one time.
async fn commits(f: &Fixture, lasting: &[Duration]) -> usize {
    let before = f.sqlite_commits();
    let changes: Vec<_> = lasting.iter().map(|lasting| change(f, Lasting(*lasting, f.clock.clone()))).collect();
    let answers = together(f, join_all(changes)).await;
    let revisions: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().position.revision.0).collect();
    assert!(revisions.windows(2).all(|two| two[0] + 1 == two[1]), "each in its turn: {revisions:?}");
    match before {
        Some(before) => f.sqlite_commits().unwrap() - before,
        None => answers.into_iter().map(|answer| answer.unwrap().value).collect::<BTreeSet<_>>().len(),
    }
}

/// Changes that come while another is at work: they are asked for once, in their order, and go on afterwards.
struct Meanwhile<T>(Arc<Mutex<BoxFuture<'static, T>>>);

#[async_trait]
impl<T: 'static> Write for Meanwhile<T> {
    type Answer = ();

    async fn apply(&self, _: &mut Scope<'_, '_>) -> Result<Applied<()>, Failure> {
        assert!(self.0.lock().as_mut().now_or_never().is_none(), "they wait for the one at work");
        Ok(Applied::Unchanged(()))
    }
}

/// What becomes of changes that share a transaction, since they came while another was at work.
async fn together<T: 'static>(f: &Fixture, changes: impl Future<Output = T> + Send + 'static) -> T {
    let changes = Arc::new(Mutex::new(changes.boxed()));
    f.store.committer.write(&f.tenant, Meanwhile(Arc::clone(&changes))).await.unwrap();
    let changes = std::mem::replace(&mut *changes.lock(), std::future::pending().boxed());
    changes.await
}

/// A user's deletion, as one of several changes.
fn delete(f: &Fixture, user: UserId) -> impl Future<Output = Result<Written<()>, Failure>> + Send + use<> {
    let (store, tenant, id) = (f.store.clone(), f.tenant.clone(), user.to_string());
    async move { store.delete_user(&tenant, Actor::default(), &id, Revision(0)).await }
}

fn change<W: Write>(
    f: &Fixture,
    write: W,
) -> impl Future<Output = Result<Written<W::Answer>, Failure>> + Send + use<W> {
    let (committer, tenant) = (f.store.committer.clone(), f.tenant.clone());
    async move { committer.write(&tenant, write).await }
}

#[tokio::test]
async fn what_waits_at_one_time_is_committed_together() {
    each(async |f| {
        assert_eq!(commits(f, &[Duration::ZERO; 128]).await, 1);
        assert_eq!(commits(f, &[Duration::ZERO; 129]).await, 2);
    })
    .await;
}

#[tokio::test]
async fn large_changes_do_not_add_up_to_one_long_transaction() {
    each(async |f| {
        assert_eq!(commits(f, &[OPEN; 4]).await, 4);
        let (long, short) = (OPEN / 2, Duration::ZERO);
        assert_eq!(commits(f, &[long, short, long, short, short, long, long, short]).await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_change_that_takes_too_long_fails_alone() {
    each(async |f| {
        let (ann, bob) = (f.user("ann", &[]).await, f.user("bob", &[]).await);
        let all = join3(delete(f, ann), change(f, Slow), delete(f, bob));
        let (first, slow, last) = together(f, all).await;
        assert!(first.is_ok() && last.is_ok());
        assert_eq!(slow.unwrap_err(), Failure::Unavailable);
        assert_eq!(f.head().await.revision, Revision(4));
    })
    .await;
}

#[tokio::test]
async fn what_was_undone_with_the_transaction_is_made_again() {
    each(async |f| {
        let ann = f.user("ann", &[]).await;
        let all = join3(delete(f, ann), delete(f, ann), change(f, Lost));
        let (first, retry, lost) = together(f, all).await;
        // The retry found nobody twice: by a deletion that was undone, and by the one that was then made.
        assert_eq!(lost.unwrap_err(), Failure::Unavailable);
        assert!(first.is_ok());
        assert_eq!(retry, Err(Failure::UserNotFound));
        assert_eq!((f.holding(ann).await, f.feed().await.len()), (None, 2));
    })
    .await;
}

#[tokio::test]
async fn what_comes_while_another_is_at_work_happens_also_if_its_caller_goes_away() {
    each(async |f| {
        let ann = f.user("ann", &[]).await;
        let deletion = Meanwhile(Arc::new(Mutex::new(delete(f, ann).boxed())));
        f.store.committer.write(&f.tenant, deletion).await.unwrap();
        // Whoever comes next waits for those before it.
        f.user("bob", &[]).await;
        assert_eq!(f.holding(ann).await, None);
    })
    .await;
}
