//! What stands above the tables of a run: all that a reader needs to know before the first figure.

use std::path::Path;

use harness::doctor::{Diagnosis, Level};
use harness::figures;
use harness::report::terminal::look::Look;
use harness::results::{Generator, RunRecord};

/// One row for each fact of a run.
pub(super) fn draw(run: &RunRecord, results: &Path, look: Look) -> String {
    let RunRecord { plan, environment, build, .. } = run;
    let unknown = || "unknown".to_owned();
    let cpu = environment.cpu_model.clone().unwrap_or_else(unknown);
    let memory = environment.memory_bytes.map_or_else(unknown, figures::bytes);
    let virtualised = if environment.virtualised == Some(true) { ", virtualised" } else { "" };
    let cpus = if plan.server_cpus.overlaps(&plan.client_cpus) {
        format!("server {} and client {} share some: every trial is suspect", plan.server_cpus, plan.client_cpus)
    } else {
        format!("server {}, client {}", plan.server_cpus, plan.client_cpus)
    };
    let revision = &build.git_revision;
    let dirty = if build.git_dirty == Some(true) { " with changes" } else { "" };
    let unoptimised = if build.build_profile == "debug" { ", unoptimised: these figures mean little" } else { "" };
    let diagnosis = Diagnosis::new(build.clone(), environment.clone(), run.conditions.clone());
    let warnings = figures::counted(diagnosis.count(Level::Warning), "warning");
    let rows = [
        ("machine", format!("{cpu}, {memory}{virtualised}")),
        ("kernel", environment.kernel.clone()),
        ("CPUs", cpus),
        ("build", format!("{revision:.12}{dirty}, {}{unoptimised}", build.build_profile)),
        ("doctor", format!("{warnings}, see 'harness doctor'")),
        ("generator", run.generator.as_ref().map_or_else(unknown, Generator::to_string)),
        ("seed", run.seed.to_string()),
        ("results", results.display().to_string()),
    ];
    rows.map(|(name, value)| look.prose(&format!("{name:<9} {value}"), 10)).join("\n")
}
