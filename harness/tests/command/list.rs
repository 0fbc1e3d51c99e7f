//! `harness list`.

use std::io;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::harness;

#[test]
fn every_backend_is_listed_with_what_this_machine_grants_it() {
    let directory = tempfile::tempdir().unwrap();
    let ended = harness(&["list", "--json"], directory.path());
    assert_eq!(ended.code(), Some(0));
    let entries: Vec<Value> = serde_json::from_str(&ended.stdout[0]).unwrap();
    let names: Vec<&str> = entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    let known: Vec<&str> = backends::BACKENDS.iter().map(|backend| backend.info().name).collect();
    assert_eq!(names, known);
    for entry in &entries {
        // One of the two: what was granted, or why nothing was.
        assert_eq!(entry["available"], entry["receipt"].is_object());
        assert_eq!(entry["available"], entry["reason"].is_null());
        for line in ["summary", "use_when", "avoid_when"] {
            let line = entry[line].as_str().unwrap();
            assert!(!line.is_empty() && !line.contains('\n'), "{entry}");
        }
        assert!(
            ["sleeps", "sleeps while the kernel spins", "spins"].contains(&entry["waiting"].as_str().unwrap()),
            "{entry}"
        );
        let stopped_by = &entry["stopped_by_unread_peers"];
        assert_eq!(stopped_by.as_u64(), (entry["name"] == "thread-pool").then_some(4), "{entry}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    for arguments in [["list", "--json"].as_slice(), &["list"], &["--help"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_harness"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .output()
            .unwrap();
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    }
}
