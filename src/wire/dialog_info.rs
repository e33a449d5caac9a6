//! What became of the legs of a call, as a gateway reports it in the dialog event package.
//!
//! A report names each leg by Call-ID and tags, says how far it has come, and for one that ended why. Who reports, and which call is
//! meant, is for the door.
//!
//! # Source
//! RFC 4235: 4 (the document), 3.7.1 (states and events), 4.1.2 (the dialog element); RFC 3326 and RFC 3261, 21 for the codes.

use crate::limits::{CIVIC_VALUE_BYTES_MAX, DIALOGS_MAX, SIP_HEADER_BYTES_MAX};
use crate::wire::notes::{Notes, cut};
use crate::wire::xml::{Item, Ns, Tag, Xml, XmlError, text_of};

/// The type of a report.
pub const MEDIA_TYPE: &str = "application/dialog-info+xml";

/// One leg of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leg {
    pub call_id: Box<str>,
    /// The tag of the caller's side, then the other one, where they are told.
    pub caller_tag: Option<Box<str>>,
    pub callee_tag: Option<Box<str>>,
    pub state: State,
    /// Why it is in this state: `cancelled`, `rejected`, `replaced`, `local-bye`, `remote-bye`, `error`, `timeout`.
    pub event: Option<Box<str>>,
    /// Of the answer that ended it.
    pub code: Option<u16>,
    /// Whom it leads to: where the call was sent, then who that is.
    pub callee: Vec<Box<str>>,
}

/// How far a leg has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    Confirmed,
    Early,
    Proceeding,
    Terminated,
    #[default]
    Trying,
}

impl State {
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "confirmed" => Some(Self::Confirmed),
            "early" => Some(Self::Early),
            "proceeding" => Some(Self::Proceeding),
            "terminated" => Some(Self::Terminated),
            "trying" => Some(Self::Trying),
            _ => None,
        }
    }
}

/// What a leg means for its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Somebody answered.
    Answered,
    /// The caller gave up, or hung up.
    CallerGone,
    /// The way to this target failed: another, please.
    Failed,
    /// The line broke.
    LineDropped,
    /// On its way, or no end of the call.
    Nothing,
}

impl Leg {
    /// A code is that of the answer to the call, so a leg that ends with one was never answered; an end without one is that of a
    /// conversation, or of a caller who gave up.
    pub fn fate(&self) -> Fate {
        match (self.state, self.event.as_deref()) {
            (State::Confirmed, _) => Fate::Answered,
            (State::Early | State::Proceeding | State::Trying, _) => Fate::Nothing,
            // Another leg has taken its place.
            (State::Terminated, Some("replaced")) => Fate::Nothing,
            (State::Terminated, Some("cancelled")) => Fate::CallerGone,
            (State::Terminated, event) => match (self.code, event) {
                (Some(487), _) => Fate::CallerGone,
                (Some(300..), _) | (None, Some("rejected")) => Fate::Failed,
                (_, Some("error" | "timeout")) => Fate::LineDropped,
                _ => Fate::CallerGone,
            },
        }
    }
}

/// Reads a report. `None` when it is none, or breaks before its end.
pub fn read(bytes: &[u8], notes: &mut Notes) -> Option<Vec<Leg>> {
    let text = text_of(bytes);
    match document(&mut Xml::new(&text), notes) {
        Ok(found) => {
            notes.note_if(found.is_none(), "dialog_info_root_unknown");
            found
        }
        Err(error) => {
            notes.note(error.code());
            None
        }
    }
}

fn document(xml: &mut Xml<'_>, notes: &mut Notes) -> Result<Option<Vec<Leg>>, XmlError> {
    let mut legs = None;
    loop {
        match xml.step()? {
            Item::Open(tag) if tag.is(Ns::DialogInfo, "dialog-info") => legs = Some(Vec::new()),
            Item::Open(tag) if legs.is_some() && tag.is(Ns::DialogInfo, "dialog") => {
                let leg = dialog(xml, &tag)?;
                match &mut legs {
                    Some(legs) if legs.len() < DIALOGS_MAX => legs.extend(leg),
                    _ => notes.note("dialogs_cut"),
                }
            }
            Item::Open(_) => xml.skip()?,
            Item::End => return Ok(legs),
            Item::Close | Item::Text(_) => {}
        }
    }
}

/// The dialog just opened; `None` without a Call-ID, which is the only name a call has here.
fn dialog(xml: &mut Xml<'_>, tag: &Tag<'_>) -> Result<Option<Leg>, XmlError> {
    let attribute = |name: &str| tag.attribute(name).map(|value| Box::<str>::from(cut(value.trim(), SIP_HEADER_BYTES_MAX)));
    let call_id = attribute("call-id").filter(|id| !id.is_empty());
    // Who began the call is the caller.
    let is_callee = attribute("direction").is_some_and(|direction| direction.eq_ignore_ascii_case("recipient"));
    let (local, remote) = (attribute("local-tag"), attribute("remote-tag"));
    let (caller_tag, callee_tag) = if is_callee { (remote, local) } else { (local, remote) };
    let mut leg = Leg { call_id: call_id.clone().unwrap_or_default(), caller_tag, callee_tag, ..Leg::default() };
    let inside = xml.depth();
    loop {
        match xml.step()? {
            Item::Open(tag) if tag.is(Ns::DialogInfo, "state") => {
                leg.event = tag.attribute("event").map(|event| cut(event.trim(), 32).to_ascii_lowercase().into());
                leg.code = tag.attribute("code").and_then(|code| code.trim().parse().ok());
                let state = xml.text()?;
                leg.state = State::from_word(state.trim().to_ascii_lowercase().as_str()).unwrap_or_default();
            }
            Item::Open(tag) if tag.is(Ns::DialogInfo, if is_callee { "local" } else { "remote" }) => party(xml, &mut leg.callee)?,
            Item::Open(_) => xml.skip()?,
            Item::Close if xml.depth() < inside => return Ok(call_id.map(|_| leg)),
            Item::End => return Err(XmlError::Malformed),
            _ => {}
        }
    }
}

/// The target, then the identity, of one side.
fn party(xml: &mut Xml<'_>, callee: &mut Vec<Box<str>>) -> Result<(), XmlError> {
    let inside = xml.depth();
    let (mut target, mut identity) = (None, None);
    loop {
        match xml.step()? {
            Item::Open(tag) if tag.is(Ns::DialogInfo, "target") => {
                target = tag.attribute("uri").map(|uri| Box::from(cut(uri.trim(), CIVIC_VALUE_BYTES_MAX)));
                xml.skip()?;
            }
            Item::Open(tag) if tag.is(Ns::DialogInfo, "identity") => identity = Some(cut(&xml.text()?, CIVIC_VALUE_BYTES_MAX).into()),
            Item::Open(_) => xml.skip()?,
            Item::Close if xml.depth() < inside => break,
            Item::End => return Err(XmlError::Malformed),
            _ => {}
        }
    }
    callee.extend([target, identity].into_iter().flatten());
    callee.truncate(2);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(dialog: &str) -> Option<Vec<Leg>> {
        let text = format!(
            "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"partial\" \
             entity=\"sip:gw@h\">{dialog}</dialog-info>"
        );
        read(text.as_bytes(), &mut Notes::default())
    }

    #[test]
    fn a_leg_is_read_from_the_callers_side_whoever_reports_it() {
        let sides = "<remote><identity>sip:pol@cap.example</identity><target uri=\"sip:10.0.0.9:5070\"/></remote>\
            <local><identity>sip:a@b</identity></local>";
        let one = report(&format!(
            "<dialog id=\"1\" call-id=\"a@gw\" local-tag=\"f1\" remote-tag=\"t1\" direction=\"initiator\">\
             <state event=\"rejected\" code=\"486\">terminated</state>{sides}</dialog>"
        ))
        .unwrap();
        assert_eq!((&*one[0].call_id, one[0].caller_tag.as_deref(), one[0].callee_tag.as_deref()), ("a@gw", Some("f1"), Some("t1")));
        assert_eq!((one[0].state, one[0].code, one[0].fate()), (State::Terminated, Some(486), Fate::Failed));
        assert_eq!(one[0].callee, ["sip:10.0.0.9:5070".into(), Box::from("sip:pol@cap.example")]);
        let other = report(
            "<dialog id=\"1\" call-id=\"a@gw\" local-tag=\"t1\" remote-tag=\"f1\" direction=\"recipient\"><state>confirmed</state>\
             <local><target uri=\"sip:pol@cap.example\"/></local></dialog>",
        )
        .unwrap();
        assert_eq!((other[0].caller_tag.as_deref(), other[0].fate()), (Some("f1"), Fate::Answered));
        assert_eq!(other[0].callee, [Box::from("sip:pol@cap.example")]);
    }

    #[test]
    fn each_end_of_a_leg_has_its_meaning() {
        for (state, fate) in [
            ("<state>trying</state>", Fate::Nothing),
            ("<state event=\"1xx-tag\">early</state>", Fate::Nothing),
            ("<state> Confirmed </state>", Fate::Answered),
            ("<state event=\"cancelled\">terminated</state>", Fate::CallerGone),
            ("<state event=\"rejected\" code=\"487\">terminated</state>", Fate::CallerGone),
            ("<state event=\"rejected\">terminated</state>", Fate::Failed),
            ("<state event=\"timeout\" code=\"408\">terminated</state>", Fate::Failed),
            ("<state event=\"timeout\">terminated</state>", Fate::LineDropped),
            ("<state event=\"error\">terminated</state>", Fate::LineDropped),
            ("<state event=\"local-bye\">terminated</state>", Fate::CallerGone),
            ("<state event=\"remote-bye\" code=\"200\">terminated</state>", Fate::CallerGone),
            ("<state event=\"replaced\">terminated</state>", Fate::Nothing),
            ("<state>terminated</state>", Fate::CallerGone),
            ("<state>paused</state>", Fate::Nothing),
        ] {
            let legs = report(&format!("<dialog id=\"1\" call-id=\"a\">{state}</dialog>")).unwrap();
            assert_eq!(legs[0].fate(), fate, "{state}");
        }
    }

    #[test]
    fn a_report_about_nobody_is_empty_and_another_document_is_none() {
        assert_eq!(report(""), Some(vec![]));
        assert_eq!(report("<dialog id=\"1\"><state>confirmed</state></dialog>"), Some(vec![]));
        assert_eq!(report(&"<dialog id=\"1\" call-id=\"a\"/>".repeat(DIALOGS_MAX + 5)).map(|legs| legs.len()), Some(DIALOGS_MAX));
        for text in ["", "<a/>", "<dialog-info", "<!DOCTYPE x><dialog-info/>"] {
            assert_eq!(read(text.as_bytes(), &mut Notes::default()), None, "{text}");
        }
    }
}
