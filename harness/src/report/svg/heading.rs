//! What stands above a picture, its title and cells, and below it, its notes.

use svg::node::element::{Group, Text};

use super::ink::{LARGE, SMALL, px};
use super::labels::{clean, lines, shortened, width};
use super::{HEIGHT, MARGIN, WIDTH};
use crate::report::chart::Chart;

/// From one line of small letters to the next.
const LINE: f64 = 19.0;

/// Title and cells.
pub(super) struct Heading {
    title: String,
    cells: Vec<String>,
    /// Where it ends.
    pub(super) bottom: f64,
}

impl Heading {
    pub(super) fn of(chart: &Chart) -> Self {
        let room = WIDTH - 2.0 * MARGIN;
        let parts = chart.cells.split(" · ").filter(|part| !part.is_empty());
        let mut cells = lines(parts.map(|part| shortened(part, SMALL, room)), " · ", SMALL, room);
        cells.truncate(2);
        let bottom = MARGIN + LARGE + cells.len() as f64 * LINE;
        // What is drawn bold is wider.
        Self { title: shortened(&chart.title, LARGE * 1.06, room), cells, bottom }
    }

    pub(super) fn draw(&self) -> Group {
        let title = Text::new(&self.title).set("class", "title").set("x", MARGIN).set("y", px(MARGIN + 16.0));
        let below = |(index, line): (usize, &String)| small(line, MARGIN + 16.0 + (index + 1) as f64 * LINE + 3.0);
        self.cells.iter().enumerate().map(below).fold(Group::new().add(title), Group::add)
    }
}

/// Notes, as many as there is room for.
pub(super) struct Footing {
    notes: Vec<String>,
    /// Where it begins.
    pub(super) top: f64,
}

impl Footing {
    pub(super) fn of(chart: &Chart) -> Self {
        /// More would leave too little for the chart; all are in the description.
        const LINES: usize = 3;
        let room = WIDTH - 2.0 * MARGIN;
        let count = chart.notes.len();
        let words = chart.notes.iter().enumerate().flat_map(|(index, note)| {
            let end = if index + 1 < count { " ·" } else { "" };
            let mut words: Vec<String> = note.split_whitespace().map(clean).collect();
            words.last_mut().into_iter().for_each(|last| last.push_str(end));
            words
        });
        let mut notes = lines(words.map(|word| shortened(&word, SMALL, room)), " ", SMALL, room);
        if notes.len() > LINES {
            notes.truncate(LINES);
            let last = &mut notes[LINES - 1];
            while width(last, SMALL) + width(" …", SMALL) > room {
                last.pop();
            }
            last.push_str(" …");
        }
        let top = HEIGHT - 12.0 - notes.len() as f64 * LINE;
        Self { notes, top }
    }

    pub(super) fn draw(&self) -> Group {
        let line = |(index, note): (usize, &String)| small(note, self.top + (index + 1) as f64 * LINE - 3.0);
        self.notes.iter().enumerate().map(line).fold(Group::new().set("class", "notes"), Group::add)
    }
}

fn small(text: &str, y: f64) -> Text {
    Text::new(text).set("class", "small muted").set("x", MARGIN).set("y", px(y))
}
