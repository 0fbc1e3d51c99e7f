//! Whether a rate leaves anything to measure in a window.

use std::time::Duration;

use super::{Arrivals, Pace};
use crate::figures;

/// Refuses a rate at which no request falls due in the window, as its times tell beforehand. Those of a Poisson process are
/// drawn, and nothing is known of them.
///
/// # Errors
///
/// A sentence for people, with what to ask for.
pub fn check_due(pace: Pace, warmup: Duration, duration: Duration) -> Result<(), String> {
    let Pace::Open { rate_rps, arrivals: Arrivals::Constant } = pace else { return Ok(()) };
    // The first is due when the warm-up begins.
    let due_before = |time: Duration| (time.as_secs_f64() * rate_rps).ceil();
    if due_before(warmup + duration) > due_before(warmup) {
        return Ok(());
    }
    Err(none_due(rate_rps, duration))
}

/// That no request was due in a window, and what to ask for.
pub(crate) fn none_due(rate_rps: f64, duration: Duration) -> String {
    // Enough for a few of them.
    let longer = Duration::from_secs_f64((10.0 / rate_rps).ceil().min(86_400.0));
    format!(
        "no request falls due in a window of {} at {rate_rps}/s; ask for --duration {}, or for a higher --rate",
        figures::duration(duration.as_nanos() as f64),
        // Without blanks, it is one word of a command.
        humantime::format_duration(longer).to_string().replace(' ', "")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rate_rps: f64, arrivals: Arrivals, warmup_ms: u64, duration_ms: u64) -> Result<(), String> {
        let pace = Pace::Open { rate_rps, arrivals };
        check_due(pace, Duration::from_millis(warmup_ms), Duration::from_millis(duration_ms))
    }

    #[test]
    fn a_window_between_two_requests_is_refused() {
        let refused = check(1.0, Arrivals::Constant, 100, 200).unwrap_err();
        assert_eq!(
            refused,
            "no request falls due in a window of 200 ms at 1/s; ask for --duration 10s, or for a higher --rate"
        );
        assert!(check(1.0, Arrivals::Constant, 100, 900).is_err(), "the next is due when it closes");
        for sound in [(100, 901), (0, 200), (900, 200), (1000, 1)] {
            assert_eq!(check(1.0, Arrivals::Constant, sound.0, sound.1), Ok(()), "{sound:?}");
        }
        assert_eq!(check(1.0, Arrivals::Poisson, 100, 200), Ok(()));
        assert_eq!(check_due(Pace::Closed, Duration::ZERO, Duration::from_millis(1)), Ok(()));
    }
}
