//! The parts of a message body: `multipart/mixed`, nested once or twice, and single bodies.
//!
//! Boundaries are looked for at the beginning of a line that ends in LF, never at a lone CR: the binary part of an eCall may hold one.
//! A last part without a closing boundary is a part all the same.
//!
//! # Source
//! RFC 2046, 5.1; RFC 5621 (bodies in SIP); RFC 2392 (`cid:`).

use crate::limits::{MULTIPART_DEPTH_MAX, MULTIPART_PARTS_MAX, SIP_HEADERS_MAX};
use crate::wire::notes::Notes;
use crate::wire::uri::parameter;

/// One part: its type in lower case without parameters, its id, its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    pub kind: Box<str>,
    /// Without brackets.
    pub id: Option<Box<str>>,
    pub body: &'a [u8],
}

impl Part<'_> {
    pub fn is(&self, kind: &str) -> bool {
        *self.kind == *kind
    }
}

/// Takes a body apart. `kind` is the value of `Content-Type`, `id` that of `Content-ID`.
pub fn parts<'a>(kind: &str, id: Option<&str>, body: &'a [u8], notes: &mut Notes) -> Vec<Part<'a>> {
    let mut found = Vec::new();
    take(kind, id, body, 0, &mut found, notes);
    found
}

fn take<'a>(kind: &str, id: Option<&str>, body: &'a [u8], depth: usize, found: &mut Vec<Part<'a>>, notes: &mut Notes) {
    let (name, rest) = kind.split_once(';').unwrap_or((kind, ""));
    let name = name.trim();
    let multipart = name.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"));
    if !multipart {
        if found.len() >= MULTIPART_PARTS_MAX {
            notes.note("parts_too_many");
            return;
        }
        let id = id.map(|id| id.trim().trim_start_matches('<').trim_end_matches('>').into());
        found.push(Part { kind: name.to_ascii_lowercase().into(), id, body });
        return;
    }
    let boundary = parameter(rest, "boundary").filter(|boundary| !boundary.is_empty() && boundary.len() <= 128);
    let Some(boundary) = boundary.map(|boundary| format!("--{boundary}")) else {
        notes.note("multipart_without_boundary");
        return;
    };
    if depth >= MULTIPART_DEPTH_MAX {
        notes.note("multipart_too_deep");
        return;
    }
    let mut seen = 0;
    let mut start = None;
    let mut at = 0;
    while at < body.len() {
        let line_end = body.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')).map_or(body.len(), |end| at + end + 1);
        let line = body.get(at..line_end).unwrap_or_default();
        if let Some(closing) = is_boundary(line, boundary.as_bytes()) {
            if let Some(start) = start.take() {
                one(body.get(start..at).unwrap_or_default(), depth, found, notes);
                seen += 1;
            }
            if closing {
                return;
            }
            if seen >= MULTIPART_PARTS_MAX {
                notes.note("parts_too_many");
                return;
            }
            start = Some(line_end);
        }
        at = line_end;
    }
    if let Some(start) = start {
        notes.note("multipart_unterminated");
        one(body.get(start..).unwrap_or_default(), depth, found, notes);
    } else {
        notes.note_if(seen == 0, "multipart_without_parts");
    }
}

/// `Some(true)` for the closing boundary.
fn is_boundary(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(boundary)?;
    let (rest, closing) = rest.strip_prefix(b"--").map_or((rest, false), |rest| (rest, true));
    // After the closing one an epilogue may follow on the same line in real messages.
    rest.iter().all(u8::is_ascii_whitespace).then_some(closing)
}

/// One part with its headers; the line break before the next boundary is not its own.
fn one<'a>(part: &'a [u8], depth: usize, found: &mut Vec<Part<'a>>, notes: &mut Notes) {
    let part = part.strip_suffix(b"\n").map_or(part, |part| part.strip_suffix(b"\r").unwrap_or(part));
    let (mut kind, mut id) = (String::new(), String::new());
    let mut at = 0;
    let mut last: Option<bool> = None;
    for _ in 0..SIP_HEADERS_MAX {
        let rest = part.get(at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        let line = String::from_utf8_lossy(rest.get(..end.min(1_024)).unwrap_or_default());
        at += end;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        // A folded line goes on with the header before it.
        if line.starts_with([' ', '\t']) {
            match last {
                Some(true) => kind.push_str(line),
                Some(false) => id.push_str(line),
                None => {}
            }
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        last = if name.trim().eq_ignore_ascii_case("content-type") || name.trim() == "c" {
            kind = value.trim().to_owned();
            Some(true)
        } else if name.trim().eq_ignore_ascii_case("content-id") {
            id = value.trim().to_owned();
            Some(false)
        } else {
            None
        };
    }
    let body = part.get(at.min(part.len())..).unwrap_or_default();
    // RFC 2046: a part that does not say is plain text.
    let kind = if kind.is_empty() { "text/plain" } else { &kind };
    take(kind, Some(&*id).filter(|id| !id.is_empty()), body, depth + 1, found, notes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(kind: &str, body: &'a [u8]) -> (Vec<Part<'a>>, Notes) {
        let mut notes = Notes::default();
        (parts(kind, None, body, &mut notes), notes)
    }

    #[test]
    fn parts_are_found_in_their_nest() {
        let body = b"preamble\r\n--o\r\nContent-Type: multipart/related;\r\n boundary=\"i\"\r\n\r\n--i\r\nContent-Type: A/B; x=y\r\n\
            Content-ID: <1@x>\r\n\r\nbody\r\n--i--\r\n--o\r\n\r\nplain\r\n--o--\r\nepilogue --o\r\n";
        let (found, notes) = read("multipart/mixed; boundary=o", body);
        assert_eq!(found.len(), 2);
        assert_eq!((&*found[0].kind, found[0].id.as_deref(), found[0].body), ("a/b", Some("1@x"), &b"body"[..]));
        assert_eq!((&*found[1].kind, found[1].body), ("text/plain", &b"plain"[..]));
        assert!(notes.codes().is_empty());
    }

    #[test]
    fn a_lone_carriage_return_or_a_boundary_inside_a_line_is_content() {
        let (found, _) = read("multipart/mixed;boundary=o", b"--o\r\nContent-Type: x/y\r\n\r\n\x01\r--o\x00 --o\r\n--o--");
        assert_eq!(found[0].body, b"\x01\r--o\x00 --o");
    }

    #[test]
    fn a_body_that_breaks_off_keeps_the_part_it_has() {
        let (found, notes) = read("multipart/mixed;boundary=o", b"--o\nContent-Type: x/y\n\nhalf");
        assert_eq!(found[0].body, b"half");
        assert_eq!(notes.codes(), ["multipart_unterminated"]);
    }

    #[test]
    fn parts_and_nests_are_counted() {
        let many = "--o\r\n\r\n".repeat(5_000);
        let (found, notes) = read("multipart/mixed;boundary=o", many.as_bytes());
        assert!(found.len() <= MULTIPART_PARTS_MAX && notes.has("parts_too_many"));
        let deep: String = (0..9).map(|at| format!("--b{at}\r\nContent-Type: multipart/mixed;boundary=b{}\r\n\r\n", at + 1)).collect();
        assert!(read("multipart/mixed;boundary=b0", deep.as_bytes()).1.has("multipart_too_deep"));
    }
}
