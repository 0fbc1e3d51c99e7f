//! `harness schema`, and whether what a sweep writes is what it says: another program validates each line.

use std::path::Path;

use serde_json::{Value, json};

use crate::export::run_python;
use crate::support::harness;

/// What is wrong with each line of standard input, by the schema of the first argument.
const VALIDATE: &str = "\
import json, sys
from jsonschema import Draft202012Validator
with open(sys.argv[1]) as file: schema = json.load(file)
Draft202012Validator.check_schema(schema)
validator, wrong = Draft202012Validator(schema), []
for path in sys.argv[2:]:
    with open(path) as file: lines = file.readlines()
    for number, line in enumerate(lines, 1):
        first = next(validator.iter_errors(json.loads(line)), None)
        wrong.append(None if first is None else f'{path} line {number}: {first.message[:200]}')
print(json.dumps(wrong))";

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../results/schema.json");

/// What goes wrong with a line.
type Fault = fn(&mut Value);

/// All recorded runs, wherever in their folder.
fn recorded(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(recorded(&path));
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path.to_str().unwrap().to_owned());
        }
    }
    files
}

#[test]
fn it_is_printed_as_it_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let ended = harness(&["schema"], directory.path());
    assert_eq!((ended.code(), ended.stderr.len()), (Some(0), 0));
    let kept = std::fs::read_to_string(SCHEMA).unwrap();
    let kept: Vec<&str> = kept.lines().collect();
    assert_eq!(ended.stdout, kept, "write it anew: harness schema > results/schema.json");
}

#[test]
fn every_line_that_is_recorded_or_written_just_now_is_valid_and_faults_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let server = "other=false {port}";
    let sweep =
        ["sweep", "--backends", "epoll", "--server", server, "--connections", "2", "--rate", "100", "--idle", "2"];
    let rest = ["--trials", "1", "--warmup", "0s", "--duration", "20ms", "--output", "run.jsonl"];
    harness(&[sweep.as_slice(), &rest].concat(), directory.path());
    let written = std::fs::read_to_string(directory.path().join("run.jsonl")).unwrap();
    let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes: Vec<&Value> = lines.iter().map(|line| &line["outcome"]).collect();
    assert!(outcomes.contains(&&json!("ok")) && outcomes.contains(&&json!("failed")), "{outcomes:?}");

    let files = recorded(&Path::new(SCHEMA).with_file_name("recorded"));
    let arguments: Vec<&str> = [SCHEMA, "run.jsonl"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let Some(wrong) = run_python(VALIDATE, &arguments, directory.path()) else { return };
    let found: Vec<&Value> = wrong.as_array().unwrap().iter().filter(|line| !line.is_null()).collect();
    assert!(found.is_empty() && wrong.as_array().unwrap().len() >= 3, "{found:?}");

    let (run, trial) = (&lines[0], lines.iter().find(|line| line["outcome"] == "ok").unwrap());
    let failed = lines.iter().find(|line| line["outcome"] == "failed").unwrap();
    let faults: [(&Value, Fault); 12] = [
        (run, |line| line["seed"] = json!("7")),
        (run, |line| line["schema_version"] = json!(2)),
        (run, |line| misspell(line, "environment", "enviroment")),
        (run, |line| misspell(&mut line["environment"], "kernel", "kernal")),
        (run, |line| line["environment"]["network"]["somaxconn"] = json!(-1)),
        (trial, |line| misspell(line, "record", "kind")),
        (trial, |line| misspell(line, "throughput_rps", "throughput")),
        (trial, |line| line["requests"] = Value::Null),
        (trial, |line| line["latency_ns"]["p99"] = json!(1.5)),
        (trial, |line| line["latency_hdr"] = json!("no histogram")),
        (trial, |line| line["verdict"] = json!("fine")),
        (failed, |line| line["requests"] = json!(1)),
    ];
    let broken = faults.map(|(line, fault)| {
        let mut line = line.clone();
        fault(&mut line);
        line.to_string()
    });
    // What a later version adds is allowed.
    let mut later = trial.clone();
    later["a_field_of_tomorrow"] = json!(1);
    let text = [broken.as_slice(), &[later.to_string()]].concat().join("\n");
    std::fs::write(directory.path().join("faults.jsonl"), text).unwrap();
    let found = run_python(VALIDATE, &[SCHEMA, "faults.jsonl"], directory.path()).unwrap();
    let (later, faults) = found.as_array().unwrap().split_last().unwrap();
    assert!(later.is_null(), "{later}");
    assert!(faults.iter().all(Value::is_string), "{faults:?}");
}

fn misspell(line: &mut Value, name: &str, other: &str) {
    let value = line.as_object_mut().unwrap().remove(name).unwrap();
    line[other] = value;
}
