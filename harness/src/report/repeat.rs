//! The command that repeats a run.
//!
//! Everything that differs from a default is in it, and besides that what another machine or version would choose
//! differently: the backends, the CPUs and the seed. A foreign server that flags cannot describe in full makes the command
//! read a plan from its standard input. Nothing here is executed; every word is quoted.

use std::fmt::Write;
use std::time::Duration;

use crate::foreign::ForeignServer;
use crate::plan::{Arrivals, CapacityPlan, Engine, Protocol, Spread, SweepPlan};
use crate::results::RunRecord;
use crate::shell::quoted;

/// Ends a plan that stands within a command. No line of it can be this one: each begins with a name.
const END: &str = "END";

/// The command, as it is to be typed into a shell.
#[must_use]
pub fn command(run: &RunRecord) -> String {
    match &run.capacity {
        None => sweep(&run.plan, run.seed),
        Some(capacity) => search(&run.plan, capacity, run.seed),
    }
}

fn sweep(plan: &SweepPlan, seed: u64) -> String {
    let mut words = Words::new("sweep");
    let is_described = plan.servers.iter().all(can_be_a_flag);
    if !is_described {
        words.option("--plan", "/dev/stdin");
    }
    words.option("--backends", &backends(plan));
    words.list("--connections", &plan.connections, &[1, 64, 512], usize::to_string);
    words.list("--payload", &plan.payload_bytes, &[64], |bytes| size(*bytes));
    words.list("--depth", &plan.depth, &[1], usize::to_string);
    let rates_rps: Vec<f64> = plan.rate_rps.iter().copied().flatten().collect();
    words.list("--rate", &rates_rps, &[], f64::to_string);
    words.unless(plan.arrivals == Arrivals::Constant || rates_rps.is_empty(), "--arrivals", &plan.arrivals);
    words.list("--server-threads", &plan.server_threads, &[1], usize::to_string);
    words.unless(plan.protocol == Protocol::Framed, "--protocol", &plan.protocol);
    words.unless(plan.trials == 8, "--trials", &plan.trials);
    words.unless(plan.warmup_ns == 100_000_000, "--warmup", &span(plan.warmup_ns));
    words.unless(plan.duration_ns == 200_000_000, "--duration", &span(plan.duration_ns));
    words.list("--twice", &plan.twice, &[], String::clone);
    words.list("--idle", &plan.idle_connections, &[0], usize::to_string);
    words.common(plan, seed);
    if is_described { words.text } else { format!("{} <<'{END}'\n{}{END}", words.text, servers(&plan.servers)) }
}

fn search(plan: &SweepPlan, capacity: &CapacityPlan, seed: u64) -> String {
    let mut words = Words::new("capacity");
    words.option("--slo", &capacity.slo);
    words.option("--backends", &backends(plan));
    words.list("--connections", &plan.connections, &[64], usize::to_string);
    words.list("--payload", &plan.payload_bytes, &[64], |bytes| size(*bytes));
    words.list("--depth", &plan.depth, &[16], usize::to_string);
    words.unless(plan.arrivals == Arrivals::Poisson, "--arrivals", &plan.arrivals);
    words.list("--server-threads", &plan.server_threads, &[1], usize::to_string);
    words.unless(plan.protocol == Protocol::Framed, "--protocol", &plan.protocol);
    words.unless(capacity.resolution.to_bits() == 0.05_f64.to_bits(), "--resolution", &percent(capacity.resolution));
    words.unless(capacity.repeats == 6, "--repeats", &capacity.repeats);
    words.unless(plan.warmup_ns == 100_000_000, "--warmup", &span(plan.warmup_ns));
    words.unless(plan.duration_ns == 500_000_000, "--duration", &span(plan.duration_ns));
    if let Some(budget_ns) = capacity.budget_ns {
        words.option("--budget", &span(budget_ns));
    }
    words.list("--idle", &plan.idle_connections, &[0], usize::to_string);
    words.common(plan, seed);
    words.text
}

/// A command line that grows.
struct Words {
    text: String,
}

impl Words {
    fn new(command: &str) -> Self {
        Self { text: format!("harness {command}") }
    }

    fn option(&mut self, name: &str, value: &(impl ToString + ?Sized)) {
        let value = value.to_string();
        // What begins with a hyphen would be taken for a flag of its own.
        let separator = if value.starts_with('-') { '=' } else { ' ' };
        let _ = write!(self.text, " {name}{separator}{}", quoted(&value));
    }

    fn unless(&mut self, is_default: bool, name: &str, value: &(impl ToString + ?Sized)) {
        if !is_default {
            self.option(name, value);
        }
    }

    fn list<T: PartialEq>(&mut self, name: &str, values: &[T], default: &[T], text: impl Fn(&T) -> String) {
        self.unless(values == default, name, &values.iter().map(text).collect::<Vec<_>>().join(","));
    }

    /// What a sweep and a search have in common in the end.
    fn common(&mut self, plan: &SweepPlan, seed: u64) {
        self.unless(plan.engine == Engine::Auto, "--engine", &plan.engine);
        self.unless(plan.spread == Spread::Reuseport, "--spread", &plan.spread);
        self.option("--server-cpus", &plan.server_cpus);
        self.option("--client-cpus", &plan.client_cpus);
        if plan.servers.iter().all(can_be_a_flag) {
            for server in &plan.servers {
                let command = server.command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
                self.option("--server", &format!("{}={command}", server.name));
            }
        }
        self.option("--seed", &seed);
    }
}

/// Ours by name, and not those that enter as foreign servers.
fn backends(plan: &SweepPlan) -> String {
    let is_foreign = |name: &&String| plan.servers.iter().any(|server| server.name == **name);
    let ours: Vec<&str> = plan.backends.iter().filter(|name| !is_foreign(name)).map(String::as_str).collect();
    if ours.is_empty() { "none".to_owned() } else { ours.join(",") }
}

/// Whether `--server NAME=COMMAND` says all of it.
fn can_be_a_flag(server: &ForeignServer) -> bool {
    let usual_ns = u64::try_from(ForeignServer::START_TIMEOUT.as_nanos()).unwrap_or(u64::MAX);
    server.version.is_none()
        && server.env.is_empty()
        && server.directory.is_none()
        && server.start_timeout_ns == usual_ns
}

/// As they stand in a plan file.
fn servers(servers: &[ForeignServer]) -> String {
    let mut text = String::new();
    let list = |words: &[String]| format!("[{}]", words.iter().map(|word| toml(word)).collect::<Vec<_>>().join(", "));
    for server in servers {
        let _ = writeln!(text, "[[server]]\nname = {}\ncommand = {}", toml(&server.name), list(&server.command));
        if let Some(version) = &server.version {
            let _ = writeln!(text, "version = {}", list(version));
        }
        if let Some(directory) = &server.directory {
            let _ = writeln!(text, "directory = {}", toml(&directory.to_string_lossy()));
        }
        if !server.env.is_empty() {
            let variables: Vec<String> =
                server.env.iter().map(|(name, value)| format!("{} = {}", toml(name), toml(value))).collect();
            let _ = writeln!(text, "env = {{ {} }}", variables.join(", "));
        }
        let _ = writeln!(text, "start-timeout = {}", toml(&span(server.start_timeout_ns)));
    }
    text
}

/// A basic string of TOML, which is one of JSON except for a character that JSON leaves as it is. It has no line break.
fn toml(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn span(ns: u64) -> String {
    humantime::format_duration(Duration::from_nanos(ns)).to_string().replace(' ', "")
}

/// In the largest unit that leaves a whole number.
fn size(bytes: u32) -> String {
    match bytes {
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!("{}MiB", bytes >> 20),
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 10) => format!("{}KiB", bytes >> 10),
        bytes => bytes.to_string(),
    }
}

/// The shortest percentage that is read back as this share.
fn percent(share: f64) -> String {
    let exact = |digits: &usize| {
        let text = format!("{:.digits$}", share * 100.0);
        text.parse::<f64>().is_ok_and(|percent| (percent / 100.0).to_bits() == share.to_bits())
    };
    let digits = (0..17).find(exact).unwrap_or(17);
    format!("{:.digits$}", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::run;

    #[test]
    fn defaults_are_left_out_but_for_what_another_machine_would_choose() {
        let mut run = run("", &[1, 64, 512], &["epoll", "poll"]);
        (run.plan.trials, run.plan.warmup_ns, run.plan.duration_ns) = (8, 100_000_000, 200_000_000);
        let expected = "harness sweep --backends epoll,poll --server-cpus 0 --client-cpus 1 --seed 7";
        assert_eq!(command(&run), expected);
    }

    #[test]
    fn a_word_of_a_file_stays_one_word_for_a_shell() {
        let run = run("", &[1], &["-x; rm -rf /\n'$(id)`", "b"]);
        let words = shlex::split(&command(&run)).unwrap();
        assert!(words.contains(&"--backends=-x; rm -rf /\n'$(id)`,b".to_owned()), "{words:?}");
    }

    #[test]
    fn a_plan_within_a_command_cannot_be_ended_by_what_stands_in_it() {
        let mut run = run("", &[1], &["other"]);
        run.plan.servers = vec![ForeignServer {
            name: "other".to_owned(),
            command: vec!["END\nEND\n".to_owned(), "\u{7f}{port}".to_owned()],
            version: None,
            env: [("A".to_owned(), "\nEND".to_owned())].into(),
            directory: None,
            start_timeout_ns: 1_500_000_000,
        }];
        let command = command(&run);
        let lines: Vec<&str> = command.lines().collect();
        assert_eq!(lines.iter().filter(|line| **line == END).count(), 1, "{command}");
        assert!(
            lines[0].starts_with("harness sweep --plan /dev/stdin --backends none ") && lines[0].ends_with("<<'END'")
        );
        let plan: ::toml::Table = ::toml::from_str(&lines[1..lines.len() - 1].join("\n")).unwrap();
        assert_eq!(plan["server"][0]["command"][0].as_str(), Some("END\nEND\n"));
        assert_eq!(plan["server"][0]["command"][1].as_str(), Some("\u{7f}{port}"));
        assert_eq!(plan["server"][0]["env"]["A"].as_str(), Some("\nEND"));
        assert_eq!(plan["server"][0]["start-timeout"].as_str(), Some("1s500ms"));
    }

    #[test]
    fn shares_and_sizes_are_what_they_were() {
        assert_eq!([0.05, 0.07, 0.5, 1.0 / 3.0].map(percent)[..3], ["5", "7", "50"]);
        for share in [5.0, 7.0, 12.3, 0.1 + 0.2, 100.0 / 3.0].map(|percent| percent / 100.0) {
            let again = percent(share).parse::<f64>().unwrap() / 100.0;
            assert_eq!(again.to_bits(), share.to_bits());
        }
        assert_eq!([0, 64, 1024, 1500, 3 << 20].map(size), ["0", "64", "1KiB", "1500", "3MiB"]);
    }
}
