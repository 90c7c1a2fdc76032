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

/// How long those who were told something hear nothing more, but of what takes access away and of what somebody waits
/// for: a consumer does the same for a hundred moves as for one, and a commit is not to wake all of them each time.
const GATHER: Duration = Duration::from_millis(5);

/// The newest heads known, and bells that ring when one moves.
pub(crate) struct HeadBoard {
    state: Mutex<State>,
    bell: watch::Sender<()>,
    /// Rings for moves of which consumers are told at once.
    alarm: watch::Sender<()>,
}

struct State {
    epoch: Epoch,
    /// Each head, and the number of its last move.
    heads: BTreeMap<TenantId, (u64, Head)>,
    /// Which head made a move, if it made none since; so that news cost what they are, and not what there is.
    moves: BTreeMap<u64, TenantId>,
    /// The number of the last move. It only grows, also from one life of the database to another.
    last: u64,
    /// The number at which this life of the database began to be told.
    began: u64,
    /// When the database was last asked, and answered.
    read_at: Instant,
}

impl HeadBoard {
    pub(super) fn new(epoch: Epoch) -> Self {
        let state = State::new(epoch, Instant::now());
        Self { state: Mutex::new(state), bell: watch::Sender::new(()), alarm: watch::Sender::new(()) }
    }

    /// Takes note of a head. Heads only ever grow within an epoch, so news may arrive in any order.
    pub(super) fn announce(&self, tenant: &TenantId, head: Head) {
        let moved = self.state.lock().raise(tenant, head);
        self.ring(moved);
    }

    fn ring(&self, moved: Move) {
        if moved >= Move::Usual {
            self.bell.send_replace(());
        }
        if moved == Move::Urgent {
            self.alarm.send_replace(());
        }
    }

    /// Takes note of all heads as they were when they were asked for, at `asked`.
    fn refresh(&self, epoch: Epoch, heads: BTreeMap<TenantId, Head>, asked: Instant) {
        let mut state = self.state.lock();
        let mut moved = Move::None;
        if state.epoch != epoch {
            if asked < state.read_at {
                // Of a life that has ended since: the answer came late.
                return;
            }
            state.begin(epoch);
            moved = Move::Urgent;
        }
        state.read_at = state.read_at.max(asked);
        for (tenant, head) in heads {
            moved = moved.max(state.raise(&tenant, head));
        }
        drop(state);
        self.ring(moved);
    }

    fn watch(&self) -> HeadWatch {
        HeadWatch { bell: self.bell.subscribe(), alarm: self.alarm.subscribe(), told: None }
    }

    fn is_current(&self) -> bool {
        self.state.lock().read_at.elapsed() <= SILENCE
    }
}

/// Whether a head moved, and how soon that must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Move {
    /// It did not.
    None,
    /// In a moment will do.
    Usual,
    /// Something was taken away, or somebody waits for a catalogue.
    Urgent,
}

impl State {
    fn new(epoch: Epoch, read_at: Instant) -> Self {
        Self { epoch, heads: BTreeMap::new(), moves: BTreeMap::new(), last: 0, began: 0, read_at }
    }

    /// Another life of the database: whatever was told is told no more, also if this life was known before.
    fn begin(&mut self, epoch: Epoch) {
        let last = self.last + 1;
        *self = Self { last, began: last, ..Self::new(epoch, self.read_at) };
    }

    fn raise(&mut self, tenant: &TenantId, new: Head) -> Move {
        let (raised, urgent) = match self.heads.get(tenant) {
            None => (new, true),
            Some((moved, head)) => {
                let raised = Head {
                    revision: head.revision.max(new.revision),
                    taken_away: head.taken_away.max(new.taken_away),
                    catalogue_wanted: head.catalogue_wanted.max(new.catalogue_wanted),
                    catalogue_served: head.catalogue_served.max(new.catalogue_served),
                };
                if raised == *head {
                    return Move::None;
                }
                self.moves.remove(moved);
                (raised, Head { revision: head.revision, ..raised } != *head)
            }
        };
        self.last += 1;
        self.moves.insert(self.last, tenant.clone());
        self.heads.insert(tenant.clone(), (self.last, raised));
        if urgent { Move::Urgent } else { Move::Usual }
    }

    /// What is news to one who was told of everything up to a move, if anything is: what moved after it, or all there are
    /// where that was in another life of the database.
    fn news(&self, told: Option<u64>) -> Option<Heads> {
        let told = told.filter(|told| *told >= self.began);
        (told != Some(self.last)).then(|| self.since(told))
    }

    /// What moved after a move; `None` for all there are.
    fn since(&self, told: Option<u64>) -> Heads {
        let of = |(tenant, (_, head)): (&TenantId, &(u64, Head))| (tenant.clone(), *head);
        let heads = match told {
            Some(told) => {
                let moved = self.moves.range(told.saturating_add(1)..).map(|(_, tenant)| tenant);
                moved.filter_map(|tenant| self.heads.get_key_value(tenant)).map(of).collect()
            }
            None => self.heads.iter().map(of).collect(),
        };
        Heads { epoch: self.epoch, heads, complete: told.is_none() }
    }
}

/// A consumer's view of the board: what it has been told already.
pub(crate) struct HeadWatch {
    bell: watch::Receiver<()>,
    alarm: watch::Receiver<()>,
    /// The last move it was told of.
    told: Option<u64>,
}

impl HeadWatch {
    /// Waits until the board may have moved, and a moment at least if nothing is urgent.
    pub(crate) async fn moved(&mut self) {
        let Self { bell, alarm, told: _ } = self;
        let usual = async {
            tokio::time::sleep(GATHER).await;
            bell.changed().await
        };
        tokio::select! {
            Ok(()) = alarm.changed() => {}
            Ok(()) = usual => {}
            // The board is gone.
            else => std::future::pending().await,
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
        self.board.watch()
    }

    /// The heads that moved since `watch` was last told; all of them the first time and in a new epoch. Unavailable if
    /// the database has not said for long where they are: other replicas may have moved them.
    pub(crate) fn news(&self, watch: &mut HeadWatch) -> Result<Option<Heads>, Failure> {
        if !self.board.is_current() {
            return Err(Failure::Unavailable);
        }
        let state = self.board.state.lock();
        let news = state.news(watch.told);
        watch.told = Some(state.last);
        Ok(news)
    }

    /// Whether the database has answered lately.
    pub(crate) fn is_heard(&self) -> bool {
        self.board.is_current()
    }

    /// A tenant's head as last known, with the life of the database it is of.
    pub(crate) fn known_head(&self, tenant: &TenantId) -> Option<(Epoch, Head)> {
        let state = self.board.state.lock();
        state.heads.get(tenant).map(|(_, head)| (state.epoch, *head))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tenant(number: u8) -> TenantId {
        format!("tenant-{number}").parse().unwrap()
    }

    proptest! {
        /// What a watch is told adds up to where all stand, however seldom it asks, whatever it forgets, and whichever life
        /// the database is in.
        #[test]
        fn news_add_up_to_all_that_is_known(
            steps in prop::collection::vec(
                (0..5_u8, 0..20_u64, 0..20_u64, any::<bool>(), any::<bool>(), prop::option::weighted(0.3, 0..2_usize)),
                1..60,
            ),
        ) {
            let epochs = [Epoch::new(), Epoch::new()];
            let board = HeadBoard::new(epochs[0]);
            let (mut told, mut epoch, mut heads) = (None, epochs[0], BTreeMap::new());
            for (number, revision, taken_away, asks, forgets, life) in steps {
                let (revision, taken_away) = (Revision(revision), Revision(taken_away));
                let head = Head { revision, taken_away, ..Head::default() };
                match life {
                    Some(life) => {
                        board.refresh(epochs[life], BTreeMap::from([(tenant(number), head)]), Instant::now());
                        prop_assert_eq!(board.state.lock().epoch, epochs[life]);
                    }
                    None => board.announce(&tenant(number), head),
                }
                let state = board.state.lock();
                told = told.filter(|_| !forgets);
                if asks && let Some(news) = state.news(told) {
                    if news.complete {
                        heads.clear();
                        epoch = news.epoch;
                    }
                    heads.extend(news.heads);
                    told = Some(state.last);
                }
                if asks {
                    prop_assert_eq!(epoch, state.epoch);
                    prop_assert_eq!(&heads, &state.heads.iter().map(|(id, (_, head))| (id.clone(), *head)).collect());
                }
                prop_assert_eq!(state.moves.len(), state.heads.len());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_told_hears_usual_moves_after_a_moment_and_urgent_ones_at_once() {
        let board = HeadBoard::new(Epoch::new());
        let mut watch = board.watch();
        let began = Instant::now();
        let usual = |revision| board.announce(&tenant(0), Head { revision: Revision(revision), ..Head::default() });
        usual(1);
        watch.moved().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "a tenant nobody knew");
        usual(2);
        usual(3);
        watch.moved().await;
        assert_eq!(began.elapsed(), GATHER, "one news of two moves");
        tokio::time::advance(GATHER * 2).await;
        usual(4);
        let urgent = [
            Head { revision: Revision(5), taken_away: Revision(5), ..Head::default() },
            Head { catalogue_wanted: 1, ..Head::default() },
            Head { catalogue_served: 1, ..Head::default() },
        ];
        for head in urgent {
            let announced = Instant::now();
            board.announce(&tenant(0), head);
            watch.moved().await;
            assert_eq!(announced.elapsed(), Duration::ZERO, "{head:?}");
        }
        board.refresh(Epoch::new(), BTreeMap::new(), Instant::now());
        let announced = Instant::now();
        watch.moved().await;
        assert_eq!(announced.elapsed(), Duration::ZERO, "another life of the database");
    }

    #[test]
    fn an_answer_of_another_life_that_comes_late_is_not_heard() {
        let epochs = [Epoch::new(), Epoch::new()];
        let board = HeadBoard::new(epochs[0]);
        let asked = Instant::now();
        board.refresh(epochs[1], BTreeMap::new(), asked + Duration::from_secs(1));
        board.refresh(epochs[0], BTreeMap::from([(tenant(1), Head::default())]), asked);
        let state = board.state.lock();
        assert!(state.epoch == epochs[1] && state.heads.is_empty());
    }

    #[test]
    fn only_what_moved_is_told_and_what_did_not_rings_no_bell() {
        let mut board = State::new(Epoch::new(), Instant::now());
        let head = |revision| Head { revision: Revision(revision), ..Head::default() };
        for number in 0..100 {
            assert_eq!(board.raise(&tenant(number), head(7)), Move::Urgent, "new");
        }
        let told = Some(board.last);
        assert_eq!(board.raise(&tenant(3), head(6)), Move::None, "older news");
        assert_eq!(board.since(told).heads, BTreeMap::new());
        for revision in [8, 9] {
            assert_eq!(board.raise(&tenant(3), head(revision)), Move::Usual);
        }
        assert_eq!(board.since(told).heads, BTreeMap::from([(tenant(3), head(9))]));
    }
}
