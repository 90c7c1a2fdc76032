//! A tenant as lists: what the identity provider, Fluent and the operators have said, and nothing that follows from it.

/// Everything that access depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Company {
    /// The account's name in labels; empty for none.
    pub(crate) account: String,
    /// Whether the names of groups may be labels.
    pub(crate) names_are_labels: bool,
    /// Whether Fluent's rules win over the tenant's own.
    pub(crate) fluents_win: bool,
    pub(crate) catalogue: Catalogue,
    pub(crate) own_rules: Option<Vec<Rule>>,
    pub(crate) fluents_rules: Option<Vec<Rule>>,
    pub(crate) users: Vec<User>,
    pub(crate) groups: Vec<Group>,
    /// The tenant's own table of group labels.
    pub(crate) table: Vec<(Key, Vec<String>)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalogue {
    pub(crate) roles: Vec<String>,
    /// Each with its id and its ref; the ref is empty for one that has none.
    pub(crate) retailers: Vec<(String, String)>,
    pub(crate) locations: Vec<(String, String)>,
}

/// A logical role and the Fluent roles it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) logical: String,
    pub(crate) targets: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) external_id: Option<String>,
    pub(crate) active: bool,
    pub(crate) labels: Vec<String>,
    /// Something that gives and takes no access.
    pub(crate) title: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) external_id: Option<String>,
    pub(crate) labels: Vec<String>,
    /// The ids of users and groups.
    pub(crate) members: Vec<String>,
}

/// How the table names a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    ExternalId(String),
    Id(String),
    /// Without regard to case.
    Name(String),
}

/// Whether two names are one. The names of these tests fold as letters do.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

impl Company {
    /// The one user of that externalId; of several none is meant.
    pub(crate) fn by_external_id(&self, id: &str) -> Option<&User> {
        let mut bearers = self.users.iter().filter(|user| user.external_id.as_deref() == Some(id));
        let first = bearers.next();
        if bearers.next().is_some() { None } else { first }
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| same_name(&user.name, name))
    }

    /// Every group that a user or a group is in, directly or through others.
    pub(crate) fn groups_of(&self, member: &str) -> Vec<&Group> {
        let mut found: Vec<&Group> = Vec::new();
        loop {
            let is_in = |group: &&Group| {
                let holds = |id: &str| group.members.iter().any(|member| member == id);
                holds(member) || found.iter().any(|inner| holds(&inner.id))
            };
            let more = self.groups.iter().filter(is_in).find(|group| found.iter().all(|known| known.id != group.id));
            match more {
                Some(group) => found.push(group),
                None => return found,
            }
        }
    }

    /// The labels that a group bears, its name aside: its own, and those of the first entry of the table that names it.
    pub(crate) fn stated(&self, group: &Group) -> Vec<String> {
        let entry = |is: &dyn Fn(&Key) -> bool| self.table.iter().find(|(key, _)| is(key));
        let entry = entry(&|key| matches!(key, Key::ExternalId(id) if group.external_id.as_ref() == Some(id)))
            .or_else(|| entry(&|key| matches!(key, Key::Id(id) if group.id == *id)))
            .or_else(|| entry(&|key| matches!(key, Key::Name(name) if same_name(name, &group.name))));
        group.labels.iter().chain(entry.into_iter().flat_map(|(_, labels)| labels)).cloned().collect()
    }

    /// Whether a group would come to contain itself if it got that member.
    pub(crate) fn would_circle(&self, group: &str, member: &str) -> bool {
        group == member || self.groups_of(group).iter().any(|above| above.id == member)
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> &[Rule] {
        let (first, second) = (&self.own_rules, &self.fluents_rules);
        let (first, second) = if self.fluents_win { (second, first) } else { (first, second) };
        first.as_ref().or(second.as_ref()).map_or(&[], Vec::as_slice)
    }
}
