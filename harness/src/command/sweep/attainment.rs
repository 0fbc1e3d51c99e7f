//! Whether the intervals of a sweep became as narrow as was asked for.

use std::fmt;

use harness::figures;
use harness::plan::Cell;
use harness::statistics::Ranking;
use harness::sweep::Goal;

/// What was asked for and what came of it.
pub(super) struct Attainment {
    half_width: f64,
    /// The widest interval of each cell; none where there is nothing to compare.
    cells: Vec<(Cell, Option<f64>)>,
}

impl Attainment {
    pub(super) fn of(ranking: &Ranking, goal: Goal) -> Self {
        let cells = ranking.cells.iter().map(|cell| (cell.cell.clone(), cell.widest())).collect();
        Self { half_width: goal.half_width, cells }
    }

    /// What was not reached, if anything; in words for one line.
    pub(super) fn missed(&self) -> Option<String> {
        let missed = self.cells.iter().filter(|(_, widest)| !self.is_reached(*widest)).count();
        let of = figures::counted(self.cells.len(), "cell");
        (missed > 0).then(|| format!("intervals within {} in {missed} of {of}", plus_minus(self.half_width)))
    }

    fn is_reached(&self, widest: Option<f64>) -> bool {
        widest.is_none_or(|widest| widest <= self.half_width)
    }
}

impl fmt::Display for Attainment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "asked for: every interval (to the best, and of a backend to itself) within {}",
            plus_minus(self.half_width)
        )?;
        for (cell, widest) in &self.cells {
            let came = match widest {
                None => "nothing to compare".to_owned(),
                Some(widest) if widest.is_infinite() => "not reached, too few blocks for an interval".to_owned(),
                Some(widest) if self.is_reached(Some(*widest)) => format!("reached, {}", plus_minus(*widest)),
                Some(widest) => format!("not reached, {}", plus_minus(*widest)),
            };
            write!(f, "\n  {cell}: {came}")?;
        }
        Ok(())
    }
}

fn plus_minus(share: f64) -> String {
    format!("±{} %", figures::three_digits(share * 100.0))
}
