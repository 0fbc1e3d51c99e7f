//! One picture for each chart.

use super::chart::Chart;

/// Draws the picture.
#[must_use]
pub fn draw(chart: &Chart) -> String {
    format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><!-- {} --></svg>\n", chart.id)
}
