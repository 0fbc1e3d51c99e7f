//! What every command says: numbers and nouns that agree, units that are the same everywhere, lines that can be read.

use std::path::Path;

use crate::made::{run, write};
use crate::support::{Ended, harness};

/// Where text is no table and no data, a line is no longer.
const COLUMNS: usize = 100;

/// Words behind a 1 that end in s and are no plurals.
const SINGULAR: [&str; 8] = ["s", "is", "was", "has", "as", "less", "ns", "process"];

#[track_caller]
fn check(ended: &Ended, what: &str) {
    for line in ended.stdout.iter().chain(&ended.stderr) {
        assert!(!line.contains("(s)"), "{what}: {line}");
        let is_letters = |word: &str| word.len() > 1 && word.chars().all(|letter| letter.is_ascii_lowercase());
        let is_around = |c: char| "()[],;:.'\"".contains(c);
        let raw: Vec<&str> = line.split_whitespace().collect();
        let words: Vec<&str> = raw.iter().map(|word| word.trim_matches(is_around)).collect();
        // What stands behind a colon or a comma is not counted by the number before it.
        for (number, noun) in raw.iter().zip(words.iter().skip(1)) {
            let is_plural = number.trim_start_matches(is_around) == "1" && is_letters(noun) && noun.ends_with('s');
            assert!(!is_plural || SINGULAR.contains(noun), "{what}: '{number} {noun}' in {line}");
        }
        assert!(
            words.iter().all(|word| !word.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with("the")
                || word.starts_with("the")),
            "{what}: {line}"
        );
        // A percentage of five digits is no measurement.
        let is_absurd =
            |word: &str| word.trim_start_matches('±').split('.').next().is_some_and(|whole| whole.len() >= 5);
        assert!(!words.iter().any(|word| word.starts_with('±') && is_absurd(word)), "{what}: {line}");
    }
}

#[test]
fn help_and_common_mistakes_are_worded_right() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for command in [
        "list",
        "serve",
        "load",
        "sweep",
        "capacity",
        "floor",
        "compare",
        "report",
        "export",
        "schema",
        "doctor",
        "completions",
        "man",
    ] {
        let ended = harness(&[command, "--help"], path);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        check(&ended, command);
    }
    for (arguments, expected) in [
        (vec![], "requires a subcommand"),
        (vec!["swep"], "did you mean 'sweep'?"),
        (vec!["gard"], "unrecognized subcommand 'gard'"),
        (vec!["sweep", "--backend", "epoll"], "did you mean '--backends'?"),
        (vec!["sweep", "--backends", "eppol,poll"], "no backend 'eppol' (did you mean 'epoll'?); there are"),
        (vec!["sweep", "--backends", "epoll,poll", "--twice", "pol"], "did you mean 'poll'?"),
        (vec!["serve", "--backend", "io-uring"], "did you mean 'io_uring'?"),
        (vec!["load", "--target", "127.0.0.1:9", "--threads", "2"], "2 threads need"),
        (vec!["load", "--target", "127.0.0.1:9", "--engine", "epol"], "did you mean 'epoll'?"),
    ] {
        let ended = harness(&arguments, path);
        ended.assert_refused(2, expected);
        assert!(!ended.stderr[0].contains("guard"), "{ended:?}");
        check(&ended, expected);
    }
}

#[test]
fn a_blank_after_a_comma_is_no_mistake_in_any_list() {
    let directory = tempfile::tempdir().unwrap();
    for (flag, list) in [
        ("--backends", "epoll, poll"),
        ("--twice", "epoll, poll"),
        ("--connections", "1, 2"),
        ("--payload", "64, 1KiB"),
        ("--depth", "1, 2"),
        ("--rate", "1000, 2000"),
        ("--server-threads", "1, 2"),
        ("--idle", "0, 10"),
        ("--server-cpus", "0, 0-1 , 1023"),
    ] {
        // Refused for what follows, after all lists were read: the CPUs for what is listed twice.
        let ended = harness(&["sweep", flag, list, "--budget", "1m"], directory.path());
        let expected = if flag == "--server-cpus" { "CPU 0 is listed twice" } else { "a budget means nothing" };
        ended.assert_refused(2, expected);
    }
}

/// Of made-up runs of so many connections, backends and blocks, and of recorded ones.
#[test]
fn reports_comparisons_and_exports_of_one_and_of_many_are_worded_right() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/../results/recorded");
    let mut files = vec![format!("{recorded}/closed.jsonl"), format!("{recorded}/rates.jsonl")];
    for (connections, backends, blocks) in
        [(&[1][..], &["epoll"][..], 1), (&[1], &["epoll", "poll"], 1), (&[1, 61], &["epoll", "poll", "select"], 21)]
    {
        let name = format!("{}-{}-{blocks}.jsonl", connections.len(), backends.len());
        write(&path.join(&name), &run(connections, backends), blocks, |_| ());
        files.push(name);
    }
    for file in &files {
        let report = harness(&["report", file, "--output", "out"], path);
        assert_eq!(report.code(), Some(0), "{report:?}");
        check(&report, file);
        let is_long = |line: &&String| line.chars().count() > COLUMNS && !line.starts_with("report: ");
        assert_eq!(report.stdout.iter().find(is_long), None, "{file}");
        check_text(&path.join("out/report.md"), file);
        for arguments in [vec!["compare", file], vec!["compare", file, "--fail-above", "5"]] {
            check(&harness(&arguments, path), file);
        }
        for format in ["github-action-benchmark", "hgrm"] {
            check(&harness(&["export", file, "--format", format, "--output", &format!("{format}-out")], path), file);
        }
        std::fs::remove_dir_all(path.join("out")).unwrap();
    }
}

#[track_caller]
fn check_text(path: &Path, what: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    for line in text.lines().filter(|line| !line.starts_with('|')) {
        assert!(!line.contains("(s)") && !line.contains(" 1 trials") && !line.contains(" 1 others"), "{what}: {line}");
    }
}

/// A sweep of one backend, in one trial, on one connection, says so in the singular and breaks its notes.
#[test]
fn a_sweep_of_one_of_everything_is_worded_right() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "sweep",
        "--backends",
        "epoll",
        "--connections",
        "1",
        "--trials",
        "1",
        "--warmup",
        "0s",
        "--duration",
        "20ms",
        "--output",
        "run.jsonl",
    ];
    let ended = harness(&arguments, directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    check(&ended, "sweep");
    // The heading of the machine and the notes are prose; the tables are as wide as they are.
    let notes = ended.stdout.iter().filter(|line| line.contains("where a request goes") || line.contains("generator"));
    assert!(notes.clone().count() > 0 && notes.clone().all(|line| line.chars().count() <= COLUMNS), "{ended:?}");
    let generator = ended.stdout.iter().find(|line| line.starts_with("generator")).unwrap();
    assert!(!generator.contains("at most") && generator.contains("saturat"), "no cell can contradict it: {generator}");
}
