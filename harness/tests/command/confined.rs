//! Commands in control groups of their own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::support::eventually;

/// A control group of our own, of either version; gone when it is dropped.
pub(crate) struct Group {
    directory: PathBuf,
    unified: bool,
}

impl Group {
    /// One below that of this process in which `controller` can be set; the error is why there is none.
    pub(crate) fn with(controller: &str) -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (parent, unified) = parent(controller).ok_or_else(|| format!("no control groups with {controller}"))?;
        let name = format!("harness-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = parent.join(name);
        fs::create_dir(&directory).map_err(|error| format!("no control group to be had here: {error}"))?;
        let group = Self { directory, unified };
        let any = ["cpu.max", "cpu.cfs_quota_us", "memory.max", "memory.limit_in_bytes", "pids.max"];
        let is_there = |file: &&str| file.starts_with(controller) && group.directory.join(file).exists();
        if !any.iter().any(is_there) {
            return Err(format!("the control groups here have no {controller} controller"));
        }
        Ok(group)
    }

    /// `permille` of one CPU, in periods of 20 ms.
    pub(crate) fn cpu_quota(&self, permille: u64) -> io::Result<()> {
        let (period_us, quota_us) = (20_000, 20 * permille);
        if self.unified {
            return self.set("cpu.max", &format!("{quota_us} {period_us}"));
        }
        self.set("cpu.cfs_period_us", &period_us.to_string())?;
        self.set("cpu.cfs_quota_us", &quota_us.to_string())
    }

    /// For how long its quota has stopped it.
    pub(crate) fn stopped_ns(&self) -> u64 {
        let table = fs::read_to_string(self.directory.join("cpu.stat")).unwrap();
        let (name, unit_ns) = if self.unified { ("throttled_usec ", 1000) } else { ("throttled_time ", 1) };
        table.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse::<u64>().unwrap() * unit_ns
    }

    pub(crate) fn memory_max(&self, bytes: u64) -> io::Result<()> {
        self.set(if self.unified { "memory.max" } else { "memory.limit_in_bytes" }, &bytes.to_string())
    }

    pub(crate) fn set(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.directory.join(file), value)
    }

    /// Starts `program` in it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&self.directory).arg(program);
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Those that were in it may be ending still.
        eventually("the control group is empty", || {
            fs::remove_dir(&self.directory).is_ok() || !self.directory.exists()
        });
    }
}

/// The group of this process in the hierarchy of a controller, and whether that is of version 2.
fn parent(controller: &str) -> Option<(PathBuf, bool)> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group_of = |wanted: &str| {
        let mut rows = groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        rows.find(|(names, _)| names.split(',').any(|name| name == wanted)).map(|(_, path)| path.trim_matches('/'))
    };
    let mut unified = None;
    for line in mounts.lines() {
        let (mount, filesystem) = line.split_once(" - ")?;
        let point = Path::new(mount.split(' ').nth(4)?);
        let mut filesystem = filesystem.split(' ');
        match filesystem.next()? {
            "cgroup" if filesystem.nth(1)?.split(',').any(|name| name == controller) => {
                return Some((point.join(group_of(controller)?), false));
            }
            "cgroup2" => unified = Some(point.join(group_of("")?)),
            _ => {}
        }
    }
    Some((unified?, true))
}
