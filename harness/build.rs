//! Records which commit, sources and profile a build is of; results name them.

use std::env;
use std::process::Command;

/// All that the executable is made of, seen from this package.
const SOURCES: [&str; 4] = ["../Cargo.toml", "../Cargo.lock", "../backends", "../harness"];

fn main() {
    let revision = git(&["rev-parse", "HEAD"]);
    // Without `--no-optional-locks`, asking would itself write to the index.
    let changes = git(&[&["--no-optional-locks", "status", "--porcelain", "--"], SOURCES.as_slice()].concat());
    let dirty = changes.map_or("unknown".to_owned(), |changes| (!changes.is_empty()).to_string());
    println!("cargo::rustc-env=HARNESS_GIT_REVISION={}", revision.as_deref().unwrap_or("unknown"));
    println!("cargo::rustc-env=HARNESS_GIT_DIRTY={dirty}");
    println!("cargo::rustc-env=HARNESS_BUILD_PROFILE={}", env::var("PROFILE").unwrap_or_default());

    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    // Written to whenever HEAD moves.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
