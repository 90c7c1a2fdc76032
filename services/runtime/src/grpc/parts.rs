//! Lists of any length as messages that every client takes.

use prost::Message;

/// About how much one message of a stream may hold, in bytes: clients that are not told otherwise take 4 MiB.
const PART_BYTES: usize = 1 << 20;

/// The items in order, in as many parts as it takes for each to travel in a message; at least one. An item that is too much
/// by itself travels alone.
pub fn in_parts<T: Message>(items: impl IntoIterator<Item = T>) -> Vec<Vec<T>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for item in items {
        let size = item.encoded_len();
        if bytes + size > PART_BYTES && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += size;
        part.push(item);
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::{PART_BYTES, in_parts};

    #[test]
    fn every_item_travels_once_and_in_order_and_no_part_is_larger_than_it_must_be() {
        let text = |kilobytes: usize| "x".repeat(kilobytes << 10);
        let items = [1, 600, 500, 3_000, 2, 2].map(text);
        let parts = in_parts(items.clone());
        assert_eq!(parts.concat(), items);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1, 2]);
        assert!(parts.iter().all(|part| part.len() == 1 || part.concat().len() <= PART_BYTES));
        assert_eq!(in_parts(Vec::<String>::new()), [Vec::<String>::new()]);
    }
}
