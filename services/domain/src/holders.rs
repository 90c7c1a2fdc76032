//! Who may hold a grant: what a label that gives it can look like.
//!
//! The answer is wider than the truth, never narrower: whoever holds the grant holds one of these labels. Matching then
//! decides.

use std::collections::BTreeSet;

use crate::catalogue::Catalogue;
use crate::grant::{ContextType, Grant};
use crate::rules::Rules;

/// The labels that may give a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    /// The context type.
    pub context_type: ContextType,
    /// Every text that may name the context.
    pub contexts: BTreeSet<String>,
    /// Every role part that may stand for the role: its name, and the logical roles whose rules name it.
    pub roles: BTreeSet<String>,
    /// Labels that a rule names whole.
    pub labels: BTreeSet<String>,
}

/// The labels that may give `grant`.
#[must_use]
pub fn candidates(grant: &Grant, catalogue: &Catalogue, rules: &Rules) -> Candidates {
    let Grant { role, context_type, context_id } = grant;
    let mut contexts = BTreeSet::from([context_id.to_string()]);
    let places = match context_type {
        ContextType::Account => {
            contexts.extend([catalogue.account_name()].iter().filter(|name| !name.is_empty()).map(ToString::to_string));
            Vec::new()
        }
        ContextType::Retailer => catalogue.retailers().collect(),
        ContextType::Agent => catalogue.locations().collect(),
    };
    let named = places.into_iter().filter(|place| place.id == *context_id);
    contexts.extend(named.filter_map(|place| place.reference.as_ref()).map(ToString::to_string));
    let logical: BTreeSet<String> =
        rules.iter().filter(|(_, targets)| targets.contains(role)).map(|(logical, _)| logical.to_string()).collect();
    let parts = logical.iter().cloned().chain([role.to_string()]).collect();
    Candidates { context_type: *context_type, contexts, roles: parts, labels: logical }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::candidates;
    use crate::catalogue::{Catalogue, Place};
    use crate::label::Label;
    use crate::matching::match_label;
    use crate::rules::Rules;

    proptest! {
        /// Any label that gives a grant is among the candidates for it.
        #[test]
        fn no_label_that_gives_a_grant_is_left_out(
            text in "(ACCOUNT|account|AGENT|Retailer)(_[ab0]{1,2}){1,4}",
            roles in prop::collection::btree_set("[ab0]{1,2}(_[ab0]{1,2}){0,2}", 0..8),
            places in prop::collection::btree_map("[ab0]{1,2}", "[ab0]{1,2}(_[ab0]{1,2}){0,2}", 0..6),
            rules in prop::collection::btree_map("((ACCOUNT|AGENT)_)?[ab0]{1,2}(_[ab0]{1,2}){0,2}", "[ab0]{1,2}", 0..4),
        ) {
            let place = |(id, name): (&String, &String)| Place { id: id.as_str().into(), reference: Some(name.as_str().into()) };
            let catalogue = Catalogue::new(
                "a_b", roles.iter().map(|role| Arc::from(role.as_str())), places.iter().map(place), places.iter().map(place),
            );
            let one = |(logical, target): (&String, &String)| (Arc::from(logical.as_str()), vec![Arc::from(target.as_str())]);
            let rules = Rules::new(rules.iter().map(one)).unwrap();
            let label = Label::new(&text);
            for grant in match_label(&label, &catalogue, &rules).into_iter().flatten() {
                let found = candidates(&grant, &catalogue, &rules);
                let read = label.readings().into_iter().any(|reading| {
                    reading.context_type.eq_ignore_ascii_case(found.context_type.as_str())
                        && found.contexts.contains(reading.context)
                        && found.roles.contains(reading.role)
                });
                prop_assert!(read || found.labels.contains(label.as_str()));
            }
        }
    }
}
