//! The labels that Fluent's roles and places can make: a list to pick from, which nobody ever writes out.
//!
//! Every context (the account, each retailer, each location) goes with every role and logical role, so 5,000 locations and
//! 200 roles make a million labels. They are counted, and a page of them is made, by arithmetic: for each context, the
//! roles that fit a prefix are one range of a sorted list. What can be read in two ways is recognised in none, so the few
//! pairs that make such a label are found once and left out.

mod listing;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound::{Included, Unbounded};
use std::ops::Range;
use std::sync::Arc;

pub use listing::{Listing, Place, Wanted, apart};

use crate::catalogue::{self, Catalogue, Named};
use crate::grant::ContextType;
use crate::label::{LONGEST, Label, MOST_READINGS};
use crate::matching::match_label;
use crate::rules::Rules;

/// The labels that a catalogue and rules offer, each recognised.
#[derive(Debug, Default)]
pub struct Offer {
    /// In order.
    heads: Vec<Head>,
    /// What a label ends with, in order.
    roles: Vec<Arc<str>>,
    /// Labels that only a rule of that whole name makes one, in order.
    whole: Vec<Label>,
}

/// What a label begins with.
#[derive(Debug)]
struct Head {
    kind: ContextType,
    /// Context type and context, underscores included.
    text: String,
    /// The places of roles that make no recognised label with it, in order: they are few.
    without: Vec<usize>,
}

impl Head {
    /// How many of a range of roles go with it.
    fn count(&self, range: &Range<usize>) -> usize {
        let below = |end: usize| self.without.partition_point(|role| *role < end);
        range.len() - (below(range.end) - below(range.start))
    }
}

impl Offer {
    /// What the catalogue and the rules offer. A place goes by its ref where that names it alone, else by its id; one that
    /// neither names alone can't be named.
    #[must_use]
    pub fn new(catalogue: &Catalogue, rules: &Rules) -> Self {
        let known = |targets: &[Arc<str>]| targets.iter().all(|target| catalogue.role(target).is_some());
        let logical = rules.iter().filter(|(_, targets)| known(targets)).map(|(logical, _)| logical);
        let direct = catalogue.roles().filter(|role| rules.rule(role).is_none());
        let can_end = |role: &&Arc<str>| !Label::new(&format!("A_0_{role}")).readings().is_empty();
        let ends: BTreeSet<_> = logical.chain(direct).filter(can_end).cloned().collect();
        let ends: Vec<_> = ends.into_iter().collect();
        let read: BTreeSet<&str> =
            rules.iter().map(|(logical, _)| &**logical).chain(catalogue.roles().map(|role| &**role)).collect();
        let mut heads: Vec<_> =
            ContextType::ALL.into_iter().flat_map(|kind| heads(kind, catalogue, &ends, &read)).collect();
        heads.sort_unstable_by(|a, b| a.text.cmp(&b.text));
        let mut offer = Self { heads, roles: ends, whole: Vec::new() };
        for (logical, _) in rules.iter() {
            let label = Label::new(logical);
            match (match_label(&label, catalogue, rules).is_ok(), offer.find(logical)) {
                (true, None) => offer.whole.push(label),
                (false, Some((head, role))) => {
                    let without = &mut offer.heads[head].without;
                    without.insert(without.partition_point(|other| *other < role), role);
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
        offer
    }

    /// Whether a label is on offer as a context and a role, spelled as it is there; those of locations only if they are
    /// wanted.
    fn is_pair(&self, label: &Label, locations: bool) -> bool {
        let found = self.find(label.as_str());
        found.is_some_and(|(head, _)| locations || self.heads[head].kind != ContextType::Agent)
    }

    /// The pair that makes a label.
    fn find(&self, label: &str) -> Option<(usize, usize)> {
        label.match_indices('_').find_map(|(at, _)| {
            let (head, role) = label.split_at(at + 1);
            let head = self.heads.binary_search_by(|known| (*known.text).cmp(head)).ok()?;
            let role = self.roles.binary_search_by(|known| (**known).cmp(role)).ok()?;
            self.heads[head].without.binary_search(&role).is_err().then_some((head, role))
        })
    }

    /// Which roles make, with this head, labels that begin with the prefix.
    fn range(&self, head: &Head, prefix: &str) -> Range<usize> {
        if head.text.starts_with(prefix) {
            return 0..self.roles.len();
        }
        match prefix.strip_prefix(&*head.text) {
            Some(rest) => beginning(&self.roles, rest),
            None => 0..0,
        }
    }
}

/// The range of a sorted list that begins with a text.
fn beginning(sorted: &[Arc<str>], text: &str) -> Range<usize> {
    let start = sorted.partition_point(|name| **name < *text);
    start..start + sorted[start..].partition_point(|name| name.starts_with(text))
}

/// The heads of one context type. `roles` are those on offer, `read` all that a reading may end with.
fn heads(kind: ContextType, catalogue: &Catalogue, roles: &[Arc<str>], read: &BTreeSet<&str>) -> Vec<Head> {
    let name_of = |place: &catalogue::Place| {
        let alone = |name: &Arc<str>| matches!(catalogue.context(kind, name), Named::Id(_));
        let names = place.reference.iter().chain([&place.id]).find(|name| alone(name));
        names.map(ToString::to_string)
    };
    let names: BTreeSet<String> = match kind {
        ContextType::Account => BTreeSet::from(["0".to_owned()]),
        ContextType::Retailer => catalogue.retailers().filter_map(name_of).collect(),
        ContextType::Agent => catalogue.locations().filter_map(name_of).collect(),
    };
    // A head that no role makes a label with can't be read, or is too long for any.
    let can_begin = |text: &String| !Label::new(&format!("{text}x")).readings().is_empty();
    let head = |name: &String| Head { kind, text: format!("{kind}_{name}_"), without: Vec::new() };
    let mut heads: Vec<_> = names.iter().map(head).filter(|head| can_begin(&head.text)).collect();
    leave_out_the_longest(&mut heads, roles);
    leave_out_what_is_ambiguous(kind, &mut heads, catalogue, roles, read);
    heads
}

/// Leaves out what is too long for a label, or too cut up.
fn leave_out_the_longest(heads: &mut [Head], roles: &[Arc<str>]) {
    let cuts = |text: &str| text.matches('_').count();
    let longest = roles.iter().map(|role| role.len()).max().unwrap_or(0);
    let most_cuts = roles.iter().map(|role| cuts(role)).max().unwrap_or(0);
    for head in heads {
        let fits = |length: usize, more: usize| {
            head.text.len() + length <= LONGEST && cuts(&head.text) - 1 + more <= MOST_READINGS
        };
        if !fits(longest, most_cuts) {
            let long = roles.iter().enumerate().filter(|(_, role)| !fits(role.len(), cuts(role)));
            head.without = long.map(|(at, _)| at).collect();
        }
    }
}

/// Leaves out what has another reading whose context is known too, under any of its names, and that ends with a role or
/// logical role: of the two names one is the other, an underscore, and what the role then lacks or has more.
fn leave_out_what_is_ambiguous(
    kind: ContextType,
    heads: &mut [Head],
    catalogue: &Catalogue,
    roles: &[Arc<str>],
    read: &BTreeSet<&str>,
) {
    let zero = (kind == ContextType::Account).then_some("0");
    let known: HashSet<&str> = catalogue.context_names(kind).chain(zero).filter(|name| !name.is_empty()).collect();
    let at: HashMap<String, usize> = heads.iter().enumerate().map(|(at, head)| (head.text.clone(), at)).collect();
    let mut found = Vec::new();
    let head_of = |name: &str| at.get(&format!("{kind}_{name}_")).copied();
    for long in &known {
        for (cut, _) in long.match_indices('_') {
            let (short, rest) = (&long[..cut], &long[cut + 1..]);
            if !known.contains(short) {
                continue;
            }
            let rest = format!("{rest}_");
            // `short` and all the rest, or `long` and what of the role comes after it.
            for whole in read.range::<str, _>((Included(&*rest), Unbounded)).take_while(|role| role.starts_with(&rest))
            {
                let end = &whole[rest.len()..];
                if end.is_empty() || !read.contains(end) {
                    continue;
                }
                let role = |name: &str| roles.binary_search_by(|known| (**known).cmp(name)).ok();
                found.extend(head_of(short).zip(role(whole)));
                found.extend(head_of(long).zip(role(end)));
            }
        }
    }
    for (head, role) in found {
        heads[head].without.push(role);
    }
    for head in heads {
        head.without.sort_unstable();
        head.without.dedup();
    }
}

#[cfg(test)]
mod tests;
