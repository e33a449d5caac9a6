//! A SIP message in its parts: request line, headers, body. Nothing is interpreted here but what decides whether it can be answered.
//!
//! Lenient where a call would be lost otherwise (bare line feeds, a method in lower case, a body that is shorter than announced), strict
//! where leniency would guess (a length that is no number, a blank in the request URI, a method that CSeq contradicts).
//!
//! # Source
//! RFC 3261: 7 (format), 7.3.3 (compact names), 8.1.1 (mandatory headers), 18.3 (framing); RFC 4475 (torture).

use std::borrow::Cow;

use crate::limits::{SIP_BYTES_MAX, SIP_HEADER_BYTES_MAX, SIP_HEADERS_MAX, SIP_URI_BYTES_MAX, SIP_VALUES_MAX};
use crate::wire::notes::{Notes, cut};
use crate::wire::uri;
use crate::wire::xml::text_of;

/// A request that can be answered.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// In upper case.
    pub method: Box<str>,
    pub uri: Cow<'a, str>,
    headers: Vec<Header<'a>>,
    pub body: &'a [u8],
}

#[derive(Clone, Debug)]
struct Header<'a> {
    /// The long name in lower case, of the names that matter; as sent of the others.
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

/// Why bytes are no request to handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRequest {
    /// Noise, keepalives, other protocols, answers to nobody's question: silence.
    Dropped(&'static str),
    /// A request that must be refused with this status.
    Refused { status: u16, why: &'static str },
}

const fn refused(status: u16, why: &'static str) -> NoRequest {
    NoRequest::Refused { status, why }
}

impl<'a> Request<'a> {
    /// Every value of a header, commas taken apart, in order. `name` is the long one in lower case.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.lines(name).flat_map(|value| uri::values(value, SIP_VALUES_MAX)).take(SIP_VALUES_MAX)
    }

    /// Every line of a header as it stands.
    pub fn lines<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| &*header.value)
    }

    pub fn first(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| &*header.value)
    }

    /// Takes a message apart.
    ///
    /// # Errors
    /// When it is no request, or one that cannot be answered with anything but a refusal.
    pub fn read(bytes: &'a [u8], notes: &mut Notes) -> Result<Self, NoRequest> {
        let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
        let bytes = bytes.get(start..).unwrap_or_default();
        if bytes.is_empty() {
            return Err(NoRequest::Dropped("empty"));
        }
        let (line, rest) = split_line(bytes);
        let (method, uri) = request_line(line, notes)?;
        if bytes.len() > SIP_BYTES_MAX {
            return Err(refused(513, "message_too_long"));
        }
        let mut headers = Vec::new();
        let body = gather(rest, &mut headers, notes)?;
        let mut request = Self { method, uri, headers, body: body.unwrap_or_default() };
        request.check(body.is_some(), notes)?;
        Ok(request)
    }

    /// What can be read of a request that must be refused, for the refusal to find its way. `None` when nothing can.
    pub fn salvage(bytes: &'a [u8]) -> Option<Self> {
        let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
        let (line, rest) = split_line(bytes.get(start..)?);
        let method = line.split(|byte| *byte == b' ').next().map(String::from_utf8_lossy)?.to_ascii_uppercase().into();
        // The bound on headers cuts a message that is refused for it.
        let mut found = Vec::new();
        let _ = gather(rest, &mut found, &mut Notes::default());
        let request = Self { method, uri: Cow::Borrowed(""), headers: found, body: &[] };
        request.first("via").is_some().then_some(request)
    }

    /// What must be there for an answer to find its way, and what the message says of itself.
    fn check(&mut self, ended: bool, notes: &mut Notes) -> Result<(), NoRequest> {
        // Without a Via nobody knows where an answer goes.
        if self.first("via").is_none() {
            return Err(NoRequest::Dropped("via_missing"));
        }
        if !ended {
            return Err(refused(400, "headers_unterminated"));
        }
        for (name, why) in [("from", "from_missing"), ("to", "to_missing"), ("call-id", "call_id_missing"), ("cseq", "cseq_missing")] {
            if self.first(name).is_none_or(|value| value.trim().is_empty()) {
                return Err(refused(400, why));
            }
        }
        let cseq = self.first("cseq").unwrap_or_default();
        let (number, method) = cseq.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((cseq, ""));
        if number.trim().parse::<u32>().is_err() {
            return Err(refused(400, "cseq_unreadable"));
        }
        if !method.trim().eq_ignore_ascii_case(&self.method) {
            return Err(refused(400, "cseq_contradicts"));
        }
        let hops: Vec<Option<u8>> = self.lines("max-forwards").take(2).map(|value| value.trim().parse().ok()).collect();
        match hops.as_slice() {
            [] => notes.note("max_forwards_missing"),
            [Some(_)] => {}
            _ => notes.note("max_forwards_unreadable"),
        }
        self.length(notes)?;
        let encoding = self.first("content-encoding").map(str::trim).unwrap_or_default();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") && !self.body.is_empty() {
            return Err(refused(415, "content_encoding"));
        }
        Ok(())
    }

    fn length(&mut self, notes: &mut Notes) -> Result<(), NoRequest> {
        let mut stated: Option<usize> = None;
        for value in self.lines("content-length") {
            let value = value.trim();
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let length = value.parse::<u32>().ok().filter(|_| digits).ok_or(refused(400, "content_length_unreadable"))? as usize;
            if stated.is_some_and(|before| before != length) {
                return Err(refused(400, "content_length_contradicts"));
            }
            stated = Some(length);
        }
        let here = self.body.len();
        match stated {
            Some(length) if length <= here => {
                notes.note_if(length < here, "bytes_after_body");
                self.body = self.body.get(..length).unwrap_or_default();
            }
            // A call is worth more than its cut-off end.
            Some(_) => notes.note("body_shorter_than_said"),
            None => notes.note_if(here > 0, "content_length_missing"),
        }
        Ok(())
    }
}

/// A line without its end, and what follows it. A lone CR is no end.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = bytes.get(..end).unwrap_or_default();
            (line.strip_suffix(b"\r").unwrap_or(line), bytes.get(end + 1..).unwrap_or_default())
        }
        None => (bytes, &[]),
    }
}

fn request_line<'a>(line: &'a [u8], notes: &mut Notes) -> Result<(Box<str>, Cow<'a, str>), NoRequest> {
    let is_answer = line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
    if is_answer {
        return Err(NoRequest::Dropped("stray_response"));
    }
    // The version stands at the end: whatever has none there is another protocol.
    let end = line.iter().rposition(|byte| *byte == b' ').ok_or(NoRequest::Dropped("not_sip"))?;
    let (head, version) = (line.get(..end).unwrap_or_default(), line.get(end + 1..).unwrap_or_default());
    if !version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        return Err(NoRequest::Dropped("not_sip"));
    }
    let blank = head.iter().position(|byte| *byte == b' ').ok_or(NoRequest::Dropped("not_sip"))?;
    let (method, uri) = (head.get(..blank).unwrap_or_default(), head.get(blank + 1..).unwrap_or_default());
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(byte);
    if method.is_empty() || method.len() > 32 || !method.iter().all(token) {
        return Err(NoRequest::Dropped("not_sip"));
    }
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(refused(505, "version"));
    }
    if uri.len() > SIP_URI_BYTES_MAX {
        return Err(refused(414, "uri_too_long"));
    }
    // Two blanks in a row are a slip of the sender's; one inside the URI is not ours to mend.
    let uri = uri.trim_ascii();
    if uri.is_empty() || uri.iter().any(|byte| byte.is_ascii_whitespace()) {
        return Err(refused(400, "uri_unreadable"));
    }
    let method = String::from_utf8_lossy(method);
    let upper = method.to_ascii_uppercase();
    notes.note_if(*upper != *method, "method_case");
    Ok((upper.into(), text_of(uri)))
}

/// Adds the headers to `found`; the answer is the body, when the empty line before it is there.
fn gather<'a>(bytes: &'a [u8], found: &mut Vec<Header<'a>>, notes: &mut Notes) -> Result<Option<&'a [u8]>, NoRequest> {
    let mut rest = bytes;
    loop {
        if rest.is_empty() {
            return Ok(None);
        }
        let before = rest;
        let (first, after) = split_line(rest);
        if first.is_empty() {
            return Ok(Some(after));
        }
        rest = after;
        let mut length = first.len();
        while rest.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            let (folded, after) = split_line(rest);
            length = before.len() - rest.len() + folded.len();
            rest = after;
        }
        let line = before.get(..length).unwrap_or_default();
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            notes.note("header_unreadable");
            continue;
        };
        if line.len() > SIP_HEADER_BYTES_MAX {
            notes.note("header_too_long");
            continue;
        }
        if found.len() >= SIP_HEADERS_MAX {
            return Err(refused(513, "headers_too_many"));
        }
        let name = text_of(line.get(..colon).unwrap_or_default().trim_ascii());
        let value = text_of(line.get(colon + 1..).unwrap_or_default().trim_ascii());
        notes.note_if(value.contains('\0'), "header_nul");
        let value = if value.contains('\n') { Cow::Owned(unfolded(&value)) } else { value };
        found.push(Header { name: long_name(name), value });
    }
}

fn unfolded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for part in value.split('\n') {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(part.trim());
    }
    out
}

/// RFC 3261, 7.3.3, and the compact names registered since.
fn long_name(name: Cow<'_, str>) -> Cow<'_, str> {
    let &[letter] = name.as_bytes() else { return name };
    Cow::Borrowed(match letter.to_ascii_lowercase() {
        b'a' => "accept-contact",
        b'b' => "referred-by",
        b'c' => "content-type",
        b'd' => "request-disposition",
        b'e' => "content-encoding",
        b'f' => "from",
        b'i' => "call-id",
        b'j' => "reject-contact",
        b'k' => "supported",
        b'l' => "content-length",
        b'm' => "contact",
        b'o' => "event",
        b'r' => "refer-to",
        b's' => "subject",
        b't' => "to",
        b'u' => "allow-events",
        b'v' => "via",
        b'x' => "session-expires",
        b'y' => "identity",
        _ => return name,
    })
}

/// What a session description offers: the media in order, and the first language its sender speaks (RFC 8373).
pub fn offer(body: &[u8]) -> (Vec<Box<str>>, Option<Box<str>>) {
    let text = text_of(body);
    let mut media: Vec<Box<str>> = Vec::new();
    let mut language = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("m=") {
            let kind = rest.split(' ').next().unwrap_or_default();
            if media.len() < SIP_VALUES_MAX && !kind.is_empty() {
                media.push(cut(kind, 32).into());
            }
        } else if let Some(rest) = line.strip_prefix("a=hlang-send:") {
            let first = rest.split_ascii_whitespace().next().unwrap_or_default();
            language = language.or_else(|| Some(cut(first, 32).into()));
        }
    }
    (media, language)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\n";

    fn read(text: &[u8]) -> Result<(String, String, Vec<u8>, Notes), NoRequest> {
        let mut notes = Notes::default();
        let request = Request::read(text, &mut notes)?;
        Ok((request.method.to_string(), request.uri.to_string(), request.body.to_vec(), notes))
    }

    fn invite(more: &str) -> Vec<u8> {
        format!("INVITE sip:999@h SIP/2.0\r\n{HEAD}CSeq: 1 INVITE\r\n{more}").into_bytes()
    }

    #[test]
    fn a_request_is_read_with_what_its_length_says() {
        let (method, uri, body, notes) = read(&invite("Content-Length: 3\r\n\r\nbodymore")).unwrap();
        assert_eq!((method.as_str(), uri.as_str(), body.as_slice()), ("INVITE", "sip:999@h", &b"bod"[..]));
        assert_eq!(notes.codes(), ["bytes_after_body"]);
        let (.., body, notes) = read(&invite("l: 30\r\n\r\nbody")).unwrap();
        assert_eq!((body.as_slice(), notes.codes()), (&b"body"[..], &["body_shorter_than_said"][..]));
    }

    #[test]
    fn a_length_that_is_no_number_or_two_numbers_is_refused() {
        for line in ["-1", "+1", "99999999999", "1x", "", "1\r\nContent-Length: 2"] {
            let result = read(&invite(&format!("Content-Length: {line}\r\n\r\nbody")));
            assert!(matches!(result, Err(NoRequest::Refused { status: 400, .. })), "{line}");
        }
    }

    #[test]
    fn bare_line_feeds_and_folds_and_compact_names_are_read() {
        let text = "\r\n\r\ninvite  urn:service:sos SIP/2.0\nv: x\n \n\tf: no header\nF: a\nt :\n b\ni: 1\nCSEQ: 0001   INVITE\n\nx";
        let mut notes = Notes::default();
        let request = Request::read(text.as_bytes(), &mut notes).unwrap();
        assert_eq!((&*request.method, request.first("to"), request.first("from")), ("INVITE", Some("b"), Some("a")));
        assert_eq!(request.body, b"x");
        assert!(notes.has("method_case"));
    }

    #[test]
    fn what_is_not_sip_or_has_no_way_back_is_dropped() {
        let dropped = |text: &[u8]| matches!(read(text), Err(NoRequest::Dropped(_)));
        for text in [&b""[..], b"\r\n\r\n", b"\0\x01\0\0", b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n", b"A\r\n\r\n"] {
            assert!(dropped(text), "{text:?}");
        }
        assert!(dropped(b"INVITE sip:999@h SIP/2.0\r\nFrom: a\r\n\r\n"));
    }

    #[test]
    fn a_refusal_names_its_status() {
        let status = |text: &[u8]| match read(text) {
            Err(NoRequest::Refused { status, .. }) => status,
            other => panic!("{other:?}"),
        };
        assert_eq!(status(&invite("P-Access-")), 400);
        assert_eq!(status(format!("INVITE sip:9 9@h SIP/2.0\r\n{HEAD}CSeq: 1 INVITE\r\n\r\n").as_bytes()), 400);
        assert_eq!(status(format!("INVITE sip:{}@h SIP/2.0\r\n{HEAD}\r\n", "9".repeat(SIP_URI_BYTES_MAX)).as_bytes()), 414);
        assert_eq!(status(format!("INVITE sip:9@h SIP/7.0\r\n{HEAD}\r\n").as_bytes()), 505);
        assert_eq!(status(&invite(&"Via: x\r\n".repeat(SIP_HEADERS_MAX))), 513);
        assert_eq!(status(&invite("Content-Encoding: gzip\r\n\r\nx")), 415);
        assert_eq!(status(format!("INVITE sip:9@h SIP/2.0\r\n{HEAD}CSeq: 1 BYE\r\n\r\n").as_bytes()), 400);
    }

    #[test]
    fn of_a_request_that_is_refused_the_way_back_is_kept() {
        let many = invite(&"Via: x\r\n".repeat(SIP_HEADERS_MAX));
        let found = Request::salvage(&many).unwrap();
        assert_eq!(
            (&*found.method, found.first("via"), found.first("call-id")),
            ("INVITE", Some("SIP/2.0/UDP h;branch=z9hG4bK1"), Some("1"))
        );
        assert!(Request::salvage(b"INVITE a b SIP/2.0\r\nv: x").is_some_and(|found| found.first("via") == Some("x")));
        for text in [&b""[..], b"\r\n", b"INVITE sip:a SIP/2.0\r\nFrom: a\r\n\r\n", b"\x16\x03\x01"] {
            assert!(Request::salvage(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_session_description_tells_its_media_and_language() {
        let (media, language) = offer(b"v=0\r\nm=audio 1 RTP/AVP 0\r\na=hlang-send:ar en\r\nm=text 2 RTP/AVP 98\r\n");
        assert_eq!((media, language.as_deref()), (vec!["audio".into(), "text".into()], Some("ar")));
    }
}
