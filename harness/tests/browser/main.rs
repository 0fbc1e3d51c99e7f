//! The page of a report as a browser shows it: opened from disk, with the network off.
//!
//! The pages are written here; what is asked of them is in `page.test.mjs`. Needs node, Chromium, and `npm ci` in this folder;
//! is skipped where one of them is missing, and fails there if `REQUIRE_TOOLS=all`. `PAGES=FOLDER` leaves pages and
//! screenshots there to be looked at.

mod contents;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::report::page;

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
    let ended = Command::new("node")
        .args(["--test", "page.test.mjs"])
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
    eprintln!("skipped: {missing}");
    None
}
