//! The query parameters of reads (RFC 7644 sections 3.4.2 and 3.9, RFC 9865). Unknown ones are ignored.

use scim::filter::{Filter, Reach, Scope};
use scim::list::{Page, SearchRequest, Start, descending};
use scim::project::Projection;
use scim::schema::ResourceType;
use scim::sort::Sort;
use scim::{Error, Mode};

use crate::upstream::Selection;

/// What a read asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Query(SearchRequest);

impl Query {
    /// Reads the query of a URI. Refused with 400 if a parameter is given twice or makes no sense.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut given: [(&str, Option<String>); 8] =
            ["filter", "attributes", "excludedAttributes", "sortBy", "sortOrder", "startIndex", "cursor", "count"]
                .map(|name| (name, None));
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let Some((known, slot)) = given.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) else {
                continue;
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(Error::invalid_syntax(format!("the parameter {known} is given twice")));
            }
        }
        let [filter, attributes, excluded, sort_by, sort_order, start_index, cursor, count] =
            given.map(|(_, value)| value);
        let names = |list: String| list.split(',').map(str::to_owned).collect();
        Ok(Self(SearchRequest {
            filter: filter.filter(|text| !text.trim().is_empty()),
            attributes: attributes.map(names),
            excluded_attributes: excluded.map(names),
            sort_by: sort_by.filter(|name| !name.trim().is_empty()),
            descending: sort_order.map_or(Ok(false), |order| descending(&order))?,
            page: Page::parse(start_index.as_deref(), cursor.as_deref(), count.as_deref())?,
        }))
    }

    /// What the body of a `.search` asks for.
    pub(crate) fn of_search(request: SearchRequest) -> Self {
        Self(request)
    }

    /// What of the resource is wanted; `None` for what is returned by default.
    pub(crate) fn projection(&self, kind: &'static ResourceType) -> Option<Projection> {
        let SearchRequest { attributes, excluded_attributes, .. } = &self.0;
        if attributes.is_none() && excluded_attributes.is_none() {
            return None;
        }
        let attributes = attributes.as_ref().map(|names| names.iter().map(String::as_str));
        let excluded = excluded_attributes.as_ref().map(|names| names.iter().map(String::as_str));
        Some(Projection::new(kind, attributes, excluded))
    }

    /// Whether it names no attribute at all, so that it means the same whatever attributes there are.
    pub(crate) fn names_nothing(&self) -> bool {
        let SearchRequest { filter, attributes, excluded_attributes, sort_by, .. } = &self.0;
        filter.is_none() && attributes.is_none() && excluded_attributes.is_none() && sort_by.is_none()
    }

    /// Whether the client named attributes it wants.
    pub(crate) fn names_attributes(&self) -> bool {
        self.0.attributes.is_some()
    }

    /// The most resources wanted on the page.
    pub(crate) fn count(&self) -> u32 {
        self.0.page.count
    }

    /// The same for another page.
    pub(crate) fn with_page(self, start: Start, count: u32) -> Self {
        Self(SearchRequest { page: Page { start, count }, ..self.0 })
    }

    /// What is asked of each of several types; `None` for one of which nothing can match. One that has not got the
    /// attribute to sort by is not sorted. Refused with 400 `invalidFilter`; if no type has the attribute, as
    /// [`Query::selection`] does.
    pub(crate) fn by_type<const N: usize>(
        &self,
        kinds: [&'static ResourceType; N],
        mode: Mode,
    ) -> Result<[Option<Self>; N], Error> {
        let sort_by = kinds.map(|kind| self.0.sort_by.as_deref().map(|name| Sort::parse(name, kind, mode)));
        if let Some(Some(Err(error))) = sort_by.iter().find(|sort| !matches!(sort, Some(Ok(_))))
            && !sort_by.iter().any(|sort| matches!(sort, Some(Ok(_))))
        {
            return Err(error.clone());
        }
        let filter = match &self.0.filter {
            None => None,
            Some(text) => {
                let filter = Filter::parse(text, mode)?;
                filter.check_names(&kinds, mode)?;
                Some(filter)
            }
        };
        let mut sorts = sort_by.into_iter();
        Ok(kinds.map(|kind| {
            let sorted = matches!(sorts.next(), Some(Some(Ok(_))));
            let sort_by = self.0.sort_by.clone().filter(|_| sorted);
            let with = |filter| Some(Self(SearchRequest { filter, sort_by, ..self.0.clone() }));
            match filter.as_ref().map_or(Scope::All, |filter| filter.scope(kind, mode)) {
                Scope::All => with(None),
                Scope::None => None,
                Scope::Some(filter) => with(Some(filter.to_string())),
            }
        }))
    }

    /// Where the page begins.
    pub(crate) fn start(&self) -> &Start {
        &self.0.page.start
    }

    /// The page wanted, and whether it is dear: the filter does not name few resources. Refused with 400 `invalidFilter` for a filter,
    /// `invalidValue` for an order that is none; with 403 `sensitive` for an attribute that is never returned.
    pub(crate) fn selection(
        &self,
        kind: &'static ResourceType,
        mode: Mode,
        base_url: &str,
    ) -> Result<(Selection, bool), Error> {
        let SearchRequest { filter, sort_by, descending, page, attributes: _, excluded_attributes: _ } = &self.0;
        let (filter, heavy) = match filter {
            None => (String::new(), true),
            Some(text) => {
                let filter = Filter::parse(text, mode)?;
                let few = Reach::of(&filter.resolve(kind, mode)?, kind) == Reach::Few;
                (filter.to_string(), !few)
            }
        };
        let sort = match sort_by {
            None => None,
            Some(name) => Some((Sort::parse(name, kind, mode)?.target().to_string(), *descending)),
        };
        let Page { start, count } = page.clone();
        Ok((Selection { filter, sort, start, count, base_url: base_url.to_owned() }, heavy))
    }
}

#[cfg(test)]
mod tests {
    use super::Query;
    use crate::upstream::Selection;
    use scim::Mode;
    use scim::list::Start;
    use scim::schema::USERS;

    fn wanted(query: &str) -> (Selection, bool) {
        Query::parse(query).unwrap().selection(&USERS, Mode::Lenient, "").unwrap()
    }

    fn selection(query: &str) -> (String, u64, u32, bool) {
        let (wanted, heavy) = wanted(query);
        let Start::Index(start) = wanted.start else { panic!("a position") };
        (wanted.filter, start, wanted.count, heavy)
    }

    #[test]
    fn a_filter_is_printed_canonically_and_an_exact_one_is_not_dear() {
        let of = |filter: &str| selection(&format!("filter={filter}"));
        assert_eq!(of("userName+EQ+%22a%40b%22"), ("userName eq \"a@b\"".into(), 1, 100, false));
        assert!(!of("emails%5Btype+eq+%22work%22%5D.value+eq+%22a%22").3);
        assert!(of("active+eq+true").3 && of("userName+sw+%22a%22").3 && selection("").3);
        assert!(of("displayName+eq+%22a%22").3, "many people may be called that, and no index knows them");
    }

    #[test]
    fn pages_are_brought_into_range_and_unknown_parameters_passed_over() {
        assert_eq!(selection("startIndex=0&count=-1&x=y"), (String::new(), 1, 0, true));
        assert_eq!(selection("startIndex=99999999999&count=5000").1, 99_999_999_999);
        assert_eq!(selection("count=5000").2, 1_000);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in ["count=x", "startIndex=1.5", "filter=a%3D1&filter=b", "sortOrder=up", "cursor&startIndex=1"] {
            assert_eq!(Query::parse(bad).unwrap_err().status, 400, "{bad}");
        }
        let filter = Query::parse("filter=userName+regex+%22x%22").unwrap();
        assert_eq!(filter.selection(&USERS, Mode::Lenient, "").unwrap_err().status, 400);
        let refused = |query| Query::parse(query).unwrap().selection(&USERS, Mode::Lenient, "").unwrap_err().to_json();
        assert_eq!(refused("sortBy=nothing")["scimType"], "invalidValue");
        assert_eq!(refused("sortBy=password")["status"], "403");
    }

    #[test]
    fn an_order_is_named_in_full_and_a_cursor_passed_on() {
        let (by_name, _) = wanted("sortBy=EMAILS&sortOrder=Descending&cursor=abc");
        assert_eq!(by_name.sort, Some(("emails.value".into(), true)));
        assert_eq!(by_name.start, Start::Cursor("abc".into()));
        assert_eq!(wanted("cursor").0.start, Start::Cursor(String::new()));
        assert_eq!(wanted("sortOrder=descending").0.sort, None);
    }

    #[test]
    fn without_names_there_is_no_projection() {
        assert!(Query::parse("filter=a").unwrap().projection(&USERS).is_none());
        assert!(Query::parse("attributes=userName").unwrap().projection(&USERS).is_some());
    }
}
