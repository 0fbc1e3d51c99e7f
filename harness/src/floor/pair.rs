//! Two CPUs.

use crate::cpus::CpuSet;

/// A CPU for each end of a connection; never the same for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    server: usize,
    client: usize,
}

impl Pair {
    /// The first of each side; none where there is no first, or where both are the same.
    #[must_use]
    pub fn of(server: &CpuSet, client: &CpuSet) -> Option<Self> {
        let (server, client) = (server.iter().next()?, client.iter().next()?);
        (server != client).then_some(Self { server, client })
    }

    /// The CPU of the server.
    #[must_use]
    pub fn server(self) -> usize {
        self.server
    }

    /// The CPU of the client.
    #[must_use]
    pub fn client(self) -> usize {
        self.client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_two_different_cpus() {
        let pair = |server: &[usize], client: &[usize]| {
            let set = |cpus: &[usize]| cpus.iter().copied().collect();
            Pair::of(&set(server), &set(client)).map(|pair| (pair.server(), pair.client()))
        };
        assert_eq!(pair(&[2, 3], &[0, 1]), Some((2, 0)));
        assert_eq!(pair(&[0, 1], &[1]), Some((0, 1)));
        assert_eq!([pair(&[0], &[0]), pair(&[0, 1], &[0, 1]), pair(&[], &[1]), pair(&[1], &[])], [None; 4]);
    }
}
