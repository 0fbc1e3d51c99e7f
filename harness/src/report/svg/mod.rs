//! Each chart as a picture that any browser and any README shows.
//!
//! A picture is one file without scripts, fonts or anything to be loaded; it takes the width that it is given, and the colours
//! of the reader's light or dark mode. What a point says stands in its title, and all of it in the description.
//!
//! Invariants: the same chart is the same picture, byte for byte, so that a committed one can be compared with a new one; what
//! comes from a file is only ever the content of an element, which is escaped as it is written.

mod frame;
mod heading;
mod ink;
mod labels;
mod legend;
mod marks;
mod scale;
mod series;
mod symbol;
#[cfg(test)]
mod tests;

use svg::Document;
use svg::node::element::{Description, Rectangle, Text, Title};

use self::frame::Frame;
use self::heading::{Footing, Heading};
use self::labels::clean;
use self::legend::Legend;
use self::marks::Marks;
use super::chart::{Chart, State};

/// How wide a picture is, in its own pixels: it is scaled to the room that there is.
const WIDTH: f64 = 960.0;

/// How high, where notes need no more than the usual room.
const HEIGHT: f64 = 540.0;

/// What is left free at all sides.
const MARGIN: f64 = 20.0;

/// Draws a chart as an SVG document.
#[must_use]
pub fn draw(chart: &Chart) -> String {
    let heading = Heading::of(chart);
    let footing = Footing::of(chart);
    let picture = Document::new()
        .set("viewBox", format!("0 0 {WIDTH} {}", footing.height))
        .set("role", "img")
        .set("aria-labelledby", "title desc")
        .add(Title::new(clean(&chart.title)).set("id", "title"))
        .add(Description::new().set("id", "desc").add(svg::node::Text::new(described(chart))))
        .add(ink::style(&chart.series))
        .add(Rectangle::new().set("class", "ground").set("width", WIDTH).set("height", footing.height))
        .add(heading.draw())
        .add(footing.draw());
    let picture = match Plot::of(chart, heading.bottom, footing.top) {
        Some(plot) => plot.draw(chart, picture),
        None => picture.add(nothing(heading.bottom, footing.top)),
    };
    format!("{picture}\n")
}

/// Everything between what stands above and what stands below.
struct Plot {
    frame: Frame,
    legend: Legend,
    marks: Marks,
}

impl Plot {
    /// None where no point has a value.
    fn of(chart: &Chart, top: f64, bottom: f64) -> Option<Self> {
        let legend = Legend::of(chart, top);
        let frame = Frame::of(chart, legend.right(), legend.bottom, bottom)?;
        let marks = Marks::of(chart, &frame);
        let frame = frame.below(marks.height());
        Some(Self { frame, legend, marks })
    }

    fn draw(&self, chart: &Chart, picture: Document) -> Document {
        let mut picture = picture.add(self.frame.draw(chart)).add(self.marks.draw(&self.frame));
        for (index, series) in chart.series.iter().enumerate() {
            picture = picture.add(series::draw(&self.frame, chart, series, index));
        }
        picture.add(self.legend.draw(chart, &self.frame))
    }
}

fn nothing(top: f64, bottom: f64) -> Text {
    Text::new("There is nothing to draw: no trial gave a value.")
        .set("class", "nothing")
        .set("x", WIDTH / 2.0)
        .set("y", f64::midpoint(top, bottom))
        .set("text-anchor", "middle")
}

/// The picture in words, for those who do not see it.
fn described(chart: &Chart) -> String {
    /// Of a series with more only both ends are told.
    const TOLD: usize = 12;
    let mut sentences = vec![format!("{} against {}.", chart.y.label, chart.x.label)];
    if !chart.cells.is_empty() {
        sentences.push(format!("{}.", chart.cells));
    }
    for series in &chart.series {
        let told = series.points.iter().filter_map(|point| {
            let value = scale::figure(chart.y.unit, point.y.filter(|y| y.is_finite() && point.x.is_finite())?);
            let doubt = match point.state {
                State::Valid | State::Missing => "",
                State::Suspect => " (suspect)",
                State::Invalid => " (invalid)",
            };
            Some(format!("{value} at {}{doubt}", scale::figure(chart.x.unit, point.x)))
        });
        let mut told: Vec<String> = told.collect();
        if told.len() > TOLD {
            told.drain(1..told.len() - 1);
            told.insert(1, "…".to_owned());
        }
        let told = if told.is_empty() { "nothing".to_owned() } else { told.join(", ") };
        sentences.push(format!("{}: {told}.", series.backend));
        sentences.extend(series.marks.iter().map(|mark| format!("{}: {}.", series.backend, mark.label)));
    }
    sentences.extend(chart.notes.iter().map(|note| format!("{note}.")));
    clean(&sentences.join(" "))
}
