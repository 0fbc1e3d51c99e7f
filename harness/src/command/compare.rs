//! `harness compare`: the backends of a results file with one of them, or two files, before and after a change.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use harness::figures;
use harness::report::terminal::comparison::{Heading, Json, draw, percent};
use harness::results::{
    self, PlainNames, Recorded, RunRecord, TrialRecord, difference, differences, environment_differences,
    nothing_usable,
};
use harness::statistics::{Against, Run, RunComparison, TOLERANCE, Word, compare_runs};

use crate::cli::CompareArguments;
use crate::cli::suggestion::did_you_mean;
use crate::failure::Failure;
use crate::output;

/// The exit code where a regression was found.
const REGRESSION: u8 = 3;

/// Compares, and says in the exit code whether something got worse.
pub(crate) fn run(arguments: &CompareArguments) -> Result<ExitCode, Failure> {
    let baseline = arguments.baseline.as_deref();
    let mut files = [Some(arguments.file.as_path()), arguments.later.as_deref()]
        .into_iter()
        .flatten()
        .map(|path| Ok((path, read(path)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let names = PlainNames::of(files.iter().map(|(_, recorded)| recorded));
    for (_, recorded) in &mut files {
        names.change_in(recorded);
    }
    let mut files = files.into_iter().map(|(path, recorded)| File::of(path, recorded, baseline));
    let Some(file) = files.next().transpose()? else { return Err(usage("name a results file")) };
    let later = files.next().transpose()?;
    // Not the best, which only the figures would tell: intervals on ratios to what was picked by them promise too much.
    let first = file.first_measured();
    let is_default = later.is_none() && baseline.is_none();
    let baseline = baseline.or(first.as_deref().filter(|_| is_default));
    if is_default && file.record.plan.entrants().len() < 2 {
        let only = file.record.plan.backends.join(", ");
        let what = "there is nothing to compare it with: name a second file, or measure it --twice";
        return Err(usage(&format!("{} has one backend, {only}; {what}", file.path.display())));
    }
    let differing = later.as_ref().map_or(Ok(Vec::new()), |later| later.differences_from(&file))?;
    let (run, against, name) = match (&later, baseline) {
        (None, baseline) => {
            let baseline = baseline.unwrap_or_default();
            (file.run(), Against::Baseline(baseline), baseline.to_owned())
        }
        (Some(later), None) => (later.run(), Against::Earlier(file.run()), "the run before".to_owned()),
        (Some(later), Some(baseline)) => {
            let name = format!("the run before, relative to {baseline}");
            (later.run(), Against::EarlierRelativeTo(file.run(), baseline), name)
        }
    };
    let fail_above = arguments.fail_above.map(|percent| percent.0 / 100.0);
    let heading = Heading {
        against: &name,
        tolerance: fail_above.unwrap_or(TOLERANCE),
        fails: fail_above.is_some(),
        holds_together: baseline.is_some(),
    };
    let comparison = compare_runs(run, against, heading.tolerance);
    if comparison.rows.is_empty() {
        return Err(usage("there is nothing to compare: no cell and backend that both sides have"));
    }
    let mut notes = notes(&comparison, later.is_some(), baseline);
    if let Some(first) = baseline.filter(|_| is_default) {
        notes.insert(
            0,
            format!("compared with {first}, the first of the file with usable trials; name another with --baseline"),
        );
    }
    if arguments.json {
        output::print_json(&Json::new(&comparison, heading, &differing, &notes))?;
    } else {
        let look = output::look();
        let mut text = Vec::new();
        if !differing.is_empty() {
            let lines = differing.iter().map(|line| look.prose(&format!("  {line}"), 4));
            text.push(format!("the runs differ in more than time:\n{}", lines.collect::<Vec<_>>().join("\n")));
        }
        text.extend(notes.iter().map(|note| look.prose_lines(note)));
        text.push(draw(&comparison, heading, look));
        output::print(&text.join("\n\n"))?;
    }
    let is_worse = heading.fails && comparison.rows.iter().any(|row| row.is_regression(heading.tolerance));
    let files = [Some(&file), later.as_ref()].into_iter().flatten();
    let mut nothing = files.filter_map(|file| Some((file.path, nothing_usable(&file.trials)?)));
    match nothing.next() {
        // What lost all its figures is a regression, and said as that.
        Some((path, nothing)) if !is_worse => Err(Failure::Run(anyhow!("{}: {nothing}", path.display()))),
        _ if heading.fails => Ok(verdict(&comparison, heading.tolerance)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Whether something got worse, as an exit code and in words.
fn verdict(comparison: &RunComparison, tolerance: f64) -> ExitCode {
    let all = figures::counted(comparison.rows.len(), "comparison");
    let regressions = comparison.rows.iter().filter(|row| row.is_regression(tolerance)).count();
    let with = |word| comparison.rows.iter().filter(|row| row.word == word).count();
    let said = |parts: &[(usize, &str)]| {
        let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        parts.collect::<Vec<_>>().join(", ")
    };
    let unknown = [(with(Word::Inconclusive), "inconclusive: more trials would tell"), (with(Word::Void), "void")];
    if regressions > 0 {
        let worse = format!("worse beyond the noise, most likely by more than {}", percent(tolerance));
        let lost = with(Word::Lost);
        let what = said(&[[(regressions - lost, worse.as_str()), (lost, "lost")].as_slice(), &unknown].concat());
        output::say(&format!("regression: {regressions} of {all}; {what}"));
        return ExitCode::from(REGRESSION);
    }
    let absent = format!("only in the earlier run: {}", comparison.absent.join(", "));
    let absent = (!comparison.absent.is_empty()).then_some(absent);
    let unknown = said(&unknown);
    let unknown = (!unknown.is_empty()).then(|| format!("of {all} {unknown}"));
    let but: Vec<String> = unknown.into_iter().chain(absent).collect();
    if !but.is_empty() {
        output::say(&format!("note: no regression was found, but {}", but.join("; ")));
    }
    ExitCode::SUCCESS
}

/// What a reader has to know before the figures.
fn notes(comparison: &RunComparison, two_runs: bool, baseline: Option<&str>) -> Vec<String> {
    let mut notes = Vec::new();
    match baseline {
        _ if !two_runs => {}
        None => notes.push(
            "two runs share no blocks: what changed on the machine between them is in no interval; \
             name a backend that did not change with --baseline to leave it out"
                .to_owned(),
        ),
        Some(baseline) => notes.push(format!(
            "ratios to {baseline} in the same blocks are compared: \
             what changed on the machine between the runs changed {baseline}, too"
        )),
    }
    if !comparison.absent.is_empty() {
        notes.push(format!("only in the earlier run, and not compared:\n  {}", comparison.absent.join("\n  ")));
    }
    if comparison.rows.iter().any(|row| row.own.suspect + row.other.suspect > 0) {
        notes.push(
            "suspect trials count like others; how many there are on both sides stands in the last column, and why in the \
             reasons of the trials. A busy load generator is common and no reason against CPU/request.\n\
             ?: most trials of a side are suspect for another reason"
                .to_owned(),
        );
    }
    notes
}

fn read(path: &Path) -> Result<Recorded, Failure> {
    // What may not be looked at may be there: to read it says why it cannot be.
    if matches!(path.try_exists(), Ok(false)) {
        return Err(usage(&format!("there is no file {}", path.display())));
    }
    results::read_kept(path).map_err(|error| Failure::read("compare", error))
}

/// A results file that has something to compare.
struct File<'a> {
    path: &'a Path,
    record: RunRecord,
    trials: Vec<TrialRecord>,
}

impl<'a> File<'a> {
    fn of(path: &'a Path, recorded: Recorded, baseline: Option<&str>) -> Result<Self, Failure> {
        let Some(record) = recorded.run else {
            return Err(Failure::without_run("compare", path, recorded.cut_off));
        };
        if record.capacity.is_some() {
            let what =
                "is of a search for a capacity, whose trials are at other rates each time; name a file of a sweep";
            return Err(usage(&format!("{} {what}", path.display())));
        }
        if recorded.trials.iter().all(|trial| trial.measured.is_none()) {
            return Err(match nothing_usable(&recorded.trials) {
                Some(why) => Failure::Run(anyhow!("{}: {why}", path.display())),
                None => usage(&format!("{} has no trial that was measured; resume its sweep first", path.display())),
            });
        }
        if recorded.cut_off {
            output::say(&format!("note: {} ends within a line, which is left out", path.display()));
        }
        let names = &record.plan.backends;
        if let Some(name) = baseline.filter(|name| !names.iter().any(|other| other == name)) {
            let known = names.join(", ");
            let meant = did_you_mean(name, names.iter().map(String::as_str));
            return Err(usage(&format!("{} has no backend '{name}'{meant}; it has {known}", path.display())));
        }
        Ok(Self { path, record, trials: recorded.trials })
    }

    /// In the order of the plan.
    fn first_measured(&self) -> Option<String> {
        let is_measured = |name: &&String| self.trials.iter().any(|trial| trial.backend == **name && trial.is_usable());
        self.record.plan.backends.iter().find(is_measured).cloned()
    }

    fn run(&self) -> Run<'_> {
        Run { plan: &self.record.plan, trials: &self.trials }
    }

    fn differences_from(&self, before: &Self) -> Result<Vec<String>, Failure> {
        let same_file = match (fs::canonicalize(self.path), fs::canonicalize(before.path)) {
            (Ok(now), Ok(before)) => now == before,
            _ => false,
        };
        let (now, before) = (&self.record, &before.record);
        // A run is what began then, with that seed and that plan.
        if same_file || now == before {
            let paths = format!("{} holds the run of the other file", self.path.display());
            return Err(usage(&format!("{paths}; name two runs, or one and a --baseline")));
        }
        let mut all = differences(&before.build, &now.build);
        all.extend(differences(&before.plan, &now.plan));
        all.extend(environment_differences(&before.environment, &now.environment));
        all.extend(difference("schema_version", &before.schema_version.into(), &now.schema_version.into()));
        Ok(all)
    }
}

fn usage(message: &str) -> Failure {
    Failure::usage("compare", message)
}
