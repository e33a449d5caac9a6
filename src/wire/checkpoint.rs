//! A checkpoint as bytes: the pieces of a past, one after the other.
//!
//! ```text
//! version 1 | piece | piece | ...
//! piece:     tag 1 | fields, numbers little-endian, names as count 1 and bytes, texts and facts as count 4 and bytes
//! ```
//!
//! Whoever keeps the bytes guards them with a hash; here they are only read with care.

use std::sync::Arc;

use thiserror::Error;

use super::frame::decode_fact;
use crate::contact::ContactKey;
use crate::deliver::{DispatcherState, Ending};
use crate::engine::{BadPast, Config, EndedPiece, Head, Past, Piece};
use crate::limits::{FACT_BYTES_MAX, FRAME_BYTES_MAX};
use crate::units::{ContactId, Name, TablesVersion, Timestamp};

/// Raised when the layout changes. A checkpoint of another version is not read; the journal is.
pub const CHECKPOINT_VERSION: u8 = 1;

/// A past whose facts are kept as the journal spells them.
pub type EncodedPast = Past<Arc<[u8]>>;

/// Why a checkpoint cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    #[error("{0}")]
    BadPast(#[from] BadPast),
    #[error("it is of version {got}; this program reads {expected}")]
    OtherVersion { expected: u8, got: u8 },
    #[error("it cannot be read from byte {at} on")]
    Unreadable { at: usize },
}

/// Appends a past to `out`.
pub fn encode_past(past: &EncodedPast, out: &mut Vec<u8>) {
    out.push(CHECKPOINT_VERSION);
    past.pieces().for_each(|piece| put(&piece, out));
}

/// Reads a past.
///
/// # Errors
/// It is of another version, or damaged.
pub fn decode_past(config: &Config, bytes: &[u8]) -> Result<EncodedPast, CheckpointError> {
    let Some((version, rest)) = bytes.split_first() else { return Err(CheckpointError::Unreadable { at: 0 }) };
    if *version != CHECKPOINT_VERSION {
        return Err(CheckpointError::OtherVersion { expected: CHECKPOINT_VERSION, got: *version });
    }
    let mut reader = Reader { rest, length: bytes.len() };
    let pieces = std::iter::from_fn(|| (!reader.rest.is_empty()).then(|| reader.piece()));
    Past::restore(config, pieces, |kept| decode_fact(kept).ok())
}

fn put(piece: &Piece<&Arc<[u8]>>, out: &mut Vec<u8>) {
    match piece {
        Piece::Head { head, fingerprint } => {
            out.push(0);
            put_u64(out, &[head.seq, head.newest.unix_micros, head.fact_count, head.snapshot, head.gaps, head.astray]);
            out.push(u8::from(head.tables.is_some()));
            let (tables, by) = head.tables.unwrap_or_default();
            out.extend_from_slice(&tables.0);
            put_name(out, &by);
            put_u128(out, &[*fingerprint]);
        }
        Piece::State { dispatcher, state } => {
            out.push(1);
            put_name(out, dispatcher);
            out.push(*state as u8);
        }
        Piece::Live { contact, by_key, by_content } => {
            out.push(2);
            put_u128(out, &[contact.0]);
            out.push(flags(*by_key, *by_content));
        }
        Piece::Fact { seq, kept } => {
            out.push(3);
            put_u64(out, &[*seq]);
            put_bytes(out, kept);
        }
        Piece::Ended(ended) => {
            out.push(4);
            put_u64(out, &[ended.at.unix_micros, ended.ended_seq]);
            put_u128(out, &[ended.contact.0, ended.key, ended.content]);
            out.extend_from_slice(&[ended.ending as u8, flags(ended.by_key, ended.by_content)]);
        }
        Piece::End { at, key, contact, ending } => {
            out.push(5);
            put_u64(out, &[at.unix_micros]);
            put_name(out, &key.gateway);
            put_bytes(out, key.gateway_ref.as_bytes());
            put_u128(out, &[contact.0]);
            out.push(*ending as u8);
        }
        Piece::Event { seq, kept } => {
            out.push(6);
            put_u64(out, &[*seq]);
            put_bytes(out, kept);
        }
    }
}

fn put_u64(out: &mut Vec<u8>, numbers: &[u64]) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

fn put_u128(out: &mut Vec<u8>, numbers: &[u128]) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

fn put_name(out: &mut Vec<u8>, name: &Name) {
    let bytes = name.as_str().as_bytes();
    out.push(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

const fn flags(by_key: bool, by_content: bool) -> u8 {
    by_key as u8 | (by_content as u8) << 1
}

/// What is left to read.
struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    fn piece(&mut self) -> Result<Piece<Arc<[u8]>>, CheckpointError> {
        let at = self.length - self.rest.len();
        let piece = self.try_piece().ok_or(CheckpointError::Unreadable { at });
        if piece.is_err() {
            // What follows makes no sense.
            self.rest = &[];
        }
        piece
    }

    fn try_piece(&mut self) -> Option<Piece<Arc<[u8]>>> {
        Some(match self.u8()? {
            0 => {
                let [seq, newest, fact_count, snapshot, gaps, astray] = self.u64s()?;
                let known = self.u8()? != 0;
                let tables = (TablesVersion(*self.array()?), self.name()?);
                let [fingerprint] = self.u128s()?;
                let newest = Timestamp::from_micros(newest);
                let head = Head { seq, newest, fact_count, snapshot, gaps, astray, tables: known.then_some(tables) };
                Piece::Head { head, fingerprint }
            }
            1 => Piece::State { dispatcher: self.name()?, state: self.state()? },
            2 => {
                let [contact] = self.u128s()?;
                let (by_key, by_content) = self.flags()?;
                Piece::Live { contact: ContactId(contact), by_key, by_content }
            }
            3 => {
                let [seq] = self.u64s()?;
                Piece::Fact { seq, kept: self.bytes(FACT_BYTES_MAX)?.into() }
            }
            4 => {
                let [at, ended_seq] = self.u64s()?;
                let [contact, key, content] = self.u128s()?;
                let ending = self.ending()?;
                let (by_key, by_content) = self.flags()?;
                let (at, contact) = (Timestamp::from_micros(at), ContactId(contact));
                Piece::Ended(EndedPiece { at, contact, key, content, ending, ended_seq, by_key, by_content })
            }
            5 => {
                let [at] = self.u64s()?;
                let gateway = self.name()?;
                let gateway_ref = std::str::from_utf8(self.bytes(FRAME_BYTES_MAX)?).ok()?.into();
                let [contact] = self.u128s()?;
                let key = ContactKey { gateway, gateway_ref };
                Piece::End { at: Timestamp::from_micros(at), key, contact: ContactId(contact), ending: self.ending()? }
            }
            6 => {
                let [seq] = self.u64s()?;
                Piece::Event { seq, kept: self.bytes(FACT_BYTES_MAX)?.into() }
            }
            _ => return None,
        })
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|bytes| bytes[0])
    }

    fn u64s<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = u64::from_le_bytes(*self.array()?);
        }
        Some(numbers)
    }

    fn u128s<const N: usize>(&mut self) -> Option<[u128; N]> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = u128::from_le_bytes(*self.array()?);
        }
        Some(numbers)
    }

    fn bytes(&mut self, most: usize) -> Option<&'a [u8]> {
        let count = u32::from_le_bytes(*self.array()?) as usize;
        if count > most { None } else { self.take(count) }
    }

    fn name(&mut self) -> Option<Name> {
        let count = usize::from(self.u8()?);
        let text = std::str::from_utf8(self.take(count)?).ok()?;
        if text.is_empty() { Some(Name::default()) } else { Name::new(text) }
    }

    fn flags(&mut self) -> Option<(bool, bool)> {
        let flags = self.u8()?;
        (flags < 4).then_some((flags & 1 != 0, flags & 2 != 0))
    }

    fn state(&mut self) -> Option<DispatcherState> {
        let code = self.u8()?;
        DispatcherState::ALL.into_iter().find(|state| *state as u8 == code)
    }

    fn ending(&mut self) -> Option<Ending> {
        let code = self.u8()?;
        Ending::ALL.into_iter().find(|ending| *ending as u8 == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{Contact, Door};
    use crate::deliver::{Event, Fact, Seat};
    use crate::event::{EventArea, EventId, EventTerms};
    use crate::wire::frame::encode_fact;

    fn past() -> EncodedPast {
        let mut past = Past::new(&Config::default());
        let by = Name::new("ops").unwrap_or_default();
        let dispatcher = Name::new("DU-AMB").unwrap_or_default();
        let state = Fact::State { at: Timestamp::from_secs(2), dispatcher, state: DispatcherState::ALL[1], by };
        let tables = Fact::Tables { at: Timestamp::from_secs(1), version: TablesVersion([3; 32]), by };
        for (seq, fact) in [(1, tables), (2, state)] {
            let mut bytes = Vec::new();
            encode_fact(&fact, &mut bytes).expect("a short fact");
            past.take(seq, &fact, || bytes.into());
        }
        past
    }

    #[test]
    fn a_checkpoint_cut_anywhere_or_of_another_version_is_refused_and_never_panics() {
        let mut bytes = Vec::new();
        encode_past(&past(), &mut bytes);
        assert_eq!(decode_past(&Config::default(), &bytes), Ok(past()));
        for length in 0..bytes.len() {
            let cut = decode_past(&Config::default(), &bytes[..length]);
            assert_ne!(cut, Ok(past()), "cut to {length}");
        }
        bytes[0] += 1;
        let other = CheckpointError::OtherVersion { expected: CHECKPOINT_VERSION, got: CHECKPOINT_VERSION + 1 };
        assert_eq!(decode_past(&Config::default(), &bytes), Err(other));
    }

    #[test]
    fn every_ending_and_every_event_that_is_not_over_come_back_as_they_were() {
        let mut past = past();
        let mut take = |seq: u64, fact: &Fact| {
            let mut bytes = Vec::new();
            encode_fact(fact, &mut bytes).expect("a short fact");
            past.take(seq, fact, || bytes.into());
        };
        let mut seq = 2;
        for (number, ending) in (1..).zip(Ending::ALL) {
            let key = ContactKey { gateway: Name::new("gw").unwrap_or_default(), gateway_ref: format!("r{number}").into() };
            let contact = Arc::new(Contact::new(ContactId(number), key, Timestamp::from_secs(3), Door::Sms));
            let (at, id) = (Timestamp::from_secs(3), contact.id);
            take(seq + 1, &Fact::Arrived { at, contact, decision: Arc::default(), states: Vec::new() });
            take(seq + 2, &Fact::Ended { at, contact: id, ending });
            seq += 2;
        }
        let by = Seat { dispatcher: Name::new("DU-POL").unwrap_or_default(), seat: Name::new("chief").unwrap_or_default() };
        let at = Timestamp::from_secs(4);
        for number in 1..=2 {
            let terms = EventTerms {
                area: EventArea::Area(Name::new("AE-DU").unwrap_or_default()),
                words_en: "storm".into(),
                words_ar: Box::default(),
                types: Vec::new(),
                until: Timestamp::from_secs(900),
            };
            let event = Event { id: EventId { partition: 0, seq: seq + number }, at, by, terms };
            take(seq + number, &Fact::Declared { at, event });
        }
        take(seq + 3, &Fact::EventOver { at, event: EventId { partition: 0, seq: seq + 1 }, seat: Some(by) });
        let mut bytes = Vec::new();
        encode_past(&past, &mut bytes);
        assert_eq!(decode_past(&Config::default(), &bytes), Ok(past));
    }

    #[test]
    fn fingerprints_made_another_way_are_not_compared_with_ours() {
        let mut bytes = Vec::new();
        encode_past(&past(), &mut bytes);
        // The fingerprint ends the head.
        let end = 2 + 6 * 8 + 1 + 32 + 1 + "ops".len() + 16;
        bytes[end - 1] ^= 1;
        assert_eq!(decode_past(&Config::default(), &bytes), Err(BadPast::OtherFingerprints.into()));
    }
}
