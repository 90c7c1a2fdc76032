//! The guardrail: which requests are refused because of what they say about access.
//!
//! Pure. A request is judged only by what it *adds*: [`User::judge`] and [`Group::judge`] compare what is stored with
//! what would be, and answer at once unless labels were added; [`settle`] decides about those, once it is known which of
//! them Fluent recognises. Whoever takes something away or deactivates is never refused, whatever else is asked for.

use std::collections::BTreeSet;

pub(crate) use domain::label::Label;
#[cfg(test)]
pub(crate) use domain::matching::Reason;
pub(crate) use domain::matching::Unmatched;
pub(crate) use domain::settings::Settings;
use domain::settings::{Guardrail, Rename, WithoutLabels};

/// A user's access as one document states it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whether the IdP says it is active.
    pub(crate) active: bool,
    /// The labels on the user itself.
    pub(crate) labels: BTreeSet<Label>,
    /// The `userName`.
    pub(crate) user_name: String,
}

/// A user before and after a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User<'a> {
    /// As stored; `None` for a new one.
    pub(crate) before: Option<&'a Standing>,
    /// As it would be.
    pub(crate) after: &'a Standing,
    /// Whether it has an account in Fluent.
    pub(crate) has_account: bool,
}

/// A group before and after a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group<'a> {
    /// Its labels as stored; none for a new one.
    pub(crate) before: &'a BTreeSet<Label>,
    /// Its labels as they would be.
    pub(crate) after: &'a BTreeSet<Label>,
    /// Whether someone who is a member would be none.
    pub(crate) loses_members: bool,
}

/// What to do with a request, as far as it can be said without asking what Fluent recognises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Store it.
    Accept,
    /// Refuse it.
    Refuse(Refusal),
    /// It depends on these labels: see [`settle`].
    DependsOn(Vec<Label>),
}

/// What to do with a request that adds labels and takes nothing away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// Store it.
    Accept,
    /// Refuse it.
    Refuse(Refusal),
    /// Fluent may know by now what the catalogue's copy lacks: read it again, then ask again.
    ReadAgain,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It adds labels that give nothing.
    Unmatched(Vec<(Label, Unmatched)>),
    /// It makes an active user without labels, where the tenant wants none.
    WithoutLabels,
    /// It renames a user with an account, where the tenant wants that refused.
    Rename,
}

impl User<'_> {
    /// Judges a change of a user.
    pub(crate) fn judge(self, settings: &Settings) -> Verdict {
        let Self { before, after, has_account } = self;
        // Deactivated, or left so: its labels are stored, matched or not.
        if !after.active {
            return Verdict::Accept;
        }
        let Some(before) = before else {
            return match (after.labels.is_empty(), settings.without_labels) {
                (true, WithoutLabels::Reject) => Verdict::Refuse(Refusal::WithoutLabels),
                (true, WithoutLabels::Hold) => Verdict::Accept,
                (false, _) => depends_on(after.labels.iter().cloned()),
            };
        };
        if self.takes_away() {
            return Verdict::Accept;
        }
        let renamed = domain::fold::fold(&before.user_name) != domain::fold::fold(&after.user_name);
        if renamed && has_account && settings.rename == Rename::Refuse {
            return Verdict::Refuse(Refusal::Rename);
        }
        depends_on(after.labels.difference(&before.labels).cloned())
    }

    /// Whether something is taken from the user, whatever else is asked for.
    pub(crate) fn takes_away(self) -> bool {
        let Self { before, after, has_account: _ } = self;
        before.is_some_and(|before| (before.active && !after.active) || !before.labels.is_subset(&after.labels))
    }
}

impl Group<'_> {
    /// Judges a change of a group.
    pub(crate) fn judge(self) -> Verdict {
        if self.loses_members || !self.before.is_subset(self.after) {
            return Verdict::Accept;
        }
        depends_on(self.after.difference(self.before).cloned())
    }
}

fn depends_on(added: impl Iterator<Item = Label>) -> Verdict {
    let added: Vec<_> = added.collect();
    if added.is_empty() { Verdict::Accept } else { Verdict::DependsOn(added) }
}

/// Decides about added labels, of which `unmatched` give nothing; `read_again` says whether the catalogue was read since
/// the request arrived.
pub(crate) fn settle(unmatched: Vec<(Label, Unmatched)>, guardrail: Guardrail, read_again: bool) -> Ruling {
    if unmatched.is_empty() || guardrail == Guardrail::Hold {
        return Ruling::Accept;
    }
    // One label that no read can mend is enough to refuse the request now.
    if !read_again && unmatched.iter().all(|(_, why)| why.reason.may_be_new()) {
        return Ruling::ReadAgain;
    }
    Ruling::Refuse(Refusal::Unmatched(unmatched))
}

#[cfg(test)]
mod tests;
