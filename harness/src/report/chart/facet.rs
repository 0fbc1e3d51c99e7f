//! Which cells belong into one chart: those that differ in nothing but what is on its x axis.

use std::collections::{HashMap, HashSet};

use super::gathered::Shown;
use super::{Axis, Scale, Unit};
use crate::figures;
use crate::plan::{Cell, CellKey};

/// Names of files have room for no more.
const LONGEST_ID: usize = 100;

/// What is on the x axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    Connections,
    Idle,
    Rate,
}

/// The cells of one chart.
#[derive(Clone)]
pub(super) struct Facet<'g> {
    /// What they have in common; 0 on the x axis.
    pub(super) common: Cell,
    pub(super) cells: Vec<Shown<'g>>,
}

impl Along {
    const ALL: [Self; 3] = [Self::Connections, Self::Idle, Self::Rate];

    /// None for a closed loop along rates.
    pub(super) fn x(self, cell: &Cell) -> Option<f64> {
        match self {
            Self::Connections => Some(cell.connections as f64),
            Self::Idle => Some(cell.idle_connections as f64),
            Self::Rate => cell.rate_rps,
        }
    }

    fn without(self, cell: &Cell) -> Cell {
        let mut common = cell.clone();
        match self {
            Self::Connections => common.connections = 0,
            Self::Idle => common.idle_connections = 0,
            Self::Rate => common.rate_rps = Some(0.0),
        }
        common
    }

    /// Ends the kind of a chart along it.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Connections => "",
            Self::Idle => "-idle",
            Self::Rate => "-rate",
        }
    }

    /// What it is called in a title.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Idle => "idle connections",
            Self::Rate => "offered load",
        }
    }

    /// Where the cell lies along it, for people.
    pub(super) fn place(self, cell: &Cell) -> String {
        let grouped = |number: usize| figures::grouped(number as f64);
        match self {
            Self::Connections => grouped(cell.connections),
            Self::Idle => grouped(cell.idle_connections),
            Self::Rate => format!("{}/s", figures::grouped(cell.rate_rps.unwrap_or(0.0))),
        }
    }

    pub(super) fn axis(self, cells: &[Shown<'_>]) -> Axis {
        let (label, unit) = match self {
            Self::Connections => ("connections", Unit::Count),
            Self::Idle => ("idle connections", Unit::Count),
            Self::Rate => ("offered load", Unit::PerSecond),
        };
        let places: Vec<f64> = cells.iter().filter_map(|shown| self.x(&shown.cell.cell)).collect();
        Axis { label: label.to_owned(), unit, scale: spread_over(&places) }
    }
}

/// Logarithmic where values span more than a factor of 8.
pub(super) fn spread_over(values: &[f64]) -> Scale {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    if least > 0.0 && most > 8.0 * least { Scale::Log } else { Scale::Linear }
}

/// All charts along one axis. Those in which nothing varies are left out, unless their only cell would then be in no chart at
/// all.
pub(super) fn facets<'g>(shown: &[Shown<'g>], along: Along) -> Vec<Facet<'g>> {
    let own = grouped(shown, along);
    let others = Along::ALL.into_iter().filter(|other| *other != along);
    let varying: Vec<(Along, HashSet<CellKey>)> = others
        .map(|other| {
            let facets = grouped(shown, other).into_iter().filter(|facet| facet.cells.len() > 1);
            (other, facets.map(|facet| facet.common.key()).collect())
        })
        .collect();
    let is_elsewhere = |cell: &Cell| {
        let is_in = |(other, commons): &(Along, HashSet<CellKey>)| {
            other.x(cell).is_some() && commons.contains(&other.without(cell).key())
        };
        varying.iter().any(is_in)
    };
    let is_usual = |cell: &Cell| along == if cell.rate_rps.is_some() { Along::Rate } else { Along::Connections };
    let is_kept = |facet: &Facet<'_>| match facet.cells.as_slice() {
        [only] => is_usual(&only.cell.cell) && !is_elsewhere(&only.cell.cell),
        _ => true,
    };
    own.into_iter().filter(is_kept).collect()
}

/// By what they have in common, in the order in which they come.
fn grouped<'g>(shown: &[Shown<'g>], along: Along) -> Vec<Facet<'g>> {
    let mut facets: Vec<Facet<'g>> = Vec::new();
    let mut places: HashMap<CellKey, usize> = HashMap::new();
    for &one in shown.iter().filter(|one| along.x(&one.cell.cell).is_some()) {
        let common = along.without(&one.cell.cell);
        let place = *places.entry(common.key()).or_insert_with(|| {
            facets.push(Facet { common, cells: Vec::new() });
            facets.len() - 1
        });
        facets[place].cells.push(one);
    }
    facets
}

/// What the cells of a facet have in common, in words.
pub(super) fn words(common: &Cell, along: Along) -> String {
    let mut words = Vec::new();
    let idle = figures::counted(common.idle_connections, "idle connection");
    match along {
        Along::Connections if common.idle_connections > 0 => words.push(format!("beside {idle}")),
        Along::Connections => {}
        Along::Idle => words.push(figures::counted(common.connections, "connection")),
        Along::Rate => words.push(common.open_connections()),
    }
    words.push(format!("payload {}", common.payload()));
    words.push(format!("depth {}", common.depth));
    words.push(match (along, common.arrivals) {
        (Along::Rate, Some(arrivals)) => format!("{arrivals} arrivals"),
        (Along::Rate, None) => "open loop".to_owned(),
        _ => common.spacing(),
    });
    words.push(figures::counted(common.server_threads, "server thread"));
    words.push(format!("{} over {}", common.protocol, common.transport));
    words.join(" · ")
}

/// One id for each chart of a kind, which says what the cells of this one differ from those of the others in.
pub(super) fn ids(kind: &str, cells: &[&Cell]) -> Vec<String> {
    let parts: Vec<Vec<String>> = cells.iter().map(|cell| parts(cell)).collect();
    // What all of them have is left out.
    let differing: Vec<usize> = match parts.first() {
        Some(first) => (0..first.len()).filter(|&place| parts.iter().any(|own| own[place] != first[place])).collect(),
        None => Vec::new(),
    };
    let mut taken = HashSet::new();
    let unique = |own: &Vec<String>| {
        let words = differing.iter().map(|&place| own[place].as_str()).filter(|word| !word.is_empty());
        let mut id = [kind].into_iter().chain(words).collect::<Vec<_>>().join("-");
        id.truncate(LONGEST_ID);
        let plain = id.clone();
        for count in 2.. {
            if taken.insert(id.clone()) {
                break;
            }
            id = format!("{plain}-{count}");
        }
        id
    };
    parts.iter().map(unique).collect()
}

/// What a cell is, each in a word of lower case letters and digits.
fn parts(cell: &Cell) -> Vec<String> {
    let payload = match cell.payload_bytes {
        bytes if bytes > 0 && bytes % (1 << 20) == 0 => format!("{}mib", bytes >> 20),
        bytes if bytes > 0 && bytes % (1 << 10) == 0 => format!("{}kib", bytes >> 10),
        bytes => format!("{bytes}b"),
    };
    let parts = [
        cell.protocol.to_string(),
        cell.transport.to_string(),
        format!("{}conns", cell.connections),
        format!("{}idle", cell.idle_connections),
        payload,
        format!("depth{}", cell.depth),
        cell.rate_rps.map_or_else(|| "closed".to_owned(), |rate_rps| format!("{rate_rps}rps")),
        cell.arrivals.map_or_else(String::new, |arrivals| arrivals.to_string()),
        format!("{}threads", cell.server_threads),
    ];
    let plain = |text: String| -> String {
        text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
    };
    parts.into_iter().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::variations;

    #[test]
    fn charts_of_cells_that_differ_beside_their_axis_are_called_otherwise() {
        for along in Along::ALL {
            let cells = variations().into_iter().filter(|cell| along.x(cell).is_some());
            let commons: Vec<Cell> = cells.map(|cell| along.without(&cell)).collect();
            let keys: HashSet<CellKey> = commons.iter().map(Cell::key).collect();
            let called: HashSet<String> = commons.iter().map(|common| words(common, along)).collect();
            let parted: HashSet<Vec<String>> = commons.iter().map(parts).collect();
            assert_eq!((called.len(), parted.len()), (keys.len(), keys.len()), "{called:#?}");
        }
    }
}
