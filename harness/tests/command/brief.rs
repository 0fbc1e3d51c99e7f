//! Sweeps whose trials take a moment each, what they leave, and what else they might have left.

use std::path::Path;

use harness::results::{Record, Recorded, RunRecord, TrialRecord, Writer, read};

/// Two backends with so many connections, in so many blocks.
pub(crate) const fn brief_sweep(
    connections: &'static str,
    trials: &'static str,
    output: &'static str,
) -> [&'static str; 13] {
    [
        "sweep",
        "--backends",
        "epoll,poll",
        "--connections",
        connections,
        "--trials",
        trials,
        "--warmup",
        "0s",
        "--duration",
        "20ms",
        "--output",
        output,
    ]
}

/// What stands in `run.jsonl`.
pub(crate) fn recorded(directory: &Path) -> Recorded {
    read(&directory.join("run.jsonl")).unwrap()
}

/// Writes a run of these trials.
pub(crate) fn write_trials(path: &Path, run: &RunRecord, trials: impl IntoIterator<Item = TrialRecord>) {
    let mut writer = Writer::create(path).unwrap();
    writer.append(&Record::Run(Box::new(run.clone()))).unwrap();
    for trial in trials {
        writer.append(&Record::Trial(Box::new(trial))).unwrap();
    }
}
