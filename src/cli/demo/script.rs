//! The day that is played: who calls from where, what they dial and say, and which room ought to answer.
//!
//! The rows are `day.csv`, written by hand and not by the engine: what should come out is stated beside what goes in, and nothing here
//! asks `route`.

use anyhow::{Context, Result, bail};

use crate::contact::{ClaimSource, Contact, ContactKey, Door, LocationClaim, Place, Signal, Whose};
use crate::decision::{DecisionRecord, DispatcherIndex};
use crate::deliver::Evidence;
use crate::geo::area::Shape;
use crate::geo::point::Point;
use crate::service::Service;
use crate::tables::snapshot::Tables;
use crate::units::{AreaId, ContactId, DispatcherId, Name, Ppm, Timestamp};

/// Confidence of a fix whose phone was silent about it (RFC 7459, 2.2).
const CONFIDENCE: Ppm = Ppm(950_000);
/// How well a phone knows where it is once it has looked, in metres.
const LATE_FIX_M: &str = "12";

/// One caller of the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub place: Box<str>,
    fix: Option<Shape>,
    door: Door,
    dialled: Option<Box<str>>,
    /// The emirate of the mast that serves the phone; `None` for a mast abroad, or where there is none.
    mast: Option<AreaId>,
    lang: Option<[u8; 2]>,
    pub words: Option<Box<str>>,
    /// Whose rooms must answer; `None` where nobody can know.
    pub area: Option<AreaId>,
    /// The service that must get the voice.
    pub lead: Service,
    line: Option<Box<str>>,
    silent_secs: Option<u16>,
    /// What the phone finds out during the call.
    late: Option<Shape>,
}

/// The shipped day.
///
/// # Errors
/// A row cannot be read; never in a build that passed its tests.
pub fn day() -> Result<Vec<Row>> {
    parse(include_bytes!("day.csv"))
}

/// # Errors
/// Names the row, the column, and what was expected.
pub fn parse(csv: &[u8]) -> Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true).trim(csv::Trim::All).from_reader(csv);
    let header = reader.headers().context("reading the day's header")?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.context("reading the day")?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |name: &str| {
            let at = header.iter().position(|column| column == name)?;
            record.get(at).filter(|text| !text.is_empty())
        };
        rows.push(row_of(cell).with_context(|| format!("line {line} of the day"))?);
    }
    Ok(rows)
}

fn row_of<'a>(cell: impl Fn(&str) -> Option<&'a str>) -> Result<Row> {
    let must = |name: &str| cell(name).with_context(|| format!("`{name}` is empty"));
    let name = |column: &str| cell(column).filter(|text| *text != "-").map(|text| Name::new(text).context("no name")).transpose();
    let lead = must("lead")?;
    let door = must("door")?;
    let lang = match cell("lang").map(str::as_bytes) {
        None => None,
        Some(&[a, b]) => Some([a, b]),
        Some(_) => bail!("`lang` is two letters"),
    };
    Ok(Row {
        place: must("place")?.into(),
        fix: fix_of(cell("lat"), cell("lon"), cell("uncertainty_m"))?,
        door: Door::from_word(door).with_context(|| format!("{door:?} is no door"))?,
        dialled: cell("dialled").map(Box::from),
        mast: name("mast")?,
        lang,
        words: cell("text").map(Box::from),
        area: name("area")?,
        lead: Service::from_word(lead).with_context(|| format!("{lead:?} is no service"))?,
        line: cell("line").map(Box::from),
        late: fix_of(cell("late_lat"), cell("late_lon"), Some(LATE_FIX_M))?,
        silent_secs: cell("silent_s").map(str::parse).transpose().context("`silent_s` is seconds")?,
    })
}

fn fix_of(lat: Option<&str>, lon: Option<&str>, uncertainty_m: Option<&str>) -> Result<Option<Shape>> {
    let Some((lat, lon)) = lat.zip(lon) else { return Ok(None) };
    let degrees = |text: &str| text.parse::<f64>().with_context(|| format!("{text:?} are no degrees"));
    let center = Point::from_degrees(degrees(lat)?, degrees(lon)?).context("no place on Earth")?;
    let radius_m: u32 = uncertainty_m.unwrap_or("0").parse().context("`uncertainty_m` is metres")?;
    Ok(Some(Shape::Circle { center, radius_cm: radius_m.saturating_mul(100) }))
}

impl Row {
    /// What a gateway hands over for this caller.
    pub fn contact(&self, trunk: Name, gateway_ref: &str) -> Contact {
        let key = ContactKey { gateway: trunk, gateway_ref: gateway_ref.into() };
        let mut contact = Contact::new(ContactId::default(), key, Timestamp::default(), self.door);
        contact.trunk = Some(trunk);
        contact.line.clone_from(&self.line);
        contact.lang = self.lang;
        let source = if self.door == Door::SipECall { ClaimSource::ECall } else { ClaimSource::DeviceFix };
        let whose = if self.door.is_third_party() { Whose::Incident } else { Whose::Caller };
        contact.claims.extend(self.fix.clone().map(|shape| LocationClaim {
            whose,
            place: Place::Shape(shape),
            source,
            age_secs: 0,
            confidence: CONFIDENCE,
        }));
        contact.signals.extend(self.dialled.clone().map(Signal::Dialled));
        if self.door == Door::SipECall {
            contact.signals.push(Signal::ECall { automatic: true, occupants: Some(2), fuel_at_risk: false });
        }
        if self.door == Door::FirePanel {
            contact.signals.push(Signal::Verified(true));
        }
        contact.signals.extend(self.silent_secs.map(|secs| Signal::Silence { secs }));
        contact.signals.extend(self.words.clone().map(Signal::Words));
        contact
    }

    /// What the phone reports during the call (advanced mobile location), for those that do.
    pub fn late_evidence(&self) -> Option<Evidence> {
        let place = Place::Shape(self.late.clone()?);
        let claim = LocationClaim { whose: Whose::Caller, place, source: ClaimSource::DeviceFix, age_secs: 0, confidence: CONFIDENCE };
        Some(Evidence { claims: vec![claim], ..Evidence::default() })
    }

    /// The trunk its call comes over. `n` spreads mobile calls over the sites of the networks.
    pub fn trunk(&self, n: u32) -> Name {
        const MOBILE: [&str; 4] = ["mobile-a-1", "mobile-a-2", "mobile-b-1", "mobile-b-2"];
        let fixed = |area: AreaId| format!("fixed-{}-a", area.as_str().trim_start_matches("AE-").to_ascii_lowercase());
        let trunk = match (self.door, &self.line, self.mast) {
            (Door::App, ..) => "app".to_owned(),
            (Door::FirePanel | Door::IntruderPanel | Door::Cap, ..) => "alarm-centre".to_owned(),
            (Door::Relay, ..) => "relay".to_owned(),
            (Door::SipECall, ..) => "ecall".to_owned(),
            (Door::Sms, ..) => "dubai-sms".to_owned(),
            (Door::SipVoice, Some(_), Some(area)) => fixed(area),
            (Door::SipVoice, None, None) if self.fix.is_some() => "roaming".to_owned(),
            (Door::SipVoice, ..) => MOBILE[n as usize % MOBILE.len()].to_owned(),
        };
        Name::new(&trunk).unwrap_or_default()
    }

    /// Nobody speaks: such callers hang up in the end.
    pub fn is_wordless_voice(&self) -> bool {
        self.door == Door::SipVoice && self.words.is_none()
    }

    /// The room that ought to lead, where it can be known.
    pub fn expected(&self, tables: &Tables) -> Option<DispatcherIndex> {
        tables.dispatchers.responsible(tables.find_area(self.area?.as_str())?, self.lead)
    }

    /// The room that is reached today: the number dialled names the service, the mast's emirate the room.
    pub fn today(&self, tables: &Tables) -> Today {
        let Some(mast) = self.mast else { return if self.fix.is_some() { Today::Abroad } else { Today::Chance } };
        let service = match (self.dialled.as_deref(), mast.as_str()) {
            // In Dubai the ambulance's number is answered by the police.
            (Some("998"), "AE-DU") => Service::Police,
            (Some("998"), _) => Service::Ambulance,
            (Some("997"), _) => Service::CivilDefence,
            (Some("996"), _) => Service::CoastGuard,
            (Some("995"), _) => Service::SearchRescue,
            (Some("901"), _) => Service::PoliceNonEmergency,
            // Alarm centres telephone the civil defence of the emirate they stand in.
            (None, _) if self.door == Door::FirePanel => Service::CivilDefence,
            _ => Service::Police,
        };
        let room = tables.find_area(mast.as_str()).and_then(|area| tables.dispatchers.responsible(area, service));
        room.map_or(Today::Chance, Today::Room)
    }

    /// Hand-offs this contact needs today: one, when the room that is reached is not the one that ought to lead. Where nobody can
    /// know which ought to, none is counted.
    pub fn hand_offs_today(&self, tables: &Tables) -> u32 {
        let Some(expected) = self.expected(tables) else { return 0 };
        match self.today(tables) {
            Today::Room(room) => u32::from(!tables.dispatchers.same_room(room, expected)),
            Today::Abroad | Today::Chance => 1,
        }
    }

    /// Holds a decision against the script.
    pub fn verdict(&self, tables: &Tables, decision: &DecisionRecord) -> Verdict {
        let Some(lead) = decision.services.iter().find(|assigned| assigned.lead) else { return Verdict::Wrong };
        let Some(expected) = self.expected(tables) else {
            return if lead.service == self.lead { Verdict::Led } else { Verdict::Wrong };
        };
        let same =
            |id: &DispatcherId| tables.dispatchers.find(id.as_str()).is_some_and(|room| tables.dispatchers.same_room(room, expected));
        let assigned = decision.services.iter().map(|assigned| &assigned.dispatcher);
        let told = assigned.chain(decision.neighbours.iter().map(|neighbour| &neighbour.dispatcher));
        match () {
            () if lead.service == self.lead && same(&lead.dispatcher) => Verdict::Led,
            () if told.into_iter().any(same) => Verdict::Told,
            () => Verdict::Wrong,
        }
    }
}

/// Where a caller ends up today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Today {
    /// The phone is served from abroad: another country's room answers.
    Abroad,
    /// Nothing says which room; whichever the exchange was set to.
    Chance,
    Room(DispatcherIndex),
}

/// A decision against the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The right room leads.
    Led,
    /// Another leads, and the right room is told at once.
    Told,
    Wrong,
}
