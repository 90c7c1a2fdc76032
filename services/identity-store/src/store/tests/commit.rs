//! Changes that share a transaction: what one of them meets is nobody else's affair, and what was undone is told to
//! nobody as a fact.

use async_trait::async_trait;
use domain::revision::Revision;
use futures_util::future::join3;
use sql::Engine;

use super::fixture::each;
use crate::Failure;
use crate::model::Actor;
use crate::store::commit::{Applied, Scope, Write};

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

#[tokio::test]
async fn a_change_that_takes_too_long_fails_alone() {
    each(async |f| {
        let (ann, bob) = (f.user("ann", &[]).await.to_string(), f.user("bob", &[]).await.to_string());
        let delete = |id| f.store.delete_user(&f.tenant, Actor::default(), id, Revision(0));
        // All three wait before the worker runs for the first time.
        let slow = f.store.committer.write(&f.tenant, Slow);
        let (first, slow, last) = join3(delete(&ann), slow, delete(&bob)).await;
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
        let id = ann.to_string();
        let delete = || f.store.delete_user(&f.tenant, Actor::default(), &id, Revision(0));
        let lost = f.store.committer.write(&f.tenant, Lost);
        let (first, retry, lost) = join3(delete(), delete(), lost).await;
        // The retry found nobody twice: by a deletion that was undone, and by the one that was then made.
        assert_eq!(lost.unwrap_err(), Failure::Unavailable);
        assert!(first.is_ok());
        assert_eq!(retry, Err(Failure::UserNotFound));
        assert_eq!((f.holding(ann).await, f.feed().await.len()), (None, 2));
    })
    .await;
}
