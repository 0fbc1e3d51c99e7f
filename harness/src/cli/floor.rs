//! The arguments of `harness floor`.

use clap::Args;
use harness::cpus::CpuSet;

use super::settings::MAX_PAYLOAD_BYTES;
use super::values::{Count, List, Size, Span};

/// What `harness floor --json` prints.
const FIELDS: &str = "\
Print one JSON object.

'build' and 'environment' say what measured, and on which machine and kernel. A price has 'median_ns', 'interval_ns' \
(where the median lies with a confidence of 95 %, null below 6 rounds), 'min_ns', 'calls' and 'rounds_ns'. What could not \
be had is null, and 'two_cpus_missing' or 'io_uring_missing' says why. 'echoes' has an object for each payload; \
'echoes_per_s' in it is the ceiling for one CPU against one.";

/// How the floor is measured.
#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct FloorArguments {
    /// Payloads of the echoes.
    #[arg(long, value_name = "LIST", default_value = "64,1KiB,16KiB,64KiB")]
    pub(crate) payload: List<Size<0, MAX_PAYLOAD_BYTES>>,
    /// How often each price is taken, in turn with the others.
    #[arg(long, value_name = "N", default_value = "15")]
    pub(crate) rounds: Count<10_000>,
    /// How long each time.
    #[arg(long, value_name = "DUR", default_value = "20ms")]
    pub(crate) duration: Span<1>,
    /// CPUs of the servers, such as 0,2-3; the first is measured on [default: as for a sweep]
    #[arg(long, value_name = "LIST")]
    pub(crate) server_cpus: Option<CpuSet>,
    /// CPUs of the load generator; the first is measured with [default: as for a sweep]
    #[arg(long, value_name = "LIST")]
    pub(crate) client_cpus: Option<CpuSet>,
    /// Print one JSON object.
    #[arg(long, long_help = FIELDS)]
    pub(crate) json: bool,
    /// Draw no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
