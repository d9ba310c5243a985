//! Sorting and looking up by name, in little code: one sort for the whole crate, and tables that are sorted lists.
//!
//! Generic maps and sorts are compiled anew for every type; that alone was a third of the wasm.

use core::cmp::Ordering;
use core::hash::{BuildHasher, Hasher};

/// The indices below `length` in the order of `compare`; equal ones stay as they are. Merges runs from below: n log n
/// comparisons whatever the input, in a tenth of the code of the standard library's sort.
#[must_use]
pub fn order(length: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    let mut width = 1;
    while width < length {
        let mut merged = Vec::with_capacity(length);
        for pair in order.chunks(width.saturating_mul(2)) {
            let (mut left, mut right) = pair.split_at_checked(width).unwrap_or((pair, &[]));
            while let (Some((&first, left_rest)), Some((&second, right_rest))) =
                (left.split_first(), right.split_first())
            {
                if compare(second, first).is_lt() {
                    merged.push(second);
                    right = right_rest;
                } else {
                    merged.push(first);
                    left = left_rest;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        order = merged;
        width = width.saturating_mul(2);
    }
    order
}

/// Sorts `items`; equal ones stay as they are. What is sorted already costs one pass.
pub fn sort<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    if items.is_sorted_by(|left, right| compare(left, right).is_le()) {
        return;
    }
    let order = order(items.len(), &|left, right| match (items.get(left), items.get(right)) {
        (Some(left), Some(right)) => compare(left, right),
        _ => Ordering::Equal, // both are below the length
    });
    let mut slots: Vec<Option<T>> = items.drain(..).map(Some).collect();
    items.extend(order.into_iter().filter_map(|index| slots.get_mut(index).and_then(Option::take)));
}

/// Sorts texts bytewise and keeps one of each.
pub fn sort_texts<T: AsRef<str>>(items: &mut Vec<T>) {
    sort(items, |left, right| left.as_ref().cmp(right.as_ref()));
    items.dedup_by(|left, right| left.as_ref() == right.as_ref());
}

/// Values by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<V>(Vec<(String, V)>);

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Table<V> {
    /// A table of these; of one name twice the first is found. Tell them apart before with [`repeated`].
    #[must_use]
    pub fn new(mut entries: Vec<(String, V)>) -> Self {
        sort(&mut entries, |(left, _), (right, _)| left.cmp(right));
        Self(entries)
    }

    /// The value called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        let index = self.0.partition_point(|(own, _)| own.as_str() < name);
        self.0.get(index).filter(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Hashes keys that are random or hashes already, by their first eight bytes. Nobody outside chooses such a key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread(u64);

impl BuildHasher for Spread {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        // What is shorter is the length that stands before an array.
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The index of the first name that stood before already.
#[must_use]
pub fn repeated(names: &[&str]) -> Option<usize> {
    let name = |index: usize| names.get(index).copied().unwrap_or_default();
    let order = order(names.len(), &|left, right| name(left).cmp(name(right)));
    let pairs = order.windows(2).filter_map(|pair| match pair {
        [left, right] if name(*left) == name(*right) => Some(*right),
        _ => None,
    });
    pairs.min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_table_finds_whole_names_only() {
        let table = Table::new(vec![("b".to_owned(), 2), ("a".to_owned(), 1), ("ab".to_owned(), 3)]);
        assert_eq!(
            ["a", "ab", "b", "", "abc", "c"].map(|name| table.get(name).copied()),
            [Some(1), Some(3), Some(2), None, None, None]
        );
        assert!(!table.is_empty() && Table::<u8>::default().is_empty());
    }

    #[test]
    fn the_first_repeat_is_named() {
        assert_eq!(repeated(&["a", "b", "c"]), None);
        assert_eq!(repeated(&["b", "a", "c", "a", "b"]), Some(3));
        assert_eq!(repeated(&[]), None);
    }

    proptest! {
        #[test]
        fn sorts_as_the_standard_library_does(mut items: Vec<(u8, u8)>) {
            let mut expected = items.clone();
            expected.sort_by_key(|(key, _)| *key);
            sort(&mut items, |left, right| left.0.cmp(&right.0));
            prop_assert_eq!(items, expected);
        }

        #[test]
        fn texts_are_sorted_and_distinct(mut items: Vec<String>) {
            let expected: std::collections::BTreeSet<String> = items.iter().cloned().collect();
            sort_texts(&mut items);
            prop_assert_eq!(items, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
