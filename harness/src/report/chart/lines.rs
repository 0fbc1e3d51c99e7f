//! Charts of one figure along connections, idle connections or offered load.

use super::facet::{Along, Facet, spread_over, words};
use super::figure::Figure;
use super::gathered::Gathered;
use super::group::Group;
use super::{Chart, Point, Scale, Series, notes};

/// One chart for each facet in which the figure is known of any backend.
pub(super) fn draw(gathered: &Gathered<'_>, facets: &[Facet<'_>], figure: Figure, along: Along) -> Vec<Chart> {
    let drawn = facets.iter().filter(|facet| has(facet, figure)).filter_map(|facet| {
        let series = series(gathered, facet, figure, along);
        let is_empty = series.iter().flat_map(|series| &series.points).all(|point| point.y.is_none());
        (!is_empty).then_some((facet, series))
    });
    let (facets, series): (Vec<&Facet<'_>>, Vec<Vec<Series>>) = drawn.unzip();
    let kind = format!("{}{}", figure.id(), along.suffix());
    let ids = super::facet::ids(&kind, &facets.iter().map(|facet| &facet.common).collect::<Vec<_>>());
    let charts = facets.into_iter().zip(series).zip(ids).map(|((facet, series), id)| {
        let label = figure.label(&facet.common);
        let shown: Vec<_> = facet.cells.iter().map(|shown| shown.run).collect();
        let mut notes = vec![figure.meaning().to_owned()];
        // One that never has bars has said so.
        notes.extend(
            notes::of(&series).into_iter().filter(|note| figure != Figure::P999 || !note.starts_with("no bar")),
        );
        notes.extend(notes::missing(&series, |x| place(facet, along, x)));
        notes.extend(notes::runs(&shown, gathered));
        Chart {
            id,
            kind: kind.clone(),
            title: format!("{} against {}", capitalised(&label), along.name()),
            cells: words(&facet.common, along),
            x: along.axis(&facet.cells),
            y: figure.axis(&facet.common, scale(figure, along, &series)),
            series,
            notes,
        }
    });
    charts.collect()
}

/// Whether there is anything of which it could be known.
fn has(facet: &Facet<'_>, figure: Figure) -> bool {
    figure != Figure::Throughput || facet.common.rate_rps.is_none()
}

fn series(gathered: &Gathered<'_>, facet: &Facet<'_>, figure: Figure, along: Along) -> Vec<Series> {
    let point = |group: &Group<'_>| {
        let is_of = figure != Figure::IdleMemory || group.cell.idle_connections > 0;
        along.x(&group.cell).filter(|_| is_of).map(|x| figure.point(group, x))
    };
    let points = |backend: &str| -> Vec<Point> {
        facet.cells.iter().filter_map(|shown| shown.cell.group(backend)).filter_map(point).collect()
    };
    gathered.series(points)
}

fn scale(figure: Figure, along: Along, series: &[Series]) -> Scale {
    let values: Vec<f64> = series.iter().flat_map(|series| &series.points).filter_map(|point| point.y).collect();
    match figure {
        Figure::P50 | Figure::P99 | Figure::P999 if along == Along::Rate => Scale::Log,
        Figure::P50 | Figure::P99 | Figure::P999 | Figure::Floor | Figure::Memory | Figure::IdleMemory => {
            spread_over(&values)
        }
        Figure::Throughput | Figure::ServerCpu | Figure::Syscalls => Scale::Linear,
    }
}

fn place(facet: &Facet<'_>, along: Along, x: f64) -> Option<String> {
    let cell = facet.cells.iter().find(|shown| along.x(&shown.cell.cell) == Some(x));
    cell.map(|shown| along.place(&shown.cell.cell))
}

/// As a title begins.
pub(super) fn capitalised(text: &str) -> String {
    // A percentile is written as it is.
    if text.starts_with('p') && text[1..].starts_with(|letter: char| letter.is_ascii_digit()) {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
