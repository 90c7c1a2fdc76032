//! A filter over resources of several types (RFC 7644 section 3.4.2.1): what it asks of one of them. A condition on an
//! attribute that a type does not have is met by no resource of that type.

use super::Filter;
use crate::error::{Error, quoted};
use crate::leniency::Mode;
use crate::path::{AttrPath, Locator};
use crate::schema::ResourceType;

/// What a filter asks of the resources of one type.
#[derive(Clone, Debug, PartialEq)]
pub enum Scope {
    /// Nothing: all of them meet it.
    All,
    /// What none of them can meet.
    None,
    /// This.
    Some(Filter),
}

impl Filter {
    /// What is asked of resources of `kind`.
    #[must_use]
    pub fn scope(&self, kind: &ResourceType, mode: Mode) -> Scope {
        match self {
            Self::And(terms) => {
                let mut kept = Vec::new();
                for term in terms {
                    match term.scope(kind, mode) {
                        Scope::All => {}
                        Scope::None => return Scope::None,
                        Scope::Some(term) => kept.push(term),
                    }
                }
                kept.into_iter().reduce(Self::and).map_or(Scope::All, Scope::Some)
            }
            Self::Or(terms) => {
                let mut kept = Vec::new();
                for term in terms {
                    match term.scope(kind, mode) {
                        Scope::All => return Scope::All,
                        Scope::None => {}
                        Scope::Some(term) => kept.push(term),
                    }
                }
                kept.into_iter().reduce(Self::or).map_or(Scope::None, Scope::Some)
            }
            Self::Not(inner) => match inner.scope(kind, mode) {
                Scope::All => Scope::None,
                Scope::None => Scope::All,
                Scope::Some(inner) => Scope::Some(Self::Not(Box::new(inner))),
            },
            Self::Present(path) | Self::Compare(path, _) | Self::Element(path, _) => {
                if is_known(path, kind, mode) {
                    Scope::Some(self.clone())
                } else {
                    Scope::None
                }
            }
        }
    }

    /// Refuses with 400 `invalidFilter` an attribute that none of the types has.
    pub fn check_names(&self, kinds: &[&ResourceType], mode: Mode) -> Result<(), Error> {
        match self {
            Self::And(terms) | Self::Or(terms) => terms.iter().try_for_each(|term| term.check_names(kinds, mode)),
            Self::Not(inner) => inner.check_names(kinds, mode),
            Self::Present(path) | Self::Compare(path, _) | Self::Element(path, _) => {
                if kinds.iter().any(|kind| is_known(path, kind, mode)) {
                    return Ok(());
                }
                Err(Error::invalid_filter(format!("there is no attribute {}", quoted(&path.to_string()))))
            }
        }
    }
}

fn is_known(path: &AttrPath, kind: &ResourceType, mode: Mode) -> bool {
    Locator::find(path, kind, mode).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Filter, Scope};
    use crate::filter::Expr;
    use crate::leniency::Mode;
    use crate::schema::{GROUPS, ResourceType, USERS};

    fn scope(text: &str, kind: &ResourceType) -> String {
        match Filter::parse(text, Mode::Lenient).unwrap().scope(kind, Mode::Lenient) {
            Scope::All => "all".to_owned(),
            Scope::None => "none".to_owned(),
            Scope::Some(filter) => filter.to_string(),
        }
    }

    #[test]
    fn a_condition_on_what_a_type_lacks_is_met_by_none_of_it() {
        for (text, users, groups) in [
            ("userName eq \"a\"", "userName eq \"a\"", "none"),
            ("displayName eq \"a\"", "displayName eq \"a\"", "displayName eq \"a\""),
            (
                "userName eq \"a\" or displayName eq \"b\"",
                "userName eq \"a\" or displayName eq \"b\"",
                "displayName eq \"b\"",
            ),
            ("userName pr and id pr", "userName pr and id pr", "none"),
            ("not (userName pr)", "not (userName pr)", "all"),
            ("not (members pr) and displayName pr", "displayName pr", "not (members pr) and displayName pr"),
            ("emails[type eq \"work\"] or not (emails pr)", "emails[type eq \"work\"] or not (emails pr)", "all"),
        ] {
            assert_eq!((scope(text, &USERS).as_str(), scope(text, &GROUPS).as_str()), (users, groups), "{text}");
        }
    }

    #[test]
    fn what_no_type_has_is_refused() {
        let check = |text: &str| {
            let filter: Filter = Expr::Not(Box::new(Filter::parse(text, Mode::Lenient).unwrap()));
            filter.check_names(&[&USERS, &GROUPS], Mode::Lenient)
        };
        assert!(check("userName pr or members pr").is_ok());
        assert_eq!(check("userName pr or nonsense pr").unwrap_err().status, 400);
    }
}
