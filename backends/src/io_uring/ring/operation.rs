//! What an operation is called while the kernel has it: its user data.

/// A connection, as operations name it: its place in the table, and how many had that place before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io_uring) struct Id {
    pub(in crate::io_uring) key: u32,
    pub(super) generation: u32,
}

impl Id {
    /// The connection at place `key`, told apart from its predecessors there by the low bits of `generation`.
    pub(in crate::io_uring) fn new(key: u32, generation: u32) -> Self {
        Self { key, generation: generation & ((1 << GENERATION_BITS) - 1) }
    }
}

/// For operations that belong to no connection.
pub(super) const NOBODY: Id = Id { key: 0, generation: 0 };

/// The kind of an operation: the top byte of its user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Accept = 1,
    Receive,
    /// A send that does not wait and is silent if all went out.
    SendSilent,
    /// A send that waits for room.
    SendWaiting,
    Stop,
    Cancel,
    /// A send that completes twice; named by its loan instead of its connection.
    SendZeroCopy,
    Shutdown,
    Close,
    CancelReceive,
    SetOption,
}

const GENERATION_BITS: u32 = 24;

impl Kind {
    pub(super) fn user_data(self, id: Id) -> u64 {
        u64::from(self as u8) << 56 | u64::from(id.generation) << 32 | u64::from(id.key)
    }

    #[expect(clippy::cast_possible_truncation)] // The inverse of the above.
    pub(super) fn of(user_data: u64) -> (Kind, Id) {
        let kind = match (user_data >> 56) as u8 {
            1 => Kind::Accept,
            2 => Kind::Receive,
            3 => Kind::SendSilent,
            4 => Kind::SendWaiting,
            5 => Kind::Stop,
            6 => Kind::Cancel,
            7 => Kind::SendZeroCopy,
            8 => Kind::Shutdown,
            9 => Kind::Close,
            10 => Kind::CancelReceive,
            11 => Kind::SetOption,
            other => unreachable!("the kernel invented operation kind {other}"),
        };
        (kind, Id::new(user_data as u32, (user_data >> 32) as u32))
    }
}
