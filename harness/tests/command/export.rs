//! `harness export`: what it writes, read by the programs that it is written for, and what it refuses to write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use harness::results::{Bottleneck, EncodedHistogram, Recorded, TrialRecord, Verdict};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::brief::{brief_sweep, recorded, write_trials};
use crate::support::{Ended, HARNESS, PATIENCE, harness, has_tool, missing_tool};

/// Two backends in two cells, six times.
const SWEEP: [&str; 13] = brief_sweep("1,4", "6", "run.jsonl");

/// Where Debian keeps the first implementation of `HdrHistogram`.
const HDR_HISTOGRAM_JAR: &str = "/usr/share/java/hdrhistogram.jar";

/// What that leaves, for all tests.
static RUN: OnceLock<Vec<u8>> = OnceLock::new();

struct Fixture {
    directory: tempfile::TempDir,
    recorded: Recorded,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = RUN.get_or_init(|| {
            assert_eq!(harness(&SWEEP, directory.path()).code(), Some(0));
            fs::read(directory.path().join("run.jsonl")).unwrap()
        });
        fs::write(directory.path().join("run.jsonl"), file).unwrap();
        let recorded = recorded(directory.path());
        Self { directory, recorded }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn export(&self, format: &str, more: &[&str]) -> Ended {
        self.export_of("run.jsonl", format, more)
    }

    fn export_of(&self, file: &str, format: &str, more: &[&str]) -> Ended {
        harness(&[&["export", file, "--format", format], more].concat(), self.path())
    }

    /// Writes a run of these trials.
    fn write(&self, name: &str, trials: impl IntoIterator<Item = TrialRecord>) {
        write_trials(&self.path().join(name), self.recorded.run.as_ref().unwrap(), trials);
    }

    /// A trial of ours, under another name and number.
    fn trial(&self, number: usize, backend: &str) -> TrialRecord {
        let sound = self.recorded.trials.iter().find(|trial| trial.measured.is_some()).unwrap();
        let (backend, bottleneck) = (backend.to_owned(), Some(Bottleneck::Server));
        TrialRecord { trial: number, backend, verdict: Verdict::Valid, bottleneck, ..sound.clone() }
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// What is in a folder, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path().join(folder)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The Python that the tools of `.ci/requirements.txt` are installed for, beside what cargo builds.
pub(crate) fn python() -> Option<PathBuf> {
    let path = Path::new(HARNESS).ancestors().nth(2).unwrap().join("python/bin/python");
    if !path.exists() {
        missing_tool(&format!("{} with .ci/requirements.txt", path.display()));
        return None;
    }
    Some(path)
}

/// Runs a Python program and gives what it printed.
#[track_caller]
pub(crate) fn run_python(program: &str, arguments: &[&str], directory: &Path) -> Option<Value> {
    let ended = Command::new(python()?).arg("-c").arg(program).args(arguments).current_dir(directory).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Some(serde_json::from_slice(&ended.stdout).unwrap())
}

/// What the first implementation makes of all lines of a log that have a tag.
fn processed_by_java(directory: &Path, log: &str, tag: &str) -> Option<String> {
    if !Path::new(HDR_HISTOGRAM_JAR).exists() {
        missing_tool("libhdrhistogram-java");
        return None;
    }
    if !has_tool("java") {
        return None;
    }
    let arguments = ["-XX:TieredStopAtLevel=1", "-cp", HDR_HISTOGRAM_JAR, "org.HdrHistogram.HistogramLogProcessor"];
    let ended = Command::new("java")
        .args(arguments)
        .args(["-i", log, "-tag", tag, "-o", "java", "-outputValueUnitRatio", "1000"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    Some(fs::read_to_string(directory.join("java.hgrm")).unwrap())
}

#[test]
fn the_first_implementation_of_hdrhistogram_reads_our_log_and_prints_the_same_bytes_of_it() {
    let fixture = Fixture::new();
    let log = "framed.tcp.connections-4.payload-64.depth-1.closed-loop.server-threads-1";
    assert_eq!(fixture.export("hlog", &["--output", "logs"]).code(), Some(0));
    assert_eq!(fixture.export("hgrm", &["--output", "percentiles"]).code(), Some(0));
    let Some(theirs) = processed_by_java(fixture.path(), &format!("logs/{log}.hlog"), "epoll") else { return };
    let ours = fixture.text(&format!("percentiles/epoll.{log}.hgrm"));
    // Above the percentiles stands which part of the log they are of.
    let (heading, theirs) = theirs.split_at(theirs.find(" Value ").unwrap() - 6);
    assert!(heading.starts_with("#[Overall percentile distribution") && heading.lines().count() <= 2, "{heading}");
    assert!(ours.lines().count() > 20, "{ours}");
    assert_eq!(ours, theirs);
}

#[test]
fn another_implementation_of_hdrhistogram_reads_the_same_counts() {
    let fixture = Fixture::new();
    let log = "framed.tcp.connections-1.payload-64.depth-1.closed-loop.server-threads-1.hlog";
    assert_eq!(fixture.export("hlog", &["--output", "logs"]).code(), Some(0));
    let program = "\
import json, sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
reader, tags = HistogramLogReader(sys.argv[1], HdrHistogram(1, 1 << 42, 3)), []
while (interval := reader.get_next_interval_histogram()) is not None:
    values = [[at.value_iterated_to, at.count_at_value_iterated_to] for at in interval.get_recorded_iterator()]
    tags.append([interval.get_tag(), interval.get_total_count(), values])
print(json.dumps(tags))";
    let path = format!("logs/{log}");
    let Some(theirs) = run_python(program, &[&path], fixture.path()) else { return };
    let ours: Vec<Value> = fixture
        .recorded
        .trials
        .iter()
        .filter(|trial| trial.cell.connections == 1 && trial.verdict != Verdict::Invalid)
        .map(|trial| {
            let measured = trial.measured.as_ref().unwrap();
            let latency = &measured.latency_hdr.0;
            let value = |value: u64| latency.highest_equivalent(value);
            let values: Vec<[u64; 2]> =
                latency.iter_recorded().map(|at| [value(at.value_iterated_to()), at.count_at_value()]).collect();
            json!([trial.backend, measured.requests, values])
        })
        .collect();
    assert!(!ours.is_empty());
    assert_eq!(theirs, Value::from(ours));
}

#[test]
fn those_who_read_histograms_do_not_stumble_over_what_was_never_answered() {
    let fixture = Fixture::new();
    let mut trials = [fixture.trial(1, "epoll"), fixture.trial(2, "poll")];
    let measured = trials[0].measured.as_mut().unwrap();
    (measured.censored, measured.unanswered) = (77_123, Some(77_123));
    let requests = trials[0].measured.as_ref().unwrap().requests;
    fixture.write("late.jsonl", trials);
    for format in ["hlog", "hgrm"] {
        let ended = fixture.export_of("late.jsonl", format, &["--output", format]);
        assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 1), "{ended:?}");
        let said = &ended.stderr[0];
        assert!(said.starts_with("note: left out: 77,123 of ") && said.contains("were never answered"), "{said}");
    }
    // Whichever cell the trials are of.
    let [name] = &fixture.names("hlog")[..] else { panic!("one cell has one log") };
    let (cell, log) = (name.strip_suffix(".hlog").unwrap(), format!("hlog/{name}"));
    let comment = "77,123 requests were never answered and are in no line";
    assert!(fixture.text(&log).contains(&format!("#[epoll: {comment}]\n")), "{}", fixture.text(&log));

    let program = "\
import json, sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
reader, counts = HistogramLogReader(sys.argv[1], HdrHistogram(1, 1 << 42, 3)), []
while (interval := reader.get_next_interval_histogram()) is not None:
    counts.append([interval.get_tag(), interval.get_total_count()])
print(json.dumps(counts))";
    if let Some(counts) = run_python(program, &[&log], fixture.path()) {
        assert_eq!(counts, json!([["epoll", requests], ["poll", requests]]));
    }
    if let Some(theirs) = processed_by_java(fixture.path(), &log, "epoll") {
        let ours = fixture.text(&format!("hgrm/epoll.{cell}.hgrm"));
        assert!(ours.contains(&format!("#[{comment}: slower than any answer")), "{ours}");
        // What it makes of the log is of the answers alone, up to the slowest; ours ends where the others begin.
        let last = |text: &str| {
            let row = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
            row.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()
        };
        let answered = requests as f64 / (requests + 77_123) as f64;
        assert!(last(&theirs) >= 1.0 && last(&ours) <= answered, "{ours}");
    }
}

/// The rules of the reader of benchmark-action/github-action-benchmark, as its source has them (v1.22.0; the program runs in a
/// workflow of GitHub alone): an array of at least one object, `name` and `unit` of text, `value` a number, `range` and `extra`
/// of text where they are; of a range it takes the number after `±`.
fn is_read_by_github_action_benchmark(entries: &Value) -> bool {
    let range = |range: &str| {
        let number = range.strip_prefix('±').map(str::trim_start);
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()) && number.parse::<f64>().is_ok())
    };
    let is_entry = |entry: &Value| {
        entry["name"].is_string()
            && entry["unit"].is_string()
            && entry["value"].as_f64().is_some_and(f64::is_finite)
            && entry.get("range").is_none_or(|text| text.as_str().is_some_and(range))
            && entry.get("extra").is_none_or(Value::is_string)
    };
    entries.as_array().is_some_and(|entries| !entries.is_empty() && entries.iter().all(is_entry))
}

#[test]
fn what_follows_benchmarks_over_time_gets_what_it_reads() {
    let fixture = Fixture::new();
    let trials = (1..=16).map(|number| fixture.trial(number, ["epoll", "poll"][number % 2]));
    fixture.write("made.jsonl", trials);
    let ended = fixture.export_of("made.jsonl", "github-action-benchmark", &["--output", "benchmark"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(ended.stdout, ["benchmark/bigger-is-better.json", "benchmark/smaller-is-better.json"]);
    for name in &ended.stdout {
        assert!(is_read_by_github_action_benchmark(&fixture.json(name)), "{}", fixture.text(name));
    }
    assert_eq!(fixture.json(&ended.stdout[0]).as_array().unwrap().len(), 2);
    for broken in [json!([]), json!({}), json!([{ "name": "a", "unit": "ns", "value": 1, "range": "± 3 %" }])] {
        assert!(!is_read_by_github_action_benchmark(&broken), "{broken}");
    }

    let ended = fixture.export_of("made.jsonl", "bmf", &[]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let benchmarks: Value = serde_json::from_str(&ended.stdout.concat()).unwrap();
    assert_eq!(benchmarks.as_object().unwrap().len(), 2);
    for (name, measures) in benchmarks.as_object().unwrap() {
        // The rules of the reference of Bencher and of its schema: names of 1 to 1024 bytes, of which each measure
        // has a number `value`, and at most two more.
        assert!((1..=1024).contains(&name.len()));
        assert!(measures["throughput"].is_object() && measures["server-cpu-per-request"].is_object(), "{measures}");
        for metric in measures.as_object().unwrap().values() {
            let of = |field: &str| metric[field].as_f64().unwrap();
            assert!(of("lower_value") <= of("value") && of("value") <= of("upper_value"), "{metric}");
            assert_eq!(metric.as_object().unwrap().len(), 3);
        }
    }
}

#[test]
fn a_file_appears_whole_and_replaces_nothing_but_an_export() {
    let fixture = Fixture::new();
    let csv = fixture.export("csv", &[]);
    assert_eq!((csv.code(), csv.stdout.len()), (Some(0), 1 + 24), "{csv:?}");
    for _ in 0..2 {
        assert_eq!(fixture.export("csv", &["--output", "trials.csv"]).code(), Some(0));
    }
    assert_eq!(fixture.text("trials.csv").lines().collect::<Vec<_>>(), csv.stdout);

    fs::create_dir(fixture.path().join("taken")).unwrap();
    let precious = "taken/poll.framed.tcp.connections-4.payload-64.depth-1.closed-loop.server-threads-1.hgrm";
    fs::write(fixture.path().join(precious), "precious").unwrap();
    for (code, format, output, expected) in [
        (2, "bmf", "trials.csv", "trials.csv exists already and is no export in this format"),
        (2, "csv", "run.jsonl", "run.jsonl exists already"),
        (2, "hgrm", "taken", "exists already"),
        (2, "csv", "taken", "taken is a folder"),
        (1, "csv", "absent/trials.csv", "cannot write absent/trials.csv: No such file"),
        (1, "csv", "/dev/full", "cannot write /dev/full: No space left"),
        (1, "hlog", "trials.csv", "cannot write trials.csv: File exists"),
    ] {
        fixture.export(format, &["--output", output]).assert_refused(code, expected);
    }
    assert_eq!(fixture.text(precious), "precious");
    assert_eq!(fixture.names("taken").len(), 1, "nothing beside what was there");
    assert_eq!(fixture.names("."), ["run.jsonl", "taken", "trials.csv"]);
}

#[test]
fn what_cannot_be_exported_is_refused_in_one_line() {
    let fixture = Fixture::new();
    let bytes = fs::read(fixture.path().join("run.jsonl")).unwrap();
    let run_line = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let newer = fixture.text("run.jsonl").replacen("\"schema_version\":1", "\"schema_version\":99", 1);
    for (name, text) in
        [("empty.jsonl", &bytes[..0]), ("begun.jsonl", &bytes[..run_line]), ("newer.jsonl", newer.as_bytes())]
    {
        fs::write(fixture.path().join(name), text).unwrap();
    }
    for (code, file, format, expected) in [
        (2, "absent.jsonl", "csv", "there is no file absent.jsonl"),
        (2, "empty.jsonl", "csv", "empty.jsonl is empty"),
        (2, "begun.jsonl", "bmf", "begun.jsonl has no trial that was measured"),
        (2, "begun.jsonl", "hgrm", "begun.jsonl has no trial that was measured"),
        (1, "newer.jsonl", "csv", "newer.jsonl has schema version 99"),
        (2, "run.jsonl", "xml", "possible values: csv, hgrm, hlog, github-action-benchmark, bmf"),
        (2, "run.jsonl", "hlog", "this makes 2 files; name a folder for them with --output"),
    ] {
        fixture.export_of(file, format, &[]).assert_refused(code, expected);
    }
    // No trials are no rows, and a file that was cut off is a shorter run.
    assert_eq!(fixture.export_of("begun.jsonl", "csv", &[]).stdout.len(), 1);
    fs::write(fixture.path().join("cut.jsonl"), &bytes[..bytes.len() - 7]).unwrap();
    let cut = fixture.export_of("cut.jsonl", "csv", &[]);
    assert_eq!((cut.code(), cut.stdout.len()), (Some(0), 1 + 23));
    assert!(cut.stderr[0].contains("cut.jsonl ends within a line"), "{cut:?}");
}

#[test]
fn names_that_would_do_harm_stay_in_their_folder() {
    let fixture = Fixture::new();
    let names = ["<script>", "../../etc", "=1+1"];
    fixture.write("hostile.jsonl", (1..).zip(names).map(|(number, name)| fixture.trial(number, name)));
    for format in ["hgrm", "hlog", "github-action-benchmark"] {
        let output = format!("out/{format}");
        let ended = fixture.export_of("hostile.jsonl", format, &["--output", &output]);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert_eq!(fixture.names(&output).len(), ended.stdout.len(), "{ended:?}");
    }
    assert_eq!(fixture.names("out").len(), 3);
    let csv = fixture.export_of("hostile.jsonl", "csv", &[]);
    assert!(csv.stdout[3].contains(",'=1+1,"), "{csv:?}");
}

#[test]
fn ten_thousand_trials_are_soon_exported() {
    let fixture = Fixture::new();
    let mut trial = fixture.trial(1, "epoll");
    // Histograms of a narrow range: as many of ours would take gigabytes.
    let mut narrow = Histogram::new_with_bounds(1, 1 << 20, 2).unwrap();
    narrow.record_n(20_000, 100).unwrap();
    let measured = trial.measured.as_mut().unwrap();
    measured.latency_hdr = EncodedHistogram::from(narrow.clone());
    measured.service_hdr = EncodedHistogram::from(narrow);
    fixture.write("long.jsonl", std::iter::once(trial));
    // The same line with other numbers: to compress as many histograms again would take longer than all else.
    let text = fixture.text("long.jsonl");
    let (run, trial) = text.split_once('\n').unwrap();
    let trials = (1..=10_000).map(|number| trial.replacen("\"trial\":1,", &format!("\"trial\":{number},"), 1));
    fs::write(fixture.path().join("long.jsonl"), format!("{run}\n{}", trials.collect::<String>())).unwrap();
    let begun = Instant::now();
    let csv = fixture.export_of("long.jsonl", "csv", &["--output", "long.csv"]);
    assert_eq!(csv.code(), Some(0), "{csv:?}");
    assert_eq!(fixture.text("long.csv").lines().count(), 10_001);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}
