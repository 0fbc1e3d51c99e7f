//! Places that are pointed out: a line from above, a band where it may really lie, and a few words.

use svg::node::element::{Group, Line, Rectangle, Text};

use super::frame::Frame;
use super::ink::{SMALL, px};
use super::labels::{shortened, width};
use super::{MARGIN, WIDTH};
use crate::report::chart::Chart;

/// From one line of words to the next.
const LINE: f64 = 19.0;

/// No more lines of words stand above the plot; what has no room there is in the description.
const MOST_ROWS: usize = 6;

/// All that is pointed out in a chart.
pub(super) struct Marks {
    marks: Vec<Placed>,
    rows: usize,
}

struct Placed {
    /// Those that it is pointed out in.
    series: Vec<usize>,
    x: f64,
    band: Option<(f64, f64)>,
    label: String,
    /// Where its words begin.
    begin: f64,
    /// In which line they stand, the first being the lowest; none where there is no room.
    row: Option<usize>,
}

impl Marks {
    /// Gives words lines so that none touch; what several series say of the same place is said once.
    pub(super) fn of(chart: &Chart, frame: &Frame) -> Self {
        let mut marks: Vec<Placed> = Vec::new();
        for (index, series) in chart.series.iter().enumerate() {
            for mark in &series.marks {
                let Some(x) = frame.across(mark.x).map(|x| x.clamp(frame.left, frame.right)) else { continue };
                let band = mark.interval.and_then(|[low, high]| Some((frame.across(low)?, frame.across(high)?)));
                let band = band.map(|(low, high)| (low.clamp(frame.left, x), high.clamp(x, frame.right)));
                let same =
                    |other: &&mut Placed| other.label == mark.label && (other.x - x).abs() < 0.1 && other.band == band;
                if let Some(other) = marks.iter_mut().find(same) {
                    other.series.push(index);
                } else {
                    let label = mark.label.clone();
                    marks.push(Placed { series: vec![index], x, band, label, begin: 0.0, row: None });
                }
            }
        }
        // From the right, so that a line which goes down from its words passes none that stand lower.
        marks.sort_by(|one, other| other.x.total_cmp(&one.x));
        let alone = chart.series.len() == 1;
        let mut free = [f64::INFINITY; MOST_ROWS];
        for mark in &mut marks {
            mark.say(chart, alone);
            let end = mark.begin + width(&mark.label, SMALL) + 12.0;
            mark.row = free.iter().position(|free| end <= *free);
            if let Some(row) = mark.row {
                free[row] = mark.begin;
            }
        }
        let rows = marks.iter().filter_map(|mark| mark.row).max().map_or(0, |row| row + 1);
        Self { marks, rows }
    }

    /// How much room they need above the plot.
    pub(super) fn height(&self) -> f64 {
        self.rows as f64 * LINE
    }

    pub(super) fn draw(&self, frame: &Frame) -> Group {
        let mut group = Group::new().set("class", "marks");
        for mark in &self.marks {
            let class = if let [only] = *mark.series { format!("s{only}") } else { "several".to_owned() };
            let mut drawn = Group::new().set("class", class);
            if let Some((low, high)) = mark.band {
                let band = Rectangle::new().set("class", "band").set("x", px(low)).set("y", px(frame.top));
                let band = band.set("width", px((high - low).max(1.0)));
                drawn = drawn.add(band.set("height", px(frame.bottom - frame.top)));
            }
            let height = mark.row.map(|row| row as f64 * LINE);
            let top = frame.top - height.unwrap_or(0.0);
            // Neither through words that stand lower nor, where these had to give way to the edge, through its own.
            let is_above = |other: &Placed| other.row < mark.row && other.covers(mark.x);
            let begin = match self.marks.iter().any(is_above) {
                true => frame.top,
                false if mark.covers(mark.x) => top,
                false => top - LINE + 5.0,
            };
            let line = Line::new().set("class", "mark").set("x1", px(mark.x)).set("y1", px(begin));
            drawn = drawn.add(line.set("x2", px(mark.x)).set("y2", px(frame.bottom)));
            if height.is_some() {
                let words = Text::new(&mark.label).set("class", "small words");
                drawn = drawn.add(words.set("x", px(mark.begin)).set("y", px(top - 5.0)));
            }
            group = group.add(drawn);
        }
        group
    }
}

impl Placed {
    /// Puts before its words whose they are, where that is not plain, and finds where they begin.
    fn say(&mut self, chart: &Chart, alone: bool) {
        let names: Vec<&str> = self.series.iter().map(|&index| chart.series[index].backend.as_str()).collect();
        let whose = match names.as_slice() {
            [only] if alone || self.label.contains(only) => String::new(),
            all if all.len() == chart.series.len() && all.len() > 1 => "all: ".to_owned(),
            some => format!("{}: ", some.join(", ")),
        };
        self.label = shortened(&format!("{whose}{}", self.label), SMALL, WIDTH - 2.0 * MARGIN);
        self.begin = (self.x + 4.0).min(WIDTH - MARGIN - width(&self.label, SMALL)).max(MARGIN);
    }
    /// Whether its words stand there.
    fn covers(&self, x: f64) -> bool {
        self.row.is_some() && (self.begin - 1.0..self.begin + width(&self.label, SMALL)).contains(&x)
    }
}
