//! Files with which nobody is misled: names that are what they look like, and no figure that nothing can have.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::plain::plain;
use crate::plan::{server_of, twin_of};
use crate::report::FileRun;
use crate::report::chart::is_plausible;
use crate::results::{Measured, TrialRecord, Verdict};

/// Stands for a name in which there is nothing to be seen.
const UNNAMED: &str = "(unnamed)";

/// The files as they are, or where something in them would mislead, copies without that.
pub(super) fn sound(files: &[FileRun]) -> Cow<'_, [FileRun]> {
    let names = Names::of(files);
    let trials = || files.iter().flat_map(|file| &file.recorded.trials);
    if names.0.is_empty() && trials().all(|trial| absurd(trial).is_none()) {
        return Cow::Borrowed(files);
    }
    let mut files = files.to_vec();
    for recorded in files.iter_mut().map(|file| &mut file.recorded) {
        if let Some(run) = &mut recorded.run {
            let servers = run.plan.servers.iter_mut().map(|server| &mut server.name);
            run.plan.backends.iter_mut().chain(&mut run.plan.twice).chain(servers).for_each(|name| names.change(name));
        }
        for trial in &mut recorded.trials {
            names.change(&mut trial.backend);
            if let Some(reason) = absurd(trial) {
                trial.verdict = Verdict::Invalid;
                // Before all others: it says why none of its figures is used.
                trial.reasons.insert(0, reason);
            }
        }
    }
    Cow::Owned(files)
}

/// Which figure of a trial is none that anything can have.
fn absurd(trial: &TrialRecord) -> Option<String> {
    let Measured { requests, throughput_rps, server, .. } = trial.measured.as_ref()?;
    let for_each = |count: Option<u64>| count.filter(|_| *requests > 0).map(|count| count as f64 / *requests as f64);
    // Of what may be as rare as it likes.
    let seldom = |count: Option<u64>| for_each(count).map(|each| each.max(1.0));
    let server = server.as_ref();
    let figures = [
        ("throughput_rps", Some(*throughput_rps)),
        ("server.cpu_ns ÷ requests", for_each(server.and_then(|server| server.cpu_ns))),
        ("server.syscalls ÷ requests", for_each(server.and_then(|server| server.syscalls))),
        ("server.wakeups ÷ requests", seldom(server.and_then(|server| server.wakeups))),
        ("server.bytes_received ÷ requests", seldom(server.and_then(|server| server.bytes_received))),
        ("server.bytes_sent ÷ requests", seldom(server.and_then(|server| server.bytes_sent))),
        ("server.bytes_copied ÷ requests", seldom(server.and_then(|server| server.bytes_copied))),
        ("server.voluntary_switches ÷ requests", seldom(server.and_then(|server| server.voluntary_switches))),
        ("server.involuntary_switches ÷ requests", seldom(server.and_then(|server| server.involuntary_switches))),
        ("server.floor_ns_per_request", server.and_then(|server| server.floor_ns_per_request)),
        ("server.max_rss_bytes", server.and_then(|server| server.max_rss_bytes).map(|bytes| bytes as f64)),
        ("server.memory_bytes_per_idle_connection", server.and_then(|server| server.memory_bytes_per_idle_connection)),
    ];
    let (name, value) = figures.into_iter().find(|(_, value)| value.is_some_and(|value| !is_plausible(value)))?;
    Some(format!("{name} is not plausible: {:e}", value?))
}

/// Names that change, each with what it becomes. Those that were different stay so.
struct Names(HashMap<String, String>);

impl Names {
    fn of(files: &[FileRun]) -> Self {
        let runs = || files.iter().filter_map(|file| file.recorded.run.as_ref()).map(|run| &run.plan);
        let planned = runs().flat_map(|plan| plan.backends.iter().chain(&plan.twice).map(String::as_str));
        let foreign = runs().flat_map(|plan| plan.servers.iter().map(|server| server.name.as_str()));
        let trials = files.iter().flat_map(|file| &file.recorded.trials).map(|trial| server_of(&trial.backend));
        let mut known = HashSet::new();
        let all: Vec<&str> = planned.chain(foreign).chain(trials).filter(|name| known.insert(*name)).collect();
        // Who is what it looks like keeps its name, whoever came first.
        let (sound, others): (Vec<&str>, Vec<&str>) = all.into_iter().partition(|name| given(name) == **name);
        let mut taken: HashSet<String> = sound.into_iter().map(str::to_owned).collect();
        let mut numbered = |name: &str| {
            let first = given(name);
            let mut own = first.clone();
            let mut number = 2;
            // What looks like the twin of another would be taken for that.
            while server_of(&own) != own || !taken.insert(own.clone()) {
                own = format!("{first}-{number}");
                number += 1;
            }
            own
        };
        Self(others.into_iter().map(|name| (name.to_owned(), numbered(name))).collect())
    }

    fn change(&self, name: &mut String) {
        let server = server_of(name);
        if let Some(own) = self.0.get(server) {
            *name = if server == name { own.clone() } else { twin_of(own) };
        }
    }
}

fn given(name: &str) -> String {
    let plain = plain(name);
    match plain.trim() {
        "" => UNNAMED.to_owned(),
        name => name.to_owned(),
    }
}
