//! Cells that say the same, together.

use super::place::Places;
use crate::plan::Cell;

/// Something said of a cell.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) cell: Cell,
    pub(super) what: T,
}

/// Neighbours that say the same, in the order of their places.
pub(super) fn neighbours<T: Clone, K: PartialEq>(
    items: &[Located<T>],
    places: &Places,
    key: impl Fn(&T) -> Option<K>,
) -> Vec<Vec<Located<T>>> {
    let mut stretches = Vec::new();
    for row in places.rows(items, |item| &item.cell) {
        let together = row.chunk_by(|a, b| key(&a.what) == key(&b.what));
        stretches.extend(together.filter(|stretch| key(&stretch[0].what).is_some()).map(<[_]>::to_vec));
    }
    stretches
}

/// All that say the same, wherever they are; those that most cells say come first.
pub(super) fn alike<T: Clone, K: PartialEq>(
    items: &[Located<T>],
    key: impl Fn(&T) -> Option<K>,
) -> Vec<Vec<Located<T>>> {
    let mut groups: Vec<Vec<Located<T>>> = Vec::new();
    for item in items.iter().filter(|item| key(&item.what).is_some()) {
        match groups.iter_mut().find(|group| key(&group[0].what) == key(&item.what)) {
            Some(group) => group.push(item.clone()),
            None => groups.push(vec![item.clone()]),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
}
