//! Where values lie in a picture: both axes, with what is named on them.

use svg::node::element::{Group, Line, Text};

use super::MARGIN;
use super::ink::{SIZE, px};
use super::labels::{clean, width};
use super::scale::{Spread, Tick};
use crate::report::chart::{Chart, Point, Scale, Unit};

/// The rectangle in which series are drawn.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    x: Spread,
    y: Spread,
    /// What is named along each.
    ticks: (Vec<Tick>, Vec<Tick>),
    /// Where the name of the upward axis stands.
    name_y: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    /// From one series to the next where several have values at the same place, so that their intervals do not cover each
    /// other; 0 where each has places of its own.
    aside: f64,
    /// How many series.
    count: usize,
}

impl Frame {
    /// For all that `chart` shows, between `top` and `bottom`, and with labels to the right of `right`. None where no point
    /// has a value.
    pub(super) fn of(chart: &Chart, right: f64, top: f64, bottom: f64) -> Option<Self> {
        /// All series of a place together are not wider.
        const ASIDE: f64 = 24.0;
        let points = || chart.series.iter().flat_map(|series| &series.points);
        let drawn = || points().filter(|point| point.y.is_some());
        let values = drawn().flat_map(|point| point.y.into_iter().chain(point.interval.into_iter().flatten()));
        let y = Spread::over(chart.y.scale, chart.y.unit, values)?;
        drawn().find(|point| point.y.is_some_and(|value| y.place(value).is_some()))?;
        let marks = chart.series.iter().flat_map(|series| &series.marks);
        let marked = marks.flat_map(|mark| std::iter::once(mark.x).chain(mark.interval.into_iter().flatten()));
        // Also where there is a gap: that something was not measured there is to be seen.
        let places = points().map(|point| point.x).chain(marked);
        let few = few_places(chart);
        let spread = if few { Spread::around } else { |scale, unit, values| Spread::over(scale, unit, values) };
        let x = spread(chart.x.scale, chart.x.unit, places.collect::<Vec<f64>>().into_iter())?;
        let y_ticks = y.ticks();
        let widest = y_ticks.iter().map(|tick| width(&tick.label, SIZE)).fold(0.0, f64::max);
        let left = MARGIN + widest + 10.0;
        let x_ticks = if few { x.named(points().map(|point| point.x)) } else { x.ticks() };
        let x_ticks = readable(x_ticks, left, right, few);
        let count = chart.series.len();
        let aside = if few || shared_dates(chart) { (ASIDE / count.max(1) as f64).min(5.0) } else { 0.0 };
        let (name_y, top, bottom) = (top + 24.0, top + 38.0, bottom - 58.0);
        Some(Self { x, y, ticks: (x_ticks, y_ticks), name_y, left, right, top, bottom, aside, count })
    }

    /// The same, lower by so much at its top.
    pub(super) fn below(mut self, height: f64) -> Self {
        self.top += height;
        self
    }

    /// Where a point of series `index` lies.
    pub(super) fn place(&self, point: &Point, index: usize) -> Option<(f64, f64)> {
        let aside = (index as f64 - (self.count as f64 - 1.0) / 2.0) * self.aside;
        Some((self.across(point.x)? + aside, self.up(point.y?)?))
    }

    /// Where a value lies from left to right.
    pub(super) fn across(&self, x: f64) -> Option<f64> {
        self.x.place(x).map(|place| self.left + place * (self.right - self.left))
    }

    /// Where a value lies from below.
    pub(super) fn up(&self, y: f64) -> Option<f64> {
        self.y.place(y).map(|place| self.bottom - place * (self.bottom - self.top))
    }

    /// The axes.
    pub(super) fn draw(&self, chart: &Chart) -> Group {
        let mut axes = Group::new().set("class", "axes");
        for tick in &self.ticks.1 {
            let y = self.bottom - tick.place * (self.bottom - self.top);
            let label = Text::new(&tick.label).set("class", "tick y").set("text-anchor", "end");
            axes = axes
                .add(line("grid", (self.left, y), (self.right, y)))
                .add(label.set("x", px(self.left - 8.0)).set("y", px(y + 6.0)));
        }
        for tick in &self.ticks.0 {
            let x = self.left + tick.place * (self.right - self.left);
            let label = Text::new(&tick.label).set("class", "tick x").set("text-anchor", "middle");
            axes = axes
                .add(line("axis", (x, self.bottom), (x, self.bottom + 6.0)))
                .add(label.set("x", px(x)).set("y", px(self.bottom + 26.0)));
        }
        let across = Text::new(clean(&chart.x.label)).set("class", "muted").set("text-anchor", "middle");
        let up = Text::new(clean(&chart.y.label)).set("class", "muted").set("x", MARGIN).set("y", px(self.name_y));
        axes.add(line("axis", (self.left, self.bottom), (self.right, self.bottom)))
            .add(across.set("x", px(f64::midpoint(self.left, self.right))).set("y", px(self.bottom + 48.0)))
            .add(up)
    }
}

/// Whether values are at a few places which all series have in common: these are then named, and not round values.
fn few_places(chart: &Chart) -> bool {
    const FEW: usize = 12;
    if matches!(chart.x.scale, Scale::Nines | Scale::Time) {
        return false;
    }
    let mut places: Vec<f64> = chart.series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let most = chart.series.iter().map(|series| series.points.len()).max().unwrap_or(0);
    chart.x.unit == Unit::Count || (places.len() <= FEW && places.len() == most)
}

/// Whether series have values at a few dates in common.
fn shared_dates(chart: &Chart) -> bool {
    const FEW: usize = 20;
    chart.x.scale == Scale::Time && chart.series.iter().all(|series| series.points.len() <= FEW)
}

/// Those ticks that can be written side by side: every second, third, … or, where each is a value of its own, all but those
/// that would touch the one before, or the last.
fn readable(ticks: Vec<Tick>, left: f64, right: f64, each: bool) -> Vec<Tick> {
    const BETWEEN: f64 = 14.0;
    let ends = |tick: &Tick| {
        let middle = left + tick.place * (right - left);
        let room = width(&tick.label, SIZE) + BETWEEN;
        (middle - room / 2.0, middle + room / 2.0)
    };
    if each {
        let fits = |before: Option<&Tick>, tick: &Tick| before.is_none_or(|before| ends(before).1 <= ends(tick).0);
        let last = ticks.last().cloned();
        let mut shown: Vec<Tick> = Vec::new();
        for tick in ticks {
            if fits(shown.last(), &tick) {
                shown.push(tick);
            }
        }
        // How far it was gone is worth more than a stop on the way.
        if let Some(last) = last.filter(|last| shown.last() != Some(last) && fits(shown.first(), last)) {
            while !fits(shown.last(), &last) {
                shown.pop();
            }
            shown.push(last);
        }
        return shown;
    }
    let thinned = |every: usize| ticks.iter().step_by(every).cloned().collect::<Vec<Tick>>();
    let apart = |ticks: &Vec<Tick>| ticks.windows(2).all(|two| ends(&two[0]).1 <= ends(&two[1]).0);
    (1..=ticks.len()).map(thinned).find(apart).unwrap_or_default()
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Line {
    let line = Line::new().set("class", class).set("x1", px(from.0)).set("y1", px(from.1));
    line.set("x2", px(to.0)).set("y2", px(to.1))
}
