//! A kernel that refuses a call, as sandboxes make it.
#![expect(unsafe_code)]

use std::io;

/// From now on `close_range` fails with EPERM on the calling thread and all that it starts.
pub(crate) fn refuse_close_range() {
    let statement = |code: u32, jf: u8, k: u32| {
        let code = u16::try_from(code).expect("codes of the filter language have 16 bits");
        libc::sock_filter { code, jt: 0, jf, k }
    };
    let number = u32::try_from(libc::SYS_close_range).expect("numbers of calls are small");
    let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    let mut filter = [
        // The number of the call is what a filter sees first.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, number),
        statement(libc::BPF_RET | libc::BPF_K, 0, refused),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // Arguments that the compiler cannot check; the kernel takes each as a long.
    let (yes, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: it takes numbers only.
    let no_more_privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, unused, unused, unused) };
    // SAFETY: the kernel copies the program, whose filter is as long as it says.
    let filtered = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, unused, unused) };
    assert_eq!([no_more_privileges, filtered], [0, 0], "{}", io::Error::last_os_error());
}
