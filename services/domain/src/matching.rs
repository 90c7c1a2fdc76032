//! From a label to grants: the first half of the rules of access.
//!
//! A label is matched when exactly one of its readings is wholly recognised. Nothing is guessed: what two readings
//! could mean is [`Reason::Ambiguous`], what no reading means is refused with the reason that helps most.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::catalogue::{Catalogue, Named};
use crate::grant::{ContextType, Grant};
use crate::label::{Label, Reading};
use crate::rules::Rules;

/// Why a label gives no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It is not of the form type, context, role.
    Malformed,
    /// The text before the first underscore is no context type.
    UnknownContextType,
    /// No reading names a retailer, location or account that Fluent knows.
    UnknownContext,
    /// A reading's context is known, but its role part is neither a rule's logical role nor a role of Fluent's.
    UnknownRole,
    /// A rule stands for it, but one of the rule's target roles is unknown to Fluent.
    RuleTargetUnknown,
    /// More than one reading is valid, or a context names more than one item.
    Ambiguous,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Malformed,
        Self::UnknownContextType,
        Self::UnknownContext,
        Self::UnknownRole,
        Self::RuleTargetUnknown,
        Self::Ambiguous,
    ];

    /// Whether a label that is unmatched for this reason names something that Fluent may have got since it was last read.
    #[must_use]
    pub fn may_be_new(self) -> bool {
        match self {
            Self::UnknownContext | Self::UnknownRole | Self::RuleTargetUnknown => true,
            Self::Malformed | Self::UnknownContextType | Self::Ambiguous => false,
        }
    }

    /// The name callers see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "MALFORMED",
            Self::UnknownContextType => "UNKNOWN_CONTEXT_TYPE",
            Self::UnknownContext => "UNKNOWN_CONTEXT",
            Self::UnknownRole => "UNKNOWN_ROLE",
            Self::RuleTargetUnknown => "RULE_TARGET_UNKNOWN",
            Self::Ambiguous => "AMBIGUOUS",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A label that gives nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// Why.
    pub reason: Reason,
    /// A label that would have been recognised and is written almost the same.
    pub suggestion: Option<String>,
}

/// The most labels that [`describe`] names.
const MOST_NAMED: usize = 100;

/// Unmatched labels for a message to people: each with its reason and suggestion.
#[must_use]
pub fn describe(unmatched: &[(Label, Unmatched)]) -> String {
    let named = unmatched.iter().take(MOST_NAMED).map(|(label, why)| {
        let suggestion = why.suggestion.as_deref().map(Label::new);
        let suggestion = suggestion.map(|near| format!(", did you mean {}?", near.for_people()));
        format!("{} ({}{})", label.for_people(), why.reason, suggestion.unwrap_or_default())
    });
    let named = named.collect::<Vec<_>>().join("; ");
    let more = unmatched.len().saturating_sub(MOST_NAMED);
    if more > 0 { format!("{named}; and {more} more") } else { named }
}

/// The grants a label gives: one for a role's own name, several for a rule.
pub type Matched = BTreeSet<Grant>;

/// How many of the unmatched labels of one answer get a suggestion, whomever the answer is about: looking for one compares
/// the label with the whole catalogue, and where there are many wrong labels there is one mistake many times.
pub const SUGGESTED: usize = 32;

/// How many of a label's readings a suggestion is looked for. Real labels have one or two.
const READINGS_SUGGESTED: usize = 4;

impl Unmatched {
    /// The reason alone.
    #[must_use]
    pub fn because(reason: Reason) -> Self {
        Self { reason, suggestion: None }
    }

    /// The reason, and the nearest label that would be recognised, where one is near.
    #[must_use]
    pub fn explained(reason: Reason, label: &Label, catalogue: &Catalogue, rules: &Rules) -> Self {
        Self { reason, suggestion: suggest(reason, label, catalogue, rules) }
    }
}

/// Matches the labels of one answer, and looks for suggestions for the first [`SUGGESTED`] of them that give nothing. A
/// label that several people hold is one.
#[derive(Debug)]
pub struct Matching<'a> {
    catalogue: &'a Catalogue,
    rules: &'a Rules,
    suggested: HashMap<Label, Option<String>>,
    /// Whether a label got no suggestion because too many others had.
    short: bool,
}

impl<'a> Matching<'a> {
    /// Nothing suggested yet.
    #[must_use]
    pub fn new(catalogue: &'a Catalogue, rules: &'a Rules) -> Self {
        Self { catalogue, rules, suggested: HashMap::new(), short: false }
    }

    /// What a label gives: see [`match_label`].
    pub fn of(&self, label: &Label) -> Result<Matched, Reason> {
        match_label(label, self.catalogue, self.rules)
    }

    /// Why a label gives nothing, with a suggestion if there may be one more.
    pub fn why(&mut self, label: &Label, reason: Reason) -> Unmatched {
        if !is_of_a_name(reason) {
            return Unmatched::because(reason);
        }
        if let Some(suggestion) = self.suggested.get(label) {
            return Unmatched { reason, suggestion: suggestion.clone() };
        }
        if self.suggested.len() >= SUGGESTED {
            self.short = true;
            return Unmatched::because(reason);
        }
        let why = Unmatched::explained(reason, label, self.catalogue, self.rules);
        self.suggested.insert(label.clone(), why.suggestion.clone());
        why
    }

    /// Whether no suggestion was looked for yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.suggested.is_empty()
    }

    /// Whether, since this was last asked, a label got no suggestion because too many others had.
    pub fn ran_short(&mut self) -> bool {
        std::mem::take(&mut self.short)
    }

    /// Those of some labels that give nothing, in their order, each with why.
    pub fn unmatched(&mut self, labels: impl IntoIterator<Item = Label>) -> Vec<(Label, Unmatched)> {
        let refused = |label: Label| {
            let reason = self.of(&label).err()?;
            let why = self.why(&label, reason);
            Some((label, why))
        };
        labels.into_iter().filter_map(refused).collect()
    }
}

/// What a matched label means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What it gives.
    pub grants: Matched,
    /// The logical role whose rule stands between the label and its grants; `None` where the label names a Fluent role.
    pub rule: Option<Arc<str>>,
}

/// Matches `label` against what Fluent recognises and the tenant's rules.
pub fn match_label(label: &Label, catalogue: &Catalogue, rules: &Rules) -> Result<Matched, Reason> {
    meaning(label, catalogue, rules).map(|meaning| meaning.grants)
}

/// The same, with the rule that was applied.
pub fn meaning(label: &Label, catalogue: &Catalogue, rules: &Rules) -> Result<Meaning, Reason> {
    let readings = label.readings();
    let first = readings.first().ok_or(Reason::Malformed)?;
    let kind = ContextType::from_str(first.context_type).map_err(|_| Reason::UnknownContextType)?;

    let mut valid = Vec::new();
    let mut worst = None;
    for reading in &readings {
        match read(label, kind, reading, catalogue, rules) {
            Ok(meaning) => valid.push(meaning),
            Err(reason) => worst = worst.max(Some(reason)),
        }
    }
    match (valid.len(), worst) {
        // A second meaning that can't be excluded takes away the first: an ambiguous context with a known role, or a
        // rule whose targets Fluent doesn't know (yet).
        (_, Some(reason @ (Reason::Ambiguous | Reason::RuleTargetUnknown))) => Err(reason),
        (1, _) => Ok(valid.swap_remove(0)),
        (0, reason) => Err(reason.unwrap_or(Reason::Malformed)),
        _ => Err(Reason::Ambiguous),
    }
}

/// What one reading gives. The order of the reasons is the order in which they help: see [`Reason`]'s variants.
fn read(
    label: &Label,
    kind: ContextType,
    reading: &Reading<'_>,
    catalogue: &Catalogue,
    rules: &Rules,
) -> Result<Meaning, Reason> {
    let context = catalogue.context(kind, reading.context);
    if context == Named::Unknown {
        return Err(Reason::UnknownContext);
    }
    let (rule, given) = match rules.rule(reading.role).or_else(|| rules.rule(label.as_str())) {
        Some((logical, targets)) => {
            let known = targets.iter().map(|target| catalogue.role(target).ok_or(Reason::RuleTargetUnknown));
            (Some(Arc::clone(logical)), known.collect::<Result<Vec<_>, _>>()?)
        }
        None => (None, vec![catalogue.role(reading.role).ok_or(Reason::UnknownRole)?]),
    };
    let Named::Id(context_id) = context else { return Err(Reason::Ambiguous) };
    let grant = |role| Grant { role, context_type: kind, context_id: Arc::clone(&context_id) };
    Ok(Meaning { grants: given.into_iter().map(grant).collect(), rule })
}

/// Whether a name was not found: only then is another looked for, for of two meanings none is nearer.
fn is_of_a_name(reason: Reason) -> bool {
    matches!(reason, Reason::UnknownContextType | Reason::UnknownContext | Reason::UnknownRole)
}

/// The nearest recognised label, where one is near.
fn suggest(reason: Reason, label: &Label, catalogue: &Catalogue, rules: &Rules) -> Option<String> {
    if !is_of_a_name(reason) {
        return None;
    }
    let names = || catalogue.roles().chain(rules.iter().map(|(logical, _)| logical)).map(|name| &**name);
    label.readings().iter().take(READINGS_SUGGESTED).find_map(|reading| {
        let kind = nearest(reading.context_type, ContextType::ALL.into_iter().map(ContextType::as_str))?;
        let contexts = catalogue.context_names(ContextType::from_str(kind).ok()?);
        let context = nearest(reading.context, contexts.chain((kind == "ACCOUNT").then_some("0")))?;
        let role = nearest(reading.role, names())?;
        let near = format!("{kind}_{context}_{role}");
        match_label(&Label::new(&near), catalogue, rules).is_ok().then_some(near)
    })
}

/// The name nearest to `wanted`: the same, or the same but for case, or within a third of its length in edits.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = wanted.to_ascii_uppercase();
    let allowed = (wanted.chars().count() / 3).clamp(1, 4);
    names
        .filter(|name| name.len().abs_diff(wanted.len()) <= allowed)
        .map(|name| (strsim::levenshtein(&folded, &name.to_ascii_uppercase()), name != wanted, name))
        .filter(|(distance, ..)| *distance <= allowed)
        .min()
        .map(|(.., name)| name)
}

#[cfg(test)]
mod tests;
