//! Lists: which page is asked for, and how it is answered (RFC 7644 sections 3.4.2 and 3.4.3).

use serde_json::{Map, Value, json};

use crate::error::Error;

/// The `schemas` value of a list.
pub const LIST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The `schemas` value of a search request.
pub const SEARCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// The most resources on one page.
pub const MAX_COUNT: u32 = 1_000;
/// The resources on one page if the client does not say.
pub const DEFAULT_COUNT: u32 = 100;

/// A part of a list by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The position of the first resource, counted from 1.
    pub start_index: u64,
    /// The most resources to return, at most `MAX_COUNT`; with 0 only the total is wanted.
    pub count: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { start_index: 1, count: DEFAULT_COUNT }
    }
}

impl Page {
    /// Reads the query parameters. What is too small or too large is brought into range, as the RFC says; what is not
    /// a whole number is refused with 400 `invalidValue`.
    pub fn parse(start_index: Option<&str>, count: Option<&str>) -> Result<Self, Error> {
        let whole = |name: &str, text: Option<&str>| match text.map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => {
                clamped(text).map(Some).ok_or_else(|| Error::invalid_value(format!("{name} must be a whole number")))
            }
        };
        Ok(Self::new(whole("startIndex", start_index)?, whole("count", count)?))
    }

    fn new(start_index: Option<i64>, count: Option<i64>) -> Self {
        Self {
            start_index: start_index.map_or(1, |start| u64::try_from(start).unwrap_or(1).max(1)),
            count: count.map_or(DEFAULT_COUNT, |count| u32::try_from(count.max(0)).unwrap_or(MAX_COUNT).min(MAX_COUNT)),
        }
    }

    /// How many resources to skip.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.start_index.saturating_sub(1)
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
    /// The attribute to sort by.
    pub sort_by: Option<String>,
    /// Whether to sort downwards.
    pub descending: bool,
    /// The page.
    pub page: Page,
}

impl SearchRequest {
    /// Reads a body. Refused with 400 `invalidValue` for a member of the wrong type.
    pub fn parse(body: Map<String, Value>) -> Result<Self, Error> {
        let mut request = Self::default();
        let (mut start_index, mut count) = (None, None);
        for (name, value) in body {
            if value.is_null() {
                continue;
            }
            match name.to_ascii_lowercase().as_str() {
                "filter" => request.filter = Some(text(&name, value)?),
                "attributes" => request.attributes = Some(texts(&name, value)?),
                "excludedattributes" => request.excluded_attributes = Some(texts(&name, value)?),
                "sortby" => request.sort_by = Some(text(&name, value)?),
                "sortorder" => request.descending = text(&name, value)?.eq_ignore_ascii_case("descending"),
                "startindex" => start_index = Some(number(&name, &value)?),
                "count" => count = Some(number(&name, &value)?),
                _ => {}
            }
        }
        request.page = Page::new(start_index, count);
        Ok(request)
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

fn number(name: &str, value: &Value) -> Result<i64, Error> {
    let read = match value {
        Value::Number(number) => clamped(&number.to_string()),
        _ => None,
    };
    read.ok_or_else(|| Error::invalid_value(format!("{name} must be a whole number")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{DEFAULT_COUNT, MAX_COUNT, Page, SearchRequest, response};

    #[test]
    fn a_page_is_brought_into_range() {
        let page = |start: &str, count: &str| {
            let page = Page::parse(Some(start), Some(count)).unwrap();
            (page.start_index, page.count)
        };
        assert_eq!(page("2", "5"), (2, 5));
        assert_eq!(page("0", "0"), (1, 0));
        assert_eq!(page("-3", "-1"), (1, 0));
        assert_eq!(page("99999999999999999999999", "99999999999999999999999"), (i64::MAX.cast_unsigned(), MAX_COUNT));
        assert_eq!(page("1", "1001"), (1, MAX_COUNT));
        assert_eq!(page("", ""), (1, DEFAULT_COUNT));
        assert_eq!(Page::parse(None, None).unwrap(), Page::default());
        for bad in ["x", "1.5", "0x1", "--1", "-", "1e3"] {
            assert_eq!(Page::parse(Some(bad), None).unwrap_err().status, 400, "{bad}");
        }
    }

    #[test]
    fn an_empty_list_still_has_resources() {
        let body = response(Vec::new(), 0, 1);
        assert_eq!(body["Resources"], json!([]));
        assert_eq!((&body["totalResults"], &body["itemsPerPage"]), (&json!(0), &json!(0)));
    }

    #[test]
    fn a_search_request_is_read_like_a_query() {
        let Value::Object(body) = json!({"schemas": [super::SEARCH_URN], "filter": "userName pr",
            "attributes": ["userName"], "startIndex": 3, "count": 10, "sortOrder": "descending"})
        else {
            panic!("an object")
        };
        let request = SearchRequest::parse(body).unwrap();
        assert_eq!(request.filter.as_deref(), Some("userName pr"));
        assert_eq!(request.attributes, Some(vec!["userName".to_owned()]));
        assert_eq!(request.page, Page { start_index: 3, count: 10 });
        assert!(request.descending);
    }
}
