//! What trials take in memory, counted where it is given out: a sweep of a night, and whatever reads its file, must not hold
//! more than they need.

#![expect(unsafe_code, reason = "an allocator that counts is one that hands out memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use harness::export::{Exporter, Format};
use harness::plan::SweepPlan;
use harness::report::FileRun;
use harness::report::terminal::look::Look;
use harness::report::terminal::table;
use harness::results::{self, KeptTrials, TrialRecord, Verdict};
use harness::statistics::{rank, summarise};

/// What reads a file.
type Reads<'a> = &'a dyn Fn(&Path);

/// The system's allocator, and how many bytes of it are in use.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(live, Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    // Memory of this size is moved by the kernel, page by page, and not copied: it is never there twice.
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let live = LIVE.fetch_add(size, Relaxed) + size - layout.size();
        LIVE.fetch_sub(layout.size(), Relaxed);
        MOST.fetch_max(live, Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// To be held while memory is counted: tests run beside each other.
static ALONE: Mutex<()> = Mutex::new(());

/// The most that was in use at once while `work` was done, beyond what was in use before it.
fn most_while<T>(work: impl FnOnce() -> T) -> usize {
    let before = LIVE.load(Relaxed);
    MOST.store(before, Relaxed);
    drop(work());
    MOST.load(Relaxed) - before
}

/// A sweep of 8 hours with windows of 200 ms and all that is around them.
const OF_A_NIGHT: usize = 80_000;
const MOST_OF_A_NIGHT: usize = 100 << 20;

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/recorded/closed.jsonl")
}

/// A few trials of a recorded sweep, all different in size, and its plan.
fn some_trials() -> (SweepPlan, Vec<TrialRecord>) {
    let (mut plan, mut trials) = (None, Vec::new());
    results::read_each(&recorded(), |run, trial| {
        plan.get_or_insert_with(|| run.plan.clone());
        if trials.len() < 60 {
            trials.push(trial);
        }
    })
    .unwrap();
    (plan.unwrap(), trials)
}

/// What `count` trials come to in a sweep that keeps them, is ranked and summarised.
fn swept(plan: &SweepPlan, samples: &[TrialRecord], count: usize) {
    let mut kept = KeptTrials::new();
    for number in 0..count {
        let mut trial = samples[number % samples.len()].clone();
        (trial.trial, trial.block) = (number + 1, number / samples.len() + 1);
        // Every other one has its reason, which nothing else may share.
        if number % 2 == 0 {
            trial.verdict = Verdict::Suspect;
            trial.reasons = vec!["other processes took CPU time of the load generator".to_owned()];
        }
        kept.push(trial);
    }
    let ranking = rank(plan, kept.as_slice());
    let summaries = summarise(plan, kept.as_slice());
    assert!(!ranking.cells.is_empty() && !summaries.is_empty());
}

#[test]
fn a_sweep_of_a_night_stays_within_a_hundred_megabytes() {
    let _alone = ALONE.lock().unwrap();
    let (plan, samples) = some_trials();
    let [few, many] = [1200, 3600];
    let [with_few, with_many] = [few, many].map(|count| most_while(|| swept(&plan, &samples, count)));
    let each = (with_many - with_few) / (many - few);
    let of_a_night = with_many + each * (OF_A_NIGHT - many);
    assert!(of_a_night < MOST_OF_A_NIGHT, "{each} bytes for each trial, {} MiB in all", of_a_night >> 20);
}

#[test]
fn what_stays_of_trials_comes_to_the_same_figures() {
    let _alone = ALONE.lock().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/recorded");
    for name in ["closed.jsonl", "rates.jsonl"] {
        let path = folder.join(name);
        let figures = |recorded: results::Recorded| {
            let plan = recorded.run.unwrap().plan;
            let ranking = rank(&plan, &recorded.trials);
            let cells = summarise(&plan, &recorded.trials);
            let drawn = table::draw(&cells, &ranking, Look::PLAIN);
            let latencies: Vec<_> =
                cells.into_iter().flat_map(|cell| cell.backends).map(|summary| summary.latency).collect();
            (drawn, format!("{ranking:?}"), latencies)
        };
        let (whole, kept) = (results::read(&path).unwrap(), results::read_kept(&path).unwrap());
        assert!(kept.trials.iter().all(|trial| trial.measured.as_ref().is_none_or(|measured| measured.kept.is_some())));
        assert!(figures(whole) == figures(kept), "{name}");
    }
}

/// A file with the trials of the recorded sweep so many times, each with a number of its own.
fn long_file(path: &Path, times: usize) -> usize {
    let text = fs::read_to_string(recorded()).unwrap();
    let (run, trials) = text.split_once('\n').unwrap();
    let mut long = format!("{run}\n");
    let mut number = 0;
    for line in (0..times).flat_map(|_| trials.lines()) {
        number += 1;
        let (before, after) = line.split_once("\"trial\":").map(|(a, b)| (a, &b[b.find(',').unwrap()..])).unwrap();
        writeln!(long, "{before}\"trial\":{number}{after}").unwrap();
    }
    fs::write(path, long).unwrap();
    number
}

#[test]
fn what_reads_a_long_file_keeps_a_few_kilobytes_of_a_trial() {
    let _alone = ALONE.lock().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let [short, long] = ["short.jsonl", "long.jsonl"].map(|name| directory.path().join(name));
    let trials = [long_file(&short, 1), long_file(&long, 3)];
    let export = |path: &Path, format| {
        let mut exporter = Exporter::new(format);
        let read = results::read_each(path, |run, trial| exporter.add(run, trial).unwrap()).unwrap();
        drop(exporter.finish(&read.run.unwrap()).unwrap());
    };
    let readers: [(&str, usize, Reads<'_>); 6] = [
        ("compare, resume", 1300, &|path| drop(results::read_kept(path).unwrap())),
        ("report", 1300, &|path| drop(FileRun::read(path).unwrap())),
        ("csv", 4000, &|path| export(path, Format::Csv)),
        ("hlog", 8000, &|path| export(path, Format::Hlog)),
        ("hgrm", 2000, &|path| export(path, Format::Hgrm)),
        ("github-action-benchmark", 2000, &|path| export(path, Format::GithubActionBenchmark)),
    ];
    for (what, most, reads) in readers {
        let [with_few, with_many] = [&short, &long].map(|path| most_while(|| reads(path)));
        let each = with_many.saturating_sub(with_few) / (trials[1] - trials[0]);
        assert!(each < most, "{what}: {each} bytes for each trial");
    }
}
