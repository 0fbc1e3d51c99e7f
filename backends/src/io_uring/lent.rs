//! Memory that is lent to the kernel, as the address sanitizer sees it.
//!
//! The sanitizer sees what this program reads and writes, but not what the kernel does on its behalf. So a build for it
//! (`--cfg asan`) says what belongs to the kernel: a provided buffer in its hands may not be touched by us, and what it is to
//! send has to be there for as long as it may read it, which is looked at before each call. In every other build nothing
//! of this is left.
#![cfg_attr(asan, expect(unsafe_code))]

/// What is being sent, by connection.
#[derive(Default)]
pub(super) struct Lent {
    #[cfg(asan)]
    sending: std::collections::BTreeMap<usize, (*const u8, usize)>,
}

#[cfg(not(asan))]
#[expect(clippy::unused_self, reason = "there is something to do in the other build only")]
impl Lent {
    pub(super) fn lend(&mut self, _place: usize, _start: *const u8, _bytes: usize) {}
    pub(super) fn take_back(&mut self, _place: usize) {}
    pub(super) fn look(&self) {}
}

#[cfg(not(asan))]
pub(super) fn to_kernel(_start: *const u8, _bytes: usize) {}
#[cfg(not(asan))]
pub(super) fn to_us(_start: *const u8, _bytes: usize) {}

#[cfg(asan)]
impl Lent {
    /// The kernel may read so many bytes from `start` on.
    pub(super) fn lend(&mut self, place: usize, start: *const u8, bytes: usize) {
        self.sending.insert(place, (start, bytes));
    }

    /// It does so no more.
    pub(super) fn take_back(&mut self, place: usize) {
        self.sending.remove(&place);
    }

    /// Has the sanitizer report what the kernel may read but is not there any more.
    pub(super) fn look(&self) {
        for &(start, bytes) in self.sending.values() {
            // SAFETY: only asks about addresses; any may be asked about.
            let gone = unsafe { __asan_region_is_poisoned(start, bytes) };
            if !gone.is_null() {
                // SAFETY: none: this is the read that the sanitizer is to end the program for.
                unsafe { gone.read_volatile() };
            }
        }
    }
}

/// From now on the kernel may write there, and we may not touch it.
#[cfg(asan)]
pub(super) fn to_kernel(start: *const u8, bytes: usize) {
    // SAFETY: changes only what the sanitizer thinks of memory of ours.
    unsafe { __asan_poison_memory_region(start, bytes) }
}

/// From now on it is ours.
#[cfg(asan)]
pub(super) fn to_us(start: *const u8, bytes: usize) {
    // SAFETY: changes only what the sanitizer thinks of memory of ours.
    unsafe { __asan_unpoison_memory_region(start, bytes) }
}

#[cfg(asan)]
unsafe extern "C" {
    fn __asan_poison_memory_region(start: *const u8, bytes: usize);
    fn __asan_unpoison_memory_region(start: *const u8, bytes: usize);
    /// The first address that is poisoned, or null.
    fn __asan_region_is_poisoned(start: *const u8, bytes: usize) -> *const u8;
}

#[cfg(all(asan, test))]
mod tests {
    use std::process::Command;
    use std::{env, hint};

    use super::*;

    /// Runs `fault` in a process of its own, which the sanitizer has to end.
    fn is_reported(test_name: &str, report: &str, fault: impl FnOnce()) {
        const AT_FAULT: &str = "LENT_TEST_AT_FAULT";
        if env::var_os(AT_FAULT).is_some() {
            return fault();
        }
        let program = env::current_exe().unwrap();
        let test_name = format!("io_uring::lent::tests::{test_name}");
        let ended = Command::new(program).args([&test_name, "--exact"]).env(AT_FAULT, "yes").output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && stderr.contains(report), "{ended:?}");
    }

    #[test]
    fn what_is_freed_while_it_is_sent_is_reported() {
        is_reported("what_is_freed_while_it_is_sent_is_reported", "heap-use-after-free", || {
            let (mut lent, bytes) = (Lent::default(), vec![1; 1000]);
            lent.lend(3, bytes.as_ptr(), bytes.len());
            lent.look();
            drop(hint::black_box(bytes));
            lent.look();
        });
    }

    #[test]
    fn what_is_given_back_while_it_is_sent_is_reported() {
        is_reported("what_is_given_back_while_it_is_sent_is_reported", "use-after-poison", || {
            let (mut lent, bytes) = (Lent::default(), vec![1; 1024]);
            lent.lend(3, bytes.as_ptr(), 500);
            to_kernel(bytes.as_ptr(), bytes.len());
            lent.look();
        });
    }

    #[test]
    fn nothing_is_reported_when_it_was_sent() {
        let (mut lent, bytes) = (Lent::default(), vec![1; 1000]);
        lent.lend(3, bytes.as_ptr(), bytes.len());
        to_kernel(bytes.as_ptr(), bytes.len());
        to_us(bytes.as_ptr(), bytes.len());
        lent.look();
        lent.take_back(3);
        drop(bytes);
        lent.look();
    }
}
