//! `raw`: the echo protocol of RFC 862.

use super::{Protocol, Replies, Violation};

/// Every byte comes back, in order, as soon as it arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw;

impl Protocol for Raw {
    type Session = ();

    fn receive(&self, (): &mut (), input: &[u8], replies: &mut impl Replies) -> Result<usize, Violation> {
        replies.echo(0..input.len());
        Ok(input.len())
    }
}
