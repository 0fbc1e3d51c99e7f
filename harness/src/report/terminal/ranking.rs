//! The ranking below the table of a cell: who is best, by how much, how sure that is, and who cannot be told apart.

use std::fmt::Write;

use super::grid::{Column, Grid};
use super::look::{Look, Tone};
use crate::figures::{self, NONE, WIDEST, plus_minus};
use crate::plan::Cell;
use crate::report::ratio;
use crate::statistics::{CONFIDENCE, CellRanking, Comparison, Entry, MIN_BLOCKS, MetricRanking, Ranking, Void};

/// Draws the ranking of one cell; nothing where there is nothing to compare.
#[must_use]
pub fn draw(ranking: &CellRanking, look: Look) -> String {
    if ranking.by.iter().all(|by| by.entries.len() < 2) {
        return String::new();
    }
    let mut text = String::new();
    if ranking.by.iter().any(|by| by.best.is_some()) {
        let mut table = table(ranking);
        // Of what is left out, the sentences below speak.
        table.fit(look);
        let _ = write!(text, "\n{}", table.draw(look));
    }
    for by in &ranking.by {
        let _ = writeln!(text, "{}", look.prose(&format!("  {}", sentence(by, &ranking.cell)), 4));
        for (backend, floor) in &by.floors {
            let _ =
                writeln!(text, "{}", look.prose(&format!("  {}", floor_sentence(backend, floor, &ranking.cell)), 4));
        }
    }
    text
}

/// What all intervals of a ranking have in common.
#[must_use]
pub fn note(ranking: &Ranking) -> String {
    if ranking.has_intervals() {
        let comparisons = figures::counted(ranking.family, "comparison");
        format!(
            "× [from, to]: the middle of the ratios within blocks; the intervals of all {comparisons} hold together in {} of \
             runs\nrank: 1=: in a tie with the best; of those behind: one more than there are backends found to be better\n\
             ?: most trials are suspect, and not only because the load generator was busy",
            figures::percent(CONFIDENCE)
        )
    } else {
        format!("no intervals: they need at least {MIN_BLOCKS} trials of both sides in the same blocks")
    }
}

/// A ratio with its interval: `1.310× [1.240, 1.380]`.
#[must_use]
pub fn ratio(comparison: &Comparison) -> String {
    comparison.estimate.map_or_else(|| NONE.to_owned(), |estimate| ratio::text(&estimate, 3))
}

fn table(ranking: &CellRanking) -> Grid {
    let names = ranking.by[0].entries.iter().map(|entry| entry.backend.clone());
    let mut columns = vec![Column::plain("\nbackend", names).left()];
    for (place, by) in ranking.by.iter().enumerate() {
        let toned = |text: &dyn Fn(&MetricRanking, &Entry) -> String| {
            by.entries.iter().map(|entry| (text(by, entry), tone(by, entry))).collect::<Vec<_>>()
        };
        let pair = [
            Column::new("\nrank", toned(&rank)),
            Column::new(&format!("{}\nof the best", by.metric.name(&ranking.cell)), toned(&standing)),
        ];
        // The first is what most people ask for.
        let last = u8::try_from(ranking.by.len() - place).unwrap_or(u8::MAX);
        columns.extend(pair.map(|column| if place == 0 { column } else { column.leaves(last) }));
    }
    Grid::new(columns)
}

/// What 'void', '?' and 'best' say in words.
fn tone(by: &MetricRanking, entry: &Entry) -> Tone {
    if entry.void.is_some() {
        Tone::Invalid
    } else if entry.doubtful {
        Tone::Suspect
    } else if by.best.as_ref() == Some(&entry.backend) && is_best_known(by) {
        Tone::Best
    } else {
        Tone::Plain
    }
}

fn rank(by: &MetricRanking, entry: &Entry) -> String {
    let Some(rank) = entry.rank else { return NONE.to_owned() };
    let ties = rank == 1 && by.entries.iter().filter(|other| other.rank == Some(1)).count() > 1;
    format!("{rank}{}{}", if ties { "=" } else { " " }, if entry.doubtful { "?" } else { "" })
}

fn standing(by: &MetricRanking, entry: &Entry) -> String {
    match &entry.to_best {
        _ if entry.void.is_some() => "void".to_owned(),
        // The others are ratios to it, whoever is best.
        None if by.best.as_ref() == Some(&entry.backend) => if is_best_known(by) { "best" } else { "1" }.to_owned(),
        None => NONE.to_owned(),
        Some(comparison) => ratio(comparison),
    }
}

/// Whether the one that is called so is.
#[must_use]
pub fn is_best_known(by: &MetricRanking) -> bool {
    by.best.is_some() && by.ahead.is_empty() && !by.distrusted
}

fn sentence(by: &MetricRanking, cell: &Cell) -> String {
    let name = by.metric.name(cell);
    let mut text = match &by.best {
        Some(best) => format!("{name}: {}", order(by, best)),
        None => format!("{name}: nothing to compare"),
    };
    let named = |names: Vec<&str>, what: &str| {
        if names.is_empty() { String::new() } else { format!("; {what}: {}", names.join(", ")) }
    };
    let those = |keep: &dyn Fn(&Entry) -> bool| {
        by.entries.iter().filter(|entry| keep(entry)).map(|entry| entry.backend.as_str()).collect::<Vec<_>>()
    };
    for void in [Void::Client, Void::Rate] {
        text += &named(those(&|entry| entry.void == Some(void)), void.text());
    }
    text += &named(those(&|entry| entry.void.is_none() && entry.unreliable), "fewer than half of the trials count");
    text += &named(those(&|entry| entry.doubtful), "most trials are suspect");
    text
}

/// Who is best, as far as that is known, and who is not.
fn order(by: &MetricRanking, best: &str) -> String {
    let (most, bound) = if by.metric.higher_is_better() { ("most", "least") } else { ("least", "most") };
    let counting = by.entries.iter().filter(|entry| !entry.unreliable);
    let others: Vec<(&Entry, &Comparison)> =
        counting.filter_map(|entry| Some((entry, entry.to_best.as_ref()?))).collect();
    let names = |keep: fn(&Comparison) -> bool| {
        let names: Vec<&str> =
            others.iter().filter(|(_, one)| keep(one)).map(|(entry, _)| entry.backend.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let mut text = String::new();
    if !by.ahead.is_empty() {
        let ahead: Vec<String> =
            by.ahead.iter().map(|(name, ratio)| format!("{name} at {bound} {ratio:.3}×")).collect();
        let _ = write!(text, "no best, for the client was the limit of {} of {best}; of the others ", ahead.join(", "));
    }
    if by.distrusted {
        text += "no ranks, for a backend differs from itself; as far as can be seen ";
    }
    let _ = write!(text, "{best} has the {most}");
    if let Some(ties) = names(|one| one.interval().is_some() && !one.differs()) {
        let _ = write!(text, ", in a tie with {ties}");
    }
    if let Some(behind) = names(Comparison::is_worse) {
        let _ = write!(text, "; behind: {behind}");
    }
    if let Some(unknown) = names(|one| one.interval().is_none()) {
        let _ = write!(text, "; too few blocks, at least {MIN_BLOCKS}, to tell: {unknown}");
    }
    text
}

fn floor_sentence(backend: &str, floor: &Comparison, cell: &Cell) -> String {
    let name = floor.metric.name(cell);
    let Some(interval) = floor.interval() else {
        let why = floor.void.map_or_else(|| too_few(floor.blocks), |void| void.text().to_owned());
        return format!("{name}: noise floor of {backend} not known, {why}");
    };
    let itself = format!("noise floor of {backend}: {} its own {name}", ratio(floor));
    if interval.excludes_one() {
        format!("{itself}: a difference where there is none; do not trust this cell")
    } else {
        match interval.reach() - 1.0 {
            reach if reach > WIDEST => {
                format!("{itself}; its interval is {}: noise hides every difference", plus_minus(reach))
            }
            reach => format!("{itself}; nothing within {} is called a difference", plus_minus(reach)),
        }
    }
}

/// Why there is no interval.
#[must_use]
pub fn too_few(blocks: usize) -> String {
    format!("too few blocks: {blocks}, at least {MIN_BLOCKS}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{self, SweepPlan};
    use crate::results::tests::trial;
    use crate::results::{Bottleneck, TrialRecord};
    use crate::statistics::rank;
    use crate::statistics::tests::noise;

    fn plan(twice: &[&str]) -> SweepPlan {
        SweepPlan {
            connections: vec![1],
            rate_rps: vec![None],
            twice: twice.iter().map(|&name| name.to_owned()).collect(),
            ..plan::tests::plan()
        }
    }

    fn trials(backend: &str, blocks: usize, factor: f64) -> Vec<TrialRecord> {
        let of = |block: usize| {
            let mut trial = TrialRecord { block, ..trial(backend) };
            trial.measured.as_mut().unwrap().throughput_rps *= factor * (1.0 + 0.01 * noise(backend, block));
            trial
        };
        (1..=blocks).map(of).collect()
    }

    fn drawn(plan: &SweepPlan, trials: &[TrialRecord]) -> (String, String) {
        let ranking = rank(plan, trials);
        (draw(&ranking.cells[0], Look::PLAIN), note(&ranking))
    }

    #[test]
    fn a_difference_has_its_ratio_and_a_word() {
        let (text, note) = drawn(&plan(&[]), &[trials("poll", 9, 0.5), trials("epoll", 9, 1.0)].concat());
        let row = text.lines().find(|line| line.contains("poll") && line.contains('[')).unwrap();
        assert!(row.contains(" 2 ") && row.contains("0.5"), "{text}");
        assert!(text.contains("requests/s: epoll has the most; behind: poll"), "{text}");
        assert!(text.contains("server CPU/request: epoll has the least, in a tie with poll"), "{text}");
        assert!(note.contains("all 2 comparisons hold together in 95 % of runs"), "{note}");
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }

    #[test]
    fn a_tie_shares_its_rank() {
        let (text, _) = drawn(&plan(&[]), &[trials("poll", 9, 1.0), trials("epoll", 9, 1.0)].concat());
        assert_eq!(text.matches("1=").count(), 4, "{text}");
        assert!(text.contains("in a tie with"), "{text}");
    }

    #[test]
    fn too_few_blocks_are_no_interval_and_no_rank() {
        let (text, note) = drawn(&plan(&[]), &[trials("poll", 3, 0.5), trials("epoll", 3, 1.0)].concat());
        assert!(!text.contains(']') || text.matches(']').count() == 2, "{text}");
        assert!(text.contains("too few blocks, at least 7, to tell: poll"), "{text}");
        assert!(note.starts_with("no intervals: they need at least 7"), "{note}");
    }

    #[test]
    fn where_the_client_was_the_bottleneck_requests_are_void() {
        let mut all = [trials("poll", 9, 0.5), trials("epoll", 9, 1.0)].concat();
        for trial in &mut all {
            trial.bottleneck = Some(Bottleneck::Client);
        }
        let (text, _) = drawn(&plan(&[]), &all);
        assert_eq!(text.matches(" void").count(), 2, "{text}");
        assert!(text.contains("requests/s: nothing to compare; the client was the bottleneck: poll, epoll"), "{text}");
    }

    #[test]
    fn a_faster_backend_that_the_client_held_back_is_said() {
        let plan = SweepPlan { backends: ["poll", "epoll", "threads"].map(str::to_owned).to_vec(), ..plan(&[]) };
        let mut threads = trials("threads", 9, 3.0);
        for trial in &mut threads {
            trial.bottleneck = Some(Bottleneck::Client);
        }
        let (text, _) = drawn(&plan, &[trials("poll", 9, 1.0), trials("epoll", 9, 2.0), threads].concat());
        let said = "no best, for the client was the limit of threads at least 1.";
        let no_best = text.lines().find(|line| line.contains(said)).unwrap_or_else(|| panic!("{text}"));
        assert!(no_best.contains("× of epoll; of the others epoll has the most; behind: poll"), "{text}");
        assert!(!text.contains("requests/s: epoll has the most"), "{text}");
    }

    #[test]
    fn only_those_in_a_tie_with_the_best_have_a_mark_for_it() {
        let plan = SweepPlan { backends: ["poll", "epoll", "select"].map(str::to_owned).to_vec(), ..plan(&[]) };
        let all = [trials("poll", 9, 1.0), trials("epoll", 9, 0.5), trials("select", 9, 0.5)].concat();
        let (text, _) = drawn(&plan, &all);
        // By CPU time there is a tie of all three; by requests two are behind one.
        assert_eq!((text.matches("1=").count(), text.matches("2=").count()), (3, 0), "{text}");
        let rows = text.lines().filter(|line| line.contains(" 2 ") && line.contains("1="));
        assert_eq!(rows.count(), 2, "{text}");
    }

    #[test]
    fn a_ranking_of_suspect_trials_has_a_mark_and_says_why() {
        let mut all = [trials("poll", 9, 0.5), trials("epoll", 9, 1.0)].concat();
        for trial in &mut all[9..14] {
            (trial.verdict, trial.reasons) = (crate::results::Verdict::Suspect, vec!["odd".to_owned()]);
        }
        let (text, _) = drawn(&plan(&[]), &all);
        assert!(text.contains("1 ?") && text.contains("behind: poll; most trials are suspect: epoll"), "{text}");
    }

    #[test]
    fn the_noise_floor_is_said_and_one_that_finds_a_difference_is_a_warning() {
        let both = [trials("poll", 9, 0.5), trials("epoll", 9, 1.0)].concat();
        let (text, _) = drawn(&plan(&["epoll"]), &[both.clone(), trials("epoll#2", 9, 1.0)].concat());
        assert!(
            text.contains("noise floor of epoll: ") && text.contains("× [") && text.contains("; nothing within ±"),
            "{text}"
        );
        let (text, _) = drawn(&plan(&["epoll"]), &[both, trials("epoll#2", 9, 3.0)].concat());
        assert!(text.contains("a difference where there is none"), "{text}");
        assert!(text.contains("requests/s: no ranks, for a backend differs from itself"), "{text}");
    }
}
