//! What to send to Fluent: from what an account holds and what it should hold to the fewest mutations. Pure.
//!
//! Three facts of Fluent's API shape it. `updateUser.roles` only adds, so what must go is named in
//! `removeUserRolesFromUser`. Whether the contexts of a role that is named again are merged with those it has or replace
//! them is not known, so a role that is named carries all the contexts it shall have. And a mutation takes effect whole
//! or not at all, but two mutations may be cut apart by a crash, so their order keeps one promise at every point between
//! them: nobody holds what is in neither the old nor the new set, and what goes has gone before anything is added.

use crate::account::{Account, Profile, Roles, Status};

/// What an account should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Wanted {
    /// Closed: `INACTIVE`, and nothing held.
    Nothing,
    /// No more than this: what it holds of it stays, nothing is added, nothing else is written. With nothing left, it is
    /// closed. This is what one who is held gets.
    AtMost(Roles),
    /// `ACTIVE` with exactly these roles, and the profile as far as it is known. Without roles it is closed: an account
    /// that may do nothing is not left open.
    Exactly {
        /// The roles.
        roles: Roles,
        /// The profile.
        profile: Profile,
    },
}

/// One mutation of an account that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a plan is two or three of them")]
pub enum Mutation {
    /// `removeUserRolesFromUser`: takes off every pair named.
    Remove(Roles),
    /// `updateUser`.
    Update(Update),
}

/// The fields of one `updateUser`. What is empty is not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Update {
    /// The new standing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The profile fields to write.
    #[serde(flatten)]
    pub profile: Profile,
    /// Roles to give, each with all the contexts it shall have.
    #[serde(skip_serializing_if = "Roles::is_empty")]
    pub roles: Roles,
}

impl Update {
    /// The update that closes an account.
    #[must_use]
    pub fn close() -> Self {
        Self { status: Some(Status::Inactive), ..Self::default() }
    }

    /// Whether it would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.profile.is_empty() && self.roles.is_empty()
    }
}

/// How much one mutation may carry. Fluent refuses requests over 2 MB; half of that leaves room for escapes and names.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes of roles in one mutation. A single role in more contexts than fit is sent whole all the same.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 20 }
    }
}

/// The mutations that turn `present` into `wanted`, in the order they must be sent. None if it is that already.
#[must_use]
pub fn plan(present: &Account, wanted: &Wanted, limits: Limits) -> Vec<Mutation> {
    match wanted {
        Wanted::Nothing => close(present, limits),
        Wanted::AtMost(most) => {
            let kept = present.roles.and(most);
            if kept.is_empty() { close(present, limits) } else { removals(&present.roles.minus(&kept), limits) }
        }
        Wanted::Exactly { roles, .. } if roles.is_empty() => close(present, limits),
        Wanted::Exactly { roles, profile } => {
            let mut plan = removals(&present.roles.minus(roles), limits);
            plan.extend(additions(present, roles, profile, limits));
            plan
        }
    }
}

/// Closing comes before emptying: the door is shut with the first mutation, whatever becomes of the others.
fn close(present: &Account, limits: Limits) -> Vec<Mutation> {
    let shut = (present.status != Status::Inactive).then(|| Mutation::Update(Update::close()));
    shut.into_iter().chain(removals(&present.roles, limits)).collect()
}

fn removals(surplus: &Roles, limits: Limits) -> Vec<Mutation> {
    let mut chunks = Vec::new();
    let mut chunk = Chunk::default();
    for (role, context) in surplus.pairs() {
        let size = role.len() + context_size(&context.kind, &context.id);
        if chunk.is_full(size, limits) {
            chunks.push(std::mem::take(&mut chunk));
        }
        chunk.roles.insert(role, context.clone());
        chunk.bytes += size;
    }
    chunks.push(chunk);
    chunks.into_iter().filter(|chunk| !chunk.roles.is_empty()).map(|chunk| Mutation::Remove(chunk.roles)).collect()
}

/// The last update opens the account and writes the profile, so that an account is not open with a half of its roles.
fn additions(present: &Account, roles: &Roles, profile: &Profile, limits: Limits) -> Vec<Mutation> {
    let mut updates = Vec::new();
    let mut chunk = Chunk::default();
    for (role, contexts) in roles.whole_roles_of(&roles.minus(&present.roles)).iter() {
        let size = role.len() + contexts.iter().map(|context| context_size(&context.kind, &context.id)).sum::<usize>();
        if chunk.is_full(size, limits) {
            updates.push(Update { roles: std::mem::take(&mut chunk).roles, ..Update::default() });
        }
        for context in contexts {
            chunk.roles.insert(role, context.clone());
        }
        chunk.bytes += size;
    }
    updates.push(Update {
        status: (present.status != Status::Active).then_some(Status::Active),
        profile: present.profile.changes_to(profile),
        roles: chunk.roles,
    });
    updates.into_iter().filter(|update| !update.is_empty()).map(Mutation::Update).collect()
}

#[derive(Default)]
struct Chunk {
    roles: Roles,
    bytes: usize,
}

impl Chunk {
    fn is_full(&self, next: usize, limits: Limits) -> bool {
        !self.roles.is_empty() && self.bytes + next > limits.bytes
    }
}

/// What a context takes in JSON, names and punctuation included.
fn context_size(kind: &str, id: &str) -> usize {
    kind.len() + id.len() + 48
}

#[cfg(test)]
mod tests;
