//! SIP over a stream: where one message ends and the next begins.
//!
//! Each byte is looked at once, however slowly they come. A stream without a readable length has no next message: what is there is
//! answered, and then the stream ends.
//!
//! # Source
//! RFC 3261, 18.3 (Content-Length is what ends a message of a stream); RFC 5626, 3.5.1 (a double line end is a ping, a single one
//! the pong).

use crate::limits::SIP_BYTES_MAX;

/// What a stream has so far.
#[derive(Debug, Default)]
pub struct StreamBuffer {
    bytes: Vec<u8>,
    /// Up to here no empty line was found.
    searched: usize,
    /// Bytes of the message that has begun, once its head is whole.
    whole: Option<usize>,
}

/// What stands at the front of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A message. Nothing can follow one whose length is unreadable.
    Message { bytes: Vec<u8>, last: bool },
    /// Nothing whole.
    More,
    /// Somebody asks whether we are there.
    Ping,
    /// More than a message may have. What there is of it, for the refusal; nothing can follow.
    TooLong(Vec<u8>),
}

impl StreamBuffer {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes what stands at the front.
    pub fn next_piece(&mut self) -> Piece {
        loop {
            if self.whole.is_none() && self.searched == 0 {
                match self.bytes.as_slice() {
                    [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return Piece::More,
                    [b'\r', b'\n', b'\r', b'\n', ..] => {
                        self.bytes.drain(..4);
                        return Piece::Ping;
                    }
                    [b'\r' | b'\n', ..] => {
                        self.bytes.drain(..1);
                        continue;
                    }
                    _ => {}
                }
            }
            return self.message();
        }
    }

    fn message(&mut self) -> Piece {
        let whole = match self.whole {
            Some(whole) => whole,
            None => match self.head_end() {
                Some(end) => match body_length(self.bytes.get(..end).unwrap_or_default()) {
                    Some(length) => end.saturating_add(length),
                    None => {
                        let bytes = self.take(end);
                        return Piece::Message { bytes, last: true };
                    }
                },
                None if self.bytes.len() > SIP_BYTES_MAX => return self.too_long(),
                None => return Piece::More,
            },
        };
        if whole > SIP_BYTES_MAX {
            return self.too_long();
        }
        self.whole = Some(whole);
        if self.bytes.len() < whole {
            return Piece::More;
        }
        Piece::Message { bytes: self.take(whole), last: false }
    }

    fn too_long(&mut self) -> Piece {
        let all = self.bytes.len();
        Piece::TooLong(self.take(all))
    }

    fn take(&mut self, end: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(end.min(self.bytes.len()));
        (self.searched, self.whole) = (0, None);
        core::mem::replace(&mut self.bytes, rest)
    }

    /// Where the body begins: after an empty line, with or without carriage returns.
    fn head_end(&mut self) -> Option<usize> {
        let from = self.searched.saturating_sub(2);
        let mut lines = self.bytes.iter().enumerate().skip(from).filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
        let end = lines.find_map(|at| match self.bytes.get(at + 1..) {
            Some([b'\n', ..]) => Some(at + 2),
            Some([b'\r', b'\n', ..]) => Some(at + 3),
            _ => None,
        });
        self.searched = self.bytes.len().max(1);
        end
    }
}

/// What the head says of its body: nothing is none. `None` when it is no number.
fn body_length(head: &[u8]) -> Option<usize> {
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = line.get(..colon).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l") {
            let value = core::str::from_utf8(line.get(colon + 1..)?.trim_ascii()).ok()?;
            return value
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| value.parse::<u32>().ok())
                .flatten()
                .map(|length| length as usize);
        }
    }
    Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 3\r\n\r\nxyz";
    const SECOND: &[u8] = b"ACK sip:b SIP/2.0\nl : 0\n\n";

    fn message(bytes: &[u8]) -> Piece {
        Piece::Message { bytes: bytes.to_vec(), last: false }
    }

    #[test]
    fn messages_are_the_same_however_their_bytes_come() {
        let all = [b"\r\n".as_slice(), FIRST, b"\r\n\r\n", SECOND, b"\r\n", FIRST].concat();
        for step in [1, 2, 3, 7, all.len()] {
            let mut buffer = StreamBuffer::default();
            let mut found = Vec::new();
            for bytes in all.chunks(step) {
                buffer.push(bytes);
                loop {
                    match buffer.next_piece() {
                        Piece::More => break,
                        piece => found.push(piece),
                    }
                }
            }
            assert_eq!(found, [message(FIRST), Piece::Ping, message(SECOND), message(FIRST)], "{step} at a time");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_length_that_is_no_number_ends_the_stream_after_its_message() {
        let mut buffer = StreamBuffer::default();
        buffer.push(b"INVITE a SIP/2.0\r\nContent-Length: -1\r\n\r\nINVITE b");
        assert_eq!(buffer.next_piece(), Piece::Message { bytes: b"INVITE a SIP/2.0\r\nContent-Length: -1\r\n\r\n".to_vec(), last: true });
    }

    #[test]
    fn neither_a_head_without_an_end_nor_a_long_body_is_gathered_for_ever() {
        let mut buffer = StreamBuffer::default();
        buffer.push(&[b'a'; SIP_BYTES_MAX]);
        assert_eq!(buffer.next_piece(), Piece::More);
        buffer.push(b"aa");
        assert!(matches!(buffer.next_piece(), Piece::TooLong(bytes) if bytes.len() == SIP_BYTES_MAX + 2));
        buffer.push(b"INVITE a SIP/2.0\r\nContent-Length: 99999\r\n\r\n");
        assert!(matches!(buffer.next_piece(), Piece::TooLong(_)));
    }
}
