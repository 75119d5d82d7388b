//! Who, what, and which event: the identities that everything else is addressed by.
//!
//! An event's id follows from its cause, never from a counter that the whole run shares, and never from the
//! seed: the same logical event has the same id under two seeds and after any change that is not in its past.
//! Where the outside world begins something (a boot, an invocation, a place the scenario names) the path
//! starts anew, so that one lost packet does not rename a client's whole future.

use std::fmt;

/// A node of the world: its index in the list of nodes the world was made with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The index as a `usize`, to index tables with.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// The name of a message, a timer, a file or a place: a word of the program, and a number where one word
/// stands for many ("resend" of call 7). Written `resend` or `resend/7`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Label {
    /// The word.
    pub word: &'static str,
    /// The number; 0 where the word is enough.
    pub key: u64,
}

impl Label {
    /// A label that is only a word.
    #[inline]
    pub const fn new(word: &'static str) -> Self {
        Self { word, key: 0 }
    }

    /// A label with a number.
    #[inline]
    pub const fn keyed(word: &'static str, key: u64) -> Self {
        Self { word, key }
    }

    /// A 64-bit code of the label. For a constant word the compiler folds the loop away.
    #[inline(always)]
    pub(crate) const fn code(self) -> u64 {
        const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
        let bytes = self.word.as_bytes();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut i = 0;
        while i < bytes.len() {
            hash = (hash ^ bytes[i] as u64).wrapping_mul(FNV_PRIME);
            i += 1;
        }
        hash ^ self.key.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    }
}

impl From<&'static str> for Label {
    #[inline(always)]
    fn from(word: &'static str) -> Self {
        Self::new(word)
    }
}

impl From<(&'static str, u64)> for Label {
    #[inline(always)]
    fn from((word, key): (&'static str, u64)) -> Self {
        Self::keyed(word, key)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)?;
        if self.key != 0 { write!(f, "/{}", self.key) } else { Ok(()) }
    }
}

/// The identity of an event. Equal in two runs when the event is the same logical event.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventId(pub u64);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What kind of thing an id is derived for. The numbers are part of the id scheme: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(crate) enum Kind {
    Send = 1,
    Receive = 2,
    Timer = 3,
    Boot = 4,
    Invoke = 5,
    Return = 6,
    Anchor = 7,
    Write = 8,
    Sync = 9,
    Note = 10,
    Crash = 11,
    Fault = 13,
    Heal = 14,
    Connect = 15,
    StreamSend = 16,
    StreamClose = 17,
    StreamBreak = 18,
    Step = 19,
    Check = 20,
    Task = 21,
    Object = 22,
    Pick = 23,
}

impl EventId {
    /// The root of everything: what has no cause inside the world.
    pub const ROOT: Self = Self(0);

    /// Moves every bit of two words to every bit of one: the halves of their product of 128 bits, folded (wyhash,
    /// Wang Yi, 2019). One multiplication, where a finaliser such as Stafford's takes two and three shifts.
    #[inline(always)]
    pub(crate) const fn fold(a: u64, b: u64) -> u64 {
        let product = (a as u128) * (b as u128);
        product as u64 ^ (product >> 64) as u64
    }

    /// What the children of one event that are alike have in common; their ordinal tells them apart.
    #[inline(always)]
    pub(crate) const fn like(kind: Kind, peer: u32, code: u64) -> u64 {
        code ^ ((kind as u64) << 56) ^ ((peer as u64).wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    /// The child of this event that is the `ordinal`th of its `like`.
    #[inline(always)]
    pub(crate) const fn child(self, like: u64, ordinal: u32) -> Self {
        // The constants keep both factors away from zero where the parent is the root, or the like a small number.
        let place = like.wrapping_add((ordinal as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self(Self::fold(self.0 ^ 0x9fb2_1c65_1e98_df25, place ^ 0x94d0_49bb_1331_11eb))
    }

    /// The `copy`th delivery of the send that has this id.
    #[inline(always)]
    pub(crate) const fn delivery(self, copy: u32) -> Self {
        // The id of a send is mixed already: a bijection that leaves no trace of it in the children is enough.
        let mark = ((Kind::Receive as u64) << 56) ^ (copy as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(self.0.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(32) ^ mark)
    }

    /// The end of the sync that has this id.
    #[inline]
    pub(crate) const fn sync_end(self) -> Self {
        self.child(Kind::Sync as u64, 1)
    }

    /// An id that hangs on no event: `boot(node, incarnation)`, `invoke(node, incarnation, operation)` and their kin.
    #[inline]
    pub(crate) const fn anchored(
        kind: Kind,
        node: NodeId,
        incarnation: u32,
        code: u64,
        ordinal: u32,
    ) -> Self {
        Self::ROOT.child(Self::like(kind, node.0, incarnation as u64 + 1), 0).child(code, ordinal)
    }

    /// The id of the boot that begins `incarnation` (counted from 0) of `node`.
    pub const fn boot(node: NodeId, incarnation: u32) -> Self {
        Self::anchored(Kind::Boot, node, incarnation, 0, 0)
    }

    /// The id of the `operation`th (from 0) invocation by `incarnation` of `node`.
    pub const fn invoke(node: NodeId, incarnation: u32, operation: u32) -> Self {
        Self::anchored(Kind::Invoke, node, incarnation, 0, operation)
    }
}

/// The name and version of the rule by which ids follow from causes.
pub const ID_SCHEME: &str = "path-folded-3";
