//! What our own code costs: how long each of a few steps takes, and how many instructions.
//!
//! A time says what the step costs here and now; a count of instructions says the same again tomorrow, so that a change of
//! a few of them is seen which no time would show. `cargo bench --bench costs` prints both, and
//! `cargo bench --bench costs -- --instructions [PART OF A NAME]` the counts alone, as one JSON object a line.

mod check;
mod instructions;
mod table;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use criterion::Criterion;

use instructions::{ONE_COST, Way};
use table::{COSTS, Cost};

/// Of benches, for criterion.
const GROUP: &str = "costs";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [ONE_COST, name, times] = arguments[..] {
        return carry_out(name, times);
    }
    if arguments.contains(&"--instructions") {
        return counts_alone(arguments.into_iter().find(|argument| !argument.starts_with('-')).unwrap_or(""));
    }
    let brief = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let mut criterion = brief.sample_size(50).configure_from_args();
    compare(&mut criterion, is_test(&arguments));
    criterion.final_summary();
    ExitCode::SUCCESS
}

/// Whether each bench is only to be run once: what `cargo test --benches` means by saying nothing.
fn is_test(arguments: &[&str]) -> bool {
    arguments.contains(&"--test") || !arguments.contains(&"--bench")
}

fn compare(criterion: &mut Criterion, is_test: bool) {
    let way = Way::of_this_machine();
    let mut group = criterion.benchmark_group(GROUP);
    for cost in COSTS {
        let mut is_asked_for = false;
        group.bench_function(cost.name, |bencher| {
            is_asked_for = true;
            bencher.iter_custom(cost.run);
        });
        if is_asked_for {
            let counted = match way.instructions(cost) {
                Ok(instructions) => format!("{instructions:.1} per {} ({})", cost.of, way.name()),
                Err(why) => format!("not counted: {why}"),
            };
            println!("{:<24}instructions: {counted}", full_name(cost));
        }
    }
    if is_test {
        group.bench_function("counting", |bencher| bencher.iter(check::counting));
    }
    group.finish();
}

/// The name by which criterion knows it.
fn full_name(cost: &Cost) -> String {
    format!("{GROUP}/{}", cost.name)
}

/// Prints a line for each cost with that in its name.
fn counts_alone(part: &str) -> ExitCode {
    let way = Way::of_this_machine();
    let costs: Vec<&Cost> = COSTS.iter().filter(|cost| full_name(cost).contains(part)).collect();
    if costs.is_empty() {
        let names: Vec<String> = COSTS.iter().map(full_name).collect();
        eprintln!("error: no cost has {part:?} in its name; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    for cost in costs {
        match way.instructions(cost) {
            Ok(instructions) => println!(
                "{}",
                serde_json::json!({
                    "cost": full_name(cost),
                    "of": cost.of,
                    "instructions": instructions,
                    "counted_by": way.name(),
                })
            ),
            Err(why) => {
                eprintln!("error: instructions cannot be counted: {why}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Does one cost and nothing else, for whoever counts from outside.
fn carry_out(name: &str, times: &str) -> ExitCode {
    let cost: Option<&Cost> = COSTS.iter().chain(check::COSTS).find(|cost| cost.name == name);
    if let (Some(cost), Ok(times)) = (cost, times.parse()) {
        (cost.run)(times);
        ExitCode::SUCCESS
    } else {
        eprintln!("error: {ONE_COST} takes the name of a cost and how often to do it");
        ExitCode::from(2)
    }
}
