//! The table that says where a request goes, a row for each backend in each cell.

use super::table::{column, number, place, title, word};
use super::{Entry, Table};
use crate::figures::{self, NONE};
use crate::report::answer::place::Setting;
use crate::report::calls;
use crate::report::selection::Speaker;
use crate::statistics::{BackendSummary, summarise_cells};

/// Of the median of the multiples of the floor.
pub(super) const FLOOR: &str = "× floor";

/// What is below the table.
pub(super) const LEGEND: &str = "× floor: server CPU time per request as a multiple of what the kernel charges on the same \
                                 machine for one echo of that payload with plain calls and no waiting, the median of the \
                                 trials that have a floor [where the median of many more lies], and so no quotient of two \
                                 columns; several requests in flight on a connection \
                                 (depth) or calls made in batches can go below 1";

/// From system calls to the floor.
const FIGURES: [&str; 6] = [
    "requests/wake-up",
    "voluntary switches/request",
    "involuntary switches/request",
    "bytes copied/request",
    "kernel bytes/request",
    "server CPU/request",
];

/// Of all sweeps that have a say; without rows where no server counted anything.
pub(super) fn of(speakers: &[Speaker<'_>], settings: &[Setting], several: bool) -> Table {
    let mut rows: Vec<(Vec<Entry>, Option<Entry>)> = Vec::new();
    for Speaker { run, cells, trials } in speakers {
        for summary in summarise_cells(&run.record.plan, cells, trials) {
            for backend in summary.backends.iter().filter(|backend| backend.anatomy.is_known()) {
                let mut row = vec![word(&backend.backend)];
                row.extend(settings.iter().map(|setting| place(*setting, &summary.cell)));
                row.extend(figures_of(backend));
                row.push(floor(backend));
                rows.push((row, several.then(|| word(run.file))));
            }
        }
    }
    let has_floor = rows.iter().any(|(row, _)| row.last().is_some_and(|floor| floor.value.is_some()));
    let mut columns = vec![column("backend", false)];
    columns.extend(settings.iter().map(|setting| column(title(*setting), setting.is_quantity())));
    columns.push(column("system calls/request", false));
    columns.extend(FIGURES.map(|title| column(title, true)));
    columns.extend(has_floor.then(|| column(FLOOR, true)));
    columns.extend(several.then(|| column("file", false)));
    let complete = |(mut row, file): (Vec<Entry>, Option<Entry>)| {
        if !has_floor {
            row.pop();
        }
        row.extend(file);
        row
    };
    Table { title: "Where a request goes".to_owned(), columns, rows: rows.into_iter().map(complete).collect() }
}

fn figures_of(summary: &BackendSummary) -> Vec<Entry> {
    let anatomy = &summary.anatomy;
    let bytes = figures::mean_bytes;
    vec![
        word(&calls::text(&anatomy.calls_per_request, None).unwrap_or_default()),
        number(anatomy.requests_per_wakeup, figures::three_digits),
        number(anatomy.voluntary_switches_per_request, figures::three_digits),
        number(anatomy.involuntary_switches_per_request, figures::three_digits),
        number(anatomy.copied_bytes_per_request, bytes),
        number(anatomy.kernel_bytes_per_request, bytes),
        number(summary.server_cpu_ns_per_request, figures::duration),
    ]
}

/// With the number of trials that it rests on where some have no floor.
fn floor(summary: &BackendSummary) -> Entry {
    let Some(floor) = summary.anatomy.floor else { return Entry { text: NONE.to_owned(), value: None } };
    let ends = |ends: [f64; 2]| format!(" [{}]", ends.map(figures::three_digits).join(", "));
    let interval = floor.interval.map_or(String::new(), ends);
    let of_some = match summary.measured {
        all if floor.trials < all => format!(" of {} of {all} trials", floor.trials),
        _ => String::new(),
    };
    number(Some(floor.median), |median| figures::three_digits(median) + &interval + &of_some)
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{file, run};
    use super::super::{Contents, Table};
    use super::FLOOR;
    use crate::report::markdown;
    use crate::statistics::counted;

    fn contents(floor_ns: Option<f64>) -> Contents {
        let run = run("2026-01-01T00:00:00Z", &[1, 64], &["epoll", "poll"]);
        Contents::of(&[file("run.jsonl", run, 6, |trial| trial.measured = counted("", floor_ns).measured)])
    }

    fn table(contents: &Contents) -> &Table {
        contents.tables.iter().find(|table| table.title == "Where a request goes").unwrap()
    }

    #[test]
    fn a_floor_in_the_records_is_a_multiple_in_table_chart_and_markdown() {
        let contents = contents(Some(8000.0));
        let table = table(&contents);
        assert_eq!(table.rows.len(), 4);
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
        let row: Vec<&str> = table.rows[0].iter().map(|entry| entry.text.as_str()).collect();
        let calls = "recvfrom 1.00 sendto 1.00 epoll_pwait 0.25 …";
        let figures = ["4.00", "0.20", "0.05", "1.50 B", "136 B", "20.0 µs", "2.50 [2.50, 2.50]"];
        assert_eq!(row, [&["epoll", "1", calls], &figures[..]].concat());
        assert_eq!(table.rows[0].last().unwrap().value, Some(2.5));
        assert!(table.legend().unwrap().starts_with(FLOOR));

        let chart = contents.charts.iter().find(|chart| chart.kind == "floor").unwrap();
        assert_eq!(chart.title, "Server CPU per request ÷ the floor against connections");
        let points = chart.series.iter().flat_map(|series| &series.points);
        assert_eq!(points.map(|point| (point.y, point.interval)).collect::<Vec<_>>(), [(Some(2.5), Some([2.5; 2])); 4]);
        let markdown = markdown::draw(&contents);
        assert!(markdown.contains("**Where a request goes**") && markdown.contains("| 2.50 "), "{markdown}");
    }

    #[test]
    fn a_multiple_that_rests_on_some_of_the_trials_says_on_how_many() {
        let run = run("2026-01-01T00:00:00Z", &[1], &["epoll"]);
        let floor_ns = |block| (block > 2).then_some(8000.0);
        let file = file("run.jsonl", run, 8, |trial| trial.measured = counted("", floor_ns(trial.block)).measured);
        let contents = Contents::of(&[file]);
        assert_eq!(table(&contents).rows[0].last().unwrap().text, "2.50 [2.50, 2.50] of 6 of 8 trials");
    }

    #[test]
    fn without_a_floor_there_is_neither_column_nor_chart() {
        let contents = contents(None);
        let table = table(&contents);
        assert!(table.columns.iter().all(|column| column.title != FLOOR) && table.legend().is_none());
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()));
        assert!(contents.charts.iter().all(|chart| chart.kind != "floor"));
    }

    #[test]
    fn where_nothing_was_counted_there_is_no_such_table() {
        let run = run("2026-01-01T00:00:00Z", &[1], &["epoll"]);
        let contents = Contents::of(&[file("run.jsonl", run, 2, |_| ())]);
        assert!(contents.tables.iter().all(|table| table.title != "Where a request goes"));
    }
}
