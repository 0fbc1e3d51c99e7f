//! What is to be known of each file: the machine, the command, and what became of its trials.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Reason, RunFacts};
use crate::doctor::{Diagnosis, Level};
use crate::figures;
use crate::report::selection::{Run, Selection};
use crate::report::terminal::facts::rows;
use crate::report::{FileRun, repeat};
use crate::results::{Fate, Generator, RunRecord, TrialRecord};

/// Rows about how the machine was just then, and about the network; what is in neither is about the machine itself, and what
/// comes after the last of them is what the kernel grants the backends.
const AT_THE_TIME: [&str; 4] = ["load", "steal", "this process", "limits"];
const NETWORK: [&str; 3] = ["network", "TCP memory", "sockets"];
const LAST: &str = "observing";

/// Of one file, which may have been cut off in its first line.
pub(super) fn of(file: &FileRun, selection: &Selection<'_>) -> RunFacts {
    let recorded = &file.recorded;
    let mut notes = Vec::new();
    if recorded.cut_off {
        notes.push("the file ends within a line, which is left out".to_owned());
    }
    let facts = RunFacts {
        file: file.name.clone(),
        started: String::new(),
        command: String::new(),
        verdicts: counted(recorded.trials.iter()).iter().map(|(fate, count)| (fate.to_string(), *count)).collect(),
        reasons: reasons(&recorded.trials),
        environment: Vec::new(),
        notes,
    };
    let Some(run) = &recorded.run else {
        return RunFacts {
            notes: vec!["the file ends within its first line, so nothing is known of it".to_owned()],
            ..facts
        };
    };
    let mut notes = facts.notes;
    notes.extend(doubts(run, &recorded.trials));
    if selection.is_elsewhere(run) {
        notes.push("it was made on another machine than the newest, so it takes part in the history only".to_owned());
    }
    RunFacts {
        started: run.started.clone(),
        command: repeat::command(run),
        environment: environment(run),
        notes,
        ..facts
    }
}

/// Trials by what became of them, the best first.
pub(super) fn counted<'a>(trials: impl Iterator<Item = &'a TrialRecord>) -> Vec<(Fate, usize)> {
    let mut counts: BTreeMap<Fate, usize> = BTreeMap::new();
    trials.for_each(|trial| *counts.entry(trial.fate()).or_default() += 1);
    counts.into_iter().collect()
}

/// Each reason once, those of the worst first; those that most trials have come first within their kind.
fn reasons(trials: &[TrialRecord]) -> Vec<Reason> {
    let mut reasons: Vec<(Fate, Reason)> = Vec::new();
    for trial in trials.iter().filter(|trial| trial.fate() != Fate::Valid) {
        let fate = trial.fate();
        for reason in trial.why() {
            let known = reasons.iter().position(|(of, one)| *of == fate && one.reason == reason);
            let place = known.unwrap_or_else(|| {
                let reason = Reason { kind: fate.to_string(), reason: reason.to_owned(), backends: Vec::new() };
                reasons.push((fate, reason));
                reasons.len() - 1
            });
            let backends = &mut reasons[place].1.backends;
            match backends.iter_mut().find(|(name, _)| *name == trial.backend) {
                Some((_, count)) => *count += 1,
                None => backends.push((trial.backend.clone(), 1)),
            }
        }
    }
    let trials = |reason: &Reason| reason.backends.iter().map(|(_, count)| count).sum::<usize>();
    reasons.sort_by_key(|(fate, reason)| Reverse((*fate, trials(reason))));
    reasons.into_iter().map(|(_, reason)| reason).collect()
}

/// What keeps a run from being taken at face value as a whole.
fn doubts(run: &RunRecord, trials: &[TrialRecord]) -> Vec<String> {
    let mut notes = Vec::new();
    let RunRecord { plan, build, .. } = run;
    if build.build_profile != "release" {
        notes.push(format!("the build was a {} build, whose figures mean little", build.build_profile));
    }
    if build.git_dirty == Some(true) {
        notes.push("the sources of the build differed from its revision".to_owned());
    }
    if plan.server_cpus.overlaps(&plan.client_cpus) {
        notes.push("server and load generator shared CPUs".to_owned());
    }
    let known = Run { file: "", record: run, trials };
    let strangers = known.strangers();
    if strangers > 0 {
        let (trials, are) = (figures::counted(strangers, "trial"), if strangers == 1 { "is" } else { "are" });
        notes.push(format!("{trials} {are} of a cell or a backend that the plan does not have, and left out"));
    }
    if run.capacity.is_none() {
        notes.extend(extent(&known, strangers));
    }
    notes
}

/// Whether there are fewer or more trials than were planned.
fn extent(run: &Run<'_>, strangers: usize) -> Option<String> {
    let (trials, planned) = (run.trials.len() - strangers, run.planned());
    if trials < planned {
        let of = figures::counted_of(trials, planned, "trial");
        // With others in their place it is not known when it ended.
        return Some(if strangers > 0 {
            format!("{of} of the plan are there")
        } else {
            format!("the run ended after {of}")
        });
    }
    (trials > planned).then(|| {
        let more = figures::counted(trials - planned, "trial");
        format!("{more} beyond the plan: the run went on until its intervals were narrow (--until, whose value is not recorded)")
    })
}

/// Groups of rows.
fn environment(run: &RunRecord) -> Vec<(String, Vec<(String, String)>)> {
    let RunRecord { plan, conditions, environment, .. } = run;
    let unknown = || "unknown".to_owned();
    let own = [
        ("CPUs", format!("server {}, load generator {}", plan.server_cpus, plan.client_cpus)),
        ("generator", run.generator.as_ref().map_or_else(unknown, Generator::to_string)),
        ("trials", format!("{} of {} after {}", plan.trials, span(plan.duration_ns), span(plan.warmup_ns))),
        ("seed", run.seed.to_string()),
    ];
    let diagnosis = Diagnosis::new(run.build.clone(), run.environment.clone(), conditions.clone());
    let [mut machine, mut then, mut network, mut granted] = [const { Vec::new() }; 4];
    let mut is_last = false;
    let is_ours = |name: &str| plan.backends.iter().chain(&plan.twice).any(|backend| backend == name);
    let is_of_another =
        |name: &str| environment.backends.iter().flatten().any(|one| one.name == name) && !is_ours(name);
    for (name, value) in rows(&diagnosis) {
        // Nobody asks what the kernel grants those that took no part.
        if is_last && is_of_another(name) {
            continue;
        }
        let group = match name {
            _ if is_last => &mut granted,
            name if AT_THE_TIME.contains(&name) => &mut then,
            name if NETWORK.contains(&name) => &mut network,
            _ => &mut machine,
        };
        group.push((name.to_owned(), value));
        is_last |= name == LAST;
    }
    let warnings = diagnosis.findings.iter().filter(|finding| finding.level == Level::Warning);
    let warnings = warnings.map(|finding| (finding.name.to_owned(), format!("{}: {}", finding.value, finding.effect)));
    let groups = [
        ("run", own.map(|(name, value)| (name.to_owned(), value)).into()),
        ("warnings of the doctor", warnings.collect()),
        ("machine", machine),
        ("when it began", then),
        ("network", network),
        ("what the kernel grants", granted),
    ];
    let some = groups.into_iter().filter(|(_, rows): &(_, Vec<_>)| !rows.is_empty());
    some.map(|(title, rows)| (title.to_owned(), rows)).collect()
}

fn span(ns: u64) -> String {
    figures::duration(ns as f64)
}
