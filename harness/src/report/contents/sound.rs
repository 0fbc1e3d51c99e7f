//! Files with which nobody is misled: names that are what they look like, and no figure that nothing can have.

use std::borrow::Cow;

use crate::report::FileRun;
use crate::report::chart::is_plausible;
use crate::results::{Measured, PlainNames, TrialRecord, Verdict};

/// The files as they are, or where something in them would mislead, copies without that.
pub(super) fn sound(files: &[FileRun]) -> Cow<'_, [FileRun]> {
    let names = PlainNames::of(files.iter().map(|file| &file.recorded));
    let trials = || files.iter().flat_map(|file| &file.recorded.trials);
    if names.are_all_as_they_were() && trials().all(|trial| absurd(trial).is_none()) {
        return Cow::Borrowed(files);
    }
    let mut files = files.to_vec();
    for recorded in files.iter_mut().map(|file| &mut file.recorded) {
        names.change_in(recorded);
        for trial in &mut recorded.trials {
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
        ("server.floor_echoes", server.and_then(|server| server.floor_echoes).map(|echoes| echoes as f64)),
        ("server.floor_in_vain", server.and_then(|server| server.floor_in_vain)),
        ("server.max_rss_bytes", server.and_then(|server| server.max_rss_bytes).map(|bytes| bytes as f64)),
        ("server.memory_bytes_per_idle_connection", server.and_then(|server| server.memory_bytes_per_idle_connection)),
    ];
    let (name, value) = figures.into_iter().find(|(_, value)| value.is_some_and(|value| !is_plausible(value)))?;
    Some(format!("{name} is not plausible: {:e}", value?))
}
