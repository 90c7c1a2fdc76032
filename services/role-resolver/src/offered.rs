//! The labels to pick from: what the catalogue and the rules offer, and what is in use besides, as SCIM roles.
//!
//! What a filter says of how a label begins narrows the list down before anything of it is written out, and where it says
//! nothing else, a page is made by arithmetic. Else what is left is looked at one by one, up to a bound.

use std::sync::Arc;

use domain::catalogue::Catalogue;
use domain::id::TenantId;
use domain::label::Label;
use domain::matching::match_label;
use domain::offer::{Listing, Offer, Place, Wanted, apart};
use domain::revision::Position;
use runtime::error::{Error, Reason};
use scim::filter::{Condition, Order, Query, TextTest};
use scim::role::Role;
use scim::schema::{DRAFT_ROLE_URN, Target};
use scim::sort::{Key, Sort};

use crate::compute::{aside, catalogue_missing};
use crate::ground::{Ground, GroundVersion};
use crate::resolver::{Resolver, ground_moves};

/// The most labels that are looked at one by one.
const MOST_SCANNED: usize = 10_000;
/// The most ways for labels to begin that one filter names; one with more says nothing of how they do.
const MOST_PREFIXES: usize = 32;
/// How often labels and ground are read before giving up, should the ground change each time.
const ATTEMPTS: usize = 5;

/// Which page of which labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// What they meet; `None` for all.
    pub(crate) filter: Option<Query>,
    /// The order, and whether downwards; `None` for that of the list.
    pub(crate) sort: Option<(Sort, bool)>,
    /// Where the page begins.
    pub(crate) start: Start,
    /// The most labels wanted.
    pub(crate) count: usize,
    /// The base URL of the roles' locations.
    pub(crate) base_url: String,
    /// Whether what is on offer for locations is listed where no filter says how a label begins.
    pub(crate) all_locations: bool,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// At a position, counted from 0.
    Index(usize),
    /// Behind a place; `None` for the beginning.
    Behind(Option<Place>),
}

/// A page of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The labels, and whether each is recognised.
    pub(crate) labels: Vec<(String, bool)>,
    /// How many there are in all.
    pub(crate) total: usize,
    /// Behind which place the next page begins, if this one began behind one and there is a next.
    pub(crate) next: Option<Place>,
    /// The state of the store in which those in use were read.
    pub(crate) position: Position,
}

/// Labels in use, and the state of the store in which they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InUse {
    pub(crate) labels: Vec<Label>,
    pub(crate) position: Position,
    /// The ground in that state.
    pub(crate) ground: GroundVersion,
}

impl Resolver {
    /// A page of the labels to pick from, as they were in one state of the store.
    pub(crate) async fn offered(&self, tenant: &TenantId, asked: Asked) -> Result<Page, Error> {
        let among = asked.filter.as_ref().map_or(Among::All, among);
        let (prefixes, limit) = match &among {
            Among::All => (vec![String::new()], 0),
            // Nothing can begin in no way; the state of the store is asked for all the same.
            Among::Beginning(prefixes) => (prefixes.clone(), u32::from(prefixes.is_empty())),
            Among::Exactly(label) => (vec![label.clone()], 1),
        };
        for _ in 0..ATTEMPTS {
            let in_use = self.store.labels_in_use(tenant, &prefixes, limit).await?;
            let ground = self.grounds.at_least(&self.store, tenant, in_use.ground).await?;
            if ground.version == in_use.ground {
                return aside(move |_| page(&ground, &asked, &among, in_use)).await;
            }
        }
        Err(ground_moves())
    }
}

/// What a filter says of how labels begin: all that meet it are among these.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Among {
    /// Nothing.
    All,
    /// With one of these.
    Beginning(Vec<String>),
    /// They are this.
    Exactly(String),
}

impl Among {
    /// With one of these, if they are few enough.
    fn beginning<'a>(prefixes: impl IntoIterator<Item = &'a String>) -> Self {
        let prefixes: Vec<_> = prefixes.into_iter().cloned().collect();
        let prefixes: Vec<_> = apart(&prefixes).into_iter().map(str::to_owned).collect();
        if prefixes.len() > MOST_PREFIXES { Self::All } else { Self::Beginning(prefixes) }
    }

    /// What a label that meets both begins with.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, one) | (one, Self::All) => one,
            (Self::Exactly(label), _) | (_, Self::Exactly(label)) => Self::Exactly(label),
            (Self::Beginning(some), Self::Beginning(others)) => {
                let within = |some: &[String], others: &[String]| {
                    let begins = |prefix: &&String| others.iter().any(|other| prefix.starts_with(other));
                    some.iter().filter(begins).cloned().collect::<Vec<_>>()
                };
                Self::beginning(&[within(&some, &others), within(&others, &some)].concat())
            }
        }
    }

    /// What a label that meets either begins with.
    fn or(self, other: Self) -> Self {
        let prefixes = |one: Self| match one {
            Self::All => None,
            Self::Exactly(label) => Some(vec![label]),
            Self::Beginning(prefixes) => Some(prefixes),
        };
        match (prefixes(self), prefixes(other)) {
            (Some(some), Some(others)) => Self::beginning(some.iter().chain(&others)),
            _ => Self::All,
        }
    }
}

fn among(filter: &Query) -> Among {
    match filter {
        Query::And(terms) => terms.iter().map(among).fold(Among::All, Among::and),
        Query::Or(terms) => terms.iter().map(among).reduce(Among::or).unwrap_or(Among::All),
        Query::Compare(target, Condition::Text(how, text)) if is_label(target) && !text.folded => match how {
            TextTest::Order(Order::Eq) => Among::Exactly(text.text.clone()),
            TextTest::StartsWith => Among::Beginning(vec![text.text.clone()]),
            _ => Among::All,
        },
        _ => Among::All,
    }
}

/// Whether an attribute holds the label, as it is.
fn is_label(target: &Target) -> bool {
    let (extension, name, _) = target.key();
    match extension {
        None => ["id", "displayName"].contains(&name),
        Some(urn) => urn == DRAFT_ROLE_URN && ["value", "display"].contains(&name),
    }
}

/// Whether [`among`] says all that the filter says.
fn says_all(filter: Option<&Query>) -> bool {
    filter.is_none_or(|filter| matches!(filter, Query::Compare(..)) && among(filter) != Among::All)
}

fn page(ground: &Arc<Ground>, asked: &Asked, among: &Among, in_use: InUse) -> Result<Page, Error> {
    let InUse { labels: in_use, position, ground: _ } = in_use;
    let catalogue = ground.catalogue.as_ref().ok_or_else(catalogue_missing)?;
    let offer = Offer::new(catalogue, &ground.rules);
    let prefixes = match among {
        Among::All => vec![String::new()],
        Among::Beginning(prefixes) => prefixes.clone(),
        Among::Exactly(label) => vec![label.clone()],
    };
    let wanted = Wanted { locations: asked.all_locations || *among != Among::All, prefixes };
    let list = List { listing: Listing::new(&offer, &wanted, in_use), ground, catalogue };
    let (total, found) = match among {
        Among::Exactly(label) => list.scanned(asked, list.listing.find(&Label::new(label)).into_iter().collect()),
        _ if asked.sort.is_none() && says_all(asked.filter.as_ref()) => list.counted(asked),
        _ if list.listing.count() > MOST_SCANNED => return Err(too_many()),
        _ => list.scanned(asked, list.listing.page(0, MOST_SCANNED)),
    };
    let Found { start, places } = found;
    let more = !places.is_empty() && start + places.len() < total;
    let next = places.last().filter(|_| more && matches!(asked.start, Start::Behind(_))).cloned();
    let labels = places.iter().map(|place| (place.label().to_owned(), list.is_recognised(place))).collect();
    Ok(Page { labels, total, next, position })
}

/// A page: where it begins, and what is on it.
struct Found {
    start: usize,
    places: Vec<Place>,
}

/// All labels that can match.
struct List<'a> {
    listing: Listing<'a>,
    ground: &'a Ground,
    catalogue: &'a Catalogue,
}

impl List<'_> {
    fn is_recognised(&self, place: &Place) -> bool {
        place.is_pair() || match_label(&Label::new(place.label()), self.catalogue, &self.ground.rules).is_ok()
    }

    /// A page of the whole list, without looking at the rest; and how long the list is.
    fn counted(&self, asked: &Asked) -> (usize, Found) {
        let start = match &asked.start {
            Start::Index(start) => *start,
            Start::Behind(place) => place.as_ref().map_or(0, |place| self.listing.behind(place)),
        };
        (self.listing.count(), Found { start, places: self.listing.page(start, asked.count) })
    }

    /// The same of those among `all` that meet the filter, in the order asked for.
    fn scanned(&self, asked: &Asked, all: Vec<Place>) -> (usize, Found) {
        let role = |place: &Place| {
            Role { label: place.label(), recognised: self.is_recognised(place) }.resource(&asked.base_url)
        };
        let key = |role: &serde_json::Map<_, _>| asked.sort.map(|(sort, _)| sort.key(role));
        let in_order = |a: &Option<Key>, b: &Option<Key>| {
            if asked.sort.is_some_and(|(_, descending)| descending) { b.cmp(a) } else { a.cmp(b) }
        };
        let meeting = |(at, place)| {
            let role = role(&place);
            let meets = asked.filter.as_ref().is_none_or(|filter| filter.matches(&role));
            meets.then(|| (key(&role), at, place))
        };
        let mut matching: Vec<_> = all.into_iter().enumerate().filter_map(meeting).collect();
        // Those that are equal stay in the order of the list.
        matching.sort_by(|(a, ..), (b, ..)| in_order(a, b));
        let start = match &asked.start {
            Start::Index(start) => *start,
            Start::Behind(None) => 0,
            Start::Behind(Some(place)) => {
                let (last, behind) = (key(&role(place)), self.listing.behind(place));
                matching.partition_point(|(key, at, _)| in_order(key, &last).then(at.cmp(&behind)).is_lt())
            }
        };
        let places = matching.iter().skip(start).take(asked.count).map(|(.., place)| place.clone()).collect();
        (matching.len(), Found { start, places })
    }
}

fn too_many() -> Error {
    let message = format!(
        "more than {MOST_SCANNED} labels would have to be looked at; say with `sw` how the value begins, and sort by nothing"
    );
    Error::new(Reason::TOO_MANY, message)
}

#[cfg(test)]
mod tests {
    use scim::Mode;
    use scim::filter::Query;
    use scim::schema::ROLES;

    use super::{Among, among, says_all};

    fn read(filter: &str) -> (Among, bool) {
        let filter = Query::parse(filter, &ROLES, Mode::Lenient).unwrap();
        (among(&filter), says_all(Some(&filter)))
    }

    #[test]
    fn a_filter_says_how_labels_begin() {
        let begins = |text: &str| Among::Beginning(vec![text.to_owned()]);
        let either = |texts: &[&str]| Among::Beginning(texts.iter().map(ToString::to_string).collect());
        assert_eq!(read(r#"value sw "AGENT_""#), (begins("AGENT_"), true));
        assert_eq!(read(r#"displayName eq "A""#), (Among::Exactly("A".into()), true));
        assert_eq!(read(r#"display sw "A" and id sw "AB" and type eq "AGENT""#), (begins("AB"), false));
        assert_eq!(read(r#"value eq "A" and value sw "B""#), (Among::Exactly("A".into()), false));
        assert_eq!(read(r#"value eq "ABéD" or value sw "ABéC""#), (either(&["ABéC", "ABéD"]), false));
        assert_eq!(read(r#"value sw "AGENT_" or value sw "RETAILER_""#), (either(&["AGENT_", "RETAILER_"]), false));
        let both = r#"(value sw "A" or value sw "R") and (value sw "AB" or value sw "X")"#;
        assert_eq!(read(both), (begins("AB"), false));
        assert_eq!(read(r#"value sw "A" and value sw "B""#), (either(&[]), false));
        let many: Vec<_> = (0..33).map(|n| format!("value sw \"{n:02}\"")).collect();
        assert!(matches!(read(&many[1..].join(" or ")).0, Among::Beginning(prefixes) if prefixes.len() == 32));
        assert_eq!(read(&many.join(" or ")).0, Among::All);
        assert_eq!(read(r#"value eq "AB" or value sw "A""#), (begins("A"), false));
        for all in
            [r#"type eq "AGENT""#, r#"value co "A""#, r#"not (value sw "A")"#, r#"value sw "A" or supported eq true"#]
        {
            assert_eq!(read(all), (Among::All, false), "{all}");
        }
    }
}
