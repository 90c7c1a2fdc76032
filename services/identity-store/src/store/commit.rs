//! Group commit: the changes of a tenant that wait at one time share one transaction.
//!
//! Neither the disk's sync nor the tenant's row lock then limits throughput to one change at a time. A change waits in
//! a queue (of its tenant on PostgreSQL, of the whole database on SQLite, which has one writer); whoever finds no worker
//! on the queue is its worker for one turn, as far as it need not wait, and leaves the rest to a task. The worker takes
//! what waits, opens a transaction, locks the tenants' rows, lets each change do its work in a savepoint of its own and
//! under a revision of its own, commits, and only then answers. Changes of many rows do not add up: a transaction that has
//! lasted for some time takes no more, so that those who wait for its locks, on another replica too, are served in between.
//! A change that fails undoes its own savepoint and nothing else, also one that took too long. If a change loses the
//! transaction itself, the others are made again, each in one of its own: what they met was perhaps another's doing, and
//! undone with it. If the commit's outcome is unknown, everyone is told just that.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::clock::{Clock, Timestamp};
use domain::departures::Departures;
use domain::id::TenantId;
use domain::revision::{Epoch, Position, Revision};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use sql::{Database, Engine, Statement, Tx, params};
use tokio::sync::oneshot;

use super::alarms::Alarms;
use super::heads::HeadBoard;
use crate::failure::Failure;
use crate::model::{Head, Written};

/// The most changes one transaction carries.
const BATCH: usize = 128;
/// How long a transaction that holds a tenant's row takes changes in. It keeps the row for that and for as long as the last
/// of its changes takes.
pub(super) const OPEN: Duration = Duration::from_millis(500);
/// The most changes that may wait in one queue.
const WAITING: usize = 4096;

/// A change of one tenant.
#[async_trait]
pub(super) trait Write: Send + Sync + 'static {
    /// What the caller learns.
    type Answer: Send + 'static;

    /// Does the work. Runs after the tenant's row is locked, so what it reads can't change under it; runs again if what
    /// it did was undone with the transaction.
    async fn apply(&self, scope: &mut Scope<'_, '_>) -> Result<Applied<Self::Answer>, Failure>;
}

/// Whether a change took a revision.
#[derive(Debug)]
pub(super) enum Applied<T> {
    /// It changed something under [`Scope::revision`].
    Changed(T),
    /// It changed nothing that the revision counts.
    Unchanged(T),
}

/// What a change works with.
pub(super) struct Scope<'a, 'c> {
    /// The open transaction.
    pub(super) tx: &'a mut Tx<'c>,
    /// The tenant, whose row is locked.
    pub(super) tenant: &'a TenantId,
    /// The revision the change takes, if it changes anything.
    pub(super) revision: Revision,
    /// The time of the commit.
    pub(super) now: Timestamp,
    /// How many of the tenant's users are held back.
    pub(super) held_back: i64,
    /// How many users there were before the batch, and who left lately.
    pub(super) crowd: (u64, &'a Departures),
    /// What the change does to the tenant's counts.
    pub(super) counts: Counts,
}

impl Scope<'_, '_> {
    /// Whether one more who leaves is beyond the guard's limit.
    pub(super) fn is_beyond(&self) -> bool {
        let (users, departed) = self.crowd;
        departed.is_full(self.now, users)
    }
}

/// What changes do to the tenant's row, written once for all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Users made, less users deleted.
    pub(super) users: i64,
    /// Those of them who are inactive, less those who no longer are.
    pub(super) inactive: i64,
    /// Groups made, less groups deleted.
    pub(super) groups: i64,
    /// Whether catalogue, rules or settings changed.
    pub(super) ground: bool,
    /// Whether access can be taken away by it.
    pub(super) takes_away: bool,
    /// Users who were active, and now are not or are gone.
    pub(super) departures: u64,
    /// Users who are held back, less those who are no more.
    pub(super) held_back: i64,
    /// Users who become held back.
    pub(super) noted: u64,
}

/// The queues and what their workers need. Clones are the same engine.
#[derive(Clone)]
pub(super) struct Committer(Arc<Shared>);

struct Shared {
    database: Database,
    clock: Clock,
    board: Arc<HeadBoard>,
    alarms: Alarms,
    /// A queue is there exactly while it has a worker.
    queues: Mutex<HashMap<QueueName, Queue>>,
}

/// Whose queue it is; on SQLite, that has one, nobody's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct QueueName(Option<TenantId>);

impl Committer {
    pub(super) fn new(database: Database, clock: Clock, board: Arc<HeadBoard>, alarms: Alarms) -> Self {
        Self(Arc::new(Shared { database, clock, board, alarms, queues: Mutex::default() }))
    }

    /// Queues a change and answers after the commit that holds it. Once queued it happens even if the caller goes away.
    pub(super) async fn write<W: Write>(&self, tenant: &TenantId, write: W) -> Result<Written<W::Answer>, Failure> {
        let (done, answer) = oneshot::channel();
        let waiting = Box::new(Pending { tenant: tenant.clone(), write, state: PendingState::Waiting, done });
        let queue = (self.0.database.engine() == Engine::Postgres).then(|| tenant.clone());
        self.enqueue(QueueName(queue), waiting)?;
        // A worker that lost its transaction drops the changes it carried: their fate is not known.
        answer.await.unwrap_or(Err(Failure::Unavailable))
    }

    fn enqueue(&self, name: QueueName, waiting: Box<dyn Waiting>) -> Result<(), Failure> {
        let mut queues = self.0.queues.lock();
        if let Some(queue) = queues.get_mut(&name) {
            if queue.len() >= WAITING {
                return Err(Failure::Busy);
            }
            queue.push_back(waiting);
            return Ok(());
        }
        queues.insert(name.clone(), VecDeque::from([waiting]));
        drop(queues);
        // Where no work has to be waited for, as on SQLite while nobody else writes, the first comer's is done here and
        // now: a task of its own would have to be woken, and would have to wake.
        let shared = &self.0;
        let mut first = Box::pin(turn(Arc::clone(shared), name.clone()));
        match first.as_mut().now_or_never() {
            Some(Left::Nothing) => {}
            Some(Left::More) => drop(tokio::spawn(work(Arc::clone(shared), name))),
            None => {
                let shared = Arc::clone(shared);
                drop(tokio::spawn(async move {
                    if first.await == Left::More {
                        work(shared, name).await;
                    }
                }));
            }
        }
        Ok(())
    }
}

/// Whether anything waits in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Nothing does, and the queue is gone.
    Nothing,
    /// Something may.
    More,
}

/// Carries out what waits in a queue until nothing does.
async fn work(shared: Arc<Shared>, name: QueueName) {
    while turn(Arc::clone(&shared), name.clone()).await == Left::More {}
}

/// Carries out what waits in a queue now.
async fn turn(shared: Arc<Shared>, name: QueueName) -> Left {
    let Some(batch) = shared.take(&name) else { return Left::Nothing };
    let Err(Aborted { failure, mut batch, lost_by }) = attempt(&shared, &name, batch).await else {
        return shared.left(&name);
    };
    let Some(culprit) = lost_by else {
        fail(batch, &failure);
        return Left::More;
    };
    batch.remove(culprit).fail(failure);
    for waiting in batch {
        if let Err(Aborted { failure, batch, .. }) = attempt(&shared, &name, vec![waiting]).await {
            if batch.is_empty() {
                // The database is not there: the rest need not find that out one by one.
                break;
            }
            fail(batch, &failure);
        }
    }
    Left::More
}

impl Shared {
    /// What waits in a queue, as much as one transaction carries; `None` if nothing does, and the queue is gone.
    fn take(&self, name: &QueueName) -> Option<Batch> {
        let mut queues = self.queues.lock();
        let queue = queues.get_mut(name)?;
        if queue.is_empty() {
            queues.remove(name);
            return None;
        }
        Some(queue.drain(..queue.len().min(BATCH)).collect())
    }

    /// Has changes wait again, before those that came later.
    fn put_back(&self, name: &QueueName, changes: Batch) {
        if let Some(queue) = self.queues.lock().get_mut(name) {
            changes.into_iter().rev().for_each(|change| queue.push_front(change));
        }
    }

    /// Ends a queue in which nothing waits.
    fn left(&self, name: &QueueName) -> Left {
        let mut queues = self.queues.lock();
        if queues.get(name).is_some_and(|queue| !queue.is_empty()) {
            return Left::More;
        }
        queues.remove(name);
        Left::Nothing
    }
}

/// Makes changes in one transaction, and answers if they are committed. Those it had no time for wait again.
async fn attempt(shared: &Arc<Shared>, name: &QueueName, batch: Batch) -> Result<(), Aborted> {
    let within = (Arc::clone(shared), name.clone());
    let committed = shared.database.write(move |tx| Box::pin(carry_out(tx, batch, within))).await;
    let Committed { batch, standings, epoch } = committed?;
    for (tenant, standing) in standings {
        if standing.changed() {
            let Standing { revision, taken_away, .. } = standing;
            shared.board.announce(&tenant, Head { revision, taken_away, ..Head::default() });
        }
    }
    for waiting in batch {
        waiting.answer(epoch);
    }
    Ok(())
}

fn fail(batch: Batch, failure: &Failure) {
    for waiting in batch {
        waiting.fail(failure.clone());
    }
}

type Queue = VecDeque<Box<dyn Waiting>>;
type Batch = Vec<Box<dyn Waiting>>;

/// A batch whose transaction is about to be committed.
struct Committed {
    batch: Batch,
    standings: BTreeMap<TenantId, Standing>,
    epoch: Option<Epoch>,
}

/// A batch whose transaction is undone. It is empty if the transaction never began, or its commit was not confirmed.
struct Aborted {
    failure: Failure,
    batch: Batch,
    /// Which change lost the transaction, if one did.
    lost_by: Option<usize>,
}

impl From<sql::Error> for Aborted {
    fn from(error: sql::Error) -> Self {
        Self { failure: error.into(), batch: Vec::new(), lost_by: None }
    }
}

/// Where a tenant stands in the course of a batch.
struct Standing {
    began: Revision,
    revision: Revision,
    /// The newest revision of the batch that can take access away; zero if none can.
    taken_away: Revision,
    /// How many users there were before it.
    users: u64,
    /// How many users were held back before it.
    held_back: i64,
    /// Who left lately, with those of the batch so far.
    departed: Departures,
    /// Whether they became a crowd with it.
    crowded: bool,
    counts: Counts,
}

impl Standing {
    fn changed(&self) -> bool {
        self.revision > self.began
    }
}

async fn carry_out(
    tx: &mut Tx<'_>,
    mut batch: Batch,
    (shared, name): (Arc<Shared>, QueueName),
) -> Result<Committed, Aborted> {
    let mut lost_by = None;
    match each(tx, &mut batch, (&shared, &name), &mut lost_by).await {
        Ok((standings, epoch)) => Ok(Committed { batch, standings, epoch }),
        Err(failure) => Err(Aborted { failure, batch, lost_by }),
    }
}

async fn each(
    tx: &mut Tx<'_>,
    batch: &mut Batch,
    (shared, name): (&Shared, &QueueName),
    lost_by: &mut Option<usize>,
) -> Result<(BTreeMap<TenantId, Standing>, Option<Epoch>), Failure> {
    let alone = batch.len() == 1;
    let now = shared.clock.now();
    // To wait for others' locks keeps nobody from anything.
    let mut locked_at = None;
    let mut standings = BTreeMap::<TenantId, Standing>::new();
    let mut epoch = None;
    for number in 0..batch.len() {
        if locked_at.is_some_and(|at| shared.clock.now().since(at) >= OPEN) {
            shared.put_back(name, batch.split_off(number));
            break;
        }
        let waiting = &mut batch[number];
        let tenant = waiting.tenant().clone();
        if !standings.contains_key(&tenant) {
            match lock(tx, &tenant).await? {
                None => {
                    waiting.note(Failure::TenantNotFound);
                    continue;
                }
                Some((standing, of)) => {
                    locked_at.get_or_insert_with(|| shared.clock.now());
                    epoch = Some(of);
                    standings.insert(tenant.clone(), standing);
                }
            }
        }
        let Some(standing) = standings.get_mut(&tenant) else { continue };
        if !alone {
            tx.savepoint()?;
        }
        let revision = standing.revision.next();
        let mut scope = Scope {
            tx: &mut *tx,
            tenant: &tenant,
            revision,
            now,
            held_back: standing.held_back + standing.counts.held_back,
            crowd: (standing.users, &standing.departed),
            counts: Counts::default(),
        };
        let outcome = waiting.run(&mut scope).await;
        let counts = scope.counts;
        match outcome {
            Ok(changed) => {
                if changed {
                    standing.revision = revision;
                    standing.counts.users += counts.users;
                    standing.counts.inactive += counts.inactive;
                    standing.counts.groups += counts.groups;
                    standing.counts.ground |= counts.ground;
                    standing.counts.held_back += counts.held_back;
                    standing.counts.noted += counts.noted;
                    if counts.departures > 0 {
                        let crowd = standing.departed.add(now, counts.departures, standing.users);
                        standing.crowded |= crowd.is_some();
                    }
                    if counts.takes_away {
                        standing.taken_away = revision;
                    }
                }
                waiting.settle(standing.revision);
                if !alone {
                    tx.release()?;
                }
            }
            // The transaction goes with its only change, which met nobody's doing but its own.
            Err(failure) if alone => return Err(failure),
            Err(failure) => {
                // Where there is nothing left to undo a part of, the transaction is gone.
                if tx.undo().await.is_err() {
                    *lost_by = Some(number);
                    return Err(Failure::Unavailable);
                }
                waiting.note(failure);
            }
        }
    }
    // Before the commit: that it was told is committed too, and a crash between would lose the alarm. One that is told of
    // a commit that fails is told again.
    for (tenant, standing) in standings.iter().filter(|(_, standing)| standing.crowded) {
        if let Some(crowd) = standing.departed.crowd() {
            shared.alarms.crowd_left(tenant, crowd, standing.counts.noted);
        }
    }
    let advance: Vec<_> = standings.iter().filter(|(_, s)| s.changed()).map(|(tenant, s)| advance(tenant, s)).collect();
    tx.last(advance).await?;
    Ok((standings, epoch))
}

async fn lock(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Option<(Standing, Epoch)>, Failure> {
    const LOCK: &str = "SELECT revision, (SELECT epoch FROM meta), user_count, departures, held_back FROM tenants \
         WHERE id = $1 {for update}";
    let Some(row) = tx.row(LOCK, params![tenant.as_str()]).await? else { return Ok(None) };
    let epoch = Epoch::from_slice(row.bytes(1)?).ok_or(Failure::Internal)?;
    let revision = Revision::from_db(row.int(0)?);
    let users = u64::try_from(row.int(2)?).unwrap_or(0);
    let departed = Departures::parse(row.text(3)?);
    let standing = Standing {
        began: revision,
        revision,
        taken_away: Revision(0),
        users,
        held_back: row.int(4)?,
        departed,
        crowded: false,
        counts: Counts::default(),
    };
    Ok(Some((standing, epoch)))
}

fn advance(tenant: &TenantId, standing: &Standing) -> Statement {
    const ADVANCE: &str = "UPDATE tenants SET revision = $2, user_count = user_count + $3, \
         group_count = group_count + $4, ground_version = CASE WHEN CAST($5 AS BIGINT) = 0 THEN ground_version ELSE $5 END, \
         taken_away = CASE WHEN CAST($6 AS BIGINT) = 0 THEN taken_away ELSE $6 END, departures = $7, \
         held_back = held_back + $8, inactive_count = inactive_count + $9 WHERE id = $1";
    let Standing { began: _, revision, taken_away, users: _, held_back: _, departed, crowded: _, counts } = standing;
    let Counts { users, inactive, groups, ground, takes_away: _, departures: _, held_back, noted: _ } = *counts;
    let revision = revision.to_db();
    let ground = if ground { revision } else { 0 };
    let (taken_away, departed) = (taken_away.to_db(), departed.to_text());
    let values = params![tenant.as_str(), revision, users, groups, ground, taken_away, departed, held_back, inactive];
    Statement::new(ADVANCE, values)
}

/// A change in a queue, whatever its answer.
trait Waiting: Send {
    fn tenant(&self) -> &TenantId;
    /// Does the work; says whether it took the revision.
    fn run<'a>(&'a mut self, scope: &'a mut Scope<'_, '_>) -> BoxFuture<'a, Result<bool, Failure>>;
    /// Keeps where the tenant stands after it.
    fn settle(&mut self, revision: Revision);
    /// Keeps why it failed, to be told after the commit of the others.
    fn note(&mut self, failure: Failure);
    /// Tells the caller what became of it, after the commit.
    fn answer(self: Box<Self>, epoch: Option<Epoch>);
    /// Tells the caller that the transaction was undone.
    fn fail(self: Box<Self>, failure: Failure);
}

struct Pending<W: Write> {
    tenant: TenantId,
    write: W,
    state: PendingState<W::Answer>,
    done: oneshot::Sender<Result<Written<W::Answer>, Failure>>,
}

enum PendingState<T> {
    Waiting,
    Done { answer: T, changed: bool, revision: Revision },
    Failed(Failure),
}

impl<W: Write> Waiting for Pending<W> {
    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn run<'a>(&'a mut self, scope: &'a mut Scope<'_, '_>) -> BoxFuture<'a, Result<bool, Failure>> {
        Box::pin(async move {
            let (answer, changed) = match self.write.apply(scope).await? {
                Applied::Changed(answer) => (answer, true),
                Applied::Unchanged(answer) => (answer, false),
            };
            self.state = PendingState::Done { answer, changed, revision: scope.revision };
            Ok(changed)
        })
    }

    fn settle(&mut self, stands: Revision) {
        if let PendingState::Done { revision, .. } = &mut self.state {
            *revision = stands;
        }
    }

    fn note(&mut self, failure: Failure) {
        self.state = PendingState::Failed(failure);
    }

    fn answer(self: Box<Self>, epoch: Option<Epoch>) {
        let answer = match (self.state, epoch) {
            (PendingState::Done { answer, changed, revision }, Some(epoch)) => {
                Ok(Written { value: answer, position: Position { epoch, revision }, changed })
            }
            (PendingState::Failed(failure), _) => Err(failure),
            _ => Err(Failure::Internal),
        };
        // A caller that went away does not hear it; the change is made all the same.
        let _ = self.done.send(answer);
    }

    fn fail(self: Box<Self>, failure: Failure) {
        let _ = self.done.send(Err(failure));
    }
}
