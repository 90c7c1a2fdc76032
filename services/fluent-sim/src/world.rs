//! The account's contents: users, roles, retailers, locations, settings; and a journal that makes mutations atomic.
//!
//! Everything here is synchronous and free of I/O. What GraphQL mutations may do is in [`users`], [`roles`] and
//! [`settings`]; the plain methods of [`World`] store anything, so that tests and the control endpoint can build any
//! situation.

mod input;
mod roles;
mod settings;
mod users;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{Id, Location, Retailer, Role, Setting, User};

/// Why Fluent refuses to do something: a code and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Everything the simulated account holds.
#[derive(Debug)]
pub struct World {
    users: BTreeMap<Id, Arc<User>>,
    usernames: HashMap<String, Id>,
    roles: BTreeMap<String, Arc<Role>>,
    retailers: BTreeMap<Id, Arc<Retailer>>,
    locations: BTreeMap<Id, Arc<Location>>,
    settings: BTreeMap<Id, Arc<Setting>>,
    next_id: u64,
    changes: u64,
    journal: Vec<Before>,
}

/// What one step of a mutation replaced.
#[derive(Debug)]
enum Before {
    User(Id, Option<Arc<User>>),
    Role(String, Option<Arc<Role>>),
    Setting(Id, Option<Arc<Setting>>),
}

// === impl Refusal ===

impl Refusal {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    /// The entity to operate on is not there.
    pub(crate) fn not_found(entity: &str, key: &str, value: &str) -> Self {
        Self::new("C0120E", format!("{entity} with {key} `{value}` was not found"))
    }
}

// === impl World ===

impl World {
    pub(crate) fn new() -> Self {
        Self {
            users: BTreeMap::new(),
            usernames: HashMap::new(),
            roles: BTreeMap::new(),
            retailers: BTreeMap::new(),
            locations: BTreeMap::new(),
            settings: BTreeMap::new(),
            next_id: 10_001,
            changes: 0,
            journal: Vec::new(),
        }
    }

    // --- what is there ---

    /// The number of changes so far. It grows with every change, by mutation or by hand.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The user of exactly that name.
    #[must_use]
    pub fn user(&self, username: &str) -> Option<&Arc<User>> {
        self.user_by_id(*self.usernames.get(username)?)
    }

    /// The user of that id.
    #[must_use]
    pub fn user_by_id(&self, id: Id) -> Option<&Arc<User>> {
        self.users.get(&id)
    }

    /// All users by id.
    #[must_use]
    pub fn users(&self) -> &BTreeMap<Id, Arc<User>> {
        &self.users
    }

    /// All roles by name.
    #[must_use]
    pub fn roles(&self) -> &BTreeMap<String, Arc<Role>> {
        &self.roles
    }

    /// All retailers by id.
    #[must_use]
    pub fn retailers(&self) -> &BTreeMap<Id, Arc<Retailer>> {
        &self.retailers
    }

    /// All locations by id.
    #[must_use]
    pub fn locations(&self) -> &BTreeMap<Id, Arc<Location>> {
        &self.locations
    }

    /// All settings by id.
    #[must_use]
    pub fn settings(&self) -> &BTreeMap<Id, Arc<Setting>> {
        &self.settings
    }

    // --- putting and removing by hand ---

    /// Stores an account as it is, in place of one with the same id or, if `user.id` is zero, the same name.
    ///
    /// An account that takes over the name of another one removes that one: names are unique.
    pub fn put_user(&mut self, mut user: User) -> Arc<User> {
        if user.id == Id::default() {
            user.id = self.usernames.get(&user.username).copied().unwrap_or_default();
        }
        user.id = self.numbered(user.id);
        if let Some(&other) = self.usernames.get(&user.username)
            && other != user.id
        {
            self.set_user(other, None);
        }
        let stored = self.store_user(user);
        self.touch();
        stored
    }

    /// Removes an account, as nothing in Fluent's API can.
    pub fn remove_user(&mut self, username: &str) -> Option<Arc<User>> {
        let user = self.user(username)?.clone();
        self.set_user(user.id, None);
        self.touch();
        Some(user)
    }

    /// Stores a role in place of the one with that name.
    pub fn put_role(&mut self, mut role: Role) {
        if role.id == Id::default() {
            role.id = self.roles.get(&role.name).map(|known| known.id).unwrap_or_default();
        }
        role.id = self.numbered(role.id);
        self.roles.insert(role.name.clone(), Arc::new(role));
        self.touch();
    }

    /// Removes a role. Users keep their grants of it, by name.
    pub fn remove_role(&mut self, name: &str) -> bool {
        let removed = self.roles.remove(name).is_some();
        self.touch();
        removed
    }

    /// Stores a retailer in place of the one with that id.
    pub fn put_retailer(&mut self, mut retailer: Retailer) -> Id {
        retailer.id = self.numbered(retailer.id);
        let id = retailer.id;
        self.retailers.insert(id, Arc::new(retailer));
        self.touch();
        id
    }

    /// Removes a retailer and leaves everything that names it as it is.
    pub fn remove_retailer(&mut self, id: Id) -> bool {
        let removed = self.retailers.remove(&id).is_some();
        self.touch();
        removed
    }

    /// Stores a location in place of the one with that id.
    pub fn put_location(&mut self, mut location: Location) -> Id {
        location.id = self.numbered(location.id);
        let id = location.id;
        self.locations.insert(id, Arc::new(location));
        self.touch();
        id
    }

    /// Removes a location and leaves everything that names it as it is.
    pub fn remove_location(&mut self, id: Id) -> bool {
        let removed = self.locations.remove(&id).is_some();
        self.touch();
        removed
    }

    /// Stores a setting in place of the one with that id.
    pub fn put_setting(&mut self, mut setting: Setting) -> Id {
        setting.id = self.numbered(setting.id);
        let id = setting.id;
        self.settings.insert(id, Arc::new(setting));
        self.touch();
        id
    }

    /// Removes a setting.
    pub fn remove_setting(&mut self, id: Id) -> bool {
        let removed = self.settings.remove(&id).is_some();
        self.touch();
        removed
    }

    // --- permissions ---

    /// Whether any role of the user carries the permission.
    pub(crate) fn permits(&self, user: &User, permission: &str) -> bool {
        let roles = user.roles.iter().filter_map(|held| self.roles.get(&held.role));
        roles.flat_map(|role| &role.permissions).any(|held| held == permission)
    }

    /// Every permission that any role carries, under its name.
    pub(crate) fn permissions(&self) -> BTreeMap<String, String> {
        self.roles.values().flat_map(|role| &role.permissions).map(|name| (name.clone(), name.clone())).collect()
    }

    // --- all or nothing ---

    /// Makes everything since the last call of this or of [`Self::roll_back`] final. Returns whether there was anything.
    pub(crate) fn commit(&mut self) -> bool {
        let changed = !self.journal.is_empty();
        if changed {
            self.touch();
        }
        changed
    }

    /// Takes back everything since the last [`Self::commit`].
    pub(crate) fn roll_back(&mut self) {
        for before in std::mem::take(&mut self.journal).into_iter().rev() {
            match before {
                Before::User(id, user) => self.set_user(id, user),
                Before::Role(name, role) => set(&mut self.roles, name, role),
                Before::Setting(id, setting) => set(&mut self.settings, id, setting),
            }
        }
        self.journal.clear();
    }

    fn set_user(&mut self, id: Id, user: Option<Arc<User>>) {
        let before = if let Some(user) = user {
            self.usernames.insert(user.username.clone(), id);
            self.users.insert(id, user)
        } else {
            let gone = self.users.remove(&id);
            if let Some(gone) = &gone {
                self.usernames.remove(&gone.username);
            }
            gone
        };
        self.journal.push(Before::User(id, before));
    }

    fn store_user(&mut self, mut user: User) -> Arc<User> {
        let now = Timestamp::now();
        let known = self.users.get(&user.id);
        if let Some(known) = known
            && known.username != user.username
        {
            let old = known.username.clone();
            self.usernames.remove(&old);
        }
        if user.created_on == Timestamp::UNIX_EPOCH {
            user.created_on = now;
        }
        user.updated_on = now;
        if user.reference.is_empty() {
            user.reference.clone_from(&user.username);
        }
        let user = Arc::new(user);
        self.set_user(user.id, Some(user.clone()));
        user
    }

    fn store_role(&mut self, role: Role) -> Arc<Role> {
        let role = Arc::new(role);
        let before = self.roles.insert(role.name.clone(), role.clone());
        self.journal.push(Before::Role(role.name.clone(), before));
        role
    }

    fn store_setting(&mut self, setting: Setting) -> Arc<Setting> {
        let setting = Arc::new(setting);
        let before = self.settings.insert(setting.id, setting.clone());
        self.journal.push(Before::Setting(setting.id, before));
        setting
    }

    /// The id itself, or the next free one for zero.
    fn numbered(&mut self, id: Id) -> Id {
        let id = if id == Id::default() { Id(self.next_id) } else { id };
        self.next_id = self.next_id.max(id.0.saturating_add(1));
        id
    }

    /// One more change, which cannot be taken back.
    fn touch(&mut self) {
        self.journal.clear();
        self.changes += 1;
    }
}

fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolling_back_restores_users_names_and_roles() {
        let mut world = World::new();
        let ann = world.put_user(User { username: "ann".into(), ..User::default() });
        let changes = world.changes();

        world.store_user(User { title: Some("Dr".into()), ..(*ann).clone() });
        let id = world.numbered(Id::default());
        world.store_user(User { id, username: "bob".into(), ..User::default() });
        world.store_role(Role { name: "STORE".into(), ..Role::default() });
        world.roll_back();

        assert_eq!(world.user("ann"), Some(&ann));
        assert_eq!(world.user("bob"), None);
        assert!(world.roles().is_empty());
        assert_eq!(world.changes(), changes);
    }

    #[test]
    fn an_account_put_by_hand_keeps_names_unique() {
        let mut world = World::new();
        world.put_user(User { id: Id(7), username: "ann".into(), ..User::default() });
        world.put_user(User { id: Id(8), username: "ann".into(), ..User::default() });
        assert_eq!(world.users().keys().copied().collect::<Vec<_>>(), [Id(8)]);
        world.put_user(User { username: "bob".into(), ..User::default() });
        assert!(world.user("bob").unwrap().id > Id(8));
    }
}
