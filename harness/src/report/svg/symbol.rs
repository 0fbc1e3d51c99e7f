//! The forms of points.

use std::f64::consts::PI;

use svg::node::element::{Group, Line, Polygon};

use super::ink::{points, px};
use crate::report::chart::{State, Symbol};

/// From the middle of a symbol to where it ends, about.
pub(super) const RADIUS: f64 = 5.5;

/// A point at a place: filled, hollow where it is suspect, and crossed out where it is invalid.
pub(super) fn draw(symbol: Symbol, state: State, x: f64, y: f64) -> Group {
    let class = if state == State::Valid { "full" } else { "hollow" };
    let group = Group::new();
    let group = if symbol == Symbol::Circle {
        let circle = svg::node::element::Circle::new();
        group.add(circle.set("class", class).set("cx", px(x)).set("cy", px(y)).set("r", px(RADIUS * 0.9)))
    } else {
        let corners: Vec<(f64, f64)> = corners(symbol).iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
        group.add(Polygon::new().set("class", class).set("points", points(&corners)))
    };
    if state != State::Invalid {
        return group;
    }
    let reach = RADIUS * 1.7;
    let stroke = |rise: f64| {
        let line = Line::new().set("class", "cross").set("x1", px(x - reach)).set("y1", px(y - rise));
        line.set("x2", px(x + reach)).set("y2", px(y + rise))
    };
    group.add(stroke(reach)).add(stroke(-reach))
}

/// Of the form around a middle at 0, 0.
fn corners(symbol: Symbol) -> Vec<(f64, f64)> {
    let round = |count: usize, radius: &dyn Fn(usize) -> f64, turn: f64| {
        let corner = |index: usize| {
            let angle = 2.0 * PI * index as f64 / count as f64 + turn;
            (radius(index) * angle.sin(), -radius(index) * angle.cos())
        };
        (0..count).map(corner).collect::<Vec<_>>()
    };
    match symbol {
        Symbol::Circle => Vec::new(),
        Symbol::Square => round(4, &|_| RADIUS * 1.25, PI / 4.0),
        Symbol::Triangle => round(3, &|_| RADIUS * 1.3, 0.0),
        Symbol::Diamond => round(4, &|_| RADIUS * 1.3, 0.0),
        Symbol::Cross => {
            let (near, far) = (RADIUS * 0.36, RADIUS * 1.2);
            let quarter = [(-near, -far), (near, -far), (near, -near)];
            // Turned by a quarter, three times.
            let turned = |turns: usize| quarter.map(|corner| (0..turns).fold(corner, |(x, y), _| (-y, x)));
            (0..4).flat_map(turned).collect()
        }
        Symbol::Star => {
            let radius = |index: usize| if index.is_multiple_of(2) { RADIUS * 1.5 } else { RADIUS * 0.65 };
            round(10, &radius, 0.0)
        }
    }
}
