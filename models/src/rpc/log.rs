//! The records that a server writes to its disk, all of one length and with a checksum against torn writes.

use sim::Nanos;

use super::message::{Tag, Xid};
use super::service::{Call, Reply};

/// One record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Record {
    /// A call was executed: what, at what time of the server's clock, and what its request acknowledged.
    Executed { xid: Xid, tag: Tag, call: Call, at: Nanos, acknowledged: Option<u32> },
    /// A call was seen, and this is its reply.
    Seen { xid: Xid, tag: Tag, reply: Reply },
    /// A session was opened.
    Session { session: u32, incarnation: u32 },
}

impl Record {
    const LEN: usize = 1 + 6 * 4 + 8 + 5 + 17 + 4;

    pub(super) fn encode(self) -> Vec<u8> {
        let none = Xid { client: 0, life: 0, number: 0 };
        let untagged = Tag { client: 0, life: 0, call: 0 };
        let (kind, xid, tag, at, acknowledged, content) = match self {
            Self::Executed { xid, tag, call, at, acknowledged } => {
                (0, xid, tag, at, acknowledged, call.encode())
            }
            Self::Seen { xid, tag, reply } => (1, xid, tag, 0, None, reply.encode()),
            Self::Session { session, incarnation } => {
                (2, Xid { client: session, life: incarnation, ..none }, untagged, 0, None, [0; 17])
            }
        };
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.push(kind);
        for word in [xid.client, xid.life, xid.number, tag.client, tag.life, tag.call] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&at.to_le_bytes());
        bytes.push(u8::from(acknowledged.is_some()));
        bytes.extend_from_slice(&acknowledged.unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(&content);
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
        bytes
    }

    /// The record at the beginning of these bytes.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.get(..Self::LEN)?.split_last_chunk::<4>()?;
        if u32::from_le_bytes(*sum) != checksum(body) {
            return None;
        }
        let (head, content) = body.split_last_chunk::<17>()?;
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| head[at + i]));
        let xid = Xid { client: word(1), life: word(5), number: word(9) };
        let tag = Tag { client: word(13), life: word(17), call: word(21) };
        let at = u64::from_le_bytes(std::array::from_fn(|i| head[25 + i]));
        let acknowledged = (head[33] == 1).then(|| word(34));
        Some(match head[0] {
            0 => Self::Executed { xid, tag, call: Call::decode(content)?, at, acknowledged },
            1 => Self::Seen { xid, tag, reply: Reply::decode(content)? },
            2 => Self::Session { session: xid.client, incarnation: xid.life },
            _ => return None,
        })
    }

    /// All records of a file. One that a crash tore is passed over byte by byte: what was appended after it begins
    /// anywhere, and its checksum says where. (Cutting the file off would rewrite durable records, and a crash
    /// could tear those.)
    pub(super) fn all(mut bytes: &[u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            loop {
                if bytes.is_empty() {
                    return None;
                }
                let Some(record) = Self::decode(bytes) else {
                    bytes = &bytes[1..];
                    continue;
                };
                bytes = &bytes[Self::LEN..];
                return Some(record);
            }
        })
    }
}

/// FNV-1a. A torn record is shorter, or a prefix: this is enough to notice.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_encoding_and_a_torn_one_is_passed_over() {
        let xid = Xid { client: 1, life: 2, number: 3 };
        let tag = Tag { client: 4, life: 5, call: 6 };
        let call = Call::Put { key: 7, value: u64::MAX };
        for record in [
            Record::Executed { xid, tag, call, at: 8, acknowledged: Some(9) },
            Record::Executed { xid, tag, call, at: u64::MAX, acknowledged: None },
            Record::Seen { xid, tag, reply: Reply::Version(10, 11) },
            Record::Session { session: 12, incarnation: 13 },
        ] {
            let bytes = record.encode();
            assert_eq!(bytes.len(), Record::LEN);
            assert_eq!(Record::decode(&bytes), Some(record));
            for len in 0..Record::LEN {
                let torn: Vec<u8> = [&bytes[..len], &bytes].concat();
                assert_eq!(Record::all(&torn).collect::<Vec<_>>(), [record], "{len}");
            }
        }
    }
}
