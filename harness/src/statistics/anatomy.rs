//! Where the time of a request goes, as far as a server counts it: calls, wake-ups, switches and copies for each answer, and
//! its CPU time as a multiple of what the kernel charges for an echo.
//!
//! Each is the median of the trials' own, as every figure is; system calls by name are of all requests of all trials together,
//! which is what stays of them in memory. The multiple is taken within each trial, for its floor was measured beside it.

use std::collections::BTreeMap;

use super::median::median;
use super::median_interval;
use super::summary::median_quotient;
use crate::results::{Measured, ServerMeasured, TrialRecord, per};

/// What one answer took of a server; none of what it does not count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Anatomy {
    /// System calls by name, of all requests together; those that are made most first.
    pub calls_per_request: Vec<(String, f64)>,
    /// Answers for each time that a thread came back from waiting; none of a server that never waits.
    pub requests_per_wakeup: Option<f64>,
    /// Times that a thread went to wait.
    pub voluntary_switches_per_request: Option<f64>,
    /// Times that a thread was made to wait.
    pub involuntary_switches_per_request: Option<f64>,
    /// Bytes that the server itself copied.
    pub copied_bytes_per_request: Option<f64>,
    /// Bytes that the kernel took from it and gave to it.
    pub kernel_bytes_per_request: Option<f64>,
    /// CPU time as a multiple of the floor.
    pub floor: Option<FloorMultiple>,
    /// Why trials have no floor, each reason once, with the number of trials that it holds for.
    pub floor_missing: Vec<(String, usize)>,
}

/// CPU time for an answer ÷ the floor of the same machine and payload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloorMultiple {
    /// The median of the trials.
    pub median: f64,
    /// Where it lies; none of fewer than 6 trials.
    pub interval: Option<[f64; 2]>,
    /// Trials that have a floor.
    pub trials: usize,
}

impl Anatomy {
    /// Of these measurements of one backend in one cell.
    #[must_use]
    pub fn of(measured: &[&Measured]) -> Self {
        let for_each = |count: fn(&ServerMeasured) -> Option<u64>| {
            median_quotient(
                measured.iter().map(|measured| Some((count(measured.server.as_ref()?)?, measured.requests))),
            )
        };
        let wakeups = |measured: &Measured| Some((measured.requests, measured.server.as_ref()?.wakeups?));
        Self {
            calls_per_request: calls_per_request(measured),
            requests_per_wakeup: median_quotient(measured.iter().map(|measured| wakeups(measured))),
            voluntary_switches_per_request: for_each(|server| server.voluntary_switches),
            involuntary_switches_per_request: for_each(|server| server.involuntary_switches),
            copied_bytes_per_request: for_each(|server| server.bytes_copied),
            kernel_bytes_per_request: for_each(|server| server.bytes_received?.checked_add(server.bytes_sent?)),
            floor: FloorMultiple::of(measured),
            floor_missing: floor_missing(measured),
        }
    }

    /// Whether there is more to be said than of any process whose CPU time can be seen.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.calls_per_request.is_empty() || self.copied_bytes_per_request.is_some() || self.floor.is_some()
    }

    /// Times that a thread went to wait or was made to.
    #[must_use]
    pub fn switches_per_request(&self) -> Option<f64> {
        Some(self.voluntary_switches_per_request? + self.involuntary_switches_per_request?)
    }
}

fn calls_per_request(measured: &[&Measured]) -> Vec<(String, f64)> {
    let known = measured.iter().filter_map(|measured| Some((measured.requests, server(measured)?)));
    let known = known.filter_map(|(requests, server)| Some((requests, server.syscalls_by_name.as_ref()?)));
    let (mut requests, mut sums) = (0_u128, BTreeMap::<&str, u128>::new());
    for (answered, calls) in known {
        requests += u128::from(answered);
        for (name, &count) in calls {
            *sums.entry(name).or_default() += u128::from(count);
        }
    }
    let each = sums.into_iter().filter_map(|(name, sum)| Some((name.to_owned(), per(sum as f64, requests as f64)?)));
    let mut calls: Vec<(String, f64)> = each.collect();
    // Stable, so that those that are made as often stand by their names.
    calls.sort_by(|a, b| b.1.total_cmp(&a.1));
    calls
}

impl FloorMultiple {
    fn of(measured: &[&Measured]) -> Option<Self> {
        let mut multiples: Vec<f64> = measured.iter().filter_map(|measured| multiple(measured)).collect();
        multiples.sort_by(f64::total_cmp);
        Some(Self { median: median(&multiples)?, interval: median_interval(&multiples), trials: multiples.len() })
    }
}

fn floor_missing(measured: &[&Measured]) -> Vec<(String, usize)> {
    let mut reasons: Vec<(String, usize)> = Vec::new();
    for why in measured.iter().filter_map(|measured| server(measured)?.floor_missing.as_ref()) {
        match reasons.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, trials)) => *trials += 1,
            None => reasons.push((why.clone(), 1)),
        }
    }
    reasons
}

/// CPU time of the server for one answer, as a multiple of the floor that was measured beside the trial.
#[must_use]
pub fn floor_multiple(trial: &TrialRecord) -> Option<f64> {
    multiple(trial.measured.as_ref()?)
}

fn multiple(measured: &Measured) -> Option<f64> {
    let server = server(measured)?;
    let multiple = per(server.cpu_ns_per_request?, server.floor_ns_per_request?)?;
    multiple.is_finite().then_some(multiple)
}

fn server(measured: &Measured) -> Option<&ServerMeasured> {
    measured.server.as_ref()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::results::tests::trial;

    /// A trial of 2,000 requests of a server that counts, 20 µs of CPU time each.
    pub(crate) fn counted(backend: &str, floor_ns: Option<f64>) -> TrialRecord {
        let mut trial = trial(backend);
        let measured = trial.measured.as_mut().unwrap();
        let server = measured.server.as_mut().unwrap();
        server.cpu_ns_per_request = per(server.cpu_ns.unwrap() as f64, measured.requests as f64);
        let calls = [("epoll_pwait", 500), ("recvfrom", 2000), ("sendto", 2000), ("accept4", 2)];
        server.syscalls_by_name = Some(calls.map(|(name, count)| (name.to_owned(), count)).into());
        (server.wakeups, server.bytes_copied) = (Some(500), Some(3000));
        (server.bytes_received, server.bytes_sent) = (Some(136_000), Some(136_000));
        (server.voluntary_switches, server.involuntary_switches) = (Some(400), Some(100));
        server.floor_ns_per_request = floor_ns;
        trial
    }

    fn anatomy(trials: &[TrialRecord]) -> Anatomy {
        Anatomy::of(&trials.iter().filter_map(|trial| trial.measured.as_ref()).collect::<Vec<_>>())
    }

    #[test]
    fn counts_are_for_each_answer() {
        let anatomy = anatomy(&[counted("epoll", None), counted("epoll", None)]);
        let names: Vec<&str> = anatomy.calls_per_request.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["recvfrom", "sendto", "epoll_pwait", "accept4"]);
        let calls: Vec<f64> = anatomy.calls_per_request.iter().map(|(_, calls)| *calls).collect();
        assert_eq!(calls, [1.0, 1.0, 0.25, 0.001]);
        assert_eq!((anatomy.requests_per_wakeup, anatomy.switches_per_request()), (Some(4.0), Some(0.25)));
        assert_eq!((anatomy.copied_bytes_per_request, anatomy.kernel_bytes_per_request), (Some(1.5), Some(136.0)));
        assert_eq!(anatomy.floor, None);
    }

    #[test]
    fn the_multiple_is_the_median_of_those_of_the_trials() {
        let of = |floors: &[Option<f64>]| {
            anatomy(&floors.iter().map(|floor| counted("epoll", *floor)).collect::<Vec<_>>()).floor
        };
        let floors = [5000.0, 8000.0, 10_000.0, 10_000.0, 16_000.0, 20_000.0].map(Some);
        assert_eq!(of(&floors), Some(FloorMultiple { median: 2.0, interval: Some([1.0, 4.0]), trials: floors.len() }));
        assert_eq!(of(&floors[..3]), Some(FloorMultiple { median: 2.5, interval: None, trials: 3 }));
        // What trials without a floor would say is not known; how many have one is told.
        let with_a_gap = [&floors[..], &[None]].concat();
        assert_eq!(
            of(&with_a_gap),
            Some(FloorMultiple { median: 2.0, interval: Some([1.0, 4.0]), trials: floors.len() })
        );
        assert_eq!(of(&[None, Some(0.0)]), None);
    }

    #[test]
    fn of_a_server_that_counts_nothing_nothing_is_known() {
        assert!(!anatomy(&[trial("epoll")]).is_known() && !anatomy(&[]).is_known());
        let mut spins = counted("spin", None);
        spins.measured.as_mut().unwrap().server.as_mut().unwrap().wakeups = Some(0);
        assert_eq!(anatomy(&[spins]).requests_per_wakeup, None);
    }
}
