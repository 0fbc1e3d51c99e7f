//! Whether a trial may be believed, and what kept its throughput from being higher.
//!
//! A pure function of numbers: every fault that it knows can be handed to it in a test.

use super::Neighbours;
use crate::results::{Bottleneck, Measured, Verdict};
use crate::statistics::enough_samples;

/// A side is busy from here on. Not 1: the last tenth goes to whatever else needs a CPU, and queues are long before.
const BUSY: f64 = 0.9;

/// Answers to requests that were due, from which on the asked rate was met. Not 1: what falls due just before the end of
/// the window may be sent just after it.
const RATE_MET: f64 = 0.995;

/// Others disturbed a trial from here on. They are told from both sides by what is left of ticks of 10 ms, and the thread
/// that watches the trial and those of the kernel need a little, too.
const DISTURBED: f64 = 0.05;

/// The highest percentile that a trial must be able to carry by itself.
const NEEDED_QUANTILE: f64 = 0.99;

/// What is known of a trial that has a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Requests sent in the window that were answered.
    pub requests: u64,
    /// Connections that broke.
    pub errors: u64,
    /// How the first of them broke.
    pub first_error: Option<String>,
    /// Answers that differed from what was sent.
    pub mismatches: u64,
    /// Requests not sent in time or never answered.
    pub censored: u64,
    /// Requests that were due in the window; `None` in a closed loop.
    pub due: Option<u64>,
    /// Share of its CPU time that the server used; `None` where it cannot be seen.
    pub server_utilisation: Option<f64>,
    /// Share of its time that the busiest thread of the load generator was running.
    pub client_utilisation: f64,
    /// Whether both sides had to share a CPU.
    pub cpus_shared: bool,
    /// What others took of the CPUs of both sides.
    pub neighbours: Neighbours,
    /// Whether the server chose to run on other CPUs than those given to it.
    pub server_left_its_cpus: bool,
}

impl Evidence {
    /// What a measurement by itself says; it does not know what was due, nor who used which CPUs.
    #[must_use]
    pub fn of(measured: &Measured) -> Self {
        Self {
            requests: measured.requests,
            errors: measured.errors,
            first_error: None,
            mismatches: measured.mismatches,
            censored: measured.censored,
            due: None,
            server_utilisation: measured.server.as_ref().and_then(|server| server.utilisation),
            client_utilisation: measured.client.utilisation,
            cpus_shared: false,
            neighbours: Neighbours::default(),
            server_left_its_cpus: false,
        }
    }
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the trial may be believed.
    pub verdict: Verdict,
    /// Why not; empty where it may. Figures that differ from trial to trial stand in the record beside them, so that
    /// equal reasons read equal.
    pub reasons: Vec<String>,
    /// What kept throughput from being higher; `None` where that cannot be known.
    pub bottleneck: Option<Bottleneck>,
}

/// Judges a trial.
#[must_use]
pub fn judge(evidence: &Evidence) -> Judgement {
    let invalid = reasons_against(evidence);
    let suspect = reasons_to_doubt(evidence);
    let verdict = match (invalid.is_empty(), suspect.is_empty()) {
        (false, _) => Verdict::Invalid,
        (true, false) => Verdict::Suspect,
        (true, true) => Verdict::Valid,
    };
    Judgement { verdict, reasons: [invalid, suspect].concat(), bottleneck: bottleneck(evidence) }
}

fn reasons_against(evidence: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    if evidence.mismatches > 0 {
        reasons.push("answers differed from what was sent".to_owned());
    }
    if evidence.requests == 0 {
        reasons.push("no request was answered".to_owned());
    }
    reasons
}

fn reasons_to_doubt(evidence: &Evidence) -> Vec<String> {
    let mut reasons = Vec::new();
    if evidence.errors > 0 {
        let first = evidence.first_error.as_deref().map_or(String::new(), |error| format!("; the first: {error}"));
        reasons.push(format!("connections were lost{first}"));
    }
    match evidence.due {
        None if evidence.censored > 0 => reasons.push("requests were never answered".to_owned()),
        // Where the rate was met, the few that the end of the window cut off change nothing.
        Some(_) if evidence.censored > 0 && !rate_met(evidence) => {
            reasons.push("the rate asked for was not met: requests were sent too late, or never answered".to_owned());
        }
        _ => {}
    }
    if evidence.cpus_shared {
        reasons.push("server and load generator shared a CPU".to_owned());
    }
    if evidence.server_left_its_cpus {
        reasons.push("the server chose other CPUs than those given to it".to_owned());
    }
    for (side, share) in
        [("server", evidence.neighbours.on_server_cpus), ("load generator", evidence.neighbours.on_client_cpus)]
    {
        if share.is_some_and(is_disturbing) {
            reasons.push(format!("other processes took CPU time of the {side}"));
        }
    }
    if evidence.requests > 0 && !enough_samples(evidence.requests, NEEDED_QUANTILE) {
        reasons.push("too few answers for a p99".to_owned());
    }
    reasons
}

/// Where both sides were busy it says `client`, the cautious answer; and so where they kept one CPU busy together.
fn bottleneck(evidence: &Evidence) -> Option<Bottleneck> {
    if evidence.client_utilisation >= BUSY {
        return Some(Bottleneck::Client);
    }
    if evidence.cpus_shared && evidence.client_utilisation + evidence.server_utilisation.unwrap_or(0.0) >= BUSY {
        return Some(Bottleneck::Client);
    }
    if evidence.server_utilisation.is_some_and(|utilisation| utilisation >= BUSY) {
        return Some(Bottleneck::Server);
    }
    if rate_met(evidence) {
        return Some(Bottleneck::Rate);
    }
    // A side that others kept from its CPU looks as idle as one that waits.
    let Neighbours { on_server_cpus, on_client_cpus } = evidence.neighbours;
    if [on_server_cpus, on_client_cpus].into_iter().flatten().any(is_disturbing) {
        return None;
    }
    // That the server was not busy has to be known.
    evidence.server_utilisation.map(|_| Bottleneck::Latency)
}

fn rate_met(evidence: &Evidence) -> bool {
    evidence.due.is_some_and(|due| evidence.requests as f64 >= RATE_MET * due as f64)
}

fn is_disturbing(share: f64) -> bool {
    share >= DISTURBED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Evidence {
        Evidence {
            requests: 100_000,
            errors: 0,
            first_error: None,
            mismatches: 0,
            censored: 0,
            due: None,
            server_utilisation: Some(0.5),
            client_utilisation: 0.5,
            cpus_shared: false,
            neighbours: Neighbours { on_server_cpus: Some(0.01), on_client_cpus: Some(0.01) },
            server_left_its_cpus: false,
        }
    }

    fn verdict(evidence: &Evidence) -> (Verdict, String) {
        let judgement = judge(evidence);
        (judgement.verdict, judgement.reasons.join(" | "))
    }

    #[test]
    fn a_sound_trial_is_valid_without_reasons() {
        assert_eq!(verdict(&sound()), (Verdict::Valid, String::new()));
    }

    #[test]
    fn one_mismatch_makes_it_invalid() {
        let (verdict, reasons) = verdict(&Evidence { mismatches: 1, ..sound() });
        assert_eq!((verdict, reasons.as_str()), (Verdict::Invalid, "answers differed from what was sent"));
    }

    #[test]
    fn without_an_answer_it_is_invalid() {
        let (verdict, reasons) = verdict(&Evidence { requests: 0, ..sound() });
        assert_eq!((verdict, reasons.as_str()), (Verdict::Invalid, "no request was answered"));
    }

    #[test]
    fn every_reason_is_given() {
        let (verdict, reasons) = verdict(&Evidence { mismatches: 2, errors: 3, ..sound() });
        assert_eq!(verdict, Verdict::Invalid);
        assert_eq!(reasons, "answers differed from what was sent | connections were lost");
    }

    #[test]
    fn a_broken_connection_makes_it_suspect() {
        let (verdict, reasons) = verdict(&Evidence { errors: 1, first_error: Some("reset".into()), ..sound() });
        assert_eq!((verdict, reasons.as_str()), (Verdict::Suspect, "connections were lost; the first: reset"));
    }

    #[test]
    fn censored_requests_make_a_closed_loop_suspect() {
        let (verdict, reasons) = verdict(&Evidence { censored: 4, ..sound() });
        assert_eq!((verdict, reasons.as_str()), (Verdict::Suspect, "requests were never answered"));
    }

    #[test]
    fn censored_requests_make_an_open_loop_suspect_only_where_the_rate_was_not_met() {
        let open = |requests| Evidence { censored: 4, due: Some(10_000), requests, ..sound() };
        assert_eq!(verdict(&open(9990)).0, Verdict::Valid);
        let (verdict, reasons) = verdict(&open(9000));
        assert_eq!(verdict, Verdict::Suspect);
        assert!(reasons.starts_with("the rate asked for was not met"), "{reasons}");
    }

    #[test]
    fn a_shared_cpu_makes_it_suspect() {
        assert_eq!(verdict(&Evidence { cpus_shared: true, ..sound() }).0, Verdict::Suspect);
    }

    #[test]
    fn too_few_answers_for_a_p99_make_it_suspect() {
        assert_eq!(verdict(&Evidence { requests: 1000, ..sound() }).0, Verdict::Valid);
        assert_eq!(verdict(&Evidence { requests: 999, ..sound() }).0, Verdict::Suspect);
    }

    #[test]
    fn the_busy_side_is_the_bottleneck_and_the_client_where_both_are() {
        let of = |server_utilisation, client_utilisation| {
            judge(&Evidence { server_utilisation, client_utilisation, ..sound() }).bottleneck
        };
        assert_eq!(of(Some(0.95), 0.5), Some(Bottleneck::Server));
        assert_eq!(of(Some(0.5), 0.95), Some(Bottleneck::Client));
        assert_eq!(of(Some(0.95), 0.95), Some(Bottleneck::Client));
        assert_eq!(of(Some(0.5), 0.5), Some(Bottleneck::Latency));
    }

    #[test]
    fn sides_that_keep_one_cpu_busy_together_say_nothing_about_the_server() {
        let shared = Evidence { cpus_shared: true, client_utilisation: 0.5, ..sound() };
        assert_eq!(judge(&shared).bottleneck, Some(Bottleneck::Client));
        assert_eq!(judge(&Evidence { cpus_shared: false, ..shared }).bottleneck, Some(Bottleneck::Latency));
    }

    #[test]
    fn a_server_on_other_cpus_makes_it_suspect() {
        let judgement = judge(&Evidence { server_left_its_cpus: true, ..sound() });
        assert_eq!(judgement.verdict, Verdict::Suspect);
        assert_eq!(judgement.reasons, ["the server chose other CPUs than those given to it"]);
    }

    #[test]
    fn an_unseen_server_leaves_the_bottleneck_open() {
        let unseen = Evidence { server_utilisation: None, ..sound() };
        assert_eq!(judge(&unseen).bottleneck, None);
        assert_eq!(judge(&Evidence { client_utilisation: 1.0, ..unseen }).bottleneck, Some(Bottleneck::Client));
    }

    #[test]
    fn a_rate_that_was_met_is_the_bottleneck_unless_a_side_was_busy() {
        let met = Evidence { due: Some(10_000), requests: 9950, ..sound() };
        assert_eq!(judge(&met).bottleneck, Some(Bottleneck::Rate));
        assert_eq!(judge(&Evidence { requests: 9949, ..met.clone() }).bottleneck, Some(Bottleneck::Latency));
        assert_eq!(judge(&Evidence { server_utilisation: Some(1.0), ..met }).bottleneck, Some(Bottleneck::Server));
    }

    #[test]
    fn neighbours_make_it_suspect_and_leave_open_what_the_bottleneck_was() {
        let disturbed = |on_server_cpus, on_client_cpus| Evidence {
            neighbours: Neighbours { on_server_cpus, on_client_cpus },
            ..sound()
        };
        let judgement = judge(&disturbed(Some(0.3), Some(0.04)));
        assert_eq!((judgement.verdict, judgement.bottleneck), (Verdict::Suspect, None));
        assert_eq!(judgement.reasons, ["other processes took CPU time of the server"]);
        let judgement = judge(&disturbed(Some(0.3), Some(0.3)));
        assert_eq!(judgement.reasons.len(), 2);
        let busy = Evidence { server_utilisation: Some(0.93), ..disturbed(Some(0.06), None) };
        assert_eq!(judge(&busy).bottleneck, Some(Bottleneck::Server));
        let unseen = judge(&disturbed(None, None));
        assert_eq!((unseen.verdict, unseen.bottleneck), (Verdict::Valid, Some(Bottleneck::Latency)));
    }

    #[test]
    fn a_poisson_load_is_met_by_what_it_drew_and_not_by_what_its_rate_promised() {
        // 1000/s for a second, and 950 of them were drawn.
        let drawn = Evidence { due: Some(950), requests: 950, ..sound() };
        assert_eq!(judge(&drawn).bottleneck, Some(Bottleneck::Rate));
        // 1050 were drawn, and as many answered as the rate promised.
        let drawn = Evidence { due: Some(1050), requests: 1000, ..sound() };
        assert_eq!(judge(&drawn).bottleneck, Some(Bottleneck::Latency));
    }
}
