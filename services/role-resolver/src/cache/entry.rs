//! What the cache keeps: an effective set, the state it was right at, and everything it depends on.

use domain::effective::EffectiveSet;
use domain::fold::fold;
use domain::id::{GroupId, TenantId, UserId};
use domain::revision::Position;

/// Whose stamp it is: the revision that last changed access through a user or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Dependency {
    /// A user: its labels, its active flag, its existence, its memberships, and its name.
    User(UserId),
    /// A group: its labels, its existence, its own memberships in other groups.
    Group(GroupId),
}

/// A kept effective set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Whose.
    pub(crate) user: UserId,
    /// What the user was called, so that one who asks by name is never answered with a former bearer's set.
    pub(crate) name: NameTag,
    /// The state of the store at which it was right.
    pub(crate) right_at: Position,
    /// Every group the user was in, directly or through others.
    pub(crate) groups: Box<[GroupId]>,
    /// The set.
    pub(crate) set: EffectiveSet,
}

impl Entry {
    /// What it depends on, besides the tenant's ground.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = Dependency> {
        let user = Dependency::User(self.user);
        std::iter::once(user).chain(self.groups.iter().map(|group| Dependency::Group(*group)))
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        /// What a text, a place in a tree and their allocations take beside the letters.
        const EACH: usize = 64;
        let EffectiveSet { active: _, grants, unmatched, has_labels: _ } = &self.set;
        let grants = grants.iter().map(|(grant, labels)| {
            let labels: usize = labels.iter().map(|label| EACH + label.as_str().len()).sum();
            2 * EACH + grant.role.len() + grant.context_id.len() + labels
        });
        let unmatched = unmatched
            .iter()
            .map(|(label, why)| 2 * EACH + label.as_str().len() + why.suggestion.as_ref().map_or(0, String::len));
        size_of::<Self>() + EACH + size_of_val(&*self.groups) + grants.sum::<usize>() + unmatched.sum::<usize>()
    }
}

/// Stands for a userName where a person's name has no business to be. Equal for names that are equal without case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameTag(pub(super) [u8; 16]);

/// The key that authenticates entries, and hides names. Whoever keeps entries for us never sees it.
#[derive(Clone)]
pub(crate) struct CacheKey {
    pub(super) entries: [u8; 32],
    names: [u8; 32],
    /// The defence that a test turns off, for those who keep entries.
    #[cfg(test)]
    pub(crate) without: Option<super::Defence>,
}

impl CacheKey {
    /// The keys that follow from a secret.
    pub(crate) fn derive(secret: &[u8]) -> Self {
        Self {
            entries: blake3::derive_key("rolecall 2026 cache entries", secret),
            names: blake3::derive_key("rolecall 2026 cache names", secret),
            #[cfg(test)]
            without: None,
        }
    }

    /// The tag of a user's name.
    pub(crate) fn name(&self, tenant: &TenantId, name: &str) -> NameTag {
        let mut hasher = blake3::Hasher::new_keyed(&self.names);
        // A tenant's name holds no NUL, so no two pairs run into one another.
        hasher.update(tenant.as_str().as_bytes()).update(&[0]).update(fold(name).as_bytes());
        let mut tag = [0; 16];
        tag.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        NameTag(tag)
    }
}

impl std::fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CacheKey(…)")
    }
}
