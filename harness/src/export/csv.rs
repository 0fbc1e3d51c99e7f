//! A row for each trial, as RFC 4180 has it. The columns are described in `results/README.md`; units stand in their names.
//!
//! What is null is empty. A text that a spreadsheet would take for a formula gets an apostrophe in front of it, which tells
//! spreadsheets that it is none; no backend that a sweep accepts has such a name.

use std::collections::BTreeMap;

use super::Piece;
use crate::interference::Disturbance;
use crate::results::{ClientMeasured, LatencyOfAll, Measured, RunRecord, ServerMeasured, TrialRecord};
use crate::statistics::{Metric, floor_multiple};

/// Between several reasons.
const SEPARATOR: &str = "; ";

/// A heading and the rows below it.
#[derive(Debug)]
pub(super) struct Rows(csv::Writer<Vec<u8>>);

/// Why writing cannot fail.
const IN_MEMORY: &str = "a row of as many fields as the others is written to memory";

impl Rows {
    pub(super) fn new() -> Self {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(COLUMNS.iter().map(|(name, _)| *name)).expect(IN_MEMORY);
        Self(writer)
    }

    pub(super) fn add(&mut self, run: &RunRecord, trial: &TrialRecord) {
        let fields = COLUMNS.iter().map(|(_, field)| field(run, trial).0);
        self.0.write_record(fields).expect(IN_MEMORY);
    }

    pub(super) fn piece(self) -> Piece {
        let bytes = self.0.into_inner().expect(IN_MEMORY);
        Piece { name: "trials.csv".to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() }
    }
}

/// Whether its first line says so, of whichever version.
pub(super) fn is_ours(text: &str) -> bool {
    text.starts_with("run_started,trial,block,backend,")
}

/// What stands in one field.
struct Field(String);

type Column = (&'static str, fn(&RunRecord, &TrialRecord) -> Field);

/// From left to right. New ones come last, for those who count.
const COLUMNS: &[Column] = &[
    ("run_started", |run, _| text(&run.started)),
    ("trial", |_, trial| shown(trial.trial)),
    ("block", |_, trial| shown(trial.block)),
    ("backend", |_, trial| text(&trial.backend)),
    ("protocol", |_, trial| shown(trial.cell.protocol)),
    ("transport", |_, trial| shown(trial.cell.transport)),
    ("connections", |_, trial| shown(trial.cell.connections)),
    ("payload_bytes", |_, trial| shown(trial.cell.payload_bytes)),
    ("depth", |_, trial| shown(trial.cell.depth)),
    ("rate_rps", |_, trial| known(trial.cell.rate_rps)),
    ("arrivals", |_, trial| known(trial.cell.arrivals)),
    ("server_threads", |_, trial| shown(trial.cell.server_threads)),
    ("idle_connections", |_, trial| shown(trial.cell.idle_connections)),
    ("outcome", |_, trial| named(&trial.outcome)),
    ("error", |_, trial| text(trial.error.as_deref().unwrap_or_default())),
    ("verdict", |_, trial| shown(trial.verdict)),
    ("reasons", |_, trial| text(&trial.reasons.join(SEPARATOR))),
    ("bottleneck", |_, trial| known(trial.bottleneck)),
    ("requests", |_, trial| measured(trial, |measured| measured.requests)),
    ("errors", |_, trial| measured(trial, |measured| measured.errors)),
    ("mismatches", |_, trial| measured(trial, |measured| measured.mismatches)),
    ("censored", |_, trial| measured(trial, |measured| measured.censored)),
    ("unanswered", |_, trial| known(trial.measured.as_ref().and_then(|measured| measured.unanswered))),
    ("elapsed_ns", |_, trial| measured(trial, |measured| measured.elapsed_ns)),
    ("throughput_rps", |_, trial| measured(trial, |measured| measured.throughput_rps)),
    ("latency_min_ns", |_, trial| latency(trial, |of_all| of_all.min)),
    ("latency_mean_ns", |_, trial| latency(trial, |of_all| of_all.mean)),
    ("latency_p50_ns", |_, trial| latency(trial, |of_all| of_all.p50)),
    ("latency_p90_ns", |_, trial| latency(trial, |of_all| of_all.p90)),
    ("latency_p99_ns", |_, trial| latency(trial, |of_all| of_all.p99)),
    ("latency_p999_ns", |_, trial| latency(trial, |of_all| of_all.p999)),
    ("latency_p9999_ns", |_, trial| latency(trial, |of_all| of_all.p9999)),
    ("latency_max_ns", |_, trial| latency(trial, |of_all| of_all.max)),
    ("service_min_ns", |_, trial| service(trial, |of_all| of_all.min)),
    ("service_mean_ns", |_, trial| service(trial, |of_all| of_all.mean)),
    ("service_p50_ns", |_, trial| service(trial, |of_all| of_all.p50)),
    ("service_p90_ns", |_, trial| service(trial, |of_all| of_all.p90)),
    ("service_p99_ns", |_, trial| service(trial, |of_all| of_all.p99)),
    ("service_p999_ns", |_, trial| service(trial, |of_all| of_all.p999)),
    ("service_p9999_ns", |_, trial| service(trial, |of_all| of_all.p9999)),
    ("service_max_ns", |_, trial| service(trial, |of_all| of_all.max)),
    ("send_lag_p50_ns", |_, trial| measured(trial, |measured| measured.send_lag_ns.p50)),
    ("send_lag_p99_ns", |_, trial| measured(trial, |measured| measured.send_lag_ns.p99)),
    ("send_lag_max_ns", |_, trial| measured(trial, |measured| measured.send_lag_ns.max)),
    ("server_cpu_ns", |_, trial| server(trial, |server| server.cpu_ns)),
    ("server_cpu_ns_per_request", |_, trial| server(trial, |server| server.cpu_ns_per_request)),
    ("server_utilisation", |_, trial| server(trial, |server| server.utilisation)),
    ("server_busiest_thread", |_, trial| server(trial, |server| server.busiest_thread)),
    ("server_max_rss_bytes", |_, trial| server(trial, |server| server.max_rss_bytes)),
    ("server_voluntary_switches", |_, trial| server(trial, |server| server.voluntary_switches)),
    ("server_involuntary_switches", |_, trial| server(trial, |server| server.involuntary_switches)),
    ("server_syscalls", |_, trial| server(trial, |server| server.syscalls)),
    ("server_memory_bytes_per_idle_connection", |_, trial| {
        server(trial, |server| server.memory_bytes_per_idle_connection)
    }),
    ("client_engine", |_, trial| text(trial.measured.as_ref().map_or("", |measured| &measured.client.engine))),
    ("client_threads", |_, trial| client(trial, |client| Some(client.threads))),
    ("client_cpu_ns", |_, trial| client(trial, |client| Some(client.cpu_ns))),
    ("client_cpu_ns_per_request", |_, trial| client(trial, |client| client.cpu_ns_per_request)),
    ("client_utilisation", |_, trial| client(trial, |client| Some(client.utilisation))),
    ("client_involuntary_switches", |_, trial| client(trial, |client| client.involuntary_switches)),
    ("client_clock_step_ns", |_, trial| client(trial, |client| client.clock_step_ns)),
    ("in_flight_mean", |_, trial| known(trial.measured.as_ref().and_then(|measured| measured.in_flight_mean))),
    ("in_flight_edges", |_, trial| known(trial.measured.as_ref().and_then(|measured| measured.in_flight_edges))),
    ("silent_connections", |_, trial| known(trial.measured.as_ref().and_then(|measured| measured.silent_connections))),
    ("hiccup_floor_ns", |_, trial| {
        known(trial.measured.as_ref().and_then(|measured| measured.interference.hiccup_floor_ns))
    }),
    ("interference_server_hiccup_max_ns", |_, trial| on_server(trial, |side| side.hiccup_max_ns)),
    ("interference_server_hiccup_total_ns", |_, trial| on_server(trial, |side| side.hiccup_total_ns)),
    ("interference_server_stolen", |_, trial| on_server(trial, |side| side.stolen)),
    ("interference_server_neighbours", |_, trial| on_server(trial, |side| side.neighbours)),
    ("interference_server_waited", |_, trial| on_server(trial, |side| side.waited)),
    ("interference_server_involuntary_switches_per_s", |_, trial| {
        on_server(trial, |side| side.involuntary_switches_per_s)
    }),
    ("interference_client_hiccup_max_ns", |_, trial| on_client(trial, |side| side.hiccup_max_ns)),
    ("interference_client_hiccup_total_ns", |_, trial| on_client(trial, |side| side.hiccup_total_ns)),
    ("interference_client_stolen", |_, trial| on_client(trial, |side| side.stolen)),
    ("interference_client_neighbours", |_, trial| on_client(trial, |side| side.neighbours)),
    ("interference_client_waited", |_, trial| on_client(trial, |side| side.waited)),
    ("interference_client_involuntary_switches_per_s", |_, trial| {
        on_client(trial, |side| side.involuntary_switches_per_s)
    }),
    ("server_syscalls_by_name", |_, trial| server(trial, |server| server.syscalls_by_name.as_ref().map(calls))),
    ("server_wakeups", |_, trial| server(trial, |server| server.wakeups)),
    ("server_bytes_received", |_, trial| server(trial, |server| server.bytes_received)),
    ("server_bytes_sent", |_, trial| server(trial, |server| server.bytes_sent)),
    ("server_bytes_copied", |_, trial| server(trial, |server| server.bytes_copied)),
    ("server_floor_ns_per_request", |_, trial| server(trial, |server| server.floor_ns_per_request)),
    ("server_cpu_by_floor", |_, trial| known(floor_multiple(trial))),
    ("ranked_p50_ns", |_, trial| known(Metric::P50.of(trial))),
    ("ranked_p99_ns", |_, trial| known(Metric::P99.of(trial))),
];

/// `recvfrom 100; sendto 100`; without whatever else a file may have put into a name.
fn calls(calls: &BTreeMap<String, u64>) -> String {
    let is_plain = |name: &str| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let calls = calls.iter().filter(|(name, _)| is_plain(name)).map(|(name, count)| format!("{name} {count}"));
    calls.collect::<Vec<_>>().join(SEPARATOR)
}

fn measured<T: ToString>(trial: &TrialRecord, of: fn(&Measured) -> T) -> Field {
    known(trial.measured.as_ref().map(of))
}

/// Of all requests: empty where it lies among those without an answer.
fn latency(trial: &TrialRecord, of: fn(&LatencyOfAll) -> Option<u64>) -> Field {
    known(trial.measured.as_ref().and_then(|measured| of(&measured.latency_of_all())))
}

fn service(trial: &TrialRecord, of: fn(&LatencyOfAll) -> Option<u64>) -> Field {
    known(trial.measured.as_ref().and_then(|measured| of(&measured.service_of_all())))
}

fn server<T: ToString>(trial: &TrialRecord, of: fn(&ServerMeasured) -> Option<T>) -> Field {
    known(trial.measured.as_ref().and_then(|measured| measured.server.as_ref()).and_then(of))
}

fn client<T: ToString>(trial: &TrialRecord, of: fn(&ClientMeasured) -> Option<T>) -> Field {
    known(trial.measured.as_ref().and_then(|measured| of(&measured.client)))
}

fn on_server<T: ToString>(trial: &TrialRecord, of: fn(&Disturbance) -> Option<T>) -> Field {
    known(trial.measured.as_ref().and_then(|measured| of(&measured.interference.server)))
}

fn on_client<T: ToString>(trial: &TrialRecord, of: fn(&Disturbance) -> Option<T>) -> Field {
    known(trial.measured.as_ref().and_then(|measured| of(&measured.interference.client)))
}

fn known<T: ToString>(value: Option<T>) -> Field {
    value.map_or(Field(String::new()), shown)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where a function of a value is asked for")]
fn shown<T: ToString>(value: T) -> Field {
    Field(value.to_string())
}

/// As it is in the file that is exported.
fn named(value: &impl serde::Serialize) -> Field {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Field(name),
        _ => Field(String::new()),
    }
}

/// Words of others, which may be anything.
fn text(text: &str) -> Field {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    Field(if is_formula { format!("'{text}") } else { text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::run;
    use crate::results::tests::{failed_trial, trial};
    use crate::statistics::counted;

    fn read(trials: &[TrialRecord]) -> Vec<Vec<(String, String)>> {
        let mut rows = Rows::new();
        for trial in trials {
            rows.add(&run(), trial);
        }
        let text = rows.piece().text;
        assert!(is_ours(&text), "{text}");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().unwrap().clone();
        let row = |row: csv::StringRecord| {
            names.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect::<Vec<_>>()
        };
        reader.records().map(|record| row(record.unwrap())).collect()
    }

    fn field<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
        &row.iter().find(|(column, _)| column == name).unwrap_or_else(|| panic!("no column {name}")).1
    }

    #[test]
    fn a_row_says_what_its_trial_says() {
        let mut failed = failed_trial("poll", "it died, \"at once\"\nand for good");
        failed.reasons.push("and once more".to_owned());
        let rows = read(&[trial("epoll"), failed]);
        for (name, expected) in [
            ("backend", "epoll"),
            ("connections", "1"),
            ("rate_rps", ""),
            ("outcome", "ok"),
            ("verdict", "valid"),
            ("throughput_rps", "4000"),
            ("latency_p99_ns", "1980415"),
            ("server_cpu_ns", "40000000"),
            ("client_utilisation", "0.2"),
            ("interference_server_stolen", ""),
        ] {
            assert_eq!(field(&rows[0], name), expected, "{name}");
        }
        for (name, expected) in [
            ("outcome", "failed"),
            ("error", "it died, \"at once\"\nand for good"),
            ("reasons", "not measured; and once more"),
            ("throughput_rps", ""),
            ("client_engine", ""),
        ] {
            assert_eq!(field(&rows[1], name), expected, "{name}");
        }
        assert!(rows.iter().all(|row| row.len() == COLUMNS.len()));
    }

    #[test]
    fn where_a_request_went_and_how_far_it_is_from_the_floor_has_columns() {
        let rows = read(&[counted("epoll", Some(8000.0)), trial("epoll")]);
        for (name, expected) in [
            ("server_syscalls_by_name", "accept4 2; epoll_pwait 500; recvfrom 2000; sendto 2000"),
            ("server_wakeups", "500"),
            ("server_bytes_copied", "3000"),
            ("server_floor_ns_per_request", "8000"),
            ("server_cpu_by_floor", "2.5"),
        ] {
            assert_eq!((field(&rows[0], name), field(&rows[1], name)), (expected, ""), "{name}");
        }
    }

    #[test]
    fn no_text_is_a_formula() {
        for name in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(field(&read(&[trial(name)])[0], "backend"), format!("'{name}"));
        }
        let mut trial = trial("epoll");
        trial.measured.as_mut().unwrap().in_flight_edges = Some(-2.5);
        assert_eq!(field(&read(&[trial])[0], "in_flight_edges"), "-2.5");
    }

    #[test]
    fn a_percentile_that_lies_among_requests_without_an_answer_is_empty() {
        let mut trial = trial("epoll");
        let measured = trial.measured.as_mut().unwrap();
        (measured.censored, measured.unanswered) = (222, Some(0));
        let row = &read(&[trial])[0];
        for name in ["latency_p99_ns", "latency_p9999_ns", "latency_mean_ns", "latency_max_ns"] {
            assert_eq!(field(row, name), "", "{name}");
        }
        for name in ["latency_min_ns", "latency_p50_ns", "latency_p90_ns", "service_p99_ns", "service_max_ns"] {
            assert_ne!(field(row, name), "", "{name}");
        }
    }

    #[test]
    fn no_trials_are_a_heading() {
        assert!(read(&[]).is_empty());
    }

    #[test]
    fn every_column_is_described_where_results_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../results/README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let section = readme.split("\n### CSV\n").nth(1).expect("a section on CSV");
        let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
        let described: Vec<&str> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .flat_map(|line| line.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
            .collect();
        assert_eq!(described, COLUMNS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
