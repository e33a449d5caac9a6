//! Frames: the messages of the doors as bytes, and the facts of the journal as entries.
//!
//! ```text
//!  0        4  5  6        10                     10 + n
//!  +--------+--+--+--------+----------------------+
//!  | n: u32 |v |k | crc32  | body, n bytes        |      little-endian
//!  +--------+--+--+--------+----------------------+
//!             |  |  over v, k and the body
//!             |  kind: who speaks, see Kind
//!             version of every layout in the body
//! ```
//!
//! The body is bincode's legacy form (fixed-width little-endian integers, u32 enum tags, u64 lengths) of the layouts in
//! `layout.rs`, and begins with a u64 sequence number that rises by one with every frame of a direction, from 1, in each session.
//!
//! # Invariants
//! - The length is checked before a byte of the body is waited for, the checksum before a byte of it is read.
//! - Decoding never panics, never allocates more than a frame's worth, and leaves no byte unread.
//! - What belongs to a contact's evidence is read as far as it can be (lists and words are cut, a bad place is dropped) and the
//!   contact says so in its oddities. What belongs to its identity is refused when it is wrong.
//! - No `usize`, map, vector of nothing, or type that contains itself is on the wire.
//!
//! This is the only file that names bincode: the crate is no longer maintained, and whatever decodes the same bytes replaces it here.

use core::fmt;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::de::read::{BorrowReader, Reader};
use bincode::de::{BorrowDecoder, Decode, Decoder, DecoderImpl};
use bincode::enc::write::Writer;
use bincode::enc::{Encode, EncoderImpl};
use bincode::error::{DecodeError, EncodeError};

use super::layout::Codec;
use crate::contact::ContactKey;
use crate::deliver::{ConsoleHears, ConsoleSays, Fact, GatewayHears, GatewaySays};
use crate::limits::{FACT_BYTES_MAX, FRAME_BYTES_MAX};

/// The version of every layout. A change of any layout is a new number.
pub const FRAME_VERSION: u8 = 4;
/// The version of the facts in a journal. Old journals are read for as long as their number is known here.
pub const FACT_VERSION: u8 = 4;
/// What versions 2 and 3 knew, 4 spells the same.
const FACT_VERSION_OLDEST: u8 = 2;
/// Bytes before the body.
pub const HEADER_BYTES: usize = 10;

const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX - HEADER_BYTES;
const _: () = assert!(FACT_BYTES_MAX <= u32::MAX as usize && FRAME_BYTES_MAX <= FACT_BYTES_MAX);

/// What a frame holds: who speaks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    GatewaySays = 1,
    GatewayHears = 2,
    ConsoleSays = 3,
    ConsoleHears = 4,
    /// The client's first frame: it opens the stream.
    Hello = 5,
    /// The engine's first frame: the certificate fits the door.
    Welcome = 6,
    /// The engine has every frame up to a number; the client need not send those again.
    Received = 7,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::GatewaySays, Self::GatewayHears, Self::ConsoleSays, Self::ConsoleHears, Self::Hello, Self::Welcome, Self::Received];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }
}

/// The client's first frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Sessions this client had before this one; 0 the first time.
    pub sessions_before: u32,
}

/// The engine's first frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Welcome {
    /// The engine's number of this session, for its log and the client's.
    pub session: u64,
}

/// The engine has every frame of this session up to and including this number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub through: u64,
}

/// Why bytes are not a message, or a message not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    #[error("peer sent a frame of {got} bytes; at most {bytes_max} are read")]
    PeerSentTooLong { bytes_max: u64, got: u64 },
    #[error("peer sent version {got}; this engine speaks {expected}")]
    PeerSentOtherVersion { expected: u8, got: u8 },
    #[error("peer sent a frame of kind {got}; {expected} was due")]
    PeerSentOtherKind { expected: u8, got: u8 },
    #[error("peer sent a frame whose checksum is {got:08x}; its bytes make {expected:08x}")]
    PeerSentBadChecksum { expected: u32, got: u32 },
    #[error("peer sent a body that cannot be read: {0}")]
    PeerSentBadBody(Fault),
    #[error("peer sent {got} bytes after a body of {expected}")]
    PeerSentTrailingBytes { expected: u64, got: u64 },
    #[error("peer sent frame number {got}; {expected} was due")]
    PeerSentOutOfOrder { expected: u64, got: u64 },
    #[error("we built a message of {got} bytes; at most {bytes_max} are sent")]
    WeBuiltTooLong { bytes_max: u64, got: u64 },
    #[error("we built a message that cannot be sent: {0}")]
    WeBuiltBadBody(Fault),
}

impl FrameError {
    /// The next frame can be found: only this message is lost, the stream is not.
    pub const fn is_framing_intact(self) -> bool {
        matches!(self, Self::PeerSentBadBody(_) | Self::PeerSentTrailingBytes { .. } | Self::PeerSentOtherKind { .. })
    }
}

/// Where a body stopped making sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub what: &'static str,
    /// The bound, or what was needed.
    pub expected: u64,
    pub got: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected at most {}, got {}", self.what, self.expected, self.got)
    }
}

// --- messages ---

/// A type that travels as the body of one kind of frame.
pub trait Message: Sized {
    const KIND: Kind;
    #[doc(hidden)]
    fn put(&self, to: &mut Sink<'_>) -> Result<(), EncodeError>;
    #[doc(hidden)]
    fn take(from: &mut Source<'_>) -> Result<Self, DecodeError>;
    /// The same message with its words cut, for the rare one that outgrows a frame. `None` when there is nothing to cut.
    #[doc(hidden)]
    fn trimmed(&self) -> Option<Self> {
        None
    }
}

macro_rules! message {
    ($name:ident $(, trimmed by $trim:path)?) => {
        impl Message for $name {
            const KIND: Kind = Kind::$name;
            fn put(&self, to: &mut Sink<'_>) -> Result<(), EncodeError> {
                <$name as Codec>::put(self, to)
            }
            fn take(from: &mut Source<'_>) -> Result<Self, DecodeError> {
                <$name as Codec>::take(from)
            }
            $(fn trimmed(&self) -> Option<Self> {
                $trim(self)
            })?
        }
    };
}

message!(GatewaySays, trimmed by super::layout::trimmed_gateway_says);
message!(GatewayHears);
message!(ConsoleSays, trimmed by super::layout::trimmed_console_says);
message!(ConsoleHears, trimmed by super::layout::trimmed_console_hears);
message!(Hello);
message!(Welcome);
message!(Received);

/// Appends one frame to `out`, which the caller keeps and clears. A contact too wordy for a frame is sent with its words cut.
///
/// # Errors
/// [`FrameError::WeBuiltTooLong`] and [`FrameError::WeBuiltBadBody`]; `out` is then as it was.
pub fn encode_into<M: Message>(seq: u64, message: &M, out: &mut Vec<u8>) -> Result<(), FrameError> {
    match encode_once(seq, message, out) {
        Err(FrameError::WeBuiltTooLong { bytes_max, got }) => match message.trimmed() {
            Some(shorter) => encode_once(seq, &shorter, out),
            None => Err(FrameError::WeBuiltTooLong { bytes_max, got }),
        },
        done => done,
    }
}

fn encode_once<M: Message>(seq: u64, message: &M, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    let done = put_body(out, |to| seq.encode(to).and_then(|()| message.put(to)));
    let body_bytes = out.len().saturating_sub(start + HEADER_BYTES);
    let done = done.and_then(|()| match u32::try_from(body_bytes) {
        Ok(length) if body_bytes <= BODY_BYTES_MAX => Ok(length),
        _ => Err(FrameError::WeBuiltTooLong { bytes_max: BODY_BYTES_MAX as u64, got: body_bytes as u64 }),
    });
    let length = done.inspect_err(|_| out.truncate(start))?;
    if let Some((header, body)) = out.get_mut(start..).and_then(|frame| frame.split_first_chunk_mut::<HEADER_BYTES>()) {
        *header = header_of(length, FRAME_VERSION, M::KIND as u8, checksum(FRAME_VERSION, M::KIND as u8, body));
    }
    Ok(())
}

fn header_of(length: u32, version: u8, kind: u8, crc: u32) -> [u8; HEADER_BYTES] {
    let [l0, l1, l2, l3] = length.to_le_bytes();
    let [c0, c1, c2, c3] = crc.to_le_bytes();
    [l0, l1, l2, l3, version, kind, c0, c1, c2, c3]
}

fn checksum(version: u8, kind: u8, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[version, kind]);
    hasher.update(body);
    hasher.finalize()
}

/// A frame whose length, version and checksum are right. Its body is still unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: u8,
    pub body: &'a [u8],
}

/// The first frame of `bytes`, and how many bytes it took; `None` when more must arrive first.
///
/// # Errors
/// Only those after which the stream cannot be followed any further.
pub fn split(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let [l0, l1, l2, l3, version, kind, c0, c1, c2, c3] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > BODY_BYTES_MAX {
        return Err(FrameError::PeerSentTooLong { bytes_max: BODY_BYTES_MAX as u64, got: length as u64 });
    }
    if version != FRAME_VERSION {
        return Err(FrameError::PeerSentOtherVersion { expected: FRAME_VERSION, got: version });
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let (expected, got) = (checksum(version, kind, body), u32::from_le_bytes([c0, c1, c2, c3]));
    if expected != got {
        return Err(FrameError::PeerSentBadChecksum { expected, got });
    }
    Ok(Some((Frame { kind, body }, HEADER_BYTES + length)))
}

/// A message as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<M> {
    pub seq: u64,
    pub message: M,
    /// Something over a bound was cut or could not be read; a contact names it in its oddities.
    pub cut: bool,
}

/// Reads the body of a frame.
///
/// # Errors
/// [`FrameError::PeerSentOtherKind`], [`FrameError::PeerSentBadBody`], [`FrameError::PeerSentTrailingBytes`]: after each of them the
/// stream can go on.
pub fn decode<M: Message>(frame: &Frame<'_>) -> Result<Read<M>, FrameError> {
    if Kind::from_code(frame.kind) != Some(M::KIND) {
        return Err(FrameError::PeerSentOtherKind { expected: M::KIND as u8, got: frame.kind });
    }
    let ((seq, message), notes) = take_body(frame.body, |from| Ok((u64::decode(from)?, M::take(from)?)))?;
    Ok(Read { seq, message, cut: notes.any() })
}

/// The gateway's own id of whatever a frame that could not be read was about, so that the refusal can name it.
///
/// Every message of a gateway begins with its tag and the key; a contact's layout begins with its key for this reason.
pub fn salvage_gateway_ref(frame: &Frame<'_>) -> Option<Box<str>> {
    let mut from = source(frame.body);
    let mut read = || -> Result<ContactKey, DecodeError> {
        u64::decode(&mut from)?;
        u32::decode(&mut from)?;
        <ContactKey as Codec>::take(&mut from)
    };
    read().ok().map(|key| key.gateway_ref)
}

/// The sequence number of a frame, readable even where the rest is not.
pub fn sequence_of(frame: &Frame<'_>) -> Option<u64> {
    frame.body.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

// --- facts ---

/// Appends one journal entry to `out`: the version byte and the fact. The journal's chain protects it; there is no checksum.
///
/// # Errors
/// [`FrameError::WeBuiltTooLong`] and [`FrameError::WeBuiltBadBody`]; `out` is then as it was.
pub fn encode_fact(fact: &Fact, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    out.push(FACT_VERSION);
    let done = put_body(out, |to| <Fact as Codec>::put(fact, to));
    let got = out.len().saturating_sub(start);
    let too_long = FrameError::WeBuiltTooLong { bytes_max: FACT_BYTES_MAX as u64, got: got as u64 };
    let done = done.and(if got <= FACT_BYTES_MAX { Ok(()) } else { Err(too_long) });
    done.inspect_err(|_| out.truncate(start))
}

/// Reads a journal entry. Strict: nothing in it may be cut, because it was whole when it was written.
///
/// # Errors
/// As [`split`] and [`decode`] together.
pub fn decode_fact(bytes: &[u8]) -> Result<Fact, FrameError> {
    if bytes.len() > FACT_BYTES_MAX {
        return Err(FrameError::PeerSentTooLong { bytes_max: FACT_BYTES_MAX as u64, got: bytes.len() as u64 });
    }
    let Some((version, body)) = bytes.split_first() else {
        return Err(FrameError::PeerSentBadBody(Fault { what: "version byte missing", expected: 1, got: 0 }));
    };
    if !(FACT_VERSION_OLDEST..=FACT_VERSION).contains(version) {
        return Err(FrameError::PeerSentOtherVersion { expected: FACT_VERSION, got: *version });
    }
    let (fact, notes) = take_body(body, <Fact as Codec>::take)?;
    if notes.any() {
        return Err(FrameError::PeerSentBadBody(Fault { what: "values over their bounds in a fact", expected: 0, got: 1 }));
    }
    Ok(fact)
}

/// The kind of a fact as the journal's index keeps it: the tag of its layout.
pub fn fact_code(fact: &Fact) -> u8 {
    super::layout::fact_code(fact)
}

// --- reading from a stream ---

/// Bytes as they arrive, frames as they are complete. Grows to one frame, never beyond.
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self { bytes: vec![0; Self::BYTES_MIN], start: 0, end: 0 }
    }
}

impl FrameBuffer {
    const BYTES_MIN: usize = 8 * 1024;

    /// Room to read into; never empty. Call [`Self::filled`] with what was read, then [`Self::next_frame`] until it has none.
    pub fn space(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // A whole frame fits beside the read that completes it, so the buffer stops growing at twice a frame.
        if self.end + HEADER_BYTES > self.bytes.len() / 2 && self.bytes.len() < 2 * FRAME_BYTES_MAX {
            let grown = (self.bytes.len() * 2).min(2 * FRAME_BYTES_MAX);
            self.bytes.resize(grown, 0);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    pub fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.bytes.len());
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// As [`split`].
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let pending = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some((frame, used)) = split(pending)? else { return Ok(None) };
        self.start += used;
        Ok(Some(frame))
    }
}

// --- the cage around bincode ---

type Config = Configuration<LittleEndian, Fixint, Limit<FACT_BYTES_MAX>>;
const CONFIG: Config = bincode::config::legacy().with_limit::<FACT_BYTES_MAX>();

/// Where a layout writes.
#[doc(hidden)]
pub type Sink<'a> = EncoderImpl<Out<'a>, Config>;
/// Where a layout reads.
#[doc(hidden)]
pub type Source<'a> = DecoderImpl<Rest<'a>, Config, Notes>;
pub(super) type Put = Result<(), EncodeError>;
pub(super) type Take<T> = Result<T, DecodeError>;

#[doc(hidden)]
pub struct Out<'a>(&'a mut Vec<u8>);

impl Writer for Out<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// The bytes not read yet.
#[doc(hidden)]
pub struct Rest<'a>(&'a [u8]);

impl Reader for Rest<'_> {
    #[inline]
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), DecodeError> {
        bytes.copy_from_slice(self.take_bytes(bytes.len())?);
        Ok(())
    }
}

impl<'a> BorrowReader<'a> for Rest<'a> {
    #[inline]
    fn take_bytes(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.0.split_at_checked(length) else {
            return Err(DecodeError::UnexpectedEnd { additional: length - self.0.len() });
        };
        self.0 = rest;
        Ok(taken)
    }
}

/// What a layout found odd while it read, and where it stopped.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Notes {
    /// Lists longer than their bound, the rest skipped.
    pub(super) lists_cut: u32,
    /// Words longer than their bound, or not UTF-8.
    pub(super) words_cut: u32,
    /// Values that cannot be, left out.
    pub(super) left_out: u32,
    fault: Option<Fault>,
}

impl Notes {
    const fn any(self) -> bool {
        self.lists_cut | self.words_cut | self.left_out != 0
    }
}

fn put_body(out: &mut Vec<u8>, put: impl FnOnce(&mut Sink<'_>) -> Put) -> Result<(), FrameError> {
    put(&mut EncoderImpl::new(Out(out), CONFIG)).map_err(|error| {
        let what = if let EncodeError::Other(what) = error { what } else { "encoding" };
        FrameError::WeBuiltBadBody(Fault { what, expected: 0, got: 1 })
    })
}

fn source(body: &[u8]) -> Source<'_> {
    DecoderImpl::new(Rest(body), CONFIG, Notes::default())
}

fn take_body<T>(body: &[u8], take: impl FnOnce(&mut Source<'_>) -> Take<T>) -> Result<(T, Notes), FrameError> {
    let mut from = source(body);
    let taken = take(&mut from);
    let (unread, notes) = (from.reader().0.len(), *from.context());
    match taken {
        Err(error) => Err(FrameError::PeerSentBadBody(notes.fault.unwrap_or_else(|| fault_of(&error)))),
        Ok(_) if unread > 0 => {
            Err(FrameError::PeerSentTrailingBytes { expected: body.len().saturating_sub(unread) as u64, got: unread as u64 })
        }
        Ok(value) => Ok((value, notes)),
    }
}

fn fault_of(error: &DecodeError) -> Fault {
    let fault = |what, expected, got| Fault { what, expected, got };
    match error {
        DecodeError::UnexpectedEnd { additional } => fault("bytes missing at the end", 0, *additional as u64),
        DecodeError::InvalidBooleanValue(got) => fault("truth value", 1, u64::from(*got)),
        DecodeError::LimitExceeded => fault("bytes of a value", FACT_BYTES_MAX as u64, FACT_BYTES_MAX as u64 + 1),
        _ => fault("value", 0, 1),
    }
}

/// A refusal with its figures; bincode's own errors cannot carry them.
pub(super) fn fault<T>(from: &mut Source<'_>, what: &'static str, expected: u64, got: u64) -> Take<T> {
    from.context().fault = Some(Fault { what, expected, got });
    Err(DecodeError::Other(what))
}

pub(super) const fn unsendable(what: &'static str) -> EncodeError {
    EncodeError::Other(what)
}

pub(super) fn notes<'s>(from: &'s mut Source<'_>) -> &'s mut Notes {
    from.context()
}

pub(super) fn take_bytes<'a>(from: &mut Source<'a>, count: usize) -> Take<&'a [u8]> {
    from.claim_bytes_read(count)?;
    from.borrow_reader().take_bytes(count)
}

pub(super) fn put_bytes(to: &mut Sink<'_>, bytes: &[u8]) -> Put {
    use bincode::enc::Encoder;
    to.writer().write(bytes)
}

/// The integers and the truth values: all that the layouts leave to bincode.
macro_rules! primitive {
    ($($name:ty),*) => {$(
        impl Codec for $name {
            type Value = $name;
            #[inline]
            fn put(value: &$name, to: &mut Sink<'_>) -> Put {
                value.encode(to)
            }
            #[inline]
            fn take(from: &mut Source<'_>) -> Take<$name> {
                <$name>::decode(from)
            }
        }
    )*};
}
primitive!(bool, u8, u16, u32, u64, u128, i32);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::contact::{Contact, Door};
    use crate::units::{ContactId, Name, Timestamp};

    /// A contact as bincode's own derive would write it; the way out of this crate must read these bytes too.
    #[derive(bincode::Encode)]
    struct Mirror {
        gateway: &'static str,
        gateway_ref: &'static str,
        id: u128,
        received: u64,
        door: u8,
        load_test: bool,
        trunk: Option<&'static str>,
        line: Option<&'static str>,
        cell: Option<&'static str>,
        lang: Option<[u8; 2]>,
        claims: Vec<u8>,
        signals: Vec<u8>,
        oddities: Vec<u8>,
        revision: u32,
    }

    #[derive(bincode::Encode)]
    enum MirrorSays {
        Contact { contact: Mirror, handed_back: bool },
    }

    #[test]
    fn a_layout_writes_the_bytes_that_a_derived_mirror_writes() {
        let key = ContactKey { gateway: Name::new("trunk-1").unwrap(), gateway_ref: "call-7".into() };
        let mut contact = Contact::new(ContactId(7), key, Timestamp::from_secs(1), Door::Sms);
        contact.line = Some("+971501234567".into());
        contact.lang = Some(*b"ar");
        contact.revision = 3;
        let mirror = Mirror {
            gateway: "trunk-1",
            gateway_ref: "call-7",
            id: 7,
            received: 1_000_000,
            door: 5,
            load_test: false,
            trunk: None,
            line: Some("+971501234567"),
            cell: None,
            lang: Some(*b"ar"),
            claims: Vec::new(),
            signals: Vec::new(),
            oddities: Vec::new(),
            revision: 3,
        };
        let mut ours = Vec::new();
        encode_into(9, &GatewaySays::Contact { contact: Arc::new(contact), handed_back: true }, &mut ours).unwrap();
        let derived = bincode::encode_to_vec((9_u64, MirrorSays::Contact { contact: mirror, handed_back: true }), CONFIG).unwrap();
        assert_eq!(ours.split_at(HEADER_BYTES).1, derived);
    }
}
