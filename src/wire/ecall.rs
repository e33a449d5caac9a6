//! What a car hears about its data: that it arrived, or that it could not be read, in the answer to the message that brought it.
//!
//! Only a car that says it can read that hears it: by Accept, or by Recv-Info of the package that sends data again. Everybody else hears
//! the answer alone.
//!
//! # Source
//! RFC 8147: 5 (the acknowledgement), 9.1 and 9.1.1 (its element), 11 (packages); RFC 8262 (Content-ID of a message).

use core::fmt::Write as _;

use crate::limits::CIVIC_VALUE_BYTES_MAX;
use crate::wire::call::MSD;
use crate::wire::msd;
use crate::wire::multipart;
use crate::wire::notes::{Notes, cut};
use crate::wire::sip::Request;

/// The type of an acknowledgement.
pub const CONTROL: &str = "application/EmergencyCallData.Control+xml";
/// The package in which a car sends its data again.
const PACKAGE: &str = "EmergencyCallData.eCall.MSD";

/// The headers and the body that acknowledge the data in a request; `None` when there is none, or its car would not read it.
pub fn acknowledgement(request: &Request<'_>) -> Option<(String, String)> {
    if !is_heard(request) {
        return None;
    }
    let kind = request.first("content-type").filter(|_| !request.body.is_empty())?;
    let mut notes = Notes::default();
    let parts = multipart::parts(kind, request.first("content-id"), request.body, &mut notes);
    let part = parts.iter().find(|part| part.is(MSD))?;
    let received = msd::read(part.body).is_ok();
    // What has no name cannot be acknowledged by it.
    let id = part.id.as_deref().filter(|id| !id.is_empty())?;
    let reference = escaped(cut(id, CIVIC_VALUE_BYTES_MAX));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <EmergencyCallData.Control xmlns=\"urn:ietf:params:xml:ns:EmergencyCallData:control\">\
         <ack received=\"{received}\" ref=\"{reference}\"/></EmergencyCallData.Control>\r\n"
    );
    let headers = format!(
        "Call-Info: <cid:{ID}>;purpose=EmergencyCallData.Control\r\nContent-Type: {CONTROL}\r\nContent-ID: <{ID}>\r\n\
         Content-Disposition: by-reference;handling=optional\r\n"
    );
    Some((headers, body))
}

/// One answer has one acknowledgement, so its name need not differ from that of the next.
const ID: &str = "ack@najda.internal";

fn is_heard(request: &Request<'_>) -> bool {
    let accepts = |value: &str| {
        let kind = value.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case(CONTROL) || kind == "*/*" || kind.eq_ignore_ascii_case("application/*")
    };
    let sends_again = |value: &str| value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(PACKAGE);
    request.values("accept").any(accepts) || request.values("recv-info").any(sends_again)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => {
                let _ = out.write_char(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledged(headers: &str, id: &str, body: &str) -> Option<(String, String)> {
        let text = format!(
            "INVITE urn:service:sos.ecall.automatic SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: a\r\nTo: b\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
             {headers}Content-Type: multipart/mixed;boundary=x\r\n\r\n--x\r\nContent-Type: application/EmergencyCallData.eCall.MSD\r\n\
             Content-ID: <{id}>\r\n\r\n{body}\r\n--x--\r\n"
        );
        acknowledgement(&Request::read(text.as_bytes(), &mut Notes::default()).unwrap())
    }

    #[test]
    fn data_that_cannot_be_read_is_told_so_and_only_to_who_listens() {
        let accept = "Accept: application/sdp, Application/EmergencyCallData.control+XML\r\n";
        let (headers, body) = acknowledged(accept, "m<1>&\"@ivs", "not a car").unwrap();
        assert!(body.contains("<ack received=\"false\" ref=\"m&lt;1&gt;&amp;&quot;@ivs\"/>"), "{body}");
        assert!(headers.contains("Content-Type: application/EmergencyCallData.Control+xml\r\n"), "{headers}");
        assert!(acknowledged("Recv-Info: foo, EmergencyCallData.eCall.MSD\r\n", "m@ivs", "x").is_some());
        for silent in ["", "Accept: application/sdp\r\n", "Recv-Info: foo\r\n", "Accept: text/*\r\n"] {
            assert_eq!(acknowledged(silent, "m@ivs", "x"), None, "{silent}");
        }
    }
}
