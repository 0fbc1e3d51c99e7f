//! Where the comparisons take place: the backends that this machine can run, and the CPUs of either side.

use backends::{BACKENDS, Backend};
use harness::cpus::{self, CpuSet};

/// What all groups that compare backends have in common.
pub(crate) struct Place {
    /// Every backend that can be had here.
    pub(crate) backends: Vec<&'static dyn Backend>,
    /// The CPUs of the server, which are not the client's wherever there are two.
    pub(crate) server_cpus: CpuSet,
    /// The CPUs of the client.
    pub(crate) client_cpus: CpuSet,
    /// All that this process may use.
    all_cpus: CpuSet,
}

impl Place {
    /// Asks the kernel. Says of each backend that cannot be had why it is left out.
    pub(crate) fn of_this_machine() -> Self {
        let available = |backend: &&dyn Backend| {
            let refusal = backend.probe().err();
            if let Some(unavailable) = &refusal {
                eprintln!("{} is left out: {unavailable}", backend.info().name);
            }
            refusal.is_none()
        };
        let backends = BACKENDS.iter().copied().filter(available).collect();
        let cores = cpus::cores().expect("the kernel says which CPUs a process may use");
        let (server_cpus, client_cpus) = cpus::split(&cores, 1);
        let all_cpus = cores.iter().flat_map(CpuSet::iter).collect();
        Self { backends, server_cpus, client_cpus, all_cpus }
    }

    /// Keeps this thread to the CPUs of the client for as long as what is returned lives. Groups that measure something
    /// else, in the same process, are not concerned.
    pub(crate) fn kept_to_the_client(&self) -> Kept<'_> {
        cpus::pin(&self.client_cpus).expect("a process may use the CPUs that it may use");
        Kept { place: self }
    }
}

/// This thread is kept to the CPUs of the client.
pub(crate) struct Kept<'a> {
    place: &'a Place,
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        // Where some were taken from this process meanwhile, it stays where it is.
        let _ = cpus::pin(&self.place.all_cpus);
    }
}
