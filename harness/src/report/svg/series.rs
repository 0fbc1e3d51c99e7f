//! What one backend contributes: its line, its points, and how sure each is.

use svg::node::element::{Group, Path, Polyline, Title};

use super::frame::Frame;
use super::ink::{points, px};
use super::labels::clean;
use super::symbol;
use crate::report::chart::{Chart, Look, Point, Series, State};

/// In a series of more points not each has a symbol: the line would vanish behind them.
const EACH: usize = 24;

/// How far the symbols of such a series are apart.
const APART: f64 = 56.0;

/// Draws a series.
pub(super) fn draw(frame: &Frame, chart: &Chart, series: &Series, index: usize) -> Group {
    let placed: Vec<(&Point, Option<(f64, f64)>)> =
        series.points.iter().map(|point| (point, frame.place(point, index))).collect();
    let symbols = with_symbol(&placed);
    let mut group = Group::new().set("class", format!("series s{index}"));
    for &(point, x, _) in &symbols {
        group = interval(frame, point, x).into_iter().fold(group, Group::add);
    }
    for stretch in stretches(&placed) {
        group = group.add(line(&stretch, &series.look));
    }
    for &(point, x, y) in &symbols {
        group = group.add(
            symbol::draw(series.look.symbol, point.state, x, y)
                .set("class", format!("point {}", class(point.state)))
                .add(Title::new(said(chart, series, point))),
        );
    }
    group
}

/// A stretch of a line.
pub(super) fn line(places: &[(f64, f64)], look: &Look) -> Polyline {
    let line = Polyline::new().set("class", "line").set("points", points(places));
    if look.dash.is_empty() {
        return line;
    }
    let lengths: Vec<String> = look.dash.iter().map(u8::to_string).collect();
    line.set("stroke-dasharray", lengths.join(","))
}

/// Those points that follow each other without a gap: what is missing or invalid is joined to nothing.
fn stretches(placed: &[(&Point, Option<(f64, f64)>)]) -> Vec<Vec<(f64, f64)>> {
    let joined = |point: &Point| matches!(point.state, State::Valid | State::Suspect);
    let mut stretches = vec![Vec::new()];
    for (point, place) in placed {
        match (place.filter(|_| joined(point)), stretches.last_mut()) {
            (Some(place), Some(stretch)) => stretch.push(place),
            _ => stretches.push(Vec::new()),
        }
    }
    stretches.retain(|stretch| stretch.len() > 1);
    stretches
}

/// The points that have a symbol, and where.
fn with_symbol<'a>(placed: &[(&'a Point, Option<(f64, f64)>)]) -> Vec<(&'a Point, f64, f64)> {
    let drawn = placed.iter().filter_map(|(point, place)| place.map(|(x, y)| (*point, x, y)));
    let drawn: Vec<(&Point, f64, f64)> = drawn.filter(|(point, ..)| point.state != State::Missing).collect();
    if drawn.len() <= EACH {
        return drawn;
    }
    let mut last: Option<(State, f64, f64)> = None;
    let keeps = |(point, x, y): &(&Point, f64, f64)| {
        let near = last.is_some_and(|(state, at_x, at_y)| state == point.state && (x - at_x).hypot(y - at_y) < APART);
        last = if near { last } else { Some((point.state, *x, *y)) };
        !near
    };
    drawn.into_iter().filter(keeps).collect()
}

/// From where to where a value may lie; of one that counts.
fn interval(frame: &Frame, point: &Point, x: f64) -> Option<Path> {
    const CAP: f64 = 4.0;
    let [low, high] = point.interval.filter(|_| point.state != State::Invalid)?;
    let top = frame.up(high)?;
    // A value without a place is below all that have one.
    let bottom = frame.up(low).unwrap_or(frame.bottom).min(frame.bottom);
    let (begin, wide) = (px(x - CAP), px(2.0 * CAP));
    let (middle, top, bottom) = (px(x), px(top), px(bottom));
    let path = format!("M{begin} {top}h{wide}M{middle} {top}V{bottom}M{begin} {bottom}h{wide}");
    Some(Path::new().set("class", "bar").set("d", path))
}

/// What is said when it is pointed at.
fn said(chart: &Chart, series: &Series, point: &Point) -> String {
    let mut lines =
        vec![format!("{}, {} {}", series.backend, super::scale::figure(chart.x.unit, point.x), chart.x.label)];
    lines.extend(point.said.iter().cloned());
    let lines: Vec<String> = lines.iter().map(|line| clean(line)).collect();
    lines.join("\n")
}

fn class(state: State) -> &'static str {
    match state {
        State::Valid => "valid",
        State::Suspect => "suspect",
        State::Invalid => "invalid",
        State::Missing => "missing",
    }
}
