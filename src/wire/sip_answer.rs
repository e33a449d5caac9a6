//! Answers to SIP requests: written, never kept. Pure: who is asked and where the bytes go is the door's matter.
//!
//! An answer takes over what RFC 3261 says it must (Via, From, To, Call-ID, CSeq) as it was sent; what could break a line is a blank.
//!
//! # Source
//! RFC 3261: 8.2.6 (answers), 18.2 (where they go), 20.43 (Warning), 21.3 (redirection); RFC 3581 (rport); RFC 7044 (History-Info);
//! RFC 6442, 4.4 (Geolocation-Error); NENA-STA-010, 2.1.6 (emergency identifiers in Call-Info); 3GPP TS 24.229, 5.12.2 (300 of a
//! location retrieval function).

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};

use crate::decision::DecisionRecord;
use crate::deliver::Target;
use crate::limits::{HISTORY_MAX, SIP_WARNING_BYTES_MAX};
use crate::wire::ecall::acknowledgement;
use crate::wire::notes::cut;
use crate::wire::sip::Request;
use crate::wire::uri::{address, parameter, values};

/// The port of a sent-by that names none, but for TLS.
const PORT: u16 = 5_060;

/// What every answer says.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub status: u16,
    pub request: &'a Request<'a>,
    /// Where the request came from.
    pub source: SocketAddr,
    /// Ours, for a To without one.
    pub to_tag: &'a str,
}

impl Answer<'_> {
    /// The whole answer. `more` holds further header lines, each with its end. A car that listens hears that its data came.
    pub fn write(&self, more: &str) -> Vec<u8> {
        let mut out = String::with_capacity(1_024 + more.len());
        let _ = write!(out, "SIP/2.0 {} {}\r\n", self.status, phrase(self.status));
        self.vias(&mut out);
        let request = self.request;
        line(&mut out, "From", request.first("from"));
        if let Some(to) = request.first("to") {
            out.push_str("To: ");
            clean(&mut out, to);
            if !self.to_tag.is_empty() && parameter(address(to).1, "tag").is_none() {
                let _ = write!(out, ";tag={}", self.to_tag);
            }
            out.push_str("\r\n");
        }
        line(&mut out, "Call-ID", request.first("call-id"));
        line(&mut out, "CSeq", request.first("cseq"));
        out.push_str(more);
        let takes_data = matches!(&*request.method, "INFO" | "INVITE" | "MESSAGE") && (200..400).contains(&self.status);
        let (headers, body) = Some(request).filter(|_| takes_data).and_then(acknowledgement).unwrap_or_default();
        let _ = write!(out, "{headers}Content-Length: {}\r\n\r\n{body}", body.len());
        out.into_bytes()
    }

    /// All of them in their order, the top one with where the request came from. What is too long is answered to the last hop only:
    /// nobody gets more bytes out of us than a call needs.
    fn vias(&self, out: &mut String) {
        let mut lines = self.request.lines("via");
        if let Some(first) = lines.next() {
            let top = values(first, 1).next().unwrap_or_default();
            out.push_str("Via: ");
            top_via(out, top, self.source);
            let rest = first.get(first.find(top).unwrap_or(0) + top.len()..).unwrap_or_default();
            if self.status != 513 {
                clean(out, rest);
            }
            out.push_str("\r\n");
        }
        if self.status != 513 {
            lines.for_each(|value| line(out, "Via", Some(value)));
        }
    }
}

fn line(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        out.push_str(name);
        out.push_str(": ");
        clean(out, value);
        out.push_str("\r\n");
    }
}

/// A sender's text inside a line of ours.
fn clean(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
}

/// `received` and `rport` say where it came from, whatever the sender wrote there.
fn top_via(out: &mut String, via: &str, source: SocketAddr) {
    let mut parts = via.split(';');
    clean(out, parts.next().unwrap_or_default().trim_end());
    let mut wants_port = false;
    for part in parts {
        let name = part.split('=').next().unwrap_or_default().trim();
        if name.eq_ignore_ascii_case("received") {
            continue;
        }
        if name.eq_ignore_ascii_case("rport") {
            wants_port = true;
            continue;
        }
        out.push(';');
        clean(out, part.trim());
    }
    if wants_port {
        let _ = write!(out, ";rport={}", source.port());
    }
    let _ = write!(out, ";received={}", plain(source.ip()));
}

/// An IPv4 address that came over an IPv6 socket is written as what it is.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// Where an answer to a datagram goes: always to the machine that sent it, so that nobody can have us write to a third; to its port
/// where it asks for that, else to the port it says it listens on.
pub fn datagram_return(request: &Request<'_>, source: SocketAddr) -> SocketAddr {
    let top = request.lines("via").next().and_then(|line| values(line, 1).next()).unwrap_or_default();
    let (sent, parameters) = top.split_at(top.find(';').unwrap_or(top.len()));
    let wants_port = parameters.split(';').any(|part| part.split('=').next().unwrap_or_default().trim().eq_ignore_ascii_case("rport"));
    if wants_port {
        return source;
    }
    SocketAddr::new(source.ip(), sent_by_port(sent).unwrap_or(PORT))
}

/// The port in `SIP/2.0/UDP host:port`, blanks allowed around every sign.
fn sent_by_port(sent: &str) -> Option<u16> {
    let after = sent.splitn(3, '/').nth(2)?.trim_start();
    let host = after.split_once(char::is_whitespace)?.1;
    let (before, port) = host.rsplit_once(':')?;
    if before.contains('[') && !before.contains(']') {
        return None;
    }
    port.trim().parse().ok().filter(|port| *port != 0)
}

// --- header lines ---

/// Where the call goes, in order from `first` on and around: those before it failed. One header, because some gateways read only the
/// first; the last resort stands last with the least weight.
pub fn contacts(targets: &[Target], first: usize) -> String {
    let mut out = String::from("Contact: ");
    let (before, after) = targets.split_at(first.min(targets.len()));
    let last = targets.len().saturating_sub(1);
    for (place, target) in after.iter().chain(before).enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        out.push('<');
        // A table's address; what could end it or the line stays out of it.
        out.extend(target.uri.chars().filter(|c| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>')));
        let _ = match weight(place, last) {
            1_000 => write!(out, ">;q=1.0"),
            weight if weight % 100 == 0 => write!(out, ">;q=0.{}", weight / 100),
            weight => write!(out, ">;q=0.{weight:03}"),
        };
    }
    out.push_str("\r\n");
    out
}

/// Thousandths, no two alike: a proxy rings targets of one weight together.
///
/// # Source
/// RFC 3261, 25.1: a qvalue has at most three decimals.
fn weight(place: usize, last: usize) -> usize {
    match (place, last) {
        (0, _) => 1_000,
        (place, last) if place >= last => 100,
        (place, ..10) => 1_000 - 100 * place,
        (place, last) => 1_000 - 900 * place / last,
    }
}

/// The rules that led to the answer, for whoever reads a trace. Oddities first: they are what a person looks for.
pub fn warning(name: &str, decision: &DecisionRecord) -> String {
    let mut text = String::new();
    for word in decision.reasons.iter().map(|reason| &**reason).chain(decision.discrepancies.iter().map(|code| code.as_str())) {
        let join = if text.is_empty() { "" } else { "; " };
        if text.len() + join.len() + word.len() > SIP_WARNING_BYTES_MAX {
            break;
        }
        text.push_str(join);
        text.extend(word.chars().map(|c| if c.is_control() || matches!(c, '"' | '\\') { ' ' } else { c }));
    }
    format!("Warning: 399 {name} \"{text} (tables {})\"\r\n", decision.tables)
}

/// A short text for a person who reads a trace.
pub fn remark(name: &str, text: &str) -> String {
    format!("Warning: 399 {name} \"{}\"\r\n", cut(text, SIP_WARNING_BYTES_MAX))
}

/// The call's emergency identifiers: those it came with, else ours.
pub fn call_info(request: &Request<'_>, name: &str, id: &str) -> String {
    let mut out = String::new();
    for (purpose, kind) in [("emergency-CallId", "callid"), ("emergency-IncidentId", "incidentid")] {
        let known = request
            .values("call-info")
            .find(|value| parameter(address(value).1, "purpose").is_some_and(|found| found.eq_ignore_ascii_case(purpose)));
        match known {
            Some(known) => line(&mut out, "Call-Info", Some(known)),
            None => {
                let _ = write!(out, "Call-Info: <urn:emergency:uid:{kind}:{id}:{name}>;purpose={purpose}\r\n");
            }
        }
    }
    out
}

/// How the call came to us.
pub fn history(request: &Request<'_>) -> String {
    let mut out = String::new();
    request.lines("history-info").take(HISTORY_MAX).for_each(|value| line(&mut out, "History-Info", Some(value)));
    out
}

/// The call was routed, and not by the place it stated.
pub const PLACE_UNREADABLE: &str = "Geolocation-Error: 100;code=\"Cannot Process Location\"\r\n";

/// What this door does, in answers to OPTIONS and to methods it does not know.
pub const ALLOW: &str = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, INFO, NOTIFY, PUBLISH\r\nAllow-Events: dialog\r\n";
pub const ACCEPT: &str = "Accept: application/sdp, application/pidf+xml, multipart/mixed, text/plain, \
    application/EmergencyCallData.eCall.MSD, application/EmergencyCallData.cap+xml, application/held+xml, \
    application/dialog-info+xml\r\n";
pub const SUPPORTED: &str = "Supported: geolocation, histinfo\r\n";

const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        481 => "Call/Transaction Does Not Exist",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        _ => "Refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;
    use crate::units::Name;
    use crate::wire::notes::Notes;

    fn source() -> SocketAddr {
        "192.0.2.9:40123".parse().unwrap()
    }

    fn bytes(via: &str, to: &str) -> Vec<u8> {
        format!(
            "INVITE sip:999@h SIP/2.0\r\nVia: {via}\r\nVia: SIP/2.0/UDP b, SIP/2.0/UDP c\r\nf: <sip:a@b>;tag=1\r\n\
            To: {to}\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"
        )
        .into_bytes()
    }

    fn answered(status: u16, via: &str, to: &str) -> String {
        let bytes = bytes(via, to);
        let request = Request::read(&bytes, &mut Notes::default()).unwrap();
        String::from_utf8(Answer { status, request: &request, source: source(), to_tag: "t" }.write("")).unwrap()
    }

    #[test]
    fn an_answer_takes_over_what_it_must_and_says_where_the_request_came_from() {
        let answer = answered(302, "SIP/2.0/TCP gw;branch=z9hG4bK1;rport;received=10.0.0.1, SIP/2.0/UDP a", "<urn:service:sos>");
        let expected = "SIP/2.0 302 Moved Temporarily\r\n\
            Via: SIP/2.0/TCP gw;branch=z9hG4bK1;rport=40123;received=192.0.2.9, SIP/2.0/UDP a\r\n\
            Via: SIP/2.0/UDP b, SIP/2.0/UDP c\r\nFrom: <sip:a@b>;tag=1\r\nTo: <urn:service:sos>;tag=t\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\
            Content-Length: 0\r\n\r\n";
        assert_eq!(answer, expected);
        assert!(answered(481, "SIP/2.0/UDP a", "<sip:x@y>;tag=theirs").contains("\r\nTo: <sip:x@y>;tag=theirs\r\n"));
        assert_eq!(answered(513, "SIP/2.0/UDP a, SIP/2.0/UDP b", "<sip:x@y>").matches("SIP/2.0/UDP").count(), 1);
    }

    #[test]
    fn a_lone_carriage_return_of_a_sender_begins_no_line_of_ours() {
        let answer = answered(302, "SIP/2.0/UDP a", "\"x\rContact: <sip:evil@e>\" <sip:c@d>");
        assert!(!answer.replace("\r\n", "").contains('\r') && !answer.contains("\r\nContact"), "{answer:?}");
    }

    #[test]
    fn an_answer_to_a_datagram_never_goes_to_a_third_machine() {
        for (via, port) in [
            ("SIP/2.0/UDP 203.0.113.1:7000;branch=1;rport", 40_123),
            ("SIP/2.0/UDP 203.0.113.1:7000;branch=1;maddr=198.51.100.1", 7_000),
            ("SIP / 2.0 / UDP first.example.com: 4000;ttl=16", 4_000),
            ("SIP/2.0/UDP [2001:db8::9:1];branch=1", 5_060),
            ("SIP/2.0/UDP [2001:db8::9:1]:5080;branch=1", 5_080),
            ("SIP/2.0/UDP gw;branch=1", 5_060),
            ("SIP/2.0/UDP gw:0;branch=1", 5_060),
        ] {
            let bytes = bytes(via, "<sip:x@y>");
            let request = Request::read(&bytes, &mut Notes::default()).unwrap();
            assert_eq!(datagram_return(&request, source()), SocketAddr::new(source().ip(), port), "{via}");
        }
    }

    fn target(uri: &str) -> Target {
        Target { dispatcher: Name::new("A").unwrap(), service: Service::Police, uri: uri.into() }
    }

    #[test]
    fn targets_stand_in_order_with_falling_weights_and_those_that_failed_come_last() {
        let targets = ["sip:a@x", "sip:b@x", "sip:c@x"].map(target);
        assert_eq!(contacts(&targets, 0), "Contact: <sip:a@x>;q=1.0, <sip:b@x>;q=0.9, <sip:c@x>;q=0.1\r\n");
        assert_eq!(contacts(&targets, 1), "Contact: <sip:b@x>;q=1.0, <sip:c@x>;q=0.9, <sip:a@x>;q=0.1\r\n");
        let many: Vec<Target> = (0..40).map(|number| target(&format!("sip:{number}@x"))).collect();
        for count in 2..=many.len() {
            let line = contacts(&many[..count], 0);
            let weights: Vec<f64> =
                line.trim_end().split(";q=").skip(1).map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect();
            assert!(weights.len() == count && weights.is_sorted_by(|a, b| a > b), "no two alike and falling: {line}");
            assert!(line.split(";q=").skip(1).all(|rest| rest.split(',').next().unwrap().trim_end().len() <= 5), "{line}");
        }
        assert_eq!(contacts(&targets[..1], 0), "Contact: <sip:a@x>;q=1.0\r\n");
        assert_eq!(contacts(&[target("sip:a@x>\r\nVia: y")], 0), "Contact: <sip:a@xVia:y>;q=1.0\r\n");
    }

    #[test]
    fn a_warning_names_the_rules_within_its_bound() {
        let reasons = vec!["claim: device_fix".into(), "owner: \"A\"".into(), "x".repeat(SIP_WARNING_BYTES_MAX).into()];
        let decision = DecisionRecord { reasons, ..DecisionRecord::default() };
        assert_eq!(warning("n", &decision), "Warning: 399 n \"claim: device_fix; owner:  A  (tables 000000000000)\"\r\n");
    }

    #[test]
    fn identifiers_a_call_came_with_are_kept() {
        let text = "INVITE sip:999@h SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\
            Call-Info: <sip:k@h>;purpose=icon, <urn:emergency:uid:callid:7:gw>;purpose=emergency-CallId\r\n\
            History-Info: <sip:1@h>;index=1\r\n\r\n";
        let request = Request::read(text.as_bytes(), &mut Notes::default()).unwrap();
        let lines = call_info(&request, "n", "ab");
        assert!(lines.starts_with("Call-Info: <urn:emergency:uid:callid:7:gw>;purpose=emergency-CallId\r\n"), "{lines}");
        assert!(lines.ends_with("Call-Info: <urn:emergency:uid:incidentid:ab:n>;purpose=emergency-IncidentId\r\n"), "{lines}");
        assert_eq!(history(&request), "History-Info: <sip:1@h>;index=1\r\n");
    }
}
