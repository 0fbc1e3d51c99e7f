//! How two runs differ in what they were made with: their plans, builds and machines.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::environment::Environment;

/// Field by field, as they stand in the file.
pub fn differences(before: &impl Serialize, now: &impl Serialize) -> Vec<String> {
    let (before, now) = (fields(before), fields(now));
    let names = before.keys().chain(now.keys().filter(|name| !before.contains_key(*name)));
    let value = |fields: &Map<String, Value>, name| fields.get(name).cloned().unwrap_or(Value::Null);
    names.filter_map(|name| difference(name, &value(&before, name), &value(&now, name))).collect()
}

/// In one field; none where it is the same.
#[must_use]
pub fn difference(name: &str, before: &Value, now: &Value) -> Option<String> {
    (before != now).then(|| format!("{name} was {before} and is {now}"))
}

/// In a list, which may be long: what of it is gone and what is new; both lists where only the order is another.
fn list_difference(name: &str, before: &[Value], now: &[Value]) -> Option<String> {
    let without = |all: &[Value], known: &[Value]| -> Vec<Value> {
        all.iter().filter(|value| !known.contains(value)).cloned().collect()
    };
    let list = |values: Vec<Value>| Value::Array(values).to_string();
    let (gone, new) = (without(before, now), without(now, before));
    match (gone.is_empty(), new.is_empty()) {
        (true, true) => difference(name, &Value::from(before), &Value::from(now)),
        (false, true) => Some(format!("{name} had {} and has it no more", list(gone))),
        (true, false) => Some(format!("{name} has {} and did not before", list(new))),
        (false, false) => Some(format!("{name} had {} and has {}", list(gone), list(new))),
    }
}

/// What of the machine is another, down to the innermost field, so that what differs is named and not only where. What a
/// file of an earlier version does not say cannot be said to have changed.
#[must_use]
pub fn environment_differences(before: &Environment, now: &Environment) -> Vec<String> {
    let mut differences = Vec::new();
    let is_earlier_version = |environment: &Environment| environment.backends.is_none();
    let (before_is, now_is) = (is_earlier_version(before), is_earlier_version(now));
    descend("", &Value::Object(fields(before)), &Value::Object(fields(now)), &mut |path, before, now| {
        if (before_is && before.is_null()) || (now_is && now.is_null()) {
            return;
        }
        // Null only where it was not looked at, or could not be seen.
        if LATER.contains(&path) && (before.is_null() || now.is_null()) {
            return;
        }
        differences.extend(match (before, now) {
            (Value::Array(before), Value::Array(now)) => list_difference(path, before, now),
            _ => difference(path, before, now),
        });
    });
    differences
}

/// Facts that files of earlier versions do not have.
const LATER: [&str; 5] = [
    "cgroup.memory_max_bytes",
    "cgroup.memory_high_bytes",
    "cgroup.swap_max_bytes",
    "cgroup.cpu_weight_percent",
    "network.loopback_qdiscs",
];

fn descend(path: &str, before: &Value, now: &Value, each: &mut impl FnMut(&str, &Value, &Value)) {
    let (Value::Object(before), Value::Object(now)) = (before, now) else { return each(path, before, now) };
    for (name, value) in before {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        descend(&path, value, now.get(name).unwrap_or(&Value::Null), each);
    }
}

fn fields(value: &impl Serialize) -> Map<String, Value> {
    let Ok(Value::Object(fields)) = serde_json::to_value(value) else { unreachable!("plain structs are JSON objects") };
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{SweepPlan, tests::plan};

    #[test]
    fn what_a_file_of_an_earlier_version_does_not_say_is_no_difference_in_either_direction() {
        let now = Environment::read();
        let earlier = Environment {
            kernel: now.kernel.clone(),
            cpu_model: now.cpu_model.clone(),
            cpus: now.cpus,
            memory_bytes: now.memory_bytes,
            loopback_mtu_bytes: now.loopback_mtu_bytes,
            tcp_congestion_control: now.tcp_congestion_control.clone(),
            virtualised: now.virtualised,
            ..Environment::default()
        };
        assert!(now.backends.is_some());
        let none: [String; 0] = [];
        assert_eq!(environment_differences(&earlier, &now), none);
        assert_eq!(environment_differences(&now, &earlier), none);
        let other = Environment { kernel: "another".to_owned(), ..now.clone() };
        assert_eq!(environment_differences(&earlier, &other).len(), 1);
    }

    #[test]
    fn of_lists_that_differ_it_is_said_what_was_and_what_is() {
        let of = |before: &[&str], now: &[&str]| {
            let list = |names: &[&str]| names.iter().map(|&name| Value::from(name)).collect::<Vec<_>>();
            list_difference("clocks", &list(before), &list(now))
        };
        assert_eq!(of(&["tsc", "hpet"], &["tsc", "hpet"]), None);
        assert_eq!(of(&["tsc", "hpet"], &["hpet", "kvm"]).unwrap(), "clocks had [\"tsc\"] and has [\"kvm\"]");
        assert_eq!(of(&["tsc", "hpet"], &["hpet"]).unwrap(), "clocks had [\"tsc\"] and has it no more");
        assert_eq!(of(&[], &["hpet"]).unwrap(), "clocks has [\"hpet\"] and did not before");
        assert_eq!(of(&["a", "b"], &["b", "a"]).unwrap(), "clocks was [\"a\",\"b\"] and is [\"b\",\"a\"]");
    }

    #[test]
    fn a_field_that_only_one_side_has_is_a_difference_in_both_directions() {
        let twice = SweepPlan { twice: vec!["epoll".to_owned()], ..plan() };
        assert_eq!(differences(&plan(), &twice), ["twice was null and is [\"epoll\"]"]);
        assert_eq!(differences(&twice, &plan()), ["twice was [\"epoll\"] and is null"]);
        assert!(differences(&twice, &twice).is_empty());
    }
}
