//! Sentences on who missed the rate that was asked for.
//!
//! That it was missed says something about a server only where the load generator and the machine did their part.

use super::Answer;
use super::merge::{Located, Told, told};
use super::place::Places;
use super::words::list;
use crate::figures;
use crate::plan::Cell;
use crate::report::selection::Run;
use crate::results::{Bottleneck, TrialRecord};
use crate::statistics::{Bounds, missed_its_rate};
use crate::verdict::{LATE_GENERATOR, disturbances};

/// Beyond so many nobody reads on.
const MOST: usize = 6;

/// One backend in one cell, whose latency says nothing because the rate was missed.
#[derive(Clone, Debug)]
struct Missed {
    backend: String,
    count: usize,
    trials: usize,
    /// Whether the trials are sound in which it was missed, but for a few.
    is_its_own: bool,
}

/// Adds who missed the rate where, and where it is not known whose doing that was.
pub(super) fn say(cells: &[(Cell, Run<'_>)], places: &Places, answer: &mut Answer) {
    let all: Vec<Located<Vec<Missed>>> =
        cells.iter().map(|(cell, run)| Located { cell: cell.clone(), what: missed(cell, run) }).collect();
    for is_its_own in [true, false] {
        let of = |at: &Located<Vec<Missed>>| {
            let what = at.what.iter().filter(|one| one.is_its_own == is_its_own).cloned().collect();
            Located { cell: at.cell.clone(), what }
        };
        let some: Vec<Located<Vec<Missed>>> = all.iter().map(of).collect();
        let names = |missed: &Vec<Missed>| -> Option<Vec<String>> {
            (!missed.is_empty()).then(|| missed.iter().map(|one| one.backend.clone()).collect())
        };
        let sentences = told(&some, places, MOST, names);
        let rest = sentences.len().saturating_sub(MOST);
        let said = sentences.into_iter().take(MOST).map(|told| sentence(&told, is_its_own));
        let to = if is_its_own { &mut answer.findings } else { &mut answer.open };
        to.extend(said);
        if rest > 0 {
            to.push(format!("Who missed the rate in {} stands in the table.", figures::counted(rest, "other cell")));
        }
    }
}

fn sentence(Told { start, cells, .. }: &Told<Vec<Missed>>, is_its_own: bool) -> String {
    let of = |place: usize| {
        let own = || cells.iter().filter_map(|at| at.what.get(place));
        let (missed, trials) = own().fold((0, 0), |sum, one| (sum.0 + one.count, sum.1 + one.trials));
        let backend = own().next().map_or("", |one| one.backend.as_str());
        format!("{backend} in {missed} of {}", figures::counted(trials, "trial"))
    };
    let all: Vec<String> = (0..cells[0].what.len()).map(of).collect();
    let missed = format!("{start}, the rate was missed by {}", list(&all));
    if is_its_own {
        return format!("{missed}.");
    }
    format!(
        "{missed}, but in most of those the load generator was late or busy, or the machine had something else to do: whether \
         a server takes that rate is not known. Give the load generator more CPUs (--client-cpus), on a quieter machine."
    )
}

fn missed(cell: &Cell, run: &Run<'_>) -> Vec<Missed> {
    if cell.rate_rps.is_none() {
        return Vec::new();
    }
    let of = |backend: &String| {
        let counts = |trial: &&TrialRecord| trial.backend == *backend && trial.cell == *cell && trial.is_usable();
        let usable: Vec<&TrialRecord> = run.trials.iter().filter(counts).collect();
        let missed: Vec<&&TrialRecord> = usable.iter().filter(|trial| missed_its_rate(trial)).collect();
        let own = missed.iter().filter(|trial| is_the_servers_doing(trial)).count();
        Bounds::of(&usable).rate.then(|| Missed {
            backend: backend.clone(),
            count: missed.len(),
            trials: usable.len(),
            is_its_own: own * 2 > missed.len(),
        })
    };
    run.record.plan.backends.iter().filter_map(of).collect()
}

/// Whether nothing but the server is known to have been in the way.
fn is_the_servers_doing(trial: &TrialRecord) -> bool {
    let was_late = trial.reasons.iter().any(|reason| reason == LATE_GENERATOR);
    let disturbed = trial.measured.as_ref().is_some_and(|measured| !disturbances(measured, &trial.cell).is_empty());
    trial.bottleneck != Some(Bottleneck::Client) && !was_late && !disturbed
}
