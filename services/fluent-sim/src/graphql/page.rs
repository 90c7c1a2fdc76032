//! Connections: pages of edges between opaque cursors.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Bound;
use std::str::FromStr;

use apollo_compiler::response::{JsonMap, JsonValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::objects::Thing;
use crate::behaviour::Behaviour;
use crate::world::Refusal;

/// The page size when a query names none.
pub(super) const DEFAULT_SIZE: usize = 10;

/// The largest page; a larger wish is cut down to it.
pub(super) const LARGEST: i64 = 5_000;

/// One page of a connection.
#[derive(Debug)]
pub(super) struct Page {
    /// The type of the nodes, such as `User`.
    pub(super) node_type: &'static str,
    pub(super) edges: Vec<(String, Thing)>,
    pub(super) has_previous: bool,
    pub(super) has_next: bool,
}

/// The page of `items` which the arguments ask for, among those that become a node.
pub(super) fn page<K, V>(
    node_type: &'static str,
    items: &BTreeMap<K, V>,
    arguments: &JsonMap,
    behaviour: &Behaviour,
    node: impl Fn(&K, &V) -> Option<Thing>,
) -> Result<Page, Refusal>
where
    K: Ord + Clone + Display + FromStr,
{
    let bound = |name| match arguments.get(name).and_then(|value| value.as_str()) {
        None => Ok(None),
        Some(cursor) => read_cursor(node_type, cursor).map(Some).ok_or_else(|| {
            Refusal::new(&behaviour.invalid_input_code, format!("`{name}` is not a cursor of this connection"))
        }),
    };
    let size = |name| -> Result<Option<usize>, Refusal> {
        match arguments.get(name).and_then(JsonValue::as_i64) {
            None => Ok(None),
            Some(size @ 1..) => Ok(usize::try_from(size.min(LARGEST)).ok()),
            Some(_) => {
                Err(Refusal::new(&behaviour.invalid_input_code, format!("`{name}` must be from 1 to {LARGEST}")))
            }
        }
    };
    let (after, before): (Option<K>, Option<K>) = (bound("after")?, bound("before")?);
    let (first, last) = (size("first")?, size("last")?);
    let (is_after, is_before) = (after.is_some(), before.is_some());
    let range = match (after, before) {
        (Some(after), Some(before)) if after >= before => {
            return Ok(Page { node_type, edges: Vec::new(), has_previous: true, has_next: true });
        }
        (after, before) => {
            (after.map_or(Bound::Unbounded, Bound::Excluded), before.map_or(Bound::Unbounded, Bound::Excluded))
        }
    };
    let found = items.range(range).filter_map(|(key, value)| Some((cursor(node_type, key), node(key, value)?)));
    let (has_previous, has_next, edges) = match (first, last) {
        (None, Some(last)) => {
            let mut edges: Vec<_> = found.rev().take(last + 1).collect();
            let more = edges.len() > last;
            edges.truncate(last);
            edges.reverse();
            (more, is_before, edges)
        }
        (first, _) => {
            let first = first.unwrap_or(DEFAULT_SIZE);
            let mut edges: Vec<_> = found.take(first + 1).collect();
            let more = edges.len() > first;
            edges.truncate(first);
            (is_after, more, edges)
        }
    };
    Ok(Page { node_type, edges, has_previous, has_next })
}

fn cursor(node_type: &str, key: &impl Display) -> String {
    URL_SAFE_NO_PAD.encode(format!("{node_type}:{key}"))
}

fn read_cursor<K: FromStr>(node_type: &str, cursor: &str) -> Option<K> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.strip_prefix(node_type)?.strip_prefix(':')?.parse().ok()
}
