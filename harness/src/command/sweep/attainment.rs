//! Whether the intervals of a sweep became as narrow as was asked for.

use std::fmt;

use harness::figures;
use harness::plan::Cell;
use harness::report::terminal::standings::{Until, UntilCell};
use harness::statistics::{CellRanking, LeftOut, Ranking};
use harness::sweep::Goal;

/// What was asked for and what came of it.
pub(super) struct Attainment {
    half_width: f64,
    cells: Vec<Attained>,
}

struct Attained {
    cell: Cell,
    /// Of the widest interval; infinite where one is missing, none where there is nothing to compare.
    widest: Option<f64>,
    /// What that does not speak of.
    left_out: Vec<String>,
}

impl Attainment {
    pub(super) fn of(ranking: &Ranking, goal: Goal) -> Self {
        let attained = |cell: &CellRanking| Attained {
            cell: cell.cell.clone(),
            widest: cell.widest(),
            left_out: cell.left_out().into_iter().map(|one| left_out(&one, &cell.cell)).collect(),
        };
        Self { half_width: goal.half_width, cells: ranking.cells.iter().map(attained).collect() }
    }

    /// What was not reached, if anything; in words for one line.
    pub(super) fn missed(&self) -> Option<String> {
        let missed = self.cells.iter().filter(|cell| !self.is_reached(cell)).count();
        let of = figures::counted(self.cells.len(), "cell");
        (missed > 0).then(|| format!("intervals within {} in {missed} of {of}", plus_minus(self.half_width)))
    }

    /// The same for scripts.
    pub(super) fn json(&self) -> Until {
        let cell = |cell: &Attained| UntilCell {
            reached: self.is_reached(cell),
            half_width: cell.widest.filter(|widest| widest.is_finite()),
            left_out: cell.left_out.clone(),
        };
        let cells = self.cells.iter().map(cell).collect();
        Until { half_width: self.half_width, reached: self.missed().is_none(), cells }
    }

    /// Where there is no interval, none is narrow.
    fn is_reached(&self, cell: &Attained) -> bool {
        cell.widest.is_some_and(|widest| widest <= self.half_width)
    }
}

fn left_out(LeftOut { backend, metric, void }: &LeftOut, cell: &Cell) -> String {
    let why = void.map_or("fewer than half of its trials count", |void| void.text());
    format!("{} of {backend} ({why})", metric.name(cell))
}

impl fmt::Display for Attainment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "asked for: every interval (to the best, and of a backend to itself) within {}",
            plus_minus(self.half_width)
        )?;
        for attained in &self.cells {
            let came = match attained.widest {
                None => "not reached, there is nothing to compare".to_owned(),
                Some(widest) if widest.is_infinite() => "not reached, too few blocks for an interval".to_owned(),
                Some(widest) if self.is_reached(attained) => format!("reached, {}", plus_minus(widest)),
                Some(widest) => format!("not reached, {}", plus_minus(widest)),
            };
            write!(f, "\n  {}: {came}", attained.cell)?;
            if !attained.left_out.is_empty() {
                write!(f, "; left out: {}", attained.left_out.join(", "))?;
            }
        }
        Ok(())
    }
}

/// Two digits where three would be zeros.
fn plus_minus(share: f64) -> String {
    if share > figures::WIDEST {
        return figures::plus_minus(share);
    }
    let percent = share * 100.0;
    let small = || format!("{percent:.1e}").parse::<f64>().unwrap_or(percent).to_string();
    format!("±{} %", if percent < 0.1 { small() } else { figures::three_digits(percent) })
}

#[cfg(test)]
mod tests {
    use harness::plan::{Arrivals, Protocol, Transport};
    use harness::statistics::{Metric, Void};

    use super::*;

    #[test]
    fn what_the_intervals_do_not_speak_of_is_named_with_its_reason() {
        let cell = Cell {
            protocol: Protocol::Framed,
            transport: Transport::Tcp,
            connections: 1,
            payload_bytes: 64,
            depth: 1,
            rate_rps: Some(1000.0),
            arrivals: Some(Arrivals::Poisson),
            server_threads: 1,
            idle_connections: 0,
        };
        let said = |void| left_out(&LeftOut { backend: "epoll".to_owned(), metric: Metric::P99, void }, &cell);
        let left_out = vec![said(Some(Void::Rate)), said(None)];
        let cells = vec![Attained { cell, widest: Some(0.01), left_out }];
        let text = Attainment { half_width: 0.02, cells }.to_string();
        let named = "p99 latency of epoll (the rate was missed), p99 latency of epoll (fewer than half of its";
        assert!(text.contains(&format!(": reached, ±1.00 %; left out: {named}")), "{text}");
    }

    #[test]
    fn no_width_that_was_asked_for_is_printed_as_none() {
        let texts = [0.000_01, 0.000_000_7, 0.02, 0.5].map(plus_minus);
        assert_eq!(texts, ["±0.001 %", "±0.00007 %", "±2.00 %", "±50.0 %"]);
    }
}
