//! What a ring says that it was granted.

use super::bundling::PIECES;
use super::{BUFFER_BYTES, BUFFERS, Ring};
use crate::backend::Receipt;
use crate::io_uring::setup::SQ_THREAD_IDLE_MS;
use crate::io_uring::variants::Features;

/// What the kernel holds for each place of a table of direct descriptors, taken or not: a pointer.
const TABLE_PLACE_BYTES: u64 = 8;

impl Ring {
    /// What was granted, and is used where other threads accept from the same listener or do not.
    pub(in crate::io_uring) fn receipt(&self, shares_listener: bool) -> Receipt {
        let params = self.uring.params();
        let features = self.features;
        let receipt = Receipt::new()
            .text("interface", "io_uring_enter")
            .text("step_from", self.variant.step_from.unwrap_or("nothing"))
            .list("features", self.granted_features(shares_listener))
            .list("ring_flags", self.flags.clone())
            .list("ring_flags_refused", self.refused.clone())
            .list("operations", self.operations(shares_listener))
            .number("sq_entries", params.sq_entries().into())
            .number("cq_entries", params.cq_entries().into())
            .number("buffers", if features.multishot_receive { BUFFERS.into() } else { 0 })
            .number("buffer_bytes", BUFFER_BYTES.into());
        let receipt = match &self.table {
            Some(table) => receipt
                .number("direct_descriptors", table.places.into())
                .number("direct_table_kernel_bytes", u64::from(table.places) * TABLE_PLACE_BYTES)
                .number("multishot_accept_needs_free", table.multishot_places.into()),
            None => receipt,
        };
        let receipt = if features.send_bundles { receipt.number("send_ring_entries", PIECES.into()) } else { receipt };
        if features.sq_poll { receipt.number("sq_thread_idle_ms", SQ_THREAD_IDLE_MS.into()) } else { receipt }
    }

    /// The names of the features that it has. All were asked for; one may be missing, and one is not used at a listener
    /// that is shared, see [`Ring::accept`].
    fn granted_features(&self, shares_listener: bool) -> Vec<&'static str> {
        let granted = Features {
            deferred_task_work: self.flags.contains(&"DEFER_TASKRUN"),
            multishot_accept: self.features.multishot_accept && !shares_listener,
            ..self.features
        };
        granted.all().filter(|(_, used)| *used).map(|(name, _)| name).collect()
    }

    fn operations(&self, shares_listener: bool) -> Vec<&'static str> {
        let features = self.features;
        let mut operations = vec![
            match (features.multishot_accept, features.direct_descriptors) {
                (true, false) if shares_listener => "ACCEPT one at a time (shared listener)",
                (true, true) if shares_listener => "ACCEPT one at a time (shared listener), direct descriptors",
                (false, false) => "ACCEPT",
                (false, true) => "ACCEPT, direct descriptors",
                (true, false) => "ACCEPT multishot",
                (true, true) => "ACCEPT multishot, direct descriptors",
            },
            if features.multishot_receive { "RECV multishot, provided buffers" } else { "RECV" },
            match (features.silent_sends, features.zero_copy_sends) {
                (true, _) => "SEND without waiting, silent on success",
                (false, true) => "SEND_ZC",
                (false, false) => "SEND",
            },
        ];
        if features.send_bundles {
            operations.push("SEND bundle, from a ring of the connection");
        }
        if features.direct_descriptors {
            operations.extend(["SHUTDOWN", "CLOSE"]);
        }
        operations
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::Limits;
    use crate::io_uring::ring::Ring;
    use crate::io_uring::variants::VARIANTS;

    #[test]
    fn at_a_shared_listener_no_multishot_accept_is_claimed() {
        let limits = Limits { max_connections: Some(4), ..Limits::default() };
        for variant in VARIANTS {
            let Ok(ring) = Ring::new(variant, &limits) else {
                assert_ne!(std::env::var("REQUIRE_BACKENDS").as_deref(), Ok("all"), "{}", variant.info.name);
                continue;
            };
            for shares_listener in [false, true] {
                let multishot = variant.features.multishot_accept && !shares_listener;
                assert_eq!(ring.granted_features(shares_listener).contains(&"multishot_accept"), multishot);
                assert_eq!(ring.operations(shares_listener)[0].starts_with("ACCEPT multishot"), multishot);
            }
        }
    }
}
