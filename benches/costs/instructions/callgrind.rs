//! Counted by callgrind: this executable carries out one cost under it, without criterion.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::NotCounted;
use crate::table::Cost;

/// Asks this executable to carry out one cost: its name and how often follow.
pub(crate) const ONE_COST: &str = "--one-cost";

/// For n times and for 2 n times, both at once.
pub(super) fn instructions(cost: &Cost) -> Result<[u64; 2], NotCounted> {
    let directory = tempfile::tempdir().map_err(|error| NotCounted(format!("no place for a profile: {error}")))?;
    let files = ["once", "twice"].map(|name| directory.path().join(name));
    let started = [(&files[0], cost.times), (&files[1], 2 * cost.times)].map(|(file, times)| start(cost, times, file));
    // All that were started are waited for, whatever became of the others.
    let ended = started.map(|started| started.and_then(Child::wait_with_output));
    let mut counts = [0; 2];
    for ((ended, file), count) in ended.into_iter().zip(&files).zip(&mut counts) {
        let ended = ended.map_err(|error| NotCounted(format!("cannot start valgrind: {error}; install it")))?;
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr);
            return Err(NotCounted(format!("under valgrind, {}: {}", ended.status, said.trim_end())));
        }
        let profile = fs::read_to_string(file).map_err(|error| NotCounted(format!("no profile: {error}")))?;
        *count = total(&profile).ok_or_else(|| NotCounted("a profile without a total".into()))?;
    }
    Ok(counts)
}

fn start(cost: &Cost, times: u64, profile: &Path) -> io::Result<Child> {
    let mut option = OsStr::new("--callgrind-out-file=").to_owned();
    option.push(profile);
    Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind"])
        .arg(option)
        .arg(env::current_exe()?)
        .args([ONE_COST, cost.name, &times.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

/// What a profile in the format of callgrind says of the whole run.
fn total(profile: &str) -> Option<u64> {
    let totals = profile.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")))?;
    totals.split_whitespace().next()?.parse().ok()
}
