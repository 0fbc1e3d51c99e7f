//! Loops that the kernel decides the length of.

use std::io;
use std::time::{Duration, Instant};

/// Repeats `turn`, which does a part of something and says how much is left, until that is nothing. How much a kernel
/// does in one call is its own affair (since 6.13 a wait works off at most 20 of the operations that were cancelled), so
/// that turns are not counted.
///
/// # Errors
///
/// That of a turn; [`io::ErrorKind::TimedOut`] when what is left has not become less for as long as `patience`.
pub fn until_nothing_is_left(patience: Duration, mut turn: impl FnMut() -> io::Result<usize>) -> io::Result<()> {
    let mut least = usize::MAX;
    let mut since = None;
    loop {
        let left = turn()?;
        if left == 0 {
            return Ok(());
        }
        if left < least {
            (least, since) = (left, Some(Instant::now()));
        } else if since.is_some_and(|since| since.elapsed() > patience) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel leaves operations of an io_uring undone"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(10);

    #[test]
    fn any_number_of_turns_is_taken_while_less_is_left_after_each() {
        let mut left = 10_000;
        let done = until_nothing_is_left(Duration::ZERO, || {
            left -= 1;
            Ok(left)
        });
        assert!(done.is_ok() && left == 0);
    }

    #[test]
    fn a_kernel_that_refuses_for_a_while_is_asked_again() {
        let mut refusals = 3;
        let done = until_nothing_is_left(Duration::from_mins(1), || {
            refusals -= 1;
            Ok(if refusals == 0 { 0 } else { 7 })
        });
        assert!(done.is_ok());
    }

    #[test]
    fn a_kernel_that_does_nothing_is_given_up() {
        let error = until_nothing_is_left(PATIENCE, || Ok(7)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_turn_that_fails_ends_it() {
        let error = until_nothing_is_left(PATIENCE, || Err(io::ErrorKind::BrokenPipe.into())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
