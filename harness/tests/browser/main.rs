//! The page of a report as a browser shows it: opened from disk, with the network off.
//!
//! Some pages are written here, others `harness report` makes of results files; what is asked of them is in the
//! files that end in `.test.mjs`. Needs node, Chromium, and `npm ci` in this folder; is skipped where one of them is missing,
//! and fails there if `REQUIRE_TOOLS=all`. `PAGES=FOLDER` leaves pages and screenshots there to be looked at.

mod contents;
#[path = "../command/made.rs"]
mod made;
#[path = "../command/skipped.rs"]
mod skipped;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::report::page;
use harness::results::{Outcome, Verdict};
use skipped::skipped;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

#[test]
fn a_browser_shows_all_of_a_report() {
    let Some(browser) = tools() else {
        return;
    };
    let temporary = tempfile::tempdir().unwrap();
    let wanted = std::env::var_os("PAGES").map(PathBuf::from);
    let pages: &Path = wanted.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(pages).unwrap();
    for (name, contents) in [
        ("small", contents::contents(6, 2)),
        ("many", contents::contents(16, 1)),
        ("facets", contents::contents(6, 30)),
        ("nothing", contents::nothing()),
    ] {
        fs::write(pages.join(name).with_extension("html"), page::draw(&contents)).unwrap();
        fs::write(pages.join(name).with_extension("json"), serde_json::to_vec(&contents).unwrap()).unwrap();
    }
    for (name, file) in results_files(temporary.path()) {
        report(&file, name, pages);
    }
    let ended = Command::new("node")
        // All that it finds here.
        .arg("--test")
        .current_dir(FOLDER)
        .env("PAGES", fs::canonicalize(pages).unwrap())
        .env("SCREENSHOTS", if wanted.is_some() { "yes" } else { "" })
        .env("BROWSER", browser)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}\n{}", String::from_utf8_lossy(&ended.stderr));
    // A file without tests would succeed as well.
    let passed = said.lines().find_map(|line| line.split_once("pass ")?.1.trim().parse().ok()).unwrap_or(0);
    assert!(passed >= 26, "{said}");
}

#[test]
fn a_browser_that_is_missing_is_told_past_the_test_harness() {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_browser_shows_all_of_a_report"])
        .env("PATH", "/dev/null")
        .env_remove("REQUIRE_TOOLS")
        .env_remove("RUST_TEST_NOCAPTURE")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    let is_said =
        stderr.lines().any(|line| line.starts_with("skipped: ") && line.ends_with("Chromium is not installed"));
    assert!(ended.status.success() && is_said, "{ended:?}");
}

/// What reports are made of, each with the name of its page: all that a sweep may find, names that would do harm, and a run
/// that was recorded.
fn results_files(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let (made, hostile) = (folder.join("made.jsonl"), folder.join("hostile.jsonl"));
    let mut run = made::run(&[1, 16, 256], &["epoll", "io_uring", "threads"]);
    run.plan.rate_rps = vec![None, Some(1000.0), Some(8000.0)];
    made::write(&made, &run, 8, |trial| match (trial.backend.as_str(), trial.cell.connections) {
        ("threads", 256) => {
            (trial.verdict, trial.measured) = (Verdict::Invalid, None);
            (trial.outcome, trial.error) = (Outcome::Failed, Some("it died".to_owned()));
        }
        ("io_uring", 16) => trial.verdict = Verdict::Suspect,
        _ => {}
    });
    let names = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "a|b\n]]>'&amp;", "__proto__"];
    made::write(&hostile, &made::run(&[1, 64], &names), 8, |trial| trial.reasons.push("<i>odd</i>".to_owned()));
    let mut files = vec![("made", made), ("hostile", hostile)];
    let recorded = Path::new(FOLDER).join("../../../results/recorded");
    let mut runs: Vec<PathBuf> = fs::read_dir(recorded).unwrap().map(|entry| entry.unwrap().path()).collect();
    runs.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    runs.sort();
    match runs.into_iter().next() {
        Some(run) => files.push(("recorded", run)),
        None => skipped("no run is recorded that a page could be made of"),
    }
    files
}

/// Has the command make a report of it, and puts its page and what it says where the others are.
fn report(file: &Path, name: &str, pages: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["report".as_ref(), file.as_os_str(), "--json".as_ref(), "--output".as_ref(), folder.path().as_os_str()])
        .output()
        .unwrap();
    assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
    fs::copy(folder.path().join("report.html"), pages.join(name).with_extension("html")).unwrap();
    fs::write(pages.join(name).with_extension("json"), ended.stdout).unwrap();
}

/// The browser's name, where everything needed is there.
fn tools() -> Option<&'static str> {
    let runs = |name: &&str| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|ended| ended.success())
    };
    let browser = ["chromium", "google-chrome", "chromium-browser"].into_iter().find(runs);
    let missing = if browser.is_none() {
        "Chromium is not installed"
    } else if !runs(&"node") {
        "node is not installed"
    } else if !Path::new(FOLDER).join("node_modules/playwright-core").exists() {
        "run `npm ci` in harness/tests/browser first"
    } else {
        return browser;
    };
    assert!(std::env::var("REQUIRE_TOOLS").as_deref() != Ok("all"), "required: {missing}");
    skipped(missing);
    None
}
