//! Tables: a header, a line, and a row for each thing that is compared.
//!
//! Where there is no room for all columns, those that matter least are left out whole. A figure is never cut.

use console::{Alignment, measure_text_width, pad_str};

use super::look::{Look, Tone};
use crate::plain::plain;

/// A table, column by column.
#[derive(Debug, Default)]
pub(super) struct Grid {
    columns: Vec<Column>,
}

/// One column; all columns of a table have as many cells.
#[derive(Debug)]
pub(super) struct Column {
    title: String,
    name: String,
    alignment: Alignment,
    /// Those with the least number go first, and together; without a number it stays.
    leaves: Option<u8>,
    cells: Vec<(String, Tone)>,
}

impl Column {
    /// A column of figures below `title`, whose lines are those of the header. What a terminal would obey is in no cell.
    #[must_use]
    pub(super) fn new(title: &str, cells: impl IntoIterator<Item = (String, Tone)>) -> Self {
        Self {
            title: title.to_owned(),
            name: title.replace('\n', if title.contains("\n/") { "" } else { " " }).trim().to_owned(),
            alignment: Alignment::Right,
            leaves: None,
            cells: cells.into_iter().map(|(text, tone)| (plain(&text), tone)).collect(),
        }
    }

    /// The same without colours.
    #[must_use]
    pub(super) fn plain(title: &str, cells: impl IntoIterator<Item = String>) -> Self {
        Self::new(title, cells.into_iter().map(|cell| (cell, Tone::Plain)))
    }

    /// Words rather than figures.
    #[must_use]
    pub(super) fn left(self) -> Self {
        Self { alignment: Alignment::Left, ..self }
    }

    /// Leaves the table where that is too wide, before those with a higher number.
    #[must_use]
    pub(super) fn leaves(self, order: u8) -> Self {
        Self { leaves: Some(order), ..self }
    }

    /// What it is called where it is left out.
    #[must_use]
    pub(super) fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    fn width(&self) -> usize {
        let texts = self.title.lines().chain(self.cells.iter().map(|(text, _)| text.as_str()));
        texts.map(measure_text_width).max().unwrap_or(0)
    }
}

impl Grid {
    /// A table of these, from left to right.
    #[must_use]
    pub(super) fn new(columns: Vec<Column>) -> Self {
        Self { columns }
    }

    /// How wide its lines are.
    #[must_use]
    pub(super) fn width(&self) -> usize {
        // One space on each side of each column.
        self.columns.iter().map(|column| column.width() + 2).sum()
    }

    /// Puts one in at `place`.
    pub(super) fn insert(&mut self, place: usize, column: Column) {
        self.columns.insert(place, column);
    }

    /// Leaves out what there is no room for, and says what that was.
    pub(super) fn fit(&mut self, look: Look) -> Vec<String> {
        let mut left_out = Vec::new();
        while look.columns.is_some_and(|columns| self.width() > columns) {
            let Some(next) = self.columns.iter().filter_map(|column| column.leaves).min() else { break };
            left_out
                .extend(self.columns.extract_if(.., |column| column.leaves == Some(next)).map(|column| column.name));
        }
        left_out
    }

    /// Its lines, each ended.
    #[must_use]
    pub(super) fn draw(&self, look: Look) -> String {
        let widths: Vec<usize> = self.columns.iter().map(Column::width).collect();
        let line = |cell: &dyn Fn(&Column) -> (String, Tone)| {
            let cells = self.columns.iter().zip(&widths).map(|(column, width)| {
                let (text, tone) = cell(column);
                let room = width.saturating_sub(measure_text_width(&text));
                let painted = look.paint(tone, &text);
                if column.alignment == Alignment::Left {
                    painted + &pad_str("", room, Alignment::Left, None)
                } else {
                    pad_str("", room, Alignment::Left, None).into_owned() + &painted
                }
            });
            let line = format!(" {}", cells.collect::<Vec<_>>().join("  "));
            format!("{}\n", line.trim_end())
        };
        let height = self.columns.iter().map(|column| column.title.lines().count()).max().unwrap_or(0);
        let rows = self.columns.iter().map(|column| column.cells.len()).max().unwrap_or(0);
        let title =
            |row: usize| line(&|column: &Column| (column.title.lines().nth(row).unwrap_or("").to_owned(), Tone::Plain));
        let row = |row: usize| line(&|column: &Column| column.cells.get(row).cloned().unwrap_or_default());
        let mut text: String = (0..height).map(title).collect();
        text.push_str(&"─".repeat(self.width()));
        text.push('\n');
        text.extend((0..rows).map(row));
        text
    }
}

/// What to say where something was left out; nothing where nothing was.
#[must_use]
pub(super) fn left_out_note(left_out: &[String]) -> Option<String> {
    (!left_out.is_empty())
        .then(|| format!("no room for {}; wider terminals have it, and so have files", left_out.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let figures = ["1", "1,234,567"].map(str::to_owned);
        Grid::new(vec![
            Column::plain("\nname", ["a", "µ"].map(str::to_owned)).left(),
            Column::plain("requests\n/s", figures.clone()),
            Column::plain("\nlast", figures.clone()).leaves(2),
            Column::plain("\nfirst", figures).leaves(1),
        ])
    }

    #[test]
    fn columns_stand_below_each_other() {
        let drawn = grid().draw(Look::PLAIN);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines[1], " name         /s       last      first", "{drawn}");
        assert_eq!(lines[3], " a             1          1          1");
        assert_eq!(lines[4], " µ     1,234,567  1,234,567  1,234,567");
        assert_eq!(lines[2].chars().count(), grid().width());
    }

    #[test]
    fn what_matters_least_is_left_out_first_and_no_figure_is_cut() {
        for (columns, names) in
            [(39, vec![]), (38, vec!["first"]), (27, vec!["first", "last"]), (5, vec!["first", "last"])]
        {
            let look = Look { columns: Some(columns), ..Look::PLAIN };
            let mut grid = grid();
            assert_eq!(grid.fit(look), names, "{columns}");
            assert!(grid.draw(look).contains("1,234,567") && (columns < 17 || grid.width() <= columns));
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_in_no_cell() {
        let evil = || Column::new("n", [("x\u{1b}[31m\u{202e}\nevil".to_owned(), Tone::Best)]);
        let colours = Look { colours: true, ..Look::PLAIN };
        assert!(Grid::new(vec![evil()]).draw(Look::PLAIN).ends_with(" x[31m evil\n"));
        assert!(Grid::new(vec![evil()]).draw(colours).ends_with(" \x1b[1;32mx[31m evil\x1b[0m\n"));
    }

    #[test]
    fn colours_take_no_room() {
        let colours = Look { colours: true, ..Look::PLAIN };
        let column = || Column::new("n", [("best".to_owned(), Tone::Best), ("1".to_owned(), Tone::Invalid)]);
        let text = Grid::new(vec![column()]).draw(colours);
        let bare = text.replace("\x1b[1;32m", "").replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert!(text.contains('\x1b') && bare == Grid::new(vec![column()]).draw(Look::PLAIN), "{text}");
    }
}
