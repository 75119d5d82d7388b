//! How one line is written: the keys, their order, and how numbers, names and bytes become text.
//!
//! One event has one spelling. Keys come in a fixed order and nothing is optional that could be written
//! either way, so that two runs can be compared as bytes. An event line is
//!
//! ```text
//! {"t":1500,"node":"server","kind":"recv","id":"00c0…","by":"77ab…","from":"client-1","name":"get","payload":…}
//! ```
//!
//! | kind | keys after `by`, in this order |
//! |---|---|
//! | `boot` | `incarnation` |
//! | `crash` | `incarnation`, `after` if it fell in the middle of a handler |
//! | `send` | `to`, `name`, `connection` if it travels on one, `fate`: the delays of its deliveries, `payload` |
//! | `recv` | `from`, `name`, `connection` if it came on one, `payload` |
//! | `drop` | `from`, `name`, `reason`: `down`, `partition`, `corrupt`, `queue-full` or `closed` |
//! | `timer` | `name`, `delay` |
//! | `fire`, `fault` | `name` |
//! | `invoke` | `payload` |
//! | `return` | `of`, `status`: `ok`, `fail` or `unknown`, `payload` |
//! | `pick` | `name`, `value` |
//! | `check` | `property`, `verdict`: `holds` or `violated`, `evidence`: ids, `detail` |
//! | `stream` | `name`, `peer`, `connection` |
//! | `disk` | `name`, `action`: `write` or `append` (then `payload`), `remove`, `full`, `sync`, `synced`, `failed` (then `error`: `device`), `lost` (then `changes`, `torn`) |
//! | `task` | `name`, `action`: `spawn` or `end` |
//! | `note` | `payload` |
//!
//! Times, delays and small counts are JSON integers. What may exceed 2^53 (ids, digests, seeds, the value of
//! a pick) is a string of hexadecimal digits, because common tools read JSON numbers as doubles. Bytes that a
//! disk was given are a string as they are if they are printable UTF-8, and otherwise `hex:` and two digits a
//! byte; a text that itself begins with `hex:` is written in hexadecimal too, so that nothing reads two ways.
//!
//! Deliberately absent from an event line: a sequence number and a running hash (each would make every later
//! line differ after one insertion), the wall clock, paths, floats.

use sim::{EventId, Label, Nanos};

/// The name in the header line by which a trace is recognised.
pub const FORMAT: &str = "snowglobe-trace";

/// The version of the format that this crate writes and reads.
pub const VERSION: u64 = 1;

/// A checkpoint line follows every this many lines, counted from the top of the file with header and
/// checkpoints.
pub const CHECKPOINT_EVERY: u64 = 1_000;

/// The longest line that is read, in bytes with its newline: the header of a million nodes fits.
pub const LINE_MAX: usize = 1 << 26;

/// The longest trace that is read, in bytes after decompression: it is held in memory.
pub const TRACE_MAX: u64 = 1 << 32;

/// What precedes the digits in bytes that are not written as text.
pub const HEX_PREFIX: &str = "hex:";

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Two digits for each byte.
const PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// A short text in the room of a longer one, so that all of the room is copied, in a few moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    bytes: [u8; Self::ROOM],
    len: u8,
}

impl Piece {
    /// The longest text of a piece.
    pub(crate) const ROOM: usize = 32;

    /// # Panics
    /// If the text is longer than [`Piece::ROOM`].
    pub(crate) const fn new(text: &[u8]) -> Self {
        let mut bytes = [0; Self::ROOM];
        bytes.split_at_mut(text.len()).0.copy_from_slice(text);
        Self { bytes, len: text.len() as u8 }
    }
}

/// Adds a piece.
#[inline(always)]
pub(crate) fn piece(out: &mut Vec<u8>, piece: &Piece) {
    let end = out.len() + usize::from(piece.len);
    out.extend_from_slice(&piece.bytes);
    out.truncate(end);
}

/// Whether a byte stands for itself in a JSON string.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    plain.split_at_mut(0x20).0.copy_from_slice(&[false; 0x20]);
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

/// Begins an event line: everything up to the id of the cause, without the closing brace.
#[inline(always)]
pub(crate) fn open(out: &mut Vec<u8>, time: Nanos, node: &Name, kind: &Piece, id: EventId, by: EventId) {
    out.extend_from_slice(b"{\"t\":");
    integer(out, time);
    out.extend_from_slice(b",\"node\":");
    name(out, node);
    piece(out, kind);
    let mut ids = *b",\"id\":\"0123456789abcdef\",\"by\":\"0123456789abcdef\"";
    ids[7..23].copy_from_slice(&digits(id.0));
    ids[31..47].copy_from_slice(&digits(by.0));
    out.extend_from_slice(&ids);
}

/// A node's name as a JSON string.
#[derive(Debug)]
pub(crate) enum Name {
    Short(Piece),
    Long(Box<[u8]>),
}

impl Name {
    pub(crate) fn new(name: &str) -> Self {
        let mut out = Vec::with_capacity(name.len() + 2);
        string(&mut out, name);
        if out.len() <= Piece::ROOM { Self::Short(Piece::new(&out)) } else { Self::Long(out.into()) }
    }
}

/// Adds a node's name.
#[inline(always)]
pub(crate) fn name(out: &mut Vec<u8>, name: &Name) {
    match name {
        Name::Short(short) => piece(out, short),
        Name::Long(long) => out.extend_from_slice(long),
    }
}

/// Ends a line.
#[inline]
pub(crate) fn close(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}

/// A comma, a key and a colon. The key is one of ours and needs no escaping.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}
pub(crate) use key;

/// Adds what is mostly short. Two copies of a fixed length that overlap are a few moves, one of any length is a call.
#[inline(always)]
fn append(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        2..4 => overlapping::<2>(out, text),
        4..8 => overlapping::<4>(out, text),
        8..16 => overlapping::<8>(out, text),
        16..=32 => overlapping::<16>(out, text),
        _ => out.extend_from_slice(text),
    }
}

/// Adds `N` to `2 * N` bytes: the first `N`, and over them the last.
#[inline(always)]
fn overlapping<const N: usize>(out: &mut Vec<u8>, text: &[u8]) {
    let end = out.len() + text.len();
    if let (Some(first), Some(last)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) {
        out.extend_from_slice(first);
        out.truncate(end - N);
        out.extend_from_slice(last);
    }
}

/// A JSON integer.
#[inline]
pub(crate) fn integer(out: &mut Vec<u8>, value: u64) {
    let Some((digits, len)) = decimals(value) else {
        return out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    };
    let end = out.len() + len;
    out.extend_from_slice(&digits);
    out.truncate(end);
}

/// The digits of a number that has at most 16, and how many they are.
#[inline(always)]
fn decimals(value: u64) -> Option<([u8; 16], usize)> {
    const HALF: u64 = 100_000_000;
    if value >= HALF * HALF {
        return None;
    }
    let digits = u128::from(eight_decimals((value % HALF) as u32)) << 64
        | u128::from(eight_decimals((value / HALF) as u32));
    // The first digit is the lowest byte. The last stays also if it is a zero.
    let zeros = (digits.trailing_zeros() / 8).min(15);
    let text = (digits | u128::from_ne_bytes([b'0'; 16])) >> (8 * zeros);
    Some((text.to_le_bytes(), 16 - zeros as usize))
}

/// The eight decimal digits of a number, the first in the lowest byte: cut into twice four, four times two, and eight.
#[inline(always)]
const fn eight_decimals(value: u32) -> u64 {
    let value = value as u64;
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    // Divided by 100 and by 10, in all places at once: multiplied by 2^20 / 100 and 2^10 / 10, rounded up.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - 10 * tens) << 8
}

/// 16 digits in quotes.
#[inline]
pub(crate) fn hex(out: &mut Vec<u8>, value: u64) {
    let mut quoted = [b'"'; 18];
    quoted[1..17].copy_from_slice(&digits(value));
    out.extend_from_slice(&quoted);
}

/// 16 digits, eight at once: each half byte in a byte of its own, with `0` added, and beyond 9 the way to the letters.
#[inline(always)]
const fn digits(value: u64) -> [u8; 16] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const fn eight(half: u32) -> u64 {
        let mut spread = half as u64;
        spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
        spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
        spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
        let letters = (spread + 6 * EACH) >> 4 & EACH;
        spread + b'0' as u64 * EACH + letters * (b'a' - b'9' - 1) as u64
    }
    ((eight((value >> 32) as u32) as u128) << 64 | eight(value as u32) as u128).to_be_bytes()
}

/// The 16 digits of `value` as text.
pub(crate) fn hex_text(value: u64) -> String {
    format!("{value:016x}")
}

/// A label as a JSON string: `"resend"` or `"resend/7"`.
#[inline]
pub(crate) fn label(out: &mut Vec<u8>, label: Label) {
    out.push(b'"');
    escaped(out, label.word);
    if label.key != 0 {
        out.push(b'/');
        integer(out, label.key);
    }
    out.push(b'"');
}

/// A JSON string.
#[inline]
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// The inside of a JSON string, escaped as `serde_json` does it, so that a program that reads a line and
/// writes it again leaves it as it was.
#[inline]
fn escaped(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| PLAIN[byte as usize]) {
        append(out, text.as_bytes());
    } else {
        escape_slowly(out, text);
    }
}

#[cold]
fn escape_slowly(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&PAIRS[byte as usize]);
            }
            _ => out.push(byte),
        }
    }
}

/// Bytes given to a disk, as a JSON string: see the module's comment.
pub(crate) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) if printable(text) && !text.starts_with(HEX_PREFIX) => string(out, text),
        _ => {
            out.reserve(HEX_PREFIX.len() + 2 * bytes.len() + 2);
            out.push(b'"');
            out.extend_from_slice(HEX_PREFIX.as_bytes());
            for byte in bytes {
                out.extend_from_slice(&PAIRS[*byte as usize]);
            }
            out.push(b'"');
        }
    }
}

/// Lines of text are printable, too: log files are the usual content of a simulated disk.
fn printable(text: &str) -> bool {
    text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t')
}

/// The bytes that `text`, the payload of a `disk` line, stands for; `None` if it has the prefix but not an
/// even number of hexadecimal digits after it.
pub fn disk_bytes(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix(HEX_PREFIX) else { return Some(text.as_bytes().to_vec()) };
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// The value of one lower-case hexadecimal digit.
#[inline]
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Reads 16 lower-case hexadecimal digits.
#[inline]
pub(crate) fn parse_hex(digits: &[u8; 16]) -> Option<u64> {
    let mut value = 0;
    for byte in digits {
        value = value << 4 | u64::from(digit(*byte)?);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn an_event_line_begins_with_time_node_kind_id_and_cause() {
        let line = written(|out| {
            let kind = Piece::new(b",\"kind\":\"fire\"");
            open(out, 1_500, &Name::new("server"), &kind, EventId(0xabc), EventId::ROOT);
            out.extend_from_slice(key!("name"));
            label(out, Label::keyed("resend", 7));
            close(out);
        });
        assert_eq!(
            line,
            "{\"t\":1500,\"node\":\"server\",\"kind\":\"fire\",\"id\":\"0000000000000abc\",\
             \"by\":\"0000000000000000\",\"name\":\"resend/7\"}\n"
        );
    }

    #[test]
    fn integers_where_their_length_changes() {
        let powers = (0..20).map(|power| 10_u64.pow(power));
        for value in powers.flat_map(|power| [power - 1, power, power + 1, power / 2]).chain([u64::MAX]) {
            assert_eq!(written(|out| integer(out, value)), value.to_string());
        }
        for value in 0..100_000 {
            assert_eq!(written(|out| integer(out, value)), value.to_string());
        }
    }

    #[test]
    fn printable_bytes_stay_text_and_others_become_digits() {
        assert_eq!(written(|out| bytes(out, b"put x\n")), "\"put x\\n\"");
        assert_eq!(written(|out| bytes(out, "größer".as_bytes())), "\"größer\"");
        assert_eq!(written(|out| bytes(out, &[0, 255])), "\"hex:00ff\"");
        assert_eq!(written(|out| bytes(out, b"hex:")), "\"hex:6865783a\"");
        assert_eq!(written(|out| bytes(out, b"")), "\"\"");
        assert_eq!(disk_bytes("hex:0"), None);
        assert_eq!(disk_bytes("hex:zz"), None);
    }

    proptest! {
        #[test]
        fn strings_are_escaped_as_serde_json_escapes_them(text in "\\PC*|[\\x00-\\x7f]*") {
            prop_assert_eq!(written(|out| string(out, &text)), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn bytes_of_a_disk_come_back(content in prop::collection::vec(any::<u8>(), 0..40)) {
            let json = written(|out| bytes(out, &content));
            let text: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(disk_bytes(&text), Some(content));
        }

        #[test]
        fn integers_of_any_length_are_written_as_rust_writes_them(value: u64, bits in 0..64_u32) {
            let value = value >> bits;
            prop_assert_eq!(written(|out| integer(out, value)), value.to_string());
        }

        #[test]
        fn hexadecimal_comes_back(value: u64) {
            let text = written(|out| hex(out, value));
            prop_assert_eq!(&text, &format!("\"{}\"", hex_text(value)));
            prop_assert_eq!(parse_hex(text.as_bytes()[1..17].try_into().unwrap()), Some(value));
        }
    }
}
