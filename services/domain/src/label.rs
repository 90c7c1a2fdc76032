//! Labels: the strings an IdP assigns, and every way one can be read.
//!
//! A label is `[CONTEXT_TYPE]_[CONTEXT_ID]_[ROLE or LOGICAL_ROLE]`. The type ends at the first underscore. Refs and
//! role names hold underscores themselves, so every later underscore may be the one that ends the context: a label has
//! as many [`Reading`]s as it has underscores after the first. Which of them is meant is decided in [`crate::matching`],
//! against what Fluent recognises.

use std::fmt;
use std::sync::Arc;

use crate::grant::ContextType;

/// A label as the IdP sent it, byte for byte. It may be anything; only matching says what it means.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(Arc<str>);

impl Label {
    /// Wraps a text. Any text is a label; most are unmatched.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, as sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The label for a message to people: at most 100 characters, control and invisible ones escaped.
    #[must_use]
    pub fn for_people(&self) -> String {
        let mut shown = String::new();
        for (count, c) in self.0.chars().enumerate() {
            if count == 100 {
                shown.push('…');
                break;
            }
            if c.is_control() || is_invisible(c) {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(c);
            }
        }
        shown
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Format characters that render as nothing or turn the text around: they could make one label look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// One way to read a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reading<'a> {
    /// The text before the first underscore.
    pub context_type: &'a str,
    /// The text between the first underscore and a later one: an id or a ref.
    pub context: &'a str,
    /// The rest: a Fluent role's name, or a logical role.
    pub role: &'a str,
}

/// The longest label that can mean anything, in bytes: a context type, a ref (Fluent's limit is 100) and a role name
/// (255), with room to spare.
pub const LONGEST: usize = 400;

/// The most readings a label may have. A real label has one or two.
pub const MOST_READINGS: usize = 32;

impl Label {
    /// Every way to read the label, shortest context first; none if the label is malformed, too long, holds control or
    /// invisible characters, or has more underscores than any real name.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading<'_>> {
        let text = self.as_str();
        if text.len() > LONGEST || text.chars().any(|c| c.is_control() || is_invisible(c)) {
            return Vec::new();
        }
        let Some((context_type, rest)) = text.split_once('_') else { return Vec::new() };
        if context_type.is_empty() || rest.matches('_').count() > MOST_READINGS {
            return Vec::new();
        }
        rest.match_indices('_')
            .map(|(end, _)| Reading { context_type, context: &rest[..end], role: &rest[end + 1..] })
            .filter(|reading| !reading.context.is_empty() && !reading.role.is_empty())
            .collect()
    }
}

impl Label {
    /// Whether both are read alike: they differ in nothing but the case of their context type. Only a rule that is named
    /// after the whole of one tells them apart.
    #[must_use]
    pub fn reads_like(&self, other: &Self) -> bool {
        let parts = |label: &'_ Self| -> Option<(ContextType, String)> {
            let (kind, rest) = label.as_str().split_once('_')?;
            Some((kind.parse().ok()?, rest.to_owned()))
        };
        self == other || parts(self).is_some_and(|parts_of_this| parts(other) == Some(parts_of_this))
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Label, MOST_READINGS, Reading};
    use proptest::prelude::*;

    fn readings(text: &str) -> Vec<(String, String, String)> {
        Label::new(text)
            .readings()
            .into_iter()
            .map(|Reading { context_type, context, role }| (context_type.into(), context.into(), role.into()))
            .collect()
    }

    #[test]
    fn only_the_case_of_the_context_type_does_not_matter() {
        let alike = |a: &str, b: &str| Label::new(a).reads_like(&Label::new(b));
        assert!(alike("AGENT_1_STORE", "agent_1_STORE") && alike("plain", "plain"));
        assert!(!alike("AGENT_1_STORE", "AGENT_1_store") && !alike("AGENT_A_STORE", "AGENT_a_STORE"));
        assert!(!alike("AGENT_1_STORE", "RETAILER_1_STORE") && !alike("TEAM_1_STORE", "team_1_STORE"));
        assert!(!alike("AGENT_1_STORE", "plain") && !alike("plain", "Plain"));
    }

    #[test]
    fn every_later_underscore_may_end_the_context() {
        assert_eq!(readings("AGENT_1023434_STORE"), [("AGENT".into(), "1023434".into(), "STORE".into())]);
        assert_eq!(
            readings("Agent_5000299_SYD_STORE"),
            [
                ("Agent".into(), "5000299".into(), "SYD_STORE".into()),
                ("Agent".into(), "5000299_SYD".into(), "STORE".into())
            ]
        );
    }

    #[test]
    fn a_label_with_a_missing_part_has_no_reading() {
        for text in ["", "_", "AGENT", "AGENT_1", "AGENT_1_", "_1_STORE", "RETAILER__", "a_\u{200B}_b", "A_1_B\n"] {
            assert!(readings(text).is_empty(), "{text:?}");
        }
        // The empty context is no context, but a later underscore may still end one.
        assert_eq!(readings("RETAILER__X_Y"), [("RETAILER".into(), "_X".into(), "Y".into())]);
    }

    #[test]
    fn what_is_too_long_or_too_cut_up_has_no_reading() {
        assert!(readings(&format!("AGENT_1_{}", "R".repeat(LONGEST))).is_empty());
        assert!(readings(&"A_".repeat(MOST_READINGS + 2)).is_empty());
    }

    #[test]
    fn people_see_what_hides() {
        assert_eq!(Label::new("A\u{202E}B\r\n").for_people(), "A\\u{202e}B\\u{d}\\u{a}");
        assert_eq!(Label::new(&"x".repeat(300)).for_people().chars().count(), 101);
    }

    /// The rule written plainly: cut the text at the first underscore, then at each later one.
    fn oracle(text: &str) -> Vec<(String, String, String)> {
        let parts: Vec<&str> = text.split('_').collect();
        let mut all = Vec::new();
        for cut in 2..parts.len() {
            let (context, role) = (parts[1..cut].join("_"), parts[cut..].join("_"));
            if !parts[0].is_empty() && !context.is_empty() && !role.is_empty() {
                all.push((parts[0].into(), context, role));
            }
        }
        all
    }

    proptest! {
        #[test]
        fn readings_are_the_oracles(text in "[A-Za-z0-9_-]{0,40}") {
            prop_assert_eq!(readings(&text), oracle(&text));
        }

        #[test]
        fn any_text_is_read_without_fault_and_within_bounds(text in any::<String>()) {
            let label = Label::new(&text);
            prop_assert!(label.readings().len() <= MOST_READINGS);
            for reading in label.readings() {
                prop_assert_eq!(format!("{}_{}_{}", reading.context_type, reading.context, reading.role), text.clone());
            }
            prop_assert!(label.for_people().chars().all(|c| !c.is_control()));
        }
    }
}
