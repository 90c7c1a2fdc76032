//! Lists: which part is wanted, in which order, and a place in one.

use scim::sort::Key;

/// Which part of a list, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// A SCIM filter; empty for all.
    pub filter: String,
    /// The order; `None` for that of ids.
    pub sort: Option<SortBy>,
    /// Where the page begins.
    pub start: Start,
    /// The most results wanted.
    pub count: u32,
    /// The URL below which clients find resources, without a trailing slash.
    pub base_url: String,
}

/// An order of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortBy {
    /// The attribute, as a filter names it.
    pub attribute: String,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At a position, counted from 1; 0 means 1 (RFC 7644 section 3.4.2.4).
    Index(u32),
    /// After a place; at the beginning without one.
    After(Option<Spot>),
}

/// A place in an ordered list: that of a resource which stood there, whether it still does or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// What decided where it stood; `None` in a list in order of ids.
    pub key: Option<Key>,
    /// The resource's id.
    pub id: [u8; 16],
}

impl Spot {
    /// As bytes, for [`Spot::from_bytes`]: the id, then what decided.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.id.to_vec();
        match &self.key {
            None => {}
            Some(Key::Number(number)) => {
                bytes.push(b'n');
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            Some(Key::Text(text)) => {
                bytes.push(b't');
                bytes.extend_from_slice(text.as_bytes());
            }
            Some(Key::Missing) => bytes.push(b'-'),
        }
        bytes
    }

    /// The place that was written; `None` for bytes that are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, key) = bytes.split_first_chunk()?;
        let key = match key {
            [] => None,
            [b'n', number @ ..] => Some(Key::Number(i64::from_be_bytes(number.try_into().ok()?))),
            [b't', text @ ..] => Some(Key::Text(std::str::from_utf8(text).ok()?.to_owned())),
            [b'-'] => Some(Key::Missing),
            _ => return None,
        };
        Some(Self { key, id: *id })
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many there are in all, where that is known.
    pub total: Option<u64>,
    /// Where the next page begins, if there is one and the list is read by place.
    pub next: Option<Spot>,
}

#[cfg(test)]
mod tests {
    use super::Spot;
    use scim::sort::Key;

    #[test]
    fn a_place_reads_back_as_written() {
        for key in [None, Some(Key::Number(-7)), Some(Key::Text("ü\0".into())), Some(Key::Missing)] {
            let written = Spot { key, id: [7; 16] };
            assert_eq!(Spot::from_bytes(&written.to_bytes()), Some(written));
        }
        for junk in [&b""[..], &[0; 15], &[0; 17], &[b'n'; 20]] {
            assert_eq!(Spot::from_bytes(junk), None);
        }
    }
}
