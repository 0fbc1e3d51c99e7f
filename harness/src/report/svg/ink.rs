//! Colours and letters: a style sheet with a light and a dark half, and numbers as attributes.

use std::fmt::Write;

use svg::node::element::Style;

use crate::report::chart::Series;

/// Of the letters of ticks, labels and legends.
pub(super) const SIZE: f64 = 17.0;

/// Of those of the line with the cells, and of what stands below.
pub(super) const SMALL: f64 = 14.5;

/// Of the title.
pub(super) const LARGE: f64 = 22.0;

/// The style sheet. Series have classes `s0`, `s1`, … that set the colour which everything in them is drawn with.
pub(super) fn style(series: &[Series]) -> Style {
    let mut light = format!(
        "text{{font:{SIZE}px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif;fill:#1f2328}}\n\
         .title{{font-size:{LARGE}px;font-weight:600}}.small{{font-size:{SMALL}px}}\n\
         .ground,.hollow{{fill:#ffffff}}.muted{{fill:#59636e}}\n\
         .grid,.axis{{fill:none;stroke:#d1d9e0}}.axis{{stroke:#818b98}}\n\
         .line,.bar,.leader,.cross,.mark{{fill:none;stroke:currentColor}}\n\
         .line{{stroke-width:2.5;stroke-linejoin:round}}.bar,.mark{{stroke-width:1.5}}.bar{{opacity:.7}}.cross{{stroke-width:2}}\n\
         .several{{color:#59636e}}.leader{{opacity:.6}}.band{{fill:currentColor;opacity:.13}}\n\
         .full{{fill:currentColor}}.full,.hollow{{stroke:currentColor;stroke-width:2}}"
    );
    let mut dark =
        "text{fill:#f0f6fc}.ground,.hollow{fill:#0d1117}.muted{fill:#9198a1}.grid{stroke:#2f3742}.axis{stroke:#656c76}.several{color:#9198a1}"
            .to_owned();
    for (index, series) in series.iter().enumerate() {
        let _ = write!(light, "\n.s{index}{{color:{}}}", series.look.light);
        let _ = write!(dark, "\n.s{index}{{color:{}}}", series.look.dark);
    }
    Style::new(format!("{light}\n@media (prefers-color-scheme:dark){{\n{dark}\n}}"))
}

/// A length or a place as an attribute: a tenth of a pixel is finer than anybody sees, and coarse enough to be the same
/// wherever it is computed.
pub(super) fn px(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    // Not a negative zero.
    (tenths + 0.0).to_string()
}

/// Places as the attribute of a line or a polygon.
pub(super) fn points(places: &[(f64, f64)]) -> String {
    let places: Vec<String> = places.iter().map(|&(x, y)| format!("{},{}", px(x), px(y))).collect();
    places.join(" ")
}
