//! Lists: which page is asked for, and how it is answered (RFC 7644 sections 3.4.2 and 3.4.3, RFC 9865).

use serde_json::{Map, Value, json};

use crate::error::{Error, ScimType};

/// The `schemas` value of a list.
pub const LIST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The `schemas` value of a search request.
pub const SEARCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// The most resources on one page.
pub const MAX_COUNT: u32 = 1_000;
/// The resources on one page if the client does not say.
pub const DEFAULT_COUNT: u32 = 100;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it begins.
    pub start: Start,
    /// The most resources to return, at most `MAX_COUNT`; with 0 only the total is wanted.
    pub count: u32,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At a position, counted from 1 (RFC 7644 section 3.4.2.4).
    Index(u64),
    /// Where the page before ended: its `nextCursor`; empty for the first page (RFC 9865).
    Cursor(String),
}

impl Default for Page {
    fn default() -> Self {
        Self { start: Start::Index(1), count: DEFAULT_COUNT }
    }
}

impl Page {
    /// Reads the query parameters. What is too small or too large is brought into range, as the RFC says.
    ///
    /// Refused with 400: `invalidValue` for what is not a whole number, `invalidCount` where that is the size of a page
    /// read by cursor, `invalidCursor` for a position beside a cursor.
    pub fn parse(start_index: Option<&str>, cursor: Option<&str>, count: Option<&str>) -> Result<Self, Error> {
        let whole = |text: Option<&str>| match text.map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => clamped(text).map(Some).ok_or(()),
        };
        Self::new(whole(start_index), cursor.map(str::to_owned), whole(count))
    }

    fn new(
        start_index: Result<Option<i64>, ()>,
        cursor: Option<String>,
        count: Result<Option<i64>, ()>,
    ) -> Result<Self, Error> {
        let start_index = start_index.map_err(|()| Error::invalid_value("startIndex must be a whole number"))?;
        let scim_type = if cursor.is_some() { ScimType::InvalidCount } else { ScimType::InvalidValue };
        let count = count.map_err(|()| Error::bad_request(scim_type, "count must be a whole number"))?;
        let start = match (start_index, cursor) {
            (None, Some(cursor)) => Start::Cursor(cursor),
            (Some(_), Some(_)) => {
                let both = "a page begins at a startIndex or at a cursor; leave one out";
                return Err(Error::bad_request(ScimType::InvalidCursor, both));
            }
            (start, None) => Start::Index(start.map_or(1, |start| u64::try_from(start).unwrap_or(1).max(1))),
        };
        let count =
            count.map_or(DEFAULT_COUNT, |count| u32::try_from(count.max(0)).unwrap_or(MAX_COUNT).min(MAX_COUNT));
        Ok(Self { start, count })
    }
}

/// A whole number however long, brought into the range of `i64`.
fn clamped(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if negative { i64::MIN } else { i64::MAX }))
}

/// The body of a list: `resources` are those on this page, `total` all that match.
#[must_use]
pub fn response(resources: Vec<Value>, total: u64, start_index: u64) -> Value {
    let mut body = json!({
        "schemas": [LIST_URN],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": resources.len(),
    });
    body["Resources"] = resources.into();
    body
}

/// The body of a POST to `.search`: what a GET has in its query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchRequest {
    /// The filter, unread.
    pub filter: Option<String>,
    /// The attributes asked for.
    pub attributes: Option<Vec<String>>,
    /// The attributes excluded.
    pub excluded_attributes: Option<Vec<String>>,
    /// The attribute to sort by, unread.
    pub sort_by: Option<String>,
    /// Whether to sort downwards; it means nothing without an attribute.
    pub descending: bool,
    /// The page.
    pub page: Page,
}

impl SearchRequest {
    /// Reads a body. Refused with 400 `invalidValue` for a member of the wrong type, else as [`Page::parse`].
    pub fn parse(body: Map<String, Value>) -> Result<Self, Error> {
        let mut request = Self::default();
        let (mut start_index, mut cursor, mut count) = (Ok(None), None, Ok(None));
        for (name, value) in body {
            if value.is_null() {
                continue;
            }
            match name.to_ascii_lowercase().as_str() {
                "filter" => request.filter = Some(text(&name, value)?),
                "attributes" => request.attributes = Some(texts(&name, value)?),
                "excludedattributes" => request.excluded_attributes = Some(texts(&name, value)?),
                "sortby" => request.sort_by = Some(text(&name, value)?),
                "sortorder" => request.descending = descending(&text(&name, value)?)?,
                "startindex" => start_index = number(&value),
                "cursor" => cursor = Some(text(&name, value)?),
                "count" => count = number(&value),
                _ => {}
            }
        }
        request.page = Page::new(start_index, cursor, count)?;
        Ok(request)
    }
}

/// Reads a `sortOrder`: whether it is downwards. Refused with 400 `invalidValue` if it is none.
pub fn descending(order: &str) -> Result<bool, Error> {
    match order.trim() {
        "" => Ok(false),
        order if order.eq_ignore_ascii_case("ascending") => Ok(false),
        order if order.eq_ignore_ascii_case("descending") => Ok(true),
        _ => Err(Error::invalid_value("sortOrder must be ascending or descending")),
    }
}

fn text(name: &str, value: Value) -> Result<String, Error> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(Error::invalid_value(format!("{name} must be text"))),
    }
}

fn texts(name: &str, value: Value) -> Result<Vec<String>, Error> {
    match value {
        Value::Array(items) => items.into_iter().map(|item| text(name, item)).collect(),
        _ => Err(Error::invalid_value(format!("{name} must be an array of texts"))),
    }
}

fn number(value: &Value) -> Result<Option<i64>, ()> {
    let Value::Number(number) = value else { return Err(()) };
    clamped(&number.to_string()).map(Some).ok_or(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{DEFAULT_COUNT, MAX_COUNT, Page, SearchRequest, Start, response};

    fn search(body: Value) -> Result<SearchRequest, crate::Error> {
        let Value::Object(body) = body else { panic!("an object") };
        SearchRequest::parse(body)
    }

    #[test]
    fn a_page_is_brought_into_range() {
        let page = |start: &str, count: &str| match Page::parse(Some(start), None, Some(count)).unwrap() {
            Page { start: Start::Index(start), count } => (start, count),
            page => panic!("{page:?}"),
        };
        assert_eq!(page("2", "5"), (2, 5));
        assert_eq!(page("0", "0"), (1, 0));
        assert_eq!(page("-3", "-1"), (1, 0));
        assert_eq!(page("99999999999999999999999", "99999999999999999999999"), (i64::MAX.cast_unsigned(), MAX_COUNT));
        assert_eq!(page("1", "1001"), (1, MAX_COUNT));
        assert_eq!(page("", ""), (1, DEFAULT_COUNT));
        assert_eq!(Page::parse(None, None, None).unwrap(), Page::default());
        for bad in ["x", "1.5", "0x1", "--1", "-", "1e3"] {
            assert_eq!(Page::parse(Some(bad), None, None).unwrap_err().status, 400, "{bad}");
        }
    }

    #[test]
    fn a_cursor_stands_in_for_a_position() {
        let first = Page::parse(None, Some(""), Some("7")).unwrap();
        assert_eq!(first, Page { start: Start::Cursor(String::new()), count: 7 });
        let scim_type = |error: crate::Error| error.to_json()["scimType"].clone();
        assert_eq!(scim_type(Page::parse(Some("1"), Some(""), None).unwrap_err()), "invalidCursor");
        assert_eq!(scim_type(Page::parse(None, Some(""), Some("x")).unwrap_err()), "invalidCount");
        assert_eq!(scim_type(search(json!({ "cursor": "", "count": "x" })).unwrap_err()), "invalidCount");
        assert_eq!(scim_type(search(json!({ "cursor": 7 })).unwrap_err()), "invalidValue");
    }

    #[test]
    fn an_empty_list_still_has_resources() {
        let body = response(Vec::new(), 0, 1);
        assert_eq!(body["Resources"], json!([]));
        assert_eq!((&body["totalResults"], &body["itemsPerPage"]), (&json!(0), &json!(0)));
    }

    #[test]
    fn a_search_request_is_read_like_a_query() {
        let request = search(json!({"schemas": [super::SEARCH_URN], "filter": "userName pr",
            "attributes": ["userName"], "startIndex": 3, "count": 10, "sortOrder": "Descending"}))
        .unwrap();
        assert_eq!(request.filter.as_deref(), Some("userName pr"));
        assert_eq!(request.attributes, Some(vec!["userName".to_owned()]));
        assert_eq!(request.page, Page { start: Start::Index(3), count: 10 });
        assert!(request.descending);
        assert_eq!(search(json!({ "cursor": "abc" })).unwrap().page.start, Start::Cursor("abc".into()));
        assert_eq!(search(json!({ "sortOrder": "sideways" })).unwrap_err().status, 400);
    }
}
