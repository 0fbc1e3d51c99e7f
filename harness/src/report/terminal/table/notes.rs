//! What stands below the table of a cell: what keeps its figures from being taken at face value, and why there are gaps.

use super::PERCENTILES;
use crate::figures::NONE;
use crate::results::Fate;
use crate::statistics::{BackendSummary, Censored, NoPercentile, Percentile, Remark, ThreadSpread};

/// Below the table of a cell, a line each.
pub(super) fn notes(backends: &[BackendSummary]) -> Vec<String> {
    remarks(backends).into_iter().chain(unprinted_percentiles(backends)).chain(thread_spread(backends)).collect()
}

/// Which percentiles are gaps, and why.
fn unprinted_percentiles(backends: &[BackendSummary]) -> Vec<String> {
    let mut notes = Vec::new();
    let lacks =
        |summary: &BackendSummary, percentile, why| summary.measured > 0 && summary.percentile(percentile) == Err(why);
    let unprinted = |why| {
        let is_lacking = |percentile| backends.iter().any(|summary| lacks(summary, percentile, why));
        let names = PERCENTILES.into_iter().filter(|percentile| is_lacking(*percentile));
        names.map(Percentile::name).collect::<Vec<_>>().join(", ")
    };
    let (short, censored) = (unprinted(NoPercentile::TooFew), unprinted(NoPercentile::Unanswered));
    if !short.is_empty() {
        notes.push(format!(
            "{NONE} {short}: too few requests for this percentile, at least 10 must lie above it; measure longer"
        ));
    }
    if !censored.is_empty() {
        let hides = |summary: &&BackendSummary| {
            PERCENTILES.into_iter().any(|percentile| lacks(summary, percentile, NoPercentile::Unanswered))
        };
        let what = Censored::sum(backends.iter().filter(hides).map(|summary| summary.censored)).what();
        notes.push(format!("{NONE} {censored}: so many requests were {what} that it is one of them"));
    }
    notes
}

/// How the load was spread over the server's threads, where there were several: throughput follows that as it follows the
/// interface.
fn thread_spread(backends: &[BackendSummary]) -> Vec<String> {
    let note = |what: &str, of: &dyn Fn(&ThreadSpread) -> Option<String>| {
        let told = |summary: &BackendSummary| Some(format!("{} {}", summary.backend, of(&summary.thread_spread?)?));
        let each: Vec<String> = backends.iter().filter_map(told).collect();
        (!each.is_empty()).then(|| format!("{what}: {}", each.join(", ")))
    };
    let connections = |spread: &ThreadSpread| {
        let (fewest, most) = spread.middle;
        let (fewest_ever, most_ever) = spread.most_uneven;
        Some(format!("{fewest}–{most} ({fewest_ever}–{most_ever})"))
    };
    let busy = |spread: &ThreadSpread| {
        let (least, most) = spread.busy?;
        Some(format!("{:.0}–{:.0} %", least * 100.0, most * 100.0))
    };
    let connections = note("connections per server thread, in the middle (most uneven) trial", &connections);
    connections.into_iter().chain(note("time that a server thread ran, in the middle trial", &busy)).collect()
}

/// Each reason once, with the backends that it holds for: it is often the same for all of them.
fn remarks(backends: &[BackendSummary]) -> Vec<String> {
    let mut notes: Vec<(Fate, &str, Vec<String>)> = Vec::new();
    for summary in backends {
        for Remark { fate, reason, trials } in &summary.remarks {
            let whose = match fate {
                Fate::Unavailable => summary.backend.clone(),
                _ => format!("{} {trials} of {}", summary.backend, summary.trials),
            };
            match notes.iter_mut().find(|note| (note.0, note.1) == (*fate, reason)) {
                Some((_, _, backends)) => backends.push(whose),
                None => notes.push((*fate, reason, vec![whose])),
            }
        }
    }
    let note = |(fate, reason, backends): (Fate, &str, Vec<String>)| {
        let what = if fate == Fate::Unavailable { "" } else { " trials" };
        format!("* {fate}{what}: {}: {reason}", backends.join(", "))
    };
    notes.into_iter().map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::first_table;
    use crate::results::tests::trial;
    use crate::results::{TrialRecord, Verdict};

    #[test]
    fn a_percentile_without_enough_samples_is_a_gap_with_a_reason() {
        let table = first_table(&[trial("epoll")]);
        assert!(table.contains("– p99.9: too few requests"), "{table}");
    }

    #[test]
    fn a_percentile_among_requests_without_an_answer_is_not_that_of_the_others() {
        for (unanswered, what) in
            [(0, "not sent in time"), (100, "never answered"), (50, "not sent in time, or never answered")]
        {
            let mut trial = trial("epoll");
            let measured = trial.measured.as_mut().unwrap();
            (measured.censored, measured.unanswered) = (100, Some(unanswered));
            let table = first_table(&[trial]);
            assert!(table.contains(&format!("– p99: so many requests were {what} that it is one of them")), "{table}");
            assert!(!table.contains("1.98 ms"), "{table}");
        }
    }

    #[test]
    fn requests_without_an_answer_are_told_however_many_a_file_has() {
        let mut trial = trial("epoll");
        let measured = trial.measured.as_mut().unwrap();
        (measured.censored, measured.unanswered) = (u64::MAX, Some(u64::MAX));
        let table = first_table(&[trial]);
        assert!(table.contains("– p50, p99, p99.9: so many requests were never answered"), "{table}");
    }

    #[test]
    fn how_connections_were_spread_over_several_threads_is_said() {
        let spread = |backend, connections: &[u64], busy: &[f64]| {
            let mut trial = trial(backend);
            let server = trial.measured.as_mut().unwrap().server.as_mut().unwrap();
            server.connections_per_thread = Some(connections.to_vec());
            server.busy_per_thread = Some(busy.to_vec());
            trial
        };
        let trials =
            [spread("epoll", &[37, 27], &[0.6, 0.449]), spread("epoll", &[20, 44], &[0.3, 0.7]), trial("poll")];
        let table = first_table(&trials);
        let notes = "  connections per server thread, in the middle (most uneven) trial: epoll 27–37 (20–44)\n  \
                     time that a server thread ran, in the middle trial: epoll 45–60 %\n";
        assert!(table.contains(notes), "{table}");
        assert!(!first_table(&[spread("epoll", &[64], &[0.9])]).contains("server thread, in"));
    }

    #[test]
    fn a_reason_that_holds_for_several_backends_is_said_once() {
        let suspect =
            |backend| TrialRecord { verdict: Verdict::Suspect, reasons: vec!["odd".to_owned()], ..trial(backend) };
        let table = first_table(&[suspect("epoll"), suspect("poll"), trial("poll")]);
        assert!(table.contains("* suspect trials: poll 1 of 2, epoll 1 of 1: odd\n"), "{table}");
    }
}
