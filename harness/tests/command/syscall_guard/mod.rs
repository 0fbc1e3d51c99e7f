//! The guard on what a request costs: no backend makes more system calls than `allowed.toml` says, by name.
//!
//! Counts, and not times, so that it holds on any machine, however busy; and one that got better is to be written down,
//! so that the table stays true.

mod allowed;
mod scenario;

use std::collections::BTreeMap;

use backends::BACKENDS;

use self::allowed::{Table, differences};
use self::scenario::{BURST, LOCKSTEP};
use crate::support::skipped;

#[test]
fn no_backend_makes_more_system_calls_than_it_may() {
    let table: Table = toml::from_str(include_str!("allowed.toml")).unwrap();
    let names: Vec<&str> = BACKENDS.iter().map(|backend| backend.info().name).collect();
    let strangers: Vec<&String> = table.keys().filter(|name| !names.contains(&name.as_str())).collect();
    assert!(strangers.is_empty(), "allowed.toml speaks of backends that there are none of: {strangers:?}");

    let mut said = Vec::new();
    for backend in BACKENDS {
        let info = backend.info();
        if let Err(unavailable) = backend.probe() {
            assert_ne!(std::env::var("REQUIRE_BACKENDS").as_deref(), Ok("all"), "{}: {unavailable}", info.name);
            skipped(&format!("{}: {unavailable}", info.name));
            continue;
        }
        for scenario in [&LOCKSTEP, &BURST] {
            let made = scenario.calls_of(info);
            let none = BTreeMap::new();
            let allowed = table.get(info.name).map_or(&none, |scenarios| scenarios.of(scenario.name));
            let found = differences(allowed, &made, scenario.requests());
            said.extend(found.iter().map(|difference| format!("{}, {}: {difference}", info.name, scenario.what())));
            if !found.is_empty() {
                said.push(format!("    in all: {} = {}", scenario.name, as_toml(&made)));
            }
        }
    }
    assert!(said.is_empty(), "see allowed.toml\n{}", said.join("\n"));
}

/// As it would stand in the table.
fn as_toml(made: &BTreeMap<String, u64>) -> String {
    let calls: Vec<String> = made.iter().map(|(name, count)| format!("{name} = {count}")).collect();
    format!("{{ {} }}", calls.join(", "))
}
