//! How the load was spread over the threads of a server: from the one that had least to the one that had most.

use crate::results::ServerMeasured;

/// The trials of one backend in one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThreadSpread {
    /// Fewest and most connections of a thread, in the trial that is in the middle by how unevenly they were spread.
    pub middle: (u64, u64),
    /// The same, in the trial with the most uneven spread.
    pub most_uneven: (u64, u64),
    /// Share of the time that the least and the most busy thread ran, in the trial in the middle.
    pub busy: Option<(f64, f64)>,
}

impl ThreadSpread {
    /// Of those that had several threads.
    pub(super) fn of(servers: &[&ServerMeasured]) -> Option<Self> {
        let mut trials: Vec<_> = servers
            .iter()
            .filter_map(|server| {
                let threads = server.connections_per_thread.as_ref().filter(|threads| threads.len() > 1)?;
                let ends = (*threads.iter().min()?, *threads.iter().max()?);
                Some((ends, server.busy_per_thread.as_deref().and_then(ends_of_shares)))
            })
            .collect();
        trials.sort_by_key(|((fewest, most), _)| (most - fewest, *most));
        let (middle, busy) = *trials.get(trials.len().checked_sub(1)? / 2)?;
        Some(Self { middle, most_uneven: trials.last()?.0, busy })
    }
}

fn ends_of_shares(shares: &[f64]) -> Option<(f64, f64)> {
    let by_size = |a: &f64, b: &f64| a.total_cmp(b);
    Some((shares.iter().copied().min_by(by_size)?, shares.iter().copied().max_by(by_size)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(connections: &[u64], busy: &[f64]) -> ServerMeasured {
        ServerMeasured {
            connections_per_thread: Some(connections.to_vec()),
            busy_per_thread: Some(busy.to_vec()),
            ..ServerMeasured::default()
        }
    }

    #[test]
    fn the_trial_in_the_middle_and_the_most_uneven_one_are_told() {
        let servers = [server(&[20, 44], &[0.3, 0.7]), server(&[33, 31], &[0.5, 0.4]), server(&[27, 37], &[0.6, 0.45])];
        let spread = ThreadSpread::of(&servers.each_ref());
        let expected = ThreadSpread { middle: (27, 37), most_uneven: (20, 44), busy: Some((0.45, 0.6)) };
        assert_eq!(spread, Some(expected));
    }

    #[test]
    fn one_thread_spreads_nothing_and_unknown_ones_neither() {
        assert_eq!(ThreadSpread::of(&[&server(&[64], &[1.0]), &ServerMeasured::default()]), None);
        assert_eq!(ThreadSpread::of(&[]), None);
        let unseen = ServerMeasured { busy_per_thread: None, ..server(&[1, 2], &[]) };
        assert_eq!(ThreadSpread::of(&[&unseen]).unwrap().busy, None);
    }
}
