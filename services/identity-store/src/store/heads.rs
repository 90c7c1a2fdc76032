//! Where every tenant stands, as far as this process knows: its own commits at once, other replicas' by polling.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::id::TenantId;
use domain::revision::{Epoch, Revision};
use parking_lot::Mutex;
use sql::Tx;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Store, epoch_of};
use crate::failure::Failure;
use crate::model::{Head, Heads};

/// How long a consumer hears nothing at most, and how old what it hears may be.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);

/// The newest heads known, and a bell that rings when one moves.
pub(crate) struct HeadBoard {
    state: Mutex<State>,
    bell: watch::Sender<()>,
}

struct State {
    epoch: Epoch,
    heads: BTreeMap<TenantId, Head>,
    /// When the database was last asked, and answered.
    read_at: Instant,
}

impl HeadBoard {
    pub(super) fn new(epoch: Epoch) -> Self {
        let state = State { epoch, heads: BTreeMap::new(), read_at: Instant::now() };
        Self { state: Mutex::new(state), bell: watch::Sender::new(()) }
    }

    /// Takes note of a head. Heads only ever grow within an epoch, so news may arrive in any order.
    pub(super) fn announce(&self, tenant: &TenantId, head: Head) {
        if self.state.lock().raise(tenant, head) {
            self.bell.send_replace(());
        }
    }

    /// Takes note of all heads as they were when they were asked for, at `asked`.
    fn refresh(&self, epoch: Epoch, heads: BTreeMap<TenantId, Head>, asked: Instant) {
        let mut state = self.state.lock();
        let mut moved = state.epoch != epoch;
        if moved {
            *state = State { epoch, heads: BTreeMap::new(), read_at: asked };
        }
        state.read_at = state.read_at.max(asked);
        for (tenant, head) in heads {
            moved |= state.raise(&tenant, head);
        }
        drop(state);
        if moved {
            self.bell.send_replace(());
        }
    }

    fn all(&self) -> Heads {
        let state = self.state.lock();
        Heads { epoch: state.epoch, heads: state.heads.clone(), complete: true }
    }

    fn is_current(&self) -> bool {
        self.state.lock().read_at.elapsed() <= SILENCE
    }
}

impl State {
    fn raise(&mut self, tenant: &TenantId, new: Head) -> bool {
        let Some(head) = self.heads.get_mut(tenant) else {
            self.heads.insert(tenant.clone(), new);
            return true;
        };
        let raised = Head {
            revision: head.revision.max(new.revision),
            taken_away: head.taken_away.max(new.taken_away),
            catalogue_wanted: head.catalogue_wanted.max(new.catalogue_wanted),
            catalogue_served: head.catalogue_served.max(new.catalogue_served),
        };
        std::mem::replace(head, raised) != raised
    }
}

/// A consumer's view of the board: what it has been told already.
pub(crate) struct HeadWatch {
    bell: watch::Receiver<()>,
    told: Option<Heads>,
}

impl HeadWatch {
    /// Waits until the board may have moved.
    pub(crate) async fn moved(&mut self) {
        if self.bell.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Forgets what it has been told, so that it is told all again.
    pub(crate) fn forget(&mut self) {
        self.told = None;
    }
}

impl Store {
    /// Begins to watch.
    pub(crate) fn watch_heads(&self) -> HeadWatch {
        HeadWatch { bell: self.board.bell.subscribe(), told: None }
    }

    /// The heads that moved since `watch` was last told; all of them the first time and in a new epoch. Unavailable if
    /// the database has not said for long where they are: other replicas may have moved them.
    pub(crate) fn news(&self, watch: &mut HeadWatch) -> Result<Option<Heads>, Failure> {
        if !self.board.is_current() {
            return Err(Failure::Unavailable);
        }
        let all = self.board.all();
        let news = match &watch.told {
            Some(told) if told.epoch == all.epoch => {
                let moved = all.heads.iter().filter(|(tenant, head)| told.heads.get(*tenant) != Some(*head));
                let heads: BTreeMap<_, _> = moved.map(|(tenant, head)| (tenant.clone(), *head)).collect();
                if heads.is_empty() {
                    return Ok(None);
                }
                Heads { epoch: all.epoch, heads, complete: false }
            }
            _ => all.clone(),
        };
        watch.told = Some(all);
        Ok(Some(news))
    }

    /// All heads as last known.
    pub(crate) fn known_heads(&self) -> Heads {
        self.board.all()
    }

    /// Asks the database where the tenants stand.
    pub async fn refresh_heads(&self) -> Result<(), Failure> {
        let asked = Instant::now();
        let (epoch, heads, held_back) = self.database.read(|tx| Box::pin(read(tx))).await?;
        for (tenant, count) in held_back {
            self.alarms.know(&tenant, count);
        }
        self.board.refresh(epoch, heads, asked);
        Ok(())
    }
}

/// And how many users each tenant holds back.
async fn read(tx: &mut Tx<'_>) -> Result<(Epoch, BTreeMap<TenantId, Head>, Vec<(TenantId, i64)>), Failure> {
    const HEADS: &str = "SELECT id, revision, taken_away, catalogue_wanted, catalogue_served, held_back \
         FROM tenants ORDER BY id";
    let epoch = epoch_of(tx).await?;
    let rows = tx.rows(HEADS, vec![]).await?;
    let (mut heads, mut held_back) = (BTreeMap::new(), Vec::new());
    for row in rows {
        let tenant: TenantId = row.text(0)?.parse().map_err(|_| Failure::Internal)?;
        let head = Head {
            revision: Revision::from_db(row.int(1)?),
            taken_away: Revision::from_db(row.int(2)?),
            catalogue_wanted: u64::try_from(row.int(3)?).unwrap_or(0),
            catalogue_served: u64::try_from(row.int(4)?).unwrap_or(0),
        };
        held_back.push((tenant.clone(), row.int(5)?));
        heads.insert(tenant, head);
    }
    Ok((epoch, heads, held_back))
}
