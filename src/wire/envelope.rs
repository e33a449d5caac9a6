//! The HTTP request around a message, where there is one: its host, its type, its body. Doors have a server for this; files do not.

/// A body and what was said of it; everything but the body is empty for a bare one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    pub host: Option<&'a str>,
    pub content_type: &'a str,
    pub body: &'a [u8],
}

/// Takes the head off a request or an answer; bytes that begin with neither are a body.
pub fn open(bytes: &[u8]) -> Envelope<'_> {
    const STARTS: [&[u8]; 4] = [b"POST ", b"GET ", b"PUT ", b"HTTP/1."];
    let bare = Envelope { body: bytes, ..Envelope::default() };
    if !STARTS.iter().any(|start| bytes.starts_with(start)) {
        return bare;
    }
    let mut envelope = bare;
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        let line = core::str::from_utf8(rest.get(..end).unwrap_or_default()).unwrap_or_default().trim_end();
        at += end;
        if line.is_empty() || rest.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("host") {
                // The port is not part of a server's name.
                envelope.host = value.trim().split(':').next();
            } else if name.eq_ignore_ascii_case("content-type") {
                envelope.content_type = value.trim();
            }
        }
    }
    envelope.body = bytes.get(at..).unwrap_or_default();
    envelope
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_off_and_a_bare_body_stays() {
        let found = open(b"POST /lost HTTP/1.1\r\nHost: lost.example:80\r\ncontent-type: a/b\r\n\r\nbody\r\n\r\nmore");
        assert_eq!((found.host, found.content_type, found.body), (Some("lost.example"), "a/b", &b"body\r\n\r\nmore"[..]));
        assert_eq!(open(b"<a/>").body, b"<a/>");
        assert_eq!(open(b"POST /x").body, b"");
    }
}
