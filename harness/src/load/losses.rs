//! Connections that were lost: when, and after how many answers.

use std::collections::HashMap;

use super::window::Window;

/// Of the lost connections, how many have to have been answered equally often for that to be the server's rule. Not all: a
/// connection may break for another reason meanwhile.
const NEARLY_ALL: f64 = 0.9;

/// All that were lost, in no order. Nothing is done here for a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses(Vec<Lost>);

#[derive(Clone, Copy, Debug)]
struct Lost {
    at_ns: u64,
    /// Answers that the server gave before it closed or reset the connection, the one to the greeting included; none where
    /// it did neither, or that cannot be known.
    answers: Option<u64>,
}

impl Losses {
    pub(super) fn add(&mut self, at_ns: u64, answers: Option<u64>) {
        self.0.push(Lost { at_ns, answers });
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// When the last of them was lost.
    pub(super) fn last_ns(&self) -> Option<u64> {
        self.0.iter().map(|lost| lost.at_ns).max()
    }

    /// The time of the window in which connections were lost already, as a share of the time of all `connections`.
    pub(super) fn lost_share(&self, window: Window, connections: usize) -> f64 {
        let Window { opens_ns, closes_ns, .. } = window;
        // Of a window that was never opened, all is lost.
        let length_ns = closes_ns.saturating_sub(opens_ns).max(1);
        let lost_ns = |lost: &Lost| u128::from((opens_ns + length_ns).saturating_sub(lost.at_ns.max(opens_ns)));
        let sum_ns: u128 = self.0.iter().map(lost_ns).sum();
        sum_ns as f64 / (u128::from(length_ns) * connections.max(1) as u128) as f64
    }

    /// After how many answers the server closes connections, as far as nearly all that were lost before `end_ns` agree.
    pub(super) fn closed_after(&self, end_ns: u64) -> Option<u64> {
        let early: Vec<&Lost> = self.0.iter().filter(|lost| lost.at_ns < end_ns).collect();
        let mut counts: HashMap<u64, usize> = HashMap::new();
        early.iter().filter_map(|lost| lost.answers).for_each(|answers| *counts.entry(answers).or_default() += 1);
        let (answers, connections) = counts.into_iter().max_by_key(|&(answers, connections)| (connections, answers))?;
        (connections as f64 >= NEARLY_ALL * early.len() as f64).then_some(answers)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn losses(lost: &[(u64, Option<u64>)]) -> Losses {
        let mut losses = Losses::default();
        for &(at_ns, answers) in lost {
            losses.add(at_ns, answers);
        }
        losses
    }

    #[test]
    fn what_is_lost_is_the_time_of_each_connection_from_its_loss_to_the_end_of_the_window() {
        let window = Window::new(Duration::from_nanos(100), Duration::from_micros(1));
        let share = |lost: &[(u64, Option<u64>)]| losses(lost).lost_share(window, 2);
        assert!(share(&[]).abs() < 1e-12 && share(&[(1100, None), (5000, None)]).abs() < 1e-12);
        // One in the middle; one before the window; both.
        assert!((share(&[(600, None)]) - 0.25).abs() < 1e-12);
        assert!((share(&[(0, None)]) - 0.5).abs() < 1e-12);
        assert!((share(&[(600, None), (50, None)]) - 0.75).abs() < 1e-12);
        let never_opened = Window { closes_ns: window.opens_ns, ..window };
        assert!((losses(&[(50, None), (60, None)]).lost_share(never_opened, 2) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_server_that_closes_after_so_many_answers_is_known_by_nearly_all_of_them() {
        let closing = |others: usize| {
            let mut lost = vec![(10, Some(3000)); 18];
            lost.extend(vec![(10, Some(7)); others]);
            losses(&lost).closed_after(100)
        };
        assert_eq!((closing(0), closing(2), closing(3)), (Some(3000), Some(3000), None));
        assert_eq!(losses(&[(10, None), (10, Some(5))]).closed_after(100), None);
        assert_eq!(losses(&[]).closed_after(100), None);
        // What a server closes after the window says nothing.
        assert_eq!(losses(&[(10, Some(5)), (100, Some(9)), (200, Some(9))]).closed_after(100), Some(5));
    }
}
