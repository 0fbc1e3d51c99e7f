//! What stands between this kernel and the hardware, or between this process and the kernel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::root::Root;

/// Hypervisors, as they sign themselves to the `cpuid` instruction.
const SIGNATURES: [(&[u8; 12], &str); 10] = [
    (b"KVMKVMKVM\0\0\0", "kvm"),
    (b"Linux KVM Hv", "kvm"),
    (b"TCGTCGTCGTCG", "qemu"),
    (b"VMwareVMware", "vmware"),
    (b"Microsoft Hv", "microsoft"),
    (b"XenVMMXenVMM", "xen"),
    (b"VBoxVBoxVBox", "virtualbox"),
    (b"bhyve bhyve ", "bhyve"),
    (b"ACRNACRNACRN", "acrn"),
    (b" lrpepyh  vr", "parallels"),
];

/// Hypervisors, as the firmware names the machine that they make.
const VENDORS: [(&str, &str); 15] = [
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("Bochs", "qemu"),
    ("VMware", "vmware"),
    ("innotek GmbH", "virtualbox"),
    ("VirtualBox", "virtualbox"),
    ("Xen", "xen"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Virtual Machine", "microsoft"),
    ("Google Compute Engine", "google"),
    ("Apple Virtualization", "apple"),
];

/// What stands between this process and the hardware.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Virtualisation {
    /// The hypervisor. Null: none that shows itself.
    pub machine: Option<String>,
    /// The kind of container, and by which mark it is known. Null: none that shows itself.
    pub container: Option<String>,
}

impl Virtualisation {
    pub(super) fn of(root: &Root) -> Self {
        Self { machine: machine(root), container: container(root) }
    }

    /// Asks the processor who runs it, which knows best.
    pub(super) fn ask_processor(&mut self) {
        if let Some(name) = signature().and_then(|signature| named(&signature)) {
            self.machine = Some(name);
        }
    }
}

fn machine(root: &Root) -> Option<String> {
    if let Some(kind) = root.line("sys/hypervisor/type") {
        // The first guest of Xen is the machine's owner, and is a guest nevertheless.
        return Some(kind);
    }
    let firmware = ["product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version"];
    let firmware: Vec<String> =
        firmware.iter().filter_map(|file| root.line(&format!("sys/class/dmi/id/{file}"))).collect();
    // EC2 names what it rents without a hypervisor alike, but for this.
    let bare = firmware.iter().any(|name| name.split('.').skip(1).any(|part| part.starts_with("metal")));
    let vendor =
        VENDORS.iter().filter(|_| !bare).find(|(vendor, _)| firmware.iter().any(|name| name.starts_with(vendor)));
    if let Some((_, name)) = vendor {
        return Some((*name).to_owned());
    }
    root.line("proc/device-tree/hypervisor/compatible")
        .map(|name| if name == "linux,kvm" { "kvm".into() } else { name })
}

fn container(root: &Root) -> Option<String> {
    if let Some(kind) = root.line("run/systemd/container") {
        return Some(format!("{kind} (/run/systemd/container)"));
    }
    if let Some(kind) = root.line("run/host/container-manager") {
        return Some(format!("{kind} (/run/host/container-manager)"));
    }
    for (mark, kind) in [("run/.containerenv", "podman"), (".dockerenv", "docker")] {
        if root.exists(mark) {
            return Some(format!("{kind} (/{mark})"));
        }
    }
    let environment = root.text("proc/1/environ").unwrap_or_default();
    if let Some(kind) = environment.lines().find_map(|line| line.strip_prefix("container=")) {
        return Some(format!("{kind} (environment of the first process)"));
    }
    let groups = root.text("proc/1/cgroup").unwrap_or_default();
    let kind =
        ["kubepods", "docker", "containerd", "libpod", "lxc", "garden"].iter().find(|kind| groups.contains(*kind));
    if let Some(kind) = kind {
        return Some(format!("{kind} (control group of the first process)"));
    }
    let release = root.line("proc/sys/kernel/osrelease")?.to_lowercase();
    (release.contains("microsoft") || release.contains("wsl")).then(|| "wsl (kernel release)".to_owned())
}

/// Names a signature; an unknown one by itself, where it can be read.
fn named(signature: &[u8; 12]) -> Option<String> {
    if let Some((_, name)) = SIGNATURES.iter().find(|(known, _)| *known == signature) {
        return Some((*name).to_owned());
    }
    let text: String = signature.iter().map(|&byte| char::from(byte)).filter(char::is_ascii_graphic).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(target_arch = "x86_64")]
fn signature() -> Option<[u8; 12]> {
    use std::arch::x86_64::__cpuid;

    /// Of the features in `ecx`: the one that hardware never has and hypervisors promise to show.
    const HYPERVISOR: u32 = 1 << 31;
    if __cpuid(1).ecx & HYPERVISOR == 0 {
        return None;
    }
    let answer = __cpuid(0x4000_0000);
    let mut signature = [0; 12];
    for (bytes, register) in signature.chunks_mut(4).zip([answer.ebx, answer.ecx, answer.edx]) {
        bytes.copy_from_slice(&register.to_le_bytes());
    }
    Some(signature)
}

#[cfg(not(target_arch = "x86_64"))]
fn signature() -> Option<[u8; 12]> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::fixtures::Tree;

    #[test]
    fn signatures_are_named() {
        assert_eq!(named(b"KVMKVMKVM\0\0\0").as_deref(), Some("kvm"));
        assert_eq!(named(b"NewHyper\x1b\0\0\0").as_deref(), Some("NewHyper"));
        assert_eq!(named(&[0; 12]), None);
    }

    #[test]
    fn machines_are_known_by_any_of_their_marks() {
        for (path, content, name) in [
            ("sys/hypervisor/type", "xen\n", "xen"),
            ("sys/class/dmi/id/sys_vendor", "QEMU\n", "qemu"),
            ("sys/class/dmi/id/product_name", "VMware Virtual Platform\n", "vmware"),
            ("proc/device-tree/hypervisor/compatible", "linux,kvm\0", "kvm"),
        ] {
            let tree = Tree::empty();
            tree.text(path, content);
            assert_eq!(Virtualisation::of(&tree.root()).machine.as_deref(), Some(name), "{path}");
        }
        let bare = Tree::empty();
        bare.text("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
        bare.text("sys/class/dmi/id/product_name", "c7g.metal\n");
        assert_eq!(Virtualisation::of(&bare.root()).machine, None);
        assert_eq!(Virtualisation::of(&Tree::laptop().root()), Virtualisation::default());
    }

    #[test]
    fn containers_are_known_by_any_of_their_marks() {
        for (path, content, kind) in [
            ("run/systemd/container", "lxc\n", "lxc"),
            (".dockerenv", "", "docker"),
            ("run/.containerenv", "", "podman"),
            ("proc/1/environ", "PATH=/bin\0container=systemd-nspawn\0", "systemd-nspawn"),
            ("proc/1/cgroup", "0::/kubepods/besteffort/pod1\n", "kubepods"),
            ("proc/sys/kernel/osrelease", "5.15.0-microsoft-standard-WSL2\n", "wsl"),
        ] {
            let tree = Tree::empty();
            tree.text(path, content);
            let container = Virtualisation::of(&tree.root()).container.unwrap();
            assert!(container.starts_with(kind), "{container} for {path}");
        }
    }
}
