//! The one case fold of the product.
//!
//! SCIM compares `userName`, group `displayName` and e-mail addresses without regard to case (RFC 7643 section 2.2,
//! RFC 7644 section 7.8). Databases fold differently from one another and from Rust, so none of them is asked to:
//! a value is folded here once, when it is stored or looked up, and compared as bytes everywhere.

use unicode_normalization::UnicodeNormalization as _;

/// Folds `text` for comparison: canonical decomposition, full Unicode case folding, canonical composition.
///
/// Two texts that differ only in case or in composition fold to the same bytes, on every engine.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let folded = caseless::default_case_fold_str(&text.nfd().collect::<String>());
    folded.nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn case_and_composition_do_not_matter() {
        assert_eq!(fold("Élodie"), fold("e\u{301}LODIE"));
        assert_eq!(fold("STRASSE"), fold("straße"));
        assert_eq!(fold("ẞ"), fold("ß"));
        assert_eq!(fold("\u{212A}elvin"), fold("kelvin"), "the Kelvin sign is a k");
        assert_eq!(fold("\u{130}"), fold("i\u{307}"), "a dotted capital I is an i with a dot");
    }

    #[test]
    fn different_letters_stay_different() {
        assert_ne!(fold("e"), fold("é"));
        assert_ne!(fold("ı"), fold("i"), "a dotless i is a letter of its own");
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for text in ["Ünï", "ΌΣΟΣ", "Kelvin", "ﬁ", "plain"] {
            assert_eq!(fold(&fold(text)), fold(text));
        }
    }
}
