//! An entry as bytes for a store that is not trusted: what was changed on the way, or is another's, is told by its MAC.
//!
//! Format, epoch and revision stand in front and readable: so a script can see which of two entries is newer. They are
//! under the MAC like all the rest.

use std::collections::{BTreeMap, BTreeSet};

use domain::effective::EffectiveSet;
use domain::grant::{ContextType, Grant};
use domain::id::{GroupId, TenantId, UserId};
use domain::label::Label;
use domain::matching::{Reason, Unmatched};
use domain::revision::{Epoch, Position, Revision};
use prost::Message as _;

use super::entry::{CacheKey, Entry, NameTag};

/// The format of what follows. It is part of the key under which an entry is kept, too: formats never meet.
pub(crate) const FORMAT: u8 = 1;

/// Format, epoch, revision.
pub(crate) const HEAD: usize = 1 + 16 + 8;
const MAC: usize = 32;
const ID: usize = 16;

/// Bytes that are not an entry of ours for that user. They say nothing, whoever put them there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no entry of this cache for that user")]
pub(crate) struct Forged;

/// Writes an entry down.
pub(crate) fn seal(key: &CacheKey, tenant: &TenantId, entry: &Entry) -> Vec<u8> {
    let Entry { user, name, right_at: Position { epoch, revision }, groups, set } = entry;
    let body = Stored::new(*user, *name, groups, set);
    let mut bytes = Vec::with_capacity(HEAD + MAC + body.encoded_len());
    bytes.push(FORMAT);
    bytes.extend_from_slice(epoch.as_bytes());
    bytes.extend_from_slice(&revision.0.to_be_bytes());
    let body = body.encode_to_vec();
    let mac = mac(key, tenant, &bytes, &body);
    bytes.extend_from_slice(mac.as_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// Reads the entry of `user` of `tenant`. Nothing is looked into before the MAC has been found right.
pub(crate) fn open(key: &CacheKey, tenant: &TenantId, user: UserId, bytes: &[u8]) -> Result<Entry, Forged> {
    let (head, rest) = bytes.split_at_checked(HEAD).ok_or(Forged)?;
    let (told, body) = rest.split_at_checked(MAC).ok_or(Forged)?;
    let told: [u8; MAC] = told.try_into().map_err(|_| Forged)?;
    // Compared in constant time.
    let ours = mac(key, tenant, head, body) == blake3::Hash::from(told);
    #[cfg(test)]
    let ours = ours || key.without == Some(super::Defence::Mac);
    if !ours {
        return Err(Forged);
    }
    let epoch = Epoch::from_slice(&head[1..=ID]).ok_or(Forged)?;
    let revision = Revision(u64::from_be_bytes(head[1 + ID..].try_into().map_err(|_| Forged)?));
    let body = Stored::decode(body).map_err(|_| Forged)?;
    body.entry(Position { epoch, revision }).filter(|entry| head[0] == FORMAT && entry.user == user).ok_or(Forged)
}

fn mac(key: &CacheKey, tenant: &TenantId, head: &[u8], body: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(&key.entries);
    // The head has one length and a tenant's name holds no NUL, so nothing runs into its neighbour.
    hasher.update(head).update(tenant.as_str().as_bytes()).update(&[0]).update(body);
    hasher.finalize()
}

/// What is written down, in the wire format of protocol buffers.
#[derive(Clone, PartialEq, prost::Message)]
struct Stored {
    #[prost(bytes = "vec", tag = "1")]
    user: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    name: Vec<u8>,
    /// The ids of all groups, one after another.
    #[prost(bytes = "vec", tag = "3")]
    groups: Vec<u8>,
    #[prost(bool, tag = "4")]
    active: bool,
    #[prost(bool, tag = "5")]
    has_labels: bool,
    #[prost(message, repeated, tag = "6")]
    grants: Vec<StoredGrant>,
    #[prost(message, repeated, tag = "7")]
    unmatched: Vec<StoredUnmatched>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredGrant {
    #[prost(string, tag = "1")]
    role: String,
    #[prost(uint32, tag = "2")]
    context_type: u32,
    #[prost(string, tag = "3")]
    context_id: String,
    #[prost(string, repeated, tag = "4")]
    labels: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StoredUnmatched {
    #[prost(string, tag = "1")]
    label: String,
    #[prost(uint32, tag = "2")]
    reason: u32,
    #[prost(string, optional, tag = "3")]
    suggestion: Option<String>,
}

/// Context types and reasons by their numbers here, which are never given to another.
const CONTEXT_TYPES: [ContextType; 3] = [ContextType::Account, ContextType::Retailer, ContextType::Agent];
const REASONS: [Reason; 6] = [
    Reason::Malformed,
    Reason::UnknownContextType,
    Reason::UnknownContext,
    Reason::UnknownRole,
    Reason::RuleTargetUnknown,
    Reason::Ambiguous,
];

fn number<T: PartialEq>(of: &T, all: &[T]) -> u32 {
    all.iter().position(|known| known == of).and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX)
}

fn numbered<T: Copy>(number: u32, all: &[T]) -> Option<T> {
    all.get(usize::try_from(number).ok()?).copied()
}

impl Stored {
    fn new(user: UserId, name: NameTag, groups: &[GroupId], set: &EffectiveSet) -> Self {
        let EffectiveSet { active, grants, unmatched, has_labels } = set;
        let texts = |labels: &BTreeSet<Label>| labels.iter().map(|label| label.as_str().to_owned()).collect();
        let grant = |(Grant { role, context_type, context_id }, labels): (&Grant, &BTreeSet<Label>)| StoredGrant {
            role: role.to_string(),
            context_type: number(context_type, &CONTEXT_TYPES),
            context_id: context_id.to_string(),
            labels: texts(labels),
        };
        let refused = |(label, Unmatched { reason, suggestion }): (&Label, &Unmatched)| StoredUnmatched {
            label: label.as_str().to_owned(),
            reason: number(reason, &REASONS),
            suggestion: suggestion.clone(),
        };
        Self {
            user: user.as_bytes().to_vec(),
            name: name.0.to_vec(),
            groups: groups.iter().flat_map(|group| *group.as_bytes()).collect(),
            active: *active,
            has_labels: *has_labels,
            grants: grants.iter().map(grant).collect(),
            unmatched: unmatched.iter().map(refused).collect(),
        }
    }

    fn entry(self, right_at: Position) -> Option<Entry> {
        let Self { user, name, groups, active, has_labels, grants, unmatched } = self;
        let read = |StoredGrant { role, context_type, context_id, labels }: StoredGrant| {
            let context_type = numbered(context_type, &CONTEXT_TYPES)?;
            let grant = Grant { role: role.into(), context_type, context_id: context_id.into() };
            Some((grant, labels.iter().map(|label| Label::new(label)).collect()))
        };
        let refused = |StoredUnmatched { label, reason, suggestion }: StoredUnmatched| {
            Some((Label::new(&label), Unmatched { reason: numbered(reason, &REASONS)?, suggestion }))
        };
        let set = EffectiveSet {
            active,
            grants: grants.into_iter().map(read).collect::<Option<BTreeMap<_, _>>>()?,
            unmatched: unmatched.into_iter().map(refused).collect::<Option<BTreeMap<_, _>>>()?,
            has_labels,
        };
        let (ids, rest) = groups.as_chunks::<ID>();
        let groups = ids.iter().map(|id| GroupId::from_slice(id).ok()).collect::<Option<_>>()?;
        let name = NameTag(name.try_into().ok()?);
        rest.is_empty().then_some(Entry { user: UserId::from_slice(&user).ok()?, name, right_at, groups, set })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> CacheKey {
        CacheKey::derive(b"the secret of these tests")
    }

    fn entry(acme: &TenantId) -> Entry {
        let grant = |role: &str, context_type| Grant { role: role.into(), context_type, context_id: "7".into() };
        let labels = |labels: &[&str]| labels.iter().map(|label| Label::new(label)).collect::<BTreeSet<_>>();
        let unmatched = REASONS.iter().enumerate().map(|(n, reason)| {
            let suggestion = (n % 2 == 0).then(|| format!("near-{n}"));
            (Label::new(&format!("wrong-{n}")), Unmatched { reason: *reason, suggestion })
        });
        Entry {
            user: UserId::new(),
            name: key().name(acme, "Ann"),
            right_at: Position { epoch: Epoch::new(), revision: Revision(42) },
            groups: [GroupId::new(), GroupId::new()].into(),
            set: EffectiveSet {
                active: true,
                grants: BTreeMap::from([
                    (grant("STORE", ContextType::Agent), labels(&["AGENT_7_STORE", "agent_7_STORE"])),
                    (grant("ADMIN", ContextType::Account), labels(&["x"])),
                    (grant("ADMIN", ContextType::Retailer), labels(&["y"])),
                ]),
                unmatched: unmatched.collect(),
                has_labels: true,
            },
        }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let acme = "acme".parse().unwrap();
        let entry = entry(&acme);
        let bytes = seal(&key(), &acme, &entry);
        assert_eq!(open(&key(), &acme, entry.user, &bytes), Ok(entry.clone()));
        let empty = Entry { groups: Box::default(), set: EffectiveSet::default(), ..entry };
        assert_eq!(open(&key(), &acme, empty.user, &seal(&key(), &acme, &empty)), Ok(empty));
    }

    #[test]
    fn an_entry_of_another_user_tenant_or_key_is_none() {
        let acme = "acme".parse().unwrap();
        let entry = entry(&acme);
        let bytes = seal(&key(), &acme, &entry);
        assert_eq!(open(&key(), &acme, UserId::new(), &bytes), Err(Forged));
        assert_eq!(open(&key(), &"other".parse().unwrap(), entry.user, &bytes), Err(Forged));
        assert_eq!(open(&CacheKey::derive(b"another secret"), &acme, entry.user, &bytes), Err(Forged));
    }

    #[test]
    fn no_bit_of_an_entry_can_be_changed_and_nothing_cut_off_or_added() {
        let acme = "acme".parse().unwrap();
        let entry = entry(&acme);
        let bytes = seal(&key(), &acme, &entry);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(open(&key(), &acme, entry.user, &changed), Err(Forged), "byte {at}");
            assert_eq!(open(&key(), &acme, entry.user, &bytes[..at]), Err(Forged), "cut at {at}");
        }
        assert_eq!(open(&key(), &acme, entry.user, &[&bytes[..], b"x"].concat()), Err(Forged));
    }

    #[test]
    fn no_name_is_written_down_and_equal_names_have_one_tag() {
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        assert_eq!(key().name(&acme, "Élodie"), key().name(&acme, "e\u{301}LODIE"));
        assert_ne!(key().name(&acme, "ann"), key().name(&other, "ann"));
        let entry = Entry { name: key().name(&acme, "ann.canary"), ..entry(&acme) };
        let bytes = seal(&key(), &acme, &entry);
        assert!(!bytes.windows(6).any(|part| part == b"canary"));
    }
}
