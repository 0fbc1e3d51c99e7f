//! Names of cells: by what tells them from the others of a report, and by nothing else.

use crate::figures::{self, NONE};
use crate::plan::Cell;

/// What tells the cells of a report from each other.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// What the sentences run along.
    axis: Setting,
    /// What else differs.
    others: Vec<Setting>,
}

/// What cells can differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Setting {
    Connections,
    Rate,
    Arrivals,
    Payload,
    Depth,
    Threads,
    Idle,
    Protocol,
    Transport,
}

impl Setting {
    /// All of them, those that are told first coming first.
    pub(in crate::report) const ALL: [Self; 9] = [
        Self::Connections,
        Self::Rate,
        Self::Arrivals,
        Self::Payload,
        Self::Depth,
        Self::Threads,
        Self::Idle,
        Self::Protocol,
        Self::Transport,
    ];

    /// Those in which cells differ. That requests of a closed loop have no arrivals is no difference but that of its rate.
    pub(in crate::report) fn varying<'a>(cells: &(impl Iterator<Item = &'a Cell> + Clone)) -> Vec<Self> {
        let varies = |setting: &Self| {
            let has = |cell: &&Cell| *setting != Self::Arrivals || cell.rate_rps.is_some();
            let mut keys = cells.clone().filter(has).map(|cell| setting.number(cell));
            keys.next().is_some_and(|first| keys.any(|other| other.total_cmp(&first).is_ne()))
        };
        Self::ALL.into_iter().filter(varies).collect()
    }

    /// Whether its values are more or less of something, so that cells stand in a row along it.
    pub(in crate::report) fn is_quantity(self) -> bool {
        !matches!(self, Self::Arrivals | Self::Protocol | Self::Transport)
    }

    /// What cells are put in order by.
    pub(in crate::report) fn number(self, cell: &Cell) -> f64 {
        match self {
            Self::Connections => cell.connections as f64,
            Self::Rate => cell.rate_rps.unwrap_or(f64::INFINITY),
            Self::Payload => cell.payload_bytes.into(),
            Self::Depth => cell.depth as f64,
            Self::Threads => cell.server_threads as f64,
            Self::Idle => cell.idle_connections as f64,
            Self::Arrivals => cell.arrivals.map_or(0.0, |arrivals| 1.0 + f64::from(arrivals as u8)),
            Self::Protocol => f64::from(cell.protocol as u8),
            Self::Transport => f64::from(cell.transport as u8),
        }
    }

    /// Its value, without saying of what: `512`, `16.0 KiB`.
    pub(in crate::report) fn value(self, cell: &Cell) -> String {
        match self {
            Self::Rate => cell.rate().unwrap_or_else(|| "a closed loop".to_owned()),
            Self::Arrivals => cell.arrivals.map_or_else(|| NONE.to_owned(), |arrivals| arrivals.to_string()),
            Self::Payload => cell.payload(),
            Self::Protocol => cell.protocol.to_string(),
            Self::Transport => cell.transport.to_string(),
            Self::Connections | Self::Depth | Self::Threads | Self::Idle => figures::grouped(self.number(cell)),
        }
    }

    /// Its value and of what: `512 connections`; nothing where the cell has none.
    fn phrase(self, cell: &Cell) -> Option<String> {
        Some(match self {
            Self::Connections => figures::counted(cell.connections, "connection"),
            Self::Rate | Self::Protocol => self.value(cell),
            Self::Arrivals if cell.rate_rps.is_none() => return None,
            Self::Arrivals if cell.arrivals.is_none() => "unknown arrivals".to_owned(),
            Self::Arrivals => format!("{} arrivals", self.value(cell)),
            Self::Transport => format!("over {}", self.value(cell)),
            Self::Payload => format!("payload {}", self.value(cell)),
            Self::Depth => format!("depth {}", self.value(cell)),
            Self::Threads => figures::counted(cell.server_threads, "server thread"),
            Self::Idle => figures::counted(cell.idle_connections, "idle connection"),
        })
    }
}

impl Places {
    /// Told apart from each other.
    pub(super) fn of<'a>(cells: &(impl Iterator<Item = &'a Cell> + Clone)) -> Self {
        let mut others = Setting::varying(cells);
        let place = others.iter().position(|setting| setting.is_quantity());
        let axis = place.map_or(Setting::Connections, |place| others.remove(place));
        Self { axis, others }
    }

    /// The cells in rows: each along the axis, and alike in everything else.
    pub(super) fn rows<T: Clone>(&self, items: &[T], cell: impl Fn(&T) -> &Cell) -> Vec<Vec<T>> {
        let mut rows: Vec<Vec<T>> = Vec::new();
        for item in items {
            let is_beside = |row: &&mut Vec<T>| {
                self.others.iter().all(|other| other.number(cell(&row[0])).total_cmp(&other.number(cell(item))).is_eq())
            };
            match rows.iter_mut().find(is_beside) {
                Some(row) => row.push(item.clone()),
                None => rows.push(vec![item.clone()]),
            }
        }
        for row in &mut rows {
            row.sort_by(|a, b| self.axis.number(cell(a)).total_cmp(&self.axis.number(cell(b))));
        }
        rows
    }

    /// `At 512 connections, payload 16.0 KiB`; of several `From 64 to 1,024 connections`.
    pub(super) fn sentence_start(&self, first: &Cell, last: &Cell) -> String {
        let along = if self.axis.number(first).total_cmp(&self.axis.number(last)).is_eq() {
            let phrase = self.axis.phrase(last).unwrap_or_default();
            if phrase == "a closed loop" { "In a closed loop".to_owned() } else { format!("At {phrase}") }
        } else {
            let unit = match self.axis {
                Setting::Connections => " connections",
                Setting::Depth => " requests in flight on each",
                Setting::Threads => " server threads",
                Setting::Idle => " idle connections",
                Setting::Rate | Setting::Payload | Setting::Arrivals | Setting::Protocol | Setting::Transport => "",
            };
            format!("From {} to {}{unit}", self.axis.value(first), self.axis.value(last))
        };
        let others = self.others.iter().filter_map(|other| other.phrase(last));
        std::iter::once(along).chain(others).collect::<Vec<_>>().join(", ")
    }

    /// `at 512`: for a reader who knows what the sentence runs along.
    pub(super) fn short(&self, cell: &Cell) -> String {
        format!("at {}", self.axis.value(cell))
    }

    /// `at 512 connections, payload 16.0 KiB`, within a sentence.
    pub(super) fn full(&self, cell: &Cell) -> String {
        let start = self.sentence_start(cell, cell);
        format!("{}{}", start[..1].to_lowercase(), &start[1..])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::plan::{self, Arrivals, SweepPlan};

    fn cells(plan: &SweepPlan) -> (Vec<Cell>, Places) {
        let cells = plan.cells();
        let places = Places::of(&cells.iter());
        (cells, places)
    }

    #[test]
    fn a_cell_is_named_by_what_tells_it_from_others() {
        let one = SweepPlan { connections: vec![1], rate_rps: vec![None], ..plan::tests::plan() };
        let (alone, places) = cells(&one);
        assert_eq!(places.sentence_start(&alone[0], &alone[0]), "At 1 connection");
        let (many, places) = cells(&SweepPlan { payload_bytes: vec![64, 16384], depth: vec![1, 16], ..one.clone() });
        assert_eq!(places.sentence_start(&many[3], &many[3]), "At payload 16.0 KiB, depth 16");
        let (loops, places) = cells(&SweepPlan { rate_rps: vec![None, Some(1e4), Some(2e4)], ..one });
        assert_eq!(places.sentence_start(&loops[0], &loops[0]), "In a closed loop");
        assert_eq!(places.sentence_start(&loops[1], &loops[2]), "From 10,000/s to 20,000/s");
    }

    #[test]
    fn no_two_cells_that_differ_are_named_alike() {
        let all = plan::tests::variations();
        let is_named = |cells: &[Cell]| {
            let (places, settings) = (Places::of(&cells.iter()), Setting::varying(&cells.iter()));
            let names: HashSet<String> = cells.iter().map(|cell| places.full(cell)).collect();
            let row = |cell| settings.iter().map(|setting| setting.value(cell)).collect::<Vec<_>>();
            let rows: HashSet<Vec<String>> = cells.iter().map(row).collect();
            assert_eq!((names.len(), rows.len()), (cells.len(), cells.len()), "{names:#?} {rows:#?}");
            for row in places.rows(cells, |cell| cell) {
                let names: HashSet<String> = row.iter().map(|cell| places.short(cell)).collect();
                assert_eq!(names.len(), row.len(), "{names:#?}");
            }
        };
        is_named(&all);
        for first in &all {
            for second in all.iter().filter(|second| *second != first) {
                is_named(&[first.clone(), second.clone()]);
            }
        }
    }

    #[test]
    fn arrivals_are_named_where_rates_are_spaced_in_two_ways() {
        let spaced = |arrivals| SweepPlan { rate_rps: vec![None, Some(1e4)], arrivals, ..plan::tests::plan() }.cells();
        let cells = [spaced(Arrivals::Constant), spaced(Arrivals::Poisson)].concat();
        let places = Places::of(&cells.iter());
        assert_eq!(places.full(&cells[2]), "at 1 connection, 10,000/s, constant arrivals");
        assert_eq!(places.full(&cells[6]), "at 1 connection, 10,000/s, poisson arrivals");
        assert_eq!(places.full(&cells[0]), "at 1 connection, a closed loop");
        let (constant, places) = (&cells[2..4], Places::of(&cells[..4].iter()));
        assert_eq!(places.full(&constant[0]), "at 1 connection, 10,000/s", "all are");
    }

    #[test]
    fn rows_run_along_one_setting() {
        let plan =
            SweepPlan { connections: vec![64, 1], depth: vec![1, 16], rate_rps: vec![None], ..plan::tests::plan() };
        let (all, places) = cells(&plan);
        let rows = places.rows(&all, |cell| cell);
        let shape: Vec<Vec<(usize, usize)>> =
            rows.iter().map(|row| row.iter().map(|cell| (cell.connections, cell.depth)).collect()).collect();
        assert_eq!(shape, [[(1, 1), (64, 1)], [(1, 16), (64, 16)]]);
        assert_eq!(places.full(&rows[1][0]), "at 1 connection, depth 16");
        assert_eq!(places.sentence_start(&rows[1][0], &rows[1][1]), "From 1 to 64 connections, depth 16");
    }
}
