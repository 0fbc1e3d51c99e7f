//! How the answers were spread over the window.

use super::window::Window;

/// Parts of the window. Enough to see a change that lasts a fifth of it, few enough for each to hold many answers.
pub(super) const SLICES: usize = 40;

/// Answers in each of [`SLICES`] equally long parts of the window, whenever their requests were sent, and how long they
/// took. One compare and two additions for each time that it is told of answers.
#[derive(Clone, Debug)]
pub(super) struct Slices {
    window: Window,
    current: usize,
    /// When the current one ends.
    ends_ns: u64,
    /// Before the window, its parts, and after it.
    answers: [u64; SLICES + 2],
    /// Of all answers of a part, together.
    service_ns: [u64; SLICES + 2],
}

impl Slices {
    pub(super) fn new(window: Window) -> Self {
        Self { window, current: 0, ends_ns: window.opens_ns, answers: [0; SLICES + 2], service_ns: [0; SLICES + 2] }
    }

    /// Told in the order of time.
    pub(super) fn add(&mut self, answers: u64, service_ns: u64, now_ns: u64) {
        while now_ns >= self.ends_ns {
            self.go_on();
        }
        self.answers[self.current] += answers;
        self.service_ns[self.current] += service_ns;
    }

    #[cold]
    fn go_on(&mut self) {
        self.current += 1;
        self.ends_ns = if self.current > SLICES { u64::MAX } else { self.end_of_ns(self.current) };
    }

    /// When so many parts are over.
    fn end_of_ns(&self, parts: usize) -> u64 {
        let Window { opens_ns, closes_ns, .. } = self.window;
        let length_ns = u128::from(closes_ns - opens_ns) * parts as u128 / SLICES as u128;
        opens_ns + u64::try_from(length_ns).expect("a part of the window is no longer than it")
    }

    /// How many of the parts were over at `end_ns`, when the load ended.
    fn over_at(&self, end_ns: u64) -> usize {
        (1..=SLICES).take_while(|&parts| self.end_of_ns(parts) <= end_ns).count()
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, others) in [(&mut self.answers, &other.answers), (&mut self.service_ns, &other.service_ns)] {
            sum.iter_mut().zip(others).for_each(|(sum, others)| *sum += others);
        }
    }

    /// Of the window alone; where the load ended at `end_ns`, of those parts that were over then.
    pub(super) fn answers(&self, end_ns: u64) -> &[u64] {
        &self.answers[1..=self.over_at(end_ns)]
    }

    /// How long they took on average; 0 where there were none.
    pub(super) fn mean_service_ns(&self, end_ns: u64) -> Vec<u64> {
        let parts = self.service_ns[1..=SLICES].iter().zip(self.answers(end_ns));
        parts.map(|(service_ns, &answers)| service_ns.checked_div(answers).unwrap_or(0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn answers_are_counted_where_they_come_and_only_in_the_window() {
        let window = Window::new(Duration::from_nanos(100), Duration::from_nanos(10 * SLICES as u64 + 7));
        let mut slices = Slices::new(window);
        for now_ns in [0, 99] {
            slices.add(5, 5000, now_ns);
        }
        for (answers, now_ns) in [(1, 100), (2, 109), (4, 111), (8, window.closes_ns - 1)] {
            slices.add(answers, answers * now_ns, now_ns);
        }
        for now_ns in [window.closes_ns, u64::MAX - 1] {
            slices.add(9, 9000, now_ns);
        }
        let mut expected = [0; SLICES];
        (expected[0], expected[1], expected[SLICES - 1]) = (3, 4, 8);
        assert_eq!(slices.answers(window.closes_ns), expected);
        let service_ns = slices.mean_service_ns(window.closes_ns);
        // (1 × 100 + 2 × 109) / 3
        assert_eq!((service_ns[0], service_ns[1], service_ns[2]), (106, 111, 0));
        let other = slices.clone();
        slices.merge(&other);
        assert_eq!((slices.answers(u64::MAX)[1], slices.mean_service_ns(u64::MAX)[1]), (8, 111));
    }

    #[test]
    fn of_a_load_that_ended_early_there_are_the_parts_that_were_whole() {
        let window = Window::new(Duration::from_nanos(100), Duration::from_nanos(10 * SLICES as u64));
        let mut slices = Slices::new(window);
        (100..130).for_each(|now_ns| slices.add(1, 5, now_ns));
        assert_eq!((slices.answers(125), slices.mean_service_ns(125)), ([10, 10].as_slice(), vec![5, 5]));
        assert_eq!((slices.answers(130).len(), slices.answers(109).len(), slices.answers(0).len()), (3, 0, 0));
        assert_eq!(slices.answers(window.closes_ns).len(), SLICES);
    }
}
