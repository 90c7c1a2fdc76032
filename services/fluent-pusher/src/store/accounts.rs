//! Whose account is whose, and what is due: what changes make of the work list and the ledger, without I/O. The tables'
//! side of it, which reads what the changes concern and writes what came of it, is `enqueue`.

use std::collections::{BTreeMap, BTreeSet};

use domain::clock::Timestamp;
use domain::fold::fold;
use domain::id::UserId;
use domain::revision::Position;

/// How a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is active.
    Active,
    /// It is inactive, and bears its name all the same.
    Inactive,
    /// It is deleted: its name may be another's by now.
    Deleted,
}

impl Presence {
    /// Of a user that exists or not, and is active or not.
    #[must_use]
    pub fn of(exists: bool, active: bool) -> Self {
        match (exists, active) {
            (false, _) => Self::Deleted,
            (true, false) => Self::Inactive,
            (true, true) => Self::Active,
        }
    }

    /// Whether nothing is to be given.
    #[must_use]
    pub fn is_gone(self) -> bool {
        self != Self::Active
    }
}

/// A user whose account is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The user.
    pub user: UserId,
    /// The name it bears, or last bore.
    pub user_name: String,
    /// How it is.
    pub presence: Presence,
    /// Whether the change can take something away.
    pub takes_away: bool,
    /// When it was committed.
    pub at: Timestamp,
    /// As of which position the account is to be looked at.
    pub position: Position,
}

impl Change {
    /// How urgent it is, and since when.
    fn urgency(&self) -> (i64, Option<Timestamp>) {
        let revokes = if self.presence.is_gone() { 2 } else { i64::from(self.takes_away) };
        (revokes, (revokes > 0).then_some(self.at))
    }
}

/// An entry of the work list, as far as changes concern it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) user: UserId,
    pub(super) user_name: String,
    pub(super) desired: Position,
    pub(super) renamed: bool,
    pub(super) gone: bool,
    pub(super) revokes: i64,
    pub(super) revokes_since: Option<Timestamp>,
    pub(super) due_at: Option<Timestamp>,
    pub(super) attempts: i64,
    pub(super) lease_until: Timestamp,
    pub(super) fence: i64,
}

/// What the ledger says of an account, as far as changes concern it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) user: Option<UserId>,
    pub(super) parked: bool,
    /// The folded user name for which an operator had it replaced.
    pub(super) replaced_for: Option<String>,
}

/// All there is of the accounts that some changes concern, and what becomes of them.
#[derive(Debug)]
pub(super) struct Accounts {
    now: Timestamp,
    read: BTreeMap<String, Entry>,
    work: BTreeMap<String, Entry>,
    ledger: BTreeMap<String, Owned>,
    /// Accounts that went to another user.
    claimed: BTreeSet<String>,
}

/// What is to be written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Entries that are no more.
    pub(super) deleted: Vec<String>,
    /// Entries that were not there.
    pub(super) made: Vec<(String, Entry)>,
    /// Entries that are otherwise now.
    pub(super) changed: Vec<(String, Entry)>,
    /// Accounts that went to another user.
    pub(super) claimed: Vec<(String, UserId)>,
}

impl Accounts {
    pub(super) fn new(now: Timestamp) -> Self {
        let (read, work, ledger) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { now, read, work, ledger, claimed: BTreeSet::new() }
    }

    /// Takes in an entry as it was read.
    pub(super) fn put(&mut self, account: String, entry: Entry) {
        self.read.insert(account.clone(), entry.clone());
        self.work.insert(account, entry);
    }

    /// Takes in what the ledger says.
    pub(super) fn put_owned(&mut self, account: String, owned: Owned) {
        self.ledger.insert(account, owned);
    }

    /// Those who bear another name than their account: whoever comes to bear the account's pushes them out, to where
    /// their own name is.
    pub(super) fn may_move(&self) -> impl Iterator<Item = (UserId, String)> {
        let elsewhere = |(account, entry): (&String, &Entry)| (entry.user, account.clone(), fold(&entry.user_name));
        self.read.iter().map(elsewhere).filter(|(_, account, name)| account != name).map(|(user, _, name)| (user, name))
    }

    /// Stores a change; and, where it takes an account over from a user who bears another name by now, that that user is
    /// looked at under its own name, which may push out another in turn. Each of them is then where its name is and is
    /// not pushed out again, so this ends.
    ///
    /// A change older than what is known of its user changes nothing: what came after it says more. So a change that
    /// overtook others stays, and one met again after a crash is met once.
    pub(super) fn take(&mut self, change: Change) {
        let is_newer = |entry: &Entry| entry.user == change.user && is_after(entry.desired, change.position);
        if self.work.values().any(is_newer) {
            return;
        }
        let mut next = Some((change, false));
        while let Some((change, renamed)) = next {
            next = self.take_one(&change, renamed);
        }
    }

    /// Stores a change ahead of those before it: wherever its user has an entry, that is looked at at once. Names stay
    /// with whom they are, since who bears them is told in order; but one who is gone without ever having had an entry
    /// may have an account that stands there under its name.
    pub(super) fn overtake(&mut self, change: &Change) {
        let accounts = self.entries_of(change.user);
        for account in &accounts {
            let renamed = self.work.get(account).is_some_and(|entry| entry.renamed);
            self.upsert(account, change, renamed);
        }
        let name = fold(&change.user_name);
        if accounts.is_empty() && change.presence.is_gone() && !self.work.contains_key(&name) {
            self.upsert(&name, change, false);
        }
    }

    /// What is to be written, in order of account.
    pub(super) fn difference(self) -> Difference {
        let Self { now: _, read, work, ledger, claimed } = self;
        let deleted = read.keys().filter(|account| !work.contains_key(*account)).cloned().collect();
        let other = work.into_iter().filter(|(account, entry)| read.get(account) != Some(entry));
        let (changed, made) = other.partition(|(account, _)| read.contains_key(account));
        let owner =
            |account: String| Some((ledger.get(&account)?.user?, account)).map(|(user, account)| (account, user));
        Difference { deleted, made, changed, claimed: claimed.into_iter().filter_map(owner).collect() }
    }

    /// Answers with the user who has to make room, if there is one, and whether it loses an account by that. `renamed`:
    /// so did this one.
    fn take_one(&mut self, change: &Change, renamed: bool) -> Option<(Change, bool)> {
        let name = fold(&change.user_name);
        // One who waits for an operator goes on waiting under the next name.
        let renamed = renamed || self.work.values().any(|entry| entry.user == change.user && entry.renamed);
        let mut accounts = self.accounts_of(change.user, &name);
        if accounts.is_empty() {
            accounts.push(name.clone());
        } else if !change.presence.is_gone() {
            accounts.truncate(1);
        }
        let mut moved = None;
        for account in &accounts {
            let makes_room = self.take_at(account, &name, change, renamed);
            moved = moved.or(makes_room);
        }
        moved
    }

    fn entries_of(&self, user: UserId) -> Vec<String> {
        let of_user = self.work.iter().filter(|(_, entry)| entry.user == user);
        of_user.map(|(account, _)| account.clone()).collect()
    }

    /// The accounts a user has, the one under its name first. A user who was renamed keeps the account it has until the
    /// tenant's policy, or an operator, says otherwise; one who is gone is to have none, so all are looked at.
    fn accounts_of(&self, user: UserId, name: &str) -> Vec<String> {
        let of_user = self.ledger.iter().filter(|(_, owned)| owned.user == Some(user) && !owned.parked);
        let mut accounts: Vec<_> = of_user.map(|(account, _)| account.clone()).collect();
        accounts.sort_by_key(|account| account != name);
        accounts
    }

    /// Stores a change at one account of its user.
    fn take_at(&mut self, account: &str, name: &str, change: &Change, renamed: bool) -> Option<(Change, bool)> {
        let other = self.work.get(account).filter(|entry| entry.user != change.user).cloned();
        let mut moved = None;
        if let Some(other) = other {
            let must_move = fold(&other.user_name) != account;
            let is_older = is_after(other.desired, change.position);
            // The account belongs to the user who now bears its name, not to one who did; and one who is gone since, and
            // so was before, pushes nobody out, nor is in the way of one who is there, however late it is heard of again.
            // And who is deleted bears no name: it pushes nobody out of what is not its own, gone or not.
            let stays = !must_move && !other.gone;
            let is_gone = change.presence.is_gone();
            let is_anothers = change.presence == Presence::Deleted && !self.owns(change.user, account);
            if is_anothers || (is_gone && (stays || is_older)) || (stays && is_older) {
                return None;
            }
            if must_move {
                let loses = self.loses_account(account, &other);
                let Entry { user, user_name, desired: position, gone, .. } = other;
                // One who is gone is moved to where it pushes nobody out.
                let presence = if gone { Presence::Deleted } else { Presence::Active };
                moved = Some((Change { user, user_name, presence, takes_away: false, at: self.now, position }, loses));
            }
        }
        if account == name {
            self.claim(account, change);
        }
        self.upsert(account, change, renamed);
        moved
    }

    /// Whether the ledger says that an account is a user's.
    fn owns(&self, user: UserId, account: &str) -> bool {
        self.ledger.get(account).is_some_and(|owned| owned.user == Some(user))
    }

    /// Whether the account is its user's and no operator has said that it be replaced.
    fn loses_account(&self, account: &str, other: &Entry) -> bool {
        self.ledger.get(account).is_some_and(|owned| {
            let replaced = owned.replaced_for.as_ref() == Some(&fold(&other.user_name));
            owned.user == Some(other.user) && !owned.parked && !replaced
        })
    }

    /// The account belongs to the user who bears its name, and entries under names the user bore before it had an
    /// account are void: what stands under those names is not the user's. Where a worker is at one, it loses its lease,
    /// so that it can't make an account there any more.
    fn claim(&mut self, account: &str, change: &Change) {
        if let Some(owned) = self.ledger.get_mut(account).filter(|owned| owned.user != Some(change.user)) {
            (owned.user, owned.replaced_for) = (Some(change.user), None);
            self.claimed.insert(account.to_owned());
        }
        for other in self.entries_of(change.user) {
            if other == account || self.ledger.contains_key(&other) {
                continue;
            }
            match self.work.get_mut(&other) {
                Some(entry) if entry.lease_until > self.now => {
                    entry.fence += 1;
                    entry.lease_until = Timestamp(0);
                    entry.user_name.clone_from(&change.user_name);
                    entry.due_at = Some(self.now);
                }
                _ => {
                    self.work.remove(&other);
                }
            }
        }
    }

    fn upsert(&mut self, account: &str, change: &Change, renamed: bool) {
        let Change { user, ref user_name, presence, takes_away: _, at: _, position } = *change;
        let gone = presence.is_gone();
        let (revokes, since) = change.urgency();
        let Some(entry) = self.work.get_mut(account) else {
            let entry = Entry {
                user,
                user_name: user_name.clone(),
                desired: position,
                renamed,
                gone,
                revokes,
                revokes_since: since,
                due_at: Some(self.now),
                attempts: 0,
                lease_until: Timestamp(0),
                // It begins anywhere, so that the lease of an entry that was deleted is not mistaken for one of its
                // successor.
                fence: i64::from(rand::random::<u32>()) << 24,
            };
            self.work.insert(account.to_owned(), entry);
            return;
        };
        let is_same = entry.desired == position && entry.due_at.is_some();
        let is_news = entry.user != user || entry.desired.epoch != position.epoch || is_after(position, entry.desired);
        if !is_news && !is_same {
            return;
        }
        entry.user = user;
        entry.user_name.clone_from(user_name);
        (entry.desired, entry.renamed, entry.gone) = (position, renamed, gone);
        entry.revokes = entry.revokes.max(revokes);
        entry.revokes_since = entry.revokes_since.or(since);
        // What waits already keeps its place.
        entry.due_at = Some(entry.due_at.map_or(self.now, |at| at.min(self.now)));
        entry.attempts = 0;
    }
}

/// Whether one position of a feed is after another of the same.
fn is_after(one: Position, other: Position) -> bool {
    one != other && one.covers(other)
}
