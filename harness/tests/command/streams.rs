//! Files that are none: pipes, descriptors, `-`; and names that a shell would take apart.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::made::{run, write};
use crate::support::{Ended, HARNESS, Running, harness};

/// A folder with a run of two backends.
fn with_a_run() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(&directory.path().join("run.jsonl"), &run(&[1], &["epoll", "poll"]), 8, |_| ());
    directory
}

/// In which `$0` is the command.
fn shell(line: &str, directory: &Path) -> Ended {
    Running::start_command(Command::new("sh").args(["-c", line, HARNESS]).current_dir(directory)).end()
}

#[test]
fn a_report_on_a_pipe_goes_to_a_folder_in_the_working_directory_and_says_so() {
    for line in [
        "cat run.jsonl | \"$0\" report -",
        "cat run.jsonl | \"$0\" report /dev/stdin",
        "\"$0\" report /dev/stdin <run.jsonl",
        "\"$0\" report /proc/self/fd/0 <run.jsonl",
        "\"$0\" report /dev/fd/9 9<run.jsonl",
        "mkfifo pipe && (cat run.jsonl >pipe &) && \"$0\" report pipe",
    ] {
        let directory = with_a_run();
        let ended = shell(line, directory.path());
        assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 1), "{line}: {ended:?}");
        assert!(ended.stderr[0].contains("it goes to harness-report; name another folder with --output"), "{ended:?}");
        assert!(ended.stdout.last().unwrap().starts_with("report: harness-report/report.html"), "{ended:?}");
        assert!(directory.path().join("harness-report/report.md").is_file(), "{line}");
        assert!(!Path::new("/dev/stdin-report").exists() && !Path::new("/dev/fd/9-report").exists());
    }
    let directory = with_a_run();
    let ended = shell("\"$0\" report - --output out <run.jsonl", directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
    assert!(directory.path().join("out/report.html").is_file());
}

#[test]
fn a_hyphen_is_standard_input_where_a_file_is_read() {
    let directory = with_a_run();
    let export = shell("\"$0\" export - --format csv <run.jsonl", directory.path());
    assert_eq!((export.code(), export.stdout.len()), (Some(0), 17), "{export:?}");
    let compare = shell("\"$0\" compare - --baseline epoll <run.jsonl", directory.path());
    assert_eq!(compare.code(), Some(0), "{compare:?}");
}

#[test]
fn a_hyphen_is_standard_output_of_an_export_and_refused_with_a_way_out_elsewhere() {
    let directory = with_a_run();
    let path = directory.path();
    let to_hyphen = harness(&["export", "run.jsonl", "--format", "csv", "--output", "-"], path);
    assert_eq!(to_hyphen.code(), Some(0), "{to_hyphen:?}");
    assert_eq!(to_hyphen.stdout, harness(&["export", "run.jsonl", "--format", "csv"], path).stdout);
    for (arguments, expected) in [
        (vec!["export", "run.jsonl", "--format", "hgrm", "--output", "-"], "name a folder for them with --output"),
        (vec!["sweep", "--output", "-"], "take --json for standard output"),
        (vec!["capacity", "--slo", "p99<1ms", "--output", "-"], "take --json for standard output"),
        (vec!["report", "run.jsonl", "--output", "-"], "print all of it with --json"),
        (vec!["man", "--output", "-"], "leave out --output"),
    ] {
        harness(&arguments, path).assert_refused(2, expected);
    }
    assert!(!path.join("-").exists());
}

#[test]
fn a_path_in_a_command_that_is_printed_is_one_word_for_a_shell() {
    let directory = tempfile::tempdir().unwrap();
    // Narrower than any interval of two trials: it says how to go on.
    let mut arguments = crate::brief::brief_sweep("1", "2", "it's my run.jsonl").to_vec();
    arguments.extend(["--until", "0.001", "--budget", "1ms"]);
    let ended = harness(&arguments, directory.path());
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    let hint = ended.stderr.last().unwrap();
    let words = shlex::split(&hint[hint.find("--output").unwrap()..hint.find(" --resume").unwrap()]).unwrap();
    assert_eq!(words, ["--output", "it's my run.jsonl"], "{hint}");
    assert!(directory.path().join(&words[1]).is_file());
}

#[test]
fn without_a_baseline_a_file_is_compared_with_its_first_backend() {
    let directory = with_a_run();
    let ended = harness(&["compare", "run.jsonl"], directory.path());
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout[0].starts_with("compared with epoll, the first of the file with usable trials"), "{ended:?}");
    assert!(ended.stdout.iter().any(|line| line.trim_start().starts_with("poll ")), "{ended:?}");
    write(&directory.path().join("one.jsonl"), &run(&[1], &["epoll"]), 8, |_| ());
    let one = harness(&["compare", "one.jsonl"], directory.path());
    one.assert_refused(2, "one.jsonl has one backend, epoll");
}

#[test]
fn what_cannot_be_read_or_written_is_named_with_its_reason() {
    let directory = with_a_run();
    let path = directory.path();
    fs::create_dir(path.join("folder")).unwrap();
    for (code, arguments, expected) in [
        (2, vec!["report", "folder"], "folder is a folder; name a results file"),
        (2, vec!["report", "run.jsonl", "--output", "run.jsonl"], "run.jsonl is no folder"),
        (2, vec!["export", "run.jsonl", "--format", "csv", "--output", "run.jsonl"], "is no export in this format"),
        (1, vec!["export", "run.jsonl", "--format", "csv", "--output", "absent/x.csv"], "cannot write absent/x.csv"),
    ] {
        harness(&arguments, path).assert_refused(code, expected);
    }
    let read = fs::read_to_string(path.join("run.jsonl")).unwrap();
    assert!(read.starts_with("{\"record\":\"run\""), "the input is as it was");
}
