//! The labels that begin in one of some ways, as one list: those on offer, in order of context and role, then those in use that
//! are not, in order. Only what is wanted of it is ever written out.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Head, Offer};
use crate::grant::ContextType;
use crate::label::Label;

/// Which labels are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What they begin with: any of these, so that an empty text stands for all labels and no text for none.
    pub prefixes: Vec<String>,
    /// Whether what is on offer for locations is among them.
    pub locations: bool,
}

/// Where in a list a label stands, so that the list can be taken up behind it, whatever has changed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    label: String,
    /// How much of it is context type and context; 0 for one that is only in use.
    head: u16,
}

impl Place {
    /// The label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether it is on offer as a context and a role, and so recognised; of others nothing is known.
    #[must_use]
    pub fn is_pair(&self) -> bool {
        self.head > 0
    }

    /// As bytes, for [`Place::from_bytes`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.head.to_be_bytes(), self.label.as_bytes()].concat()
    }

    /// The place that was written; `None` for bytes that are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, label) = bytes.split_first_chunk::<2>()?;
        let (head, label) = (u16::from_be_bytes(*head), std::str::from_utf8(label).ok()?);
        label.is_char_boundary(head.into()).then(|| Self { label: label.to_owned(), head })
    }
}

/// A list of labels.
#[derive(Debug)]
pub struct Listing<'a> {
    offer: &'a Offer,
    runs: Vec<Run<'a>>,
    others: Vec<Label>,
}

/// Labels of one head that are listed, their roles in a row.
#[derive(Debug)]
struct Run<'a> {
    head: &'a Head,
    roles: Range<usize>,
    count: usize,
}

impl<'a> Listing<'a> {
    /// The list of what `offer` and `in_use` hold.
    #[must_use]
    pub fn new(offer: &'a Offer, wanted: &Wanted, in_use: impl IntoIterator<Item = Label>) -> Self {
        let Wanted { prefixes, locations } = wanted;
        let prefixes = apart(prefixes);
        let listed = |head: &&Head| *locations || head.kind != ContextType::Agent;
        // In order, and none of them twice: where the prefixes are in order, so are the roles that they leave.
        let runs_of = |head: &'a Head| {
            let run = |prefix: &&str| {
                let roles = offer.range(head, prefix);
                let count = head.count(&roles);
                (count > 0).then_some(Run { head, roles, count })
            };
            prefixes.iter().filter_map(run).collect::<Vec<_>>()
        };
        let runs = offer.heads.iter().filter(listed).flat_map(runs_of).collect();
        let begins = |label: &Label| prefixes.iter().any(|prefix| label.as_str().starts_with(prefix));
        let is_other = |label: &Label| begins(label) && !offer.is_pair(label, *locations);
        let others: BTreeSet<_> = in_use.into_iter().chain(offer.whole.iter().cloned()).filter(is_other).collect();
        Self { offer, runs, others: others.into_iter().collect() }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.runs.iter().map(|run| run.count).sum::<usize>() + self.others.len()
    }

    /// Those from `start` on, counted from 0, at most `count`; each with its place.
    #[must_use]
    pub fn page(&self, start: usize, count: usize) -> Vec<Place> {
        let mut page = Vec::new();
        let mut skip = start;
        for run in &self.runs {
            if skip >= run.count || page.len() == count {
                skip -= skip.min(run.count);
                continue;
            }
            let roles = run.roles.clone().filter(|role| run.head.without.binary_search(role).is_err());
            let head = &run.head.text;
            let place = |role: usize| Place {
                label: format!("{head}{}", self.offer.roles[role]),
                head: u16::try_from(head.len()).unwrap_or(0),
            };
            page.extend(roles.skip(skip).take(count - page.len()).map(place));
            skip = 0;
        }
        let others = self.others.iter().skip(skip).take(count - page.len());
        page.extend(others.map(|label| Place { label: label.as_str().to_owned(), head: 0 }));
        page
    }

    /// The place of this very label, if it is listed.
    #[must_use]
    pub fn find(&self, label: &Label) -> Option<Place> {
        let place = |head: usize| Place { label: label.as_str().to_owned(), head: u16::try_from(head).unwrap_or(0) };
        if self.others.binary_search(label).is_ok() {
            return Some(place(0));
        }
        let (head, role) = self.offer.find(label.as_str())?;
        let head = &self.offer.heads[head];
        let listed = self.runs.iter().any(|run| run.head.text == head.text && run.roles.contains(&role));
        listed.then(|| place(head.text.len()))
    }

    /// Where the list goes on behind a place, counted from 0.
    #[must_use]
    pub fn behind(&self, place: &Place) -> usize {
        let (head, role) = place.label.split_at(place.head.into());
        if head.is_empty() {
            let offered = self.count() - self.others.len();
            return offered + self.others.partition_point(|label| label.as_str() <= role);
        }
        let until = self.runs.partition_point(|run| *run.head.text < *head);
        let before: usize = self.runs[..until].iter().map(|run| run.count).sum();
        let end = self.offer.roles.partition_point(|known| **known <= *role);
        let of_head = self.runs[until..].iter().take_while(|run| run.head.text == head);
        let until_there = |run: &Run<'_>| run.head.count(&(run.roles.start..end.clamp(run.roles.start, run.roles.end)));
        before + of_head.map(until_there).sum::<usize>()
    }
}

/// The prefixes in order, without those that begin with another: whatever begins with one of these begins with one of those
/// that are left, and with no other.
#[must_use]
pub fn apart(prefixes: &[String]) -> Vec<&str> {
    let mut apart: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    apart.sort_unstable();
    // Whatever begins with a text comes behind it in order, before anything else.
    apart.dedup_by(|later, earlier| later.starts_with(&**earlier));
    apart
}
