//! Cells that say the same, together.

use super::place::Places;
use crate::figures;
use crate::plan::Cell;

/// Something said of a cell.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) cell: Cell,
    pub(super) what: T,
}

/// Cells that say the same, and where they are.
#[derive(Clone, Debug)]
pub(super) struct Told<T> {
    /// `From 64 to 1,024 connections`, `In 6 of 15 cells`.
    pub(super) start: String,
    /// Whether the cells stand in a row, so that one of them is told from the others by what they run along.
    pub(super) in_a_row: bool,
    pub(super) cells: Vec<Located<T>>,
}

/// Neighbours that say the same, as long as these are no more than `most` stretches; beyond that all that say the same,
/// wherever they are.
pub(super) fn told<T: Clone, K: PartialEq>(
    items: &[Located<T>],
    places: &Places,
    most: usize,
    key: impl Fn(&T) -> Option<K>,
) -> Vec<Told<T>> {
    let stretches = neighbours(items, places, &key);
    let groups = alike(items, &key);
    let is_one = stretches.len() > 1 && groups[0].len() == items.len();
    if stretches.len() > most || is_one {
        let start = |group: &Vec<Located<T>>| {
            if let [only] = group.as_slice() {
                return places.sentence_start(&only.cell, &only.cell);
            }
            let of = if group.len() == items.len() { "all".to_owned() } else { format!("{} of", group.len()) };
            format!("In {of} {}", figures::counted(items.len(), "cell"))
        };
        return groups.into_iter().map(|cells| Told { start: start(&cells), in_a_row: false, cells }).collect();
    }
    let start = |stretch: &Vec<Located<T>>| places.sentence_start(&stretch[0].cell, &stretch[stretch.len() - 1].cell);
    stretches.into_iter().map(|cells| Told { start: start(&cells), in_a_row: true, cells }).collect()
}

/// Neighbours that say the same, in the order of their places.
fn neighbours<T: Clone, K: PartialEq>(
    items: &[Located<T>],
    places: &Places,
    key: &impl Fn(&T) -> Option<K>,
) -> Vec<Vec<Located<T>>> {
    let mut stretches = Vec::new();
    for row in places.rows(items, |item| &item.cell) {
        let together = row.chunk_by(|a, b| key(&a.what) == key(&b.what));
        stretches.extend(together.filter(|stretch| key(&stretch[0].what).is_some()).map(<[_]>::to_vec));
    }
    stretches
}

/// All that say the same, wherever they are; those that most cells say come first.
fn alike<T: Clone, K: PartialEq>(items: &[Located<T>], key: &impl Fn(&T) -> Option<K>) -> Vec<Vec<Located<T>>> {
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
