//! How many requests were in flight, on average over the window.

use super::window::Window;

/// Adds up requests × time from every change of their number: it knows nothing of single requests, and so checks what
/// the histograms say of them.
#[derive(Clone, Debug)]
pub(super) struct Occupancy {
    window: Window,
    in_flight: u64,
    since_ns: u64,
    request_ns: u128,
}

impl Occupancy {
    pub(super) fn new(window: Window) -> Self {
        Self { window, in_flight: 0, since_ns: window.opens_ns, request_ns: 0 }
    }

    /// A request was sent.
    pub(super) fn began(&mut self, now_ns: u64) {
        self.advance(now_ns);
        self.in_flight += 1;
    }

    /// That many were answered or given up.
    pub(super) fn ended(&mut self, requests: usize, now_ns: u64) {
        self.advance(now_ns);
        self.in_flight -= requests as u64;
    }

    /// The window is another from here on: it closes earlier.
    pub(super) fn set_window(&mut self, window: Window) {
        self.window = window;
    }

    /// The average; those that are still in flight stay so until the end of the window.
    pub(super) fn mean(mut self) -> f64 {
        self.advance(self.window.closes_ns);
        let length_ns = (self.window.closes_ns - self.window.opens_ns).max(1);
        self.request_ns as f64 / length_ns as f64
    }

    fn advance(&mut self, now_ns: u64) {
        let now_ns = now_ns.min(self.window.closes_ns);
        if now_ns > self.since_ns {
            self.request_ns += u128::from(self.in_flight) * u128::from(now_ns - self.since_ns);
            self.since_ns = now_ns;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_count_for_as_long_as_they_are_in_flight_within_the_window() {
        let window = Window::new(Duration::from_nanos(100), Duration::from_nanos(100));
        let mut occupancy = Occupancy::new(window);
        occupancy.began(50);
        occupancy.began(120);
        // From 100 to 140 and from 120 to 140.
        occupancy.ended(2, 140);
        occupancy.began(190);
        occupancy.began(250);
        assert!((occupancy.clone().mean() - 0.7).abs() < 1e-9, "{occupancy:?}");
        occupancy.ended(2, 1000);
        assert!((occupancy.mean() - 0.7).abs() < 1e-9);
    }
}
