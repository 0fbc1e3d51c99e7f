//! What stands above a picture, its title and cells, and below it, its notes.

use svg::node::element::{Group, Text};

use super::ink::{LARGE, SMALL, px};
use super::labels::{lines, shortened};
use super::{HEIGHT, MARGIN, WIDTH};
use crate::figures;
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

/// So many lines of notes have room in every picture; with more it is higher.
const USUAL: usize = 3;

/// A picture does not grow further.
const MOST: usize = 12;

/// Of each note, which begins with what matters most.
const MOST_OF_ONE: f64 = 3.0;

/// Notes.
pub(super) struct Footing {
    notes: Vec<String>,
    /// How high the picture is with them.
    pub(super) height: f64,
    /// Where it begins.
    pub(super) top: f64,
}

impl Footing {
    pub(super) fn of(chart: &Chart) -> Self {
        let told = |count: usize| {
            let mut told: Vec<String> = chart.notes[..count].to_vec();
            let more = chart.notes.len() - count;
            told.extend((more > 0).then(|| format!("{} in the description", figures::counted(more, "more note"))));
            laid_out(&told)
        };
        let fitting = (0..=chart.notes.len()).rev().map(told).find(|lines| lines.len() <= MOST);
        let notes = fitting.unwrap_or_default();
        let height = HEIGHT + notes.len().saturating_sub(USUAL) as f64 * LINE;
        let top = height - 12.0 - notes.len() as f64 * LINE;
        Self { notes, height, top }
    }

    pub(super) fn draw(&self) -> Group {
        let line = |(index, note): (usize, &String)| small(note, self.top + (index + 1) as f64 * LINE - 3.0);
        self.notes.iter().enumerate().map(line).fold(Group::new().set("class", "notes"), Group::add)
    }
}

/// Notes one behind the other, in lines.
fn laid_out(notes: &[String]) -> Vec<String> {
    let room = WIDTH - 2.0 * MARGIN;
    let words = notes.iter().enumerate().flat_map(|(index, note)| {
        let end = if index + 1 < notes.len() { " ·" } else { "" };
        let note = shortened(note, SMALL, MOST_OF_ONE * room);
        let mut words: Vec<String> = note.split_whitespace().map(str::to_owned).collect();
        words.last_mut().into_iter().for_each(|last| last.push_str(end));
        words
    });
    lines(words.map(|word| shortened(&word, SMALL, room)), " ", SMALL, room)
}

fn small(text: &str, y: f64) -> Text {
    Text::new(text).set("class", "small muted").set("x", MARGIN).set("y", px(y))
}
