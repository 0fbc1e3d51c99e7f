//! When a run measures, and when it gives up waiting.

use std::time::Duration;

/// How long the last answers are awaited: as long as the window itself, so that a stall that began at its end shows
/// in full, but neither so briefly that a slow server looks dead nor so long that a dead one holds up a sweep.
const GRACE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// And how long after a request to end a run, which is waited for.
const CUT_GRACE_NS: u64 = 500_000_000;

/// The moments at which a run changes what it does.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "they share their unit, which belongs into the name")]
pub(super) struct Window {
    /// What is sent from here on is measured,
    pub(super) opens_ns: u64,
    /// and what is sent from here on is not.
    pub(super) closes_ns: u64,
    /// Answers that have not come by now never will.
    pub(super) gives_up_ns: u64,
}

impl Window {
    pub(super) fn new(warmup: Duration, duration: Duration) -> Self {
        let grace = duration.clamp(GRACE.0, GRACE.1);
        let opens_ns = duration_ns(warmup);
        let closes_ns = opens_ns.saturating_add(duration_ns(duration));
        Self { opens_ns, closes_ns, gives_up_ns: closes_ns.saturating_add(duration_ns(grace)) }
    }

    /// Closes it at `at_ns`, or now where that has passed; what is awaited then is not awaited for long. After its end, only
    /// the latter. To be called with the same time again makes no difference.
    pub(super) fn cut(&mut self, at_ns: u64, now_ns: u64) {
        if now_ns < self.closes_ns {
            self.closes_ns = self.closes_ns.min(at_ns.max(now_ns));
            self.gives_up_ns = self.gives_up_ns.min(self.closes_ns.saturating_add(CUT_GRACE_NS));
        } else {
            self.gives_up_ns = self.gives_up_ns.min(at_ns.saturating_add(CUT_GRACE_NS));
        }
    }

    pub(super) fn contains(&self, at_ns: u64) -> bool {
        (self.opens_ns..self.closes_ns).contains(&at_ns)
    }

    /// From `now_ns` to the next of these moments; zero after the last.
    pub(super) fn until_next_ns(&self, now_ns: u64) -> u64 {
        let moments = [self.opens_ns, self.closes_ns, self.gives_up_ns];
        moments.into_iter().find(|&moment_ns| moment_ns > now_ns).map_or(0, |moment_ns| moment_ns - now_ns)
    }
}

fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_answers_as_long_as_the_window_within_bounds() {
        let grace = |duration: Duration| {
            let window = Window::new(Duration::from_millis(5), duration);
            Duration::from_nanos(window.gives_up_ns - window.closes_ns)
        };
        assert_eq!(grace(Duration::from_millis(10)), Duration::from_secs(1));
        assert_eq!(grace(Duration::from_secs(3)), Duration::from_secs(3));
        assert_eq!(grace(Duration::from_mins(1)), Duration::from_secs(10));
    }

    #[test]
    fn a_window_that_is_cut_short_closes_when_it_is_told_or_is_seen_to_be() {
        let window = Window::new(Duration::from_nanos(10), Duration::from_mins(1));
        let cut = |calls: &[(u64, u64)]| {
            let mut window = window;
            for &(at_ns, now_ns) in calls {
                window.cut(at_ns, now_ns);
            }
            (window.closes_ns, window.gives_up_ns)
        };
        let at_100 = (100, 100 + CUT_GRACE_NS);
        assert_eq!(cut(&[(100, 50)]), at_100);
        assert_eq!(cut(&[(100, 50), (100, 70), (100, 100), (100, 400)]), at_100);
        assert_eq!(cut(&[(100, 130)]), (130, 130 + CUT_GRACE_NS));
        // A window that is over stays what it was.
        let closes_ns = window.closes_ns;
        assert_eq!(cut(&[(closes_ns + 5, closes_ns + 5)]), (closes_ns, closes_ns + 5 + CUT_GRACE_NS));
        assert_eq!(cut(&[(closes_ns + 5, closes_ns - 5)]), (closes_ns, closes_ns + CUT_GRACE_NS));
    }

    #[test]
    fn names_the_next_moment() {
        let window = Window::new(Duration::from_nanos(10), Duration::from_nanos(20));
        assert_eq!(window.until_next_ns(0), 10);
        assert_eq!(window.until_next_ns(10), 20);
        assert_eq!(window.until_next_ns(31), 999_999_999);
        assert_eq!(window.until_next_ns(u64::MAX), 0);
    }
}
