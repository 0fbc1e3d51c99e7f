//! Which line is whose: names beside the ends of the lines, or a legend above them where there are too many.

use svg::node::element::{Group, Line, Text};

use super::frame::Frame;
use super::ink::{SIZE, px};
use super::labels::{apart, shortened, width};
use super::{MARGIN, WIDTH, series, symbol};
use crate::report::chart::{Chart, State};

/// From one name to the one below.
const LINE: f64 = 21.0;

/// More names than these are not put beside the ends of lines.
const BESIDE: usize = 9;

/// No name takes more room.
const WIDEST: f64 = 200.0;

/// From where a sample of a line begins to its name.
const SAMPLE: f64 = 44.0;

/// Between the names of two columns.
const BETWEEN: f64 = 26.0;

/// Names beside lines may stand so far below the plot, and no further: there is what is written along its axis.
const BELOW: f64 = 10.0;

/// No more lines of names stand above a picture.
const MOST_ROWS: usize = 6;

/// The names of all series.
pub(super) struct Legend {
    names: Vec<String>,
    beside: bool,
    widest: f64,
    top: f64,
    /// Where the part of it that stands above ends.
    pub(super) bottom: f64,
}

impl Legend {
    /// Decides where names stand; those above begin at `top`.
    pub(super) fn of(chart: &Chart, top: f64) -> Self {
        let drawn = |index: usize| chart.series[index].points.iter().any(|point| point.y.is_some());
        let name = |index: usize| {
            let nothing = if drawn(index) { "" } else { ": –" };
            shortened(&chart.series[index].backend, SIZE, WIDEST) + nothing
        };
        let names: Vec<String> = (0..chart.series.len()).map(name).collect();
        let widest = names.iter().map(|name| width(name, SIZE)).fold(0.0, f64::max);
        let beside = names.len() <= BESIDE;
        let mut legend = Self { names, beside, widest, top, bottom: top };
        if !beside {
            let rows = legend.names.len().div_ceil(legend.columns()).min(MOST_ROWS);
            legend.bottom = top + 6.0 + rows as f64 * LINE;
        }
        legend
    }

    /// Where the plot has to end so that there is room for what stands beside it.
    pub(super) fn right(&self) -> f64 {
        if self.beside { WIDTH - MARGIN / 2.0 - self.widest - SAMPLE } else { WIDTH - MARGIN - 12.0 }
    }

    pub(super) fn draw(&self, chart: &Chart, frame: &Frame) -> Group {
        let group = Group::new().set("class", "legend");
        if self.beside { self.draw_beside(group, chart, frame) } else { self.draw_above(group, chart) }
    }

    /// Each as near to the end of its line as the others allow, and joined to it where that is at the end of the plot.
    fn draw_beside(&self, mut group: Group, chart: &Chart, frame: &Frame) -> Group {
        let ends: Vec<Option<(f64, f64)>> = chart
            .series
            .iter()
            .enumerate()
            .map(|(index, series)| {
                let counts = |state| matches!(state, State::Valid | State::Suspect);
                let placed =
                    || series.points.iter().filter_map(move |point| Some((point.state, frame.place(point, index)?)));
                let counting = placed().rfind(|(state, _)| counts(*state));
                counting.or_else(|| placed().next_back()).map(|(_, place)| place)
            })
            .collect();
        let wanted: Vec<f64> = ends.iter().map(|end| end.map_or(frame.bottom, |(_, y)| y)).collect();
        let places = apart(&wanted, LINE, frame.top - LINE / 2.0, frame.bottom + BELOW);
        let begin = frame.right + 20.0;
        for (index, (series, y)) in chart.series.iter().zip(places).enumerate() {
            let mut entry = Group::new().set("class", format!("s{index}"));
            if let Some((end_x, end_y)) =
                ends[index].filter(|(x, _)| frame.right - x < 0.1 * (frame.right - frame.left))
            {
                let leader = Line::new().set("class", "leader").set("x1", px(end_x + 8.0)).set("y1", px(end_y));
                entry = entry.add(leader.set("x2", px(begin - 7.0)).set("y2", px(y)));
            }
            entry = entry.add(symbol::draw(series.look.symbol, State::Valid, begin, y));
            group = group.add(entry.add(label(&self.names[index], begin + 12.0, y)));
        }
        group
    }

    /// In columns, with a piece of each line.
    fn draw_above(&self, mut group: Group, chart: &Chart) -> Group {
        let columns = self.columns();
        let shown = if self.names.len() > columns * MOST_ROWS { columns * MOST_ROWS - 1 } else { self.names.len() };
        let place = |index: usize| {
            let (row, column) = ((index / columns) as f64, (index % columns) as f64);
            (MARGIN + column * self.column_width(), self.top + 6.0 + (row + 0.5) * LINE)
        };
        for (index, series) in chart.series.iter().enumerate().take(shown) {
            let (x, y) = place(index);
            let entry = Group::new()
                .set("class", format!("s{index}"))
                .add(series::line(&[(x, y), (x + 36.0, y)], &series.look))
                .add(symbol::draw(series.look.symbol, State::Valid, x + 18.0, y))
                .add(label(&self.names[index], x + SAMPLE, y));
            group = group.add(entry);
        }
        if shown < self.names.len() {
            let (x, y) = place(shown);
            group = group.add(label(&format!("and {} more", self.names.len() - shown), x, y));
        }
        group
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few")]
    fn columns(&self) -> usize {
        (((WIDTH - 2.0 * MARGIN + BETWEEN) / self.column_width()) as usize).max(1)
    }

    fn column_width(&self) -> f64 {
        self.widest + SAMPLE + BETWEEN
    }
}

fn label(name: &str, x: f64, y: f64) -> Text {
    Text::new(name).set("class", "label").set("x", px(x)).set("y", px(y + 6.0))
}
