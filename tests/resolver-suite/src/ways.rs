//! How a label reaches a user, found by trying every way there is.

use std::collections::{BTreeMap, BTreeSet};

use crate::company::{Company, User};
use crate::rules::Source;

/// The ways of one label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ways {
    /// Whether it is on the user itself.
    pub(crate) direct: bool,
    /// For each group the user is a member of and each that bears the label, the shortest ways between them; there may be
    /// several that are as short.
    pub(crate) through: BTreeMap<(String, String), BTreeSet<Vec<String>>>,
}

impl Company {
    pub(crate) fn ways(&self, user: &User, label: &str) -> Ways {
        let mut ways = Ways::default();
        let sources = self.labels_of(user).remove(label).unwrap_or_default();
        for source in sources {
            let Source::Group(bearer) = source else {
                ways.direct = true;
                continue;
            };
            for first in self.groups.iter().filter(|group| group.members.contains(&user.id)) {
                let mut all = Vec::new();
                self.walk(vec![first.id.clone()], &bearer, &mut all);
                if let Some(shortest) = all.iter().map(Vec::len).min() {
                    all.retain(|way| way.len() == shortest);
                    ways.through.insert((first.id.clone(), bearer.clone()), all.into_iter().collect());
                }
            }
        }
        ways
    }

    fn walk(&self, way: Vec<String>, to: &str, all: &mut Vec<Vec<String>>) {
        let Some(last) = way.last().cloned() else { return };
        if last == to {
            all.push(way);
            return;
        }
        for above in self.groups.iter().filter(|group| group.members.contains(&last) && !way.contains(&group.id)) {
            self.walk([&way[..], std::slice::from_ref(&above.id)].concat(), to, all);
        }
    }
}
