//! What on this machine takes part in figures without being asked to: findings, each with what it does to results and
//! how to change it.
//!
//! A finding follows from facts alone, so that the same ones can be made of any machine. What is not known is not judged.

mod kernel;
mod look;
mod machine;
mod network;
mod processor;
mod timers;

use serde::Serialize;

pub use self::look::{BRIEF_LOOK, LOOK, MOST_CPUS, look, look_at};
use crate::environment::{Build, Conditions, Environment};

/// Where nothing that can be typed here would help.
pub const NOT_FROM_WITHIN: &str = "cannot be changed from within";

/// Everything that is known, and what it means.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// What stays as it is until somebody changes it.
    pub facts: Facts,
    /// How it was just then.
    pub conditions: Conditions,
    /// What follows, the worst first.
    pub findings: Vec<Finding>,
}

/// What stays as it is: one flat object, as in a run record.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// What measures.
    #[serde(flatten)]
    pub build: Build,
    /// Where.
    #[serde(flatten)]
    pub environment: Environment,
}

/// One fact, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// What it was found to be.
    pub value: String,
    /// How bad that is.
    pub level: Level,
    /// What it does to results.
    pub effect: &'static str,
    /// How to change it; null where there is no reason to.
    pub change: Option<&'static str>,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Good,
    /// Part of what figures mean here; another machine may differ.
    Note,
    /// Figures may be wrong, or not repeat.
    Warning,
}

impl Diagnosis {
    /// Judges.
    #[must_use]
    pub fn new(build: Build, environment: Environment, conditions: Conditions) -> Self {
        let findings = findings(Subject { build: &build, environment: &environment, conditions: &conditions });
        Self { facts: Facts { build, environment }, conditions, findings }
    }

    /// How many findings of that level there are.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// What is judged.
#[derive(Clone, Copy)]
struct Subject<'a> {
    build: &'a Build,
    environment: &'a Environment,
    conditions: &'a Conditions,
}

/// Looks at one thing. Nothing where it is not known, or not there.
type Check = fn(Subject<'_>) -> Option<Finding>;

fn findings(subject: Subject<'_>) -> Vec<Finding> {
    let checks = [machine::CHECKS, timers::CHECKS, processor::CHECKS, kernel::CHECKS, network::CHECKS];
    let mut findings: Vec<Finding> = checks.into_iter().flatten().filter_map(|check| check(subject)).collect();
    // Those of one level stay in the order of the checks, the more important first.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    findings
}

/// What a check is about, before it is known what it finds.
struct Topic {
    name: &'static str,
    effect: &'static str,
    change: &'static str,
}

impl Topic {
    fn found(&self, level: Level, value: impl Into<String>) -> Finding {
        let change = (level != Level::Good).then_some(self.change);
        Finding { name: self.name, value: value.into(), level, effect: self.effect, change }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::environment::fixtures::Tree;
    use crate::report::terminal::diagnosis::draw;

    /// A machine on which nothing is to be found; tests break it in one place.
    pub(super) struct Patient {
        pub(super) build: Build,
        pub(super) environment: Environment,
        pub(super) conditions: Conditions,
    }

    impl Patient {
        pub(super) fn healthy() -> Self {
            Self::of(&Tree::server())
        }

        pub(super) fn of(tree: &Tree) -> Self {
            let build = Build { build_profile: "release".to_owned(), ..Build::current() };
            Self { build, environment: tree.environment(), conditions: tree.conditions() }
        }

        pub(super) fn findings(&self) -> Vec<Finding> {
            let Self { build, environment, conditions } = self;
            findings(Subject { build, environment, conditions })
        }

        /// What is not good, by name.
        pub(super) fn complaints(&self) -> Vec<(&'static str, Level)> {
            let bad = |finding: &Finding| (finding.level != Level::Good).then_some((finding.name, finding.level));
            self.findings().iter().filter_map(bad).collect()
        }

        /// The value of the one finding of that name.
        pub(super) fn value(&self, name: &str) -> String {
            let findings = self.findings();
            let finding = findings.iter().find(|finding| finding.name == name);
            finding.unwrap_or_else(|| panic!("{name} in {findings:?}")).value.clone()
        }
    }

    /// Breaks a healthy machine in one place and sees that this, and nothing else, is found.
    #[track_caller]
    pub(super) fn finds(name: &'static str, level: Level, break_it: impl FnOnce(&mut Patient)) -> Patient {
        let mut patient = Patient::healthy();
        break_it(&mut patient);
        assert_eq!(patient.complaints(), [(name, level)]);
        patient
    }

    #[test]
    fn a_machine_set_up_for_measuring_has_no_complaints() {
        let healthy = Patient::healthy();
        assert_eq!(healthy.complaints(), []);
        assert!(healthy.findings().len() > 15);
        assert!(healthy.findings().iter().all(|finding| finding.change.is_none()));
    }

    #[test]
    fn a_laptop_has_what_laptops_have() {
        use Level::{Note, Warning};
        let complaints = Patient::of(&Tree::laptop()).complaints();
        assert_eq!(
            complaints,
            [("governor", Warning), ("turbo", Note), ("smt", Note), ("idle states", Note), ("mitigations", Note)]
        );
    }

    #[test]
    fn a_container_with_a_quota_is_warned_of() {
        let patient = Patient::of(&Tree::container());
        assert_eq!(patient.complaints(), [("CPU quota", Level::Warning)]);
        assert_eq!(patient.value("CPU quota"), "1.50 CPUs of the 4 that may be used, in periods of 100 ms");
    }

    #[test]
    fn where_nothing_is_known_nothing_is_judged_but_the_build() {
        let names: Vec<&str> = Patient::of(&Tree::empty()).findings().iter().map(|finding| finding.name).collect();
        assert_eq!(names, ["build"]);
    }

    #[test]
    fn the_worst_comes_first() {
        let levels: Vec<Level> = Patient::of(&Tree::laptop()).findings().iter().map(|finding| finding.level).collect();
        assert!(levels.is_sorted_by_key(|level| std::cmp::Reverse(*level)), "{levels:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever is in the files: no panic, in facts, findings and page, and a record that reads back.
        #[test]
        fn hostile_files_do_no_harm(content in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[-0-9,. \n:/]{0,60}".prop_map(String::into_bytes),
            any::<u64>().prop_map(|number| number.to_string().into_bytes()),
            "(cpu|some avg10=|TCP:|Max open files|1 2 3 4 5)[ 0-9.]{0,60}".prop_map(String::into_bytes),
        ]) {
            let tree = Tree::filled_with(&content);
            let (facts, conditions) = (tree.environment(), tree.conditions());
            let diagnosis = Diagnosis::new(Build::current(), facts, conditions);
            prop_assert!(draw(&diagnosis).lines().all(|line| line.chars().count() <= 100));
            let json = serde_json::to_string(&diagnosis).unwrap();
            let mut back: serde_json::Value = serde_json::from_str(&json).unwrap();
            let back: Environment = serde_json::from_value(back["facts"].take()).unwrap();
            prop_assert_eq!(back, diagnosis.facts.environment);
        }
    }
}
