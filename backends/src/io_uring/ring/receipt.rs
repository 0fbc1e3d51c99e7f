//! What a ring says that it was granted.

use super::{BUFFER_BYTES, BUFFERS, Ring};
use crate::backend::Receipt;
use crate::io_uring::setup::SQ_THREAD_IDLE_MS;
use crate::io_uring::variants::Features;

impl Ring {
    /// What was granted.
    pub(in crate::io_uring) fn receipt(&self) -> Receipt {
        let params = self.uring.params();
        let features = self.features;
        let receipt = Receipt::new()
            .text("interface", "io_uring_enter")
            .text("step_from", self.variant.step_from.unwrap_or("nothing"))
            .list("features", self.granted_features())
            .list("ring_flags", self.flags.clone())
            .list("ring_flags_refused", self.refused.clone())
            .list("operations", self.operations())
            .number("sq_entries", params.sq_entries().into())
            .number("cq_entries", params.cq_entries().into())
            .number("buffers", if features.multishot_receive { BUFFERS.into() } else { 0 })
            .number("buffer_bytes", BUFFER_BYTES.into());
        let receipt = match &self.table {
            Some(table) => receipt
                .number("direct_descriptors", table.places.into())
                .number("multishot_accept_needs_free", table.multishot_places.into()),
            None => receipt,
        };
        if features.sq_poll { receipt.number("sq_thread_idle_ms", SQ_THREAD_IDLE_MS.into()) } else { receipt }
    }

    /// The names of the features that it has. All were asked for, and only one may be missing.
    fn granted_features(&self) -> Vec<&'static str> {
        let is_deferred = self.flags.contains(&"DEFER_TASKRUN");
        let granted = Features { deferred_task_work: is_deferred, ..self.features };
        granted.all().filter(|(_, used)| *used).map(|(name, _)| name).collect()
    }

    fn operations(&self) -> Vec<&'static str> {
        let features = self.features;
        let mut operations = vec![
            match (features.multishot_accept, features.direct_descriptors) {
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
        if features.direct_descriptors {
            operations.extend(["SHUTDOWN", "CLOSE"]);
        }
        operations
    }
}
