//! The JSON Schema of a line of a results file, made from the types that write it.
//!
//! It holds for every file of this schema version, whichever build wrote it: what was added after the first is not required,
//! and fields that it does not know are allowed, as they are for our reader.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::record::{Measured, Record};

/// What every file says of its machine, the first ones included.
const ENVIRONMENT_FROM_THE_START: [&str; 7] =
    ["kernel", "cpu_model", "cpus", "memory_bytes", "loopback_mtu_bytes", "tcp_congestion_control", "virtualised"];

const DESCRIPTION: &str = "A line of a results file of harness: the first is of the run, each of the others of a trial. \
    What is required is in every file of this schema version. Fields that are not described here are allowed: later builds \
    may write more. results/README.md says where each figure comes from.";

/// The schema.
///
/// # Panics
///
/// Never: the types say what they are.
#[must_use]
pub fn schema() -> Value {
    // As a file is written: what is null is there.
    let mut schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Record>();
    written_at_any_time(&mut schema);
    schema.insert("title".to_owned(), "A line of a results file".into());
    schema.insert("description".to_owned(), DESCRIPTION.into());
    let mut schema = schema.to_value();
    schema["$defs"]["Environment"]["required"] = ENVIRONMENT_FROM_THE_START.into();
    schema
}

/// The same as a file.
///
/// # Panics
///
/// Never: a schema is JSON.
#[must_use]
pub fn schema_text() -> String {
    serde_json::to_string_pretty(&schema()).expect("a value is JSON") + "\n"
}

/// Fields with a default are those that there were not from the beginning. Links in descriptions lead to code.
fn written_at_any_time(schema: &mut Schema) {
    if let Some(fields) = schema.as_object_mut() {
        let mut later = Vec::new();
        if let Some(Value::Object(properties)) = fields.get_mut("properties") {
            for (name, property) in properties {
                later.extend(property.as_object_mut().and_then(|of| of.remove("default")).map(|_| name.clone()));
            }
        }
        if let Some(Value::Array(required)) = fields.get_mut("required") {
            required.retain(|name| !later.iter().any(|later| name == later));
            if required.is_empty() {
                fields.remove("required");
            }
        }
        if let Some(Value::String(description)) = fields.get_mut("description") {
            *description = without_links(description);
        }
    }
    transform_subschemas(&mut written_at_any_time, schema);
}

/// [`such`](as this) becomes `such`.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else { break };
        plain.extend([before, "`", name, "`"]);
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
    }
    plain + rest
}

/// A measurement among the other fields of its trial, or a null for each of its fields: which, its `outcome` says.
pub(super) struct MeasuredOrNulls;

impl JsonSchema for MeasuredOrNulls {
    fn schema_name() -> Cow<'static, str> {
        "MeasuredOrNulls".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let whole = generator.subschema_for::<Measured>();
        let mut schema = Measured::json_schema(generator);
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut).expect("a struct has fields");
        let mut nulls = Map::new();
        for (name, property) in properties {
            nulls.insert(name.clone(), json!({ "type": "null" }));
            let of = property.as_object_mut().expect("a field has a type");
            let mut nullable = Map::new();
            for kept in ["description", "default"] {
                nullable.extend(of.remove(kept).map(|value| (kept.to_owned(), value)));
            }
            nullable.insert("anyOf".to_owned(), json!([property.take(), { "type": "null" }]));
            *property = nullable.into();
        }
        json_schema!({
            "type": "object",
            "properties": schema.get("properties"),
            "required": schema.get("required"),
            "allOf": [{
                "if": { "properties": { "outcome": { "const": "ok" } } },
                "then": whole,
                "else": { "properties": nulls },
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Where the tables of `results/README.md` say something, and of which part of a line.
    const SECTIONS: [(&str, &str); 6] = [
        ("## The run", ""),
        ("### The plan", "plan."),
        ("### The environment", "environment."),
        ("### The conditions", "conditions."),
        ("## A trial", ""),
        ("### The machine", "interference."),
    ];

    /// All fields that a part of the schema describes, each as `environment.network.somaxconn`.
    fn fields(schema: &Value, part: &Value, path: &str, found: &mut BTreeSet<String>) {
        if let Some(name) = part["$ref"].as_str().and_then(|target| target.strip_prefix("#/$defs/")) {
            fields(schema, &schema["$defs"][name], path, found);
        }
        for (name, property) in part["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            fields(schema, property, &path, found);
            found.insert(path);
        }
        for key in ["oneOf", "anyOf", "allOf", "prefixItems"] {
            part[key].as_array().into_iter().flatten().for_each(|part| fields(schema, part, path, found));
        }
        if part["items"].is_object() {
            fields(schema, &part["items"], path, found);
        }
    }

    fn all_fields() -> BTreeSet<String> {
        let (schema, mut found) = (schema(), BTreeSet::new());
        fields(&schema, &schema, "", &mut found);
        found
    }

    /// One row: the fields that it is of, and all names in it.
    struct Row {
        of: Vec<String>,
        names: BTreeSet<String>,
    }

    fn quoted(text: &str) -> impl Iterator<Item = &str> {
        text.split('`').skip(1).step_by(2)
    }

    fn rows() -> Vec<Row> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../results/README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let mut rows = Vec::new();
        for (title, prefix) in SECTIONS {
            let section = readme.split(&format!("\n{title}\n")).nth(1).unwrap_or_else(|| panic!("no {title}"));
            for line in section.split("\n#").next().unwrap().lines().filter(|line| line.starts_with("| `")) {
                let of = quoted(line.split('|').nth(1).unwrap()).flat_map(|name| match name.strip_prefix("….") {
                    // The same of both sides.
                    Some(name) => ["server", "client"].iter().map(|side| format!("{prefix}{side}.{name}")).collect(),
                    None => vec![format!("{prefix}{name}")],
                });
                rows.push(Row { of: of.collect(), names: quoted(line).map(str::to_owned).collect() });
            }
        }
        rows
    }

    #[test]
    fn every_field_is_explained_where_results_are_and_nothing_else_is() {
        let (fields, rows) = (all_fields(), rows());
        assert!(fields.len() > 200 && fields.contains("environment.network.somaxconn"), "{fields:?}");
        let is_explained = |field: &String| {
            rows.iter().any(|row| row.of.contains(field))
                || field.match_indices('.').any(|(dot, _)| {
                    let within = |row: &Row| row.of.iter().any(|of| *of == field[..dot]);
                    let name = field.rsplit('.').next().unwrap();
                    rows.iter().any(|row| within(row) && row.names.contains(name))
                })
                // Its parts are what is explained.
                || rows.iter().any(|row| row.of.iter().any(|of| of.starts_with(&format!("{field}."))))
        };
        let missing: Vec<&String> = fields.iter().filter(|field| !is_explained(field)).collect();
        assert!(missing.is_empty(), "not in results/README.md: {missing:?}");
        let unknown: Vec<&String> = rows.iter().flat_map(|row| &row.of).filter(|of| !fields.contains(*of)).collect();
        assert!(unknown.is_empty(), "in results/README.md and no field: {unknown:?}");
    }

    #[test]
    fn every_field_that_is_written_is_described() {
        fn written(value: &Value, path: &str, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(of) => {
                    for (name, value) in of {
                        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                        // What is in these is named by the system.
                        if !["receipt", "mitigations", "env", "syscalls_by_name"].contains(&name.as_str()) {
                            written(value, &path, found);
                        }
                        found.insert(path);
                    }
                }
                Value::Array(of) => of.iter().for_each(|value| written(value, path, found)),
                _ => {}
            }
        }
        let mut run = crate::export::tests::run();
        run.environment = crate::environment::Environment::read();
        run.conditions = crate::environment::Conditions::read();
        let records = [
            Record::Run(Box::new(run)),
            Record::Trial(Box::new(crate::results::tests::trial("epoll"))),
            Record::Trial(Box::new(crate::results::tests::failed_trial("epoll", "it died"))),
        ];
        let (described, mut found) = (all_fields(), BTreeSet::new());
        for record in &records {
            written(&serde_json::to_value(record).unwrap(), "", &mut found);
        }
        assert!(found.len() > 100 && found.is_subset(&described), "{:?}", found.difference(&described));
    }

    #[test]
    fn what_was_there_from_the_start_is_required_and_what_came_later_is_not() {
        let schema = schema();
        let required = |name: &str| {
            let of = schema["$defs"][name]["required"].as_array().into_iter().flatten();
            of.map(|name| name.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        let trial = required("TrialRecord");
        assert!(
            ["throughput_rps", "latency_hdr", "error", "rate_rps"].iter().all(|name| trial.contains(*name)),
            "{trial:?}"
        );
        assert!(!["slices", "interference", "idle_connections"].iter().any(|name| trial.contains(*name)), "{trial:?}");
        assert!(
            required("ServerMeasured").contains("cpu_ns") && !required("ServerMeasured").contains("busiest_thread")
        );
        assert!(required("Environment").contains("kernel") && !required("Environment").contains("network"));
        assert!(!schema_text().contains("\"default\""));
    }

    #[test]
    fn links_become_the_names_that_they_have() {
        let text = "[`A`] of [`b`](Self::b), `c` [d](e)";
        assert_eq!(without_links(text), "`A` of `b`, `c` [d](e)");
    }
}
