//! The catalogue: what Fluent recognises, in the copy Rolecall keeps of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::grant::ContextType;

/// A retailer or a location as Fluent lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Fluent's numeric id, as text.
    pub id: Arc<str>,
    /// The name people use. Retailers always have one; a location may have none.
    pub reference: Option<Arc<str>>,
}

/// Fluent's role names, retailers and locations, as of one complete read.
///
/// Two catalogues with the same content are equal, whenever they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    account_name: Arc<str>,
    roles: BTreeSet<Arc<str>>,
    retailers: Directory,
    locations: Directory,
}

/// What a context's text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// Nothing.
    Unknown,
    /// Exactly one item: its id.
    Id(Arc<str>),
    /// More than one: an id and a ref, or two refs, of different items.
    Ambiguous,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Directory {
    places: BTreeSet<Place>,
    /// Every id and every ref, with the ids of the items it names.
    names: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

impl Directory {
    fn new(places: impl IntoIterator<Item = Place>) -> Self {
        let mut directory = Self::default();
        for place in places {
            directory.names.entry(Arc::clone(&place.id)).or_default().insert(Arc::clone(&place.id));
            if let Some(reference) = &place.reference {
                directory.names.entry(Arc::clone(reference)).or_default().insert(Arc::clone(&place.id));
            }
            directory.places.insert(place);
        }
        directory
    }

    fn find(&self, name: &str) -> Named {
        match self.names.get(name) {
            None => Named::Unknown,
            Some(ids) if ids.len() > 1 => Named::Ambiguous,
            Some(ids) => ids.first().map_or(Named::Unknown, |id| Named::Id(Arc::clone(id))),
        }
    }
}

impl Catalogue {
    /// A catalogue of what one complete read found. `account_name` is the account's name as configured; labels may use
    /// it, or `0`, for the account's context.
    #[must_use]
    pub fn new(
        account_name: &str,
        roles: impl IntoIterator<Item = Arc<str>>,
        retailers: impl IntoIterator<Item = Place>,
        locations: impl IntoIterator<Item = Place>,
    ) -> Self {
        Self {
            account_name: account_name.into(),
            roles: roles.into_iter().collect(),
            retailers: Directory::new(retailers),
            locations: Directory::new(locations),
        }
    }

    /// The account's name, as configured.
    #[must_use]
    pub fn account_name(&self) -> &str {
        &self.account_name
    }

    /// The role's name as the catalogue holds it, if it does. Names are exact.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<Arc<str>> {
        self.roles.get(name).cloned()
    }

    /// What `name` names among the contexts of `kind`. Ids and refs are exact.
    #[must_use]
    pub fn context(&self, kind: ContextType, name: &str) -> Named {
        match kind {
            ContextType::Account if name == "0" || (!name.is_empty() && name == &*self.account_name) => {
                Named::Id("0".into())
            }
            ContextType::Account => Named::Unknown,
            ContextType::Retailer => self.retailers.find(name),
            ContextType::Agent => self.locations.find(name),
        }
    }

    /// Every role name, in order.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<str>> {
        self.roles.iter()
    }

    /// Every retailer, in order of id.
    pub fn retailers(&self) -> impl Iterator<Item = &Place> {
        self.retailers.places.iter()
    }

    /// Every location, in order of id.
    pub fn locations(&self) -> impl Iterator<Item = &Place> {
        self.locations.places.iter()
    }

    /// Every text that names a context of `kind`, for suggestions.
    pub fn context_names(&self, kind: ContextType) -> impl Iterator<Item = &str> {
        let directory = match kind {
            ContextType::Account => None,
            ContextType::Retailer => Some(&self.retailers),
            ContextType::Agent => Some(&self.locations),
        };
        let account = (kind == ContextType::Account).then_some(&*self.account_name);
        account.into_iter().chain(directory.into_iter().flat_map(|d| d.names.keys().map(|name| &**name)))
    }
}
