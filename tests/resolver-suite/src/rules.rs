//! The rules of access, read off the page one by one. Slow, and independent of the product's own code.

use std::collections::{BTreeMap, BTreeSet};

use crate::company::{Company, User};

/// A role in a context: its type in capitals, and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Grant {
    pub(crate) role: String,
    pub(crate) context_type: String,
    pub(crate) context_id: String,
}

/// What a person may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) active: bool,
    pub(crate) held: bool,
    pub(crate) has_labels: bool,
    /// Each with the labels it came from.
    pub(crate) grants: BTreeMap<Grant, BTreeSet<String>>,
    /// Each with the reasons that may be given for it. Of several readings that fail, the page does not say whose reason
    /// is told.
    pub(crate) unmatched: BTreeMap<String, BTreeSet<&'static str>>,
}

/// What a recognised label gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) grants: BTreeSet<Grant>,
    /// The logical role whose rule was applied; empty for none.
    pub(crate) rule: String,
}

/// What one reading of a label comes to.
enum Read {
    /// It can't be meant.
    Not(&'static str),
    /// It may be meant, and gives nothing.
    Blocked(&'static str),
    Gives(Meaning),
}

/// From where a label comes: the user itself, or a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Direct,
    Group(String),
}

impl Company {
    /// A user's labels: its own and those of every group it is in. The name of a group is one where the tenant says so, it
    /// resolves, and it is not for the whole account; else it is just a name.
    pub(crate) fn labels_of(&self, user: &User) -> BTreeMap<String, BTreeSet<Source>> {
        let mut labels: BTreeMap<String, BTreeSet<Source>> = BTreeMap::new();
        let mut add = |label: &String, source| labels.entry(label.clone()).or_default().insert(source);
        for label in &user.labels {
            add(label, Source::Direct);
        }
        for group in self.groups_of(&user.id) {
            for label in &self.stated(group) {
                add(label, Source::Group(group.id.clone()));
            }
            let for_the_account = group.name.to_uppercase().starts_with("ACCOUNT_");
            if self.names_are_labels && !for_the_account && self.meaning(&group.name).is_ok() {
                add(&group.name, Source::Group(group.id.clone()));
            }
        }
        labels
    }

    /// What a person may do. One who is inactive may do nothing.
    pub(crate) fn effective(&self, user: &User) -> Set {
        let labels = self.labels_of(user);
        let mut set = Set { active: user.active, has_labels: !labels.is_empty(), ..Set::default() };
        if !user.active {
            // A name is asked for its meaning where it may give something.
            set.has_labels =
                !user.labels.is_empty() || self.groups_of(&user.id).iter().any(|g| !self.stated(g).is_empty());
            return set;
        }
        for label in labels.into_keys() {
            match self.meaning(&label) {
                Ok(meaning) => {
                    for grant in meaning.grants {
                        set.grants.entry(grant).or_default().insert(label.clone());
                    }
                }
                Err(reasons) => {
                    set.unmatched.insert(label, reasons);
                }
            }
        }
        set.held = !set.has_labels || !set.unmatched.is_empty();
        set
    }

    /// What a label gives, or the reasons that may be given for that it gives nothing. Exactly one reading must be valid,
    /// and none is preferred.
    pub(crate) fn meaning(&self, label: &str) -> Result<Meaning, BTreeSet<&'static str>> {
        let parts: Vec<&str> = label.split('_').collect();
        let cuts = 2..parts.len();
        let readings = cuts.map(|cut| (parts[1..cut].join("_"), parts[cut..].join("_")));
        let readings: Vec<_> = readings.filter(|(context, role)| !context.is_empty() && !role.is_empty()).collect();
        if parts[0].is_empty() || readings.is_empty() {
            return Err(BTreeSet::from(["MALFORMED"]));
        }
        let kind = parts[0].to_uppercase();
        if !["ACCOUNT", "RETAILER", "AGENT"].contains(&kind.as_str()) {
            return Err(BTreeSet::from(["UNKNOWN_CONTEXT_TYPE"]));
        }
        let (mut not, mut blocked, mut valid) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for (context, role) in readings {
            match self.read(label, &kind, &context, &role) {
                Read::Not(reason) => drop(not.insert(reason)),
                Read::Blocked(reason) => drop(blocked.insert(reason)),
                Read::Gives(meaning) => valid.push(meaning),
            }
        }
        if valid.len() > 1 {
            blocked.insert("AMBIGUOUS");
        }
        match valid.pop() {
            _ if !blocked.is_empty() => Err(blocked),
            None => Err(not),
            Some(meaning) => Ok(meaning),
        }
    }

    fn read(&self, label: &str, kind: &str, context: &str, role: &str) -> Read {
        let named = |places: &[(String, String)]| -> BTreeSet<String> {
            let named = places.iter().filter(|(id, reference)| id == context || reference == context);
            named.map(|(id, _)| id.clone()).collect()
        };
        let ids = match kind {
            "ACCOUNT" if context == "0" || context == self.account => BTreeSet::from(["0".to_owned()]),
            "ACCOUNT" => BTreeSet::new(),
            "RETAILER" => named(&self.catalogue.retailers),
            _ => named(&self.catalogue.locations),
        };
        if ids.is_empty() {
            return Read::Not("UNKNOWN_CONTEXT");
        }
        // Where one rule stands for the role part and another for the whole label, that for the role part.
        let stands_for = |logical: &str| self.rules().iter().find(|one| one.logical == logical);
        let known = |role: &String| self.catalogue.roles.contains(role);
        let (logical, targets) = match stands_for(role).or_else(|| stands_for(label)) {
            Some(found) if !found.targets.iter().all(known) => return Read::Blocked("RULE_TARGET_UNKNOWN"),
            Some(found) => (found.logical.clone(), found.targets.clone()),
            None if !known(&role.to_owned()) => return Read::Not("UNKNOWN_ROLE"),
            None => (String::new(), vec![role.to_owned()]),
        };
        let mut ids = ids.into_iter();
        let (Some(context_id), None) = (ids.next(), ids.next()) else { return Read::Blocked("AMBIGUOUS") };
        let grant = |role| Grant { role, context_type: kind.to_owned(), context_id: context_id.clone() };
        Read::Gives(Meaning { grants: targets.into_iter().map(grant).collect(), rule: logical })
    }

    /// Who holds a grant, in order of id.
    pub(crate) fn holders(&self, grant: &Grant) -> BTreeSet<&str> {
        let holds = |user: &&User| self.effective(user).grants.contains_key(grant);
        self.users.iter().filter(holds).map(|user| user.id.as_str()).collect()
    }
}
