//! How the CPUs are related: which share a core, a socket, a memory.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::root::Root;
use crate::cpus::CpuSet;

const CPUS: &str = "sys/devices/system/cpu";
const NODES: &str = "sys/devices/system/node";

/// How the CPUs are related.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Topology {
    /// CPUs that are online.
    pub online: Option<CpuSet>,
    /// Processors as one buys them.
    pub sockets: Option<usize>,
    /// Cores of all of them.
    pub cores: Option<usize>,
    /// Whether several CPUs share a core (hyper-threading).
    pub smt_active: Option<bool>,
    /// `on`, `off`, `forceoff`, `notsupported`, `notimplemented`.
    pub smt_control: Option<String>,
    /// The CPUs of each core.
    pub siblings: Option<Vec<CpuSet>>,
    /// Memories, each near some of the CPUs.
    pub numa_nodes: Option<Vec<NumaNode>>,
    /// CPUs on which the kernel does not place threads by itself.
    pub isolated: Option<CpuSet>,
    /// CPUs without a timer tick while one thread has them for itself.
    pub nohz_full: Option<CpuSet>,
}

/// One memory and the CPUs near it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NumaNode {
    /// Its number.
    pub node: usize,
    /// The CPUs near it.
    pub cpus: Option<CpuSet>,
}

impl Topology {
    pub(super) fn of(root: &Root) -> Self {
        let online = cpu_list(root, &format!("{CPUS}/online"));
        let of_each = |file: &str| -> Option<BTreeSet<String>> {
            let online = online.as_ref().filter(|online| !online.is_empty())?;
            online.iter().map(|cpu| root.line(&format!("{CPUS}/cpu{cpu}/topology/{file}"))).collect()
        };
        let siblings: Option<Vec<CpuSet>> = of_each("thread_siblings_list").and_then(|lists| {
            let mut siblings = lists.iter().map(|list| list.parse().ok()).collect::<Option<Vec<CpuSet>>>()?;
            siblings.sort_by_key(|core| core.iter().next());
            Some(siblings)
        });
        let smt_active = match root.number::<u8>(&format!("{CPUS}/smt/active")) {
            Some(active) => Some(active == 1),
            None => siblings.as_ref().map(|cores| cores.iter().any(|core| core.len() > 1)),
        };
        Self {
            sockets: of_each("physical_package_id").map(|ids| ids.len()),
            cores: siblings.as_ref().map(Vec::len),
            smt_active,
            smt_control: root.line(&format!("{CPUS}/smt/control")),
            siblings,
            numa_nodes: numa_nodes(root),
            isolated: cpu_list(root, &format!("{CPUS}/isolated")),
            nohz_full: cpu_list(root, &format!("{CPUS}/nohz_full")),
            online,
        }
    }
}

/// A list of CPUs in a file. An empty list, which some kernels write as `(null)`, is no unknown one.
pub(super) fn cpu_list(root: &Root, path: &str) -> Option<CpuSet> {
    match root.text(path)?.as_str() {
        "" | "(null)" => Some(CpuSet::default()),
        list => list.parse().ok(),
    }
}

/// Without their sizes: some kernels go on taking memory in while they run, and a machine does not become another by that.
fn numa_nodes(root: &Root) -> Option<Vec<NumaNode>> {
    let node = |node| NumaNode { node, cpus: cpu_list(root, &format!("{NODES}/node{node}/cpulist")) };
    let nodes: Vec<NumaNode> = root.numbered(NODES, "node").into_iter().map(node).collect();
    (!nodes.is_empty()).then_some(nodes)
}
