//! Requests that no histogram has: not sent in time, or never answered. To say the one of the other would blame a server for
//! what it was never asked, or excuse it.

use crate::figures::grouped;
use crate::results::Measured;

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Censored {
    /// All of them.
    pub count: u64,
    /// Those that were sent and never answered; none where a trial does not say.
    pub unanswered: Option<u64>,
}

impl Censored {
    /// Of all trials together.
    #[must_use]
    pub fn of<'a>(trials: impl Iterator<Item = &'a Measured>) -> Self {
        Self::sum(trials.map(|measured| Self {
            count: measured.censored,
            // Of none there is no doubt, and files of earlier builds do not say.
            unanswered: if measured.censored == 0 { Some(0) } else { measured.unanswered },
        }))
    }

    /// All of these together.
    #[must_use]
    pub fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self { count: 0, unanswered: Some(0) }, |sum, one| Self {
            count: sum.count.saturating_add(one.count),
            unanswered: sum.unanswered.zip(one.unanswered).map(|(sum, one)| sum.saturating_add(one)),
        })
    }

    /// What became of them: `not sent in time`, `never answered`, or that it was one or the other.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self.unanswered {
            Some(0) => "not sent in time",
            Some(unanswered) if unanswered >= self.count => "never answered",
            _ => "not sent in time, or never answered",
        }
    }

    /// The same with how many each of the two are, where both are and that is known.
    #[must_use]
    pub fn what_and_how_many(self) -> String {
        match self.unanswered {
            Some(unanswered) if unanswered > 0 && unanswered < self.count => {
                let [late, unanswered] = [self.count - unanswered, unanswered].map(|count| grouped(count as f64));
                format!("not sent in time ({late}) or never answered ({unanswered})")
            }
            _ => self.what().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::trial;

    fn said(trials: &[(u64, Option<u64>)]) -> String {
        let measured =
            |&(censored, unanswered): &_| Measured { censored, unanswered, ..trial("epoll").measured.unwrap() };
        let measured: Vec<Measured> = trials.iter().map(measured).collect();
        Censored::of(measured.iter()).what_and_how_many()
    }

    #[test]
    fn what_was_not_sent_in_time_is_not_called_never_answered() {
        assert_eq!(said(&[(9, Some(0)), (4, Some(0))]), "not sent in time");
        assert_eq!(said(&[(9, Some(9)), (0, Some(0))]), "never answered");
        assert_eq!(said(&[(9000, Some(9000)), (4, Some(0))]), "not sent in time (4) or never answered (9,000)");
        assert_eq!(said(&[(9, Some(9)), (4, None)]), "not sent in time, or never answered", "the second does not say");
        assert_eq!(said(&[(9, Some(9)), (0, None)]), "never answered", "of none there is nothing to say");
        assert_eq!(said(&[(u64::MAX, Some(u64::MAX)), (4, Some(0))]), "never answered", "as far as can be counted");
    }
}
