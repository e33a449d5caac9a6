//! Where it is: from the claims and identities of a contact to one owner, and everyone else it might belong to.
//!
//! Claims are ranked; the best one that can be placed decides, and the rung it stands on is kept. A place is weighed as an area of
//! uncertainty against exact boundaries of declared accuracy, so the answer is one of: certain, unsure between named areas, outside
//! the country, or unknown.
//!
//! **Invariants:** a call never snaps across a national border. A place known only from words never moves a call. Doubt is reported
//! only where it exists: where neither the claim's uncertainty nor the border's accuracy reaches another owner, there is none.
//!
//! # Source
//! RFC 7459 (uncertainty, confidence, P(inside) by area of overlap); NENA-STA-010 (greatest overlap, stable tie-break).

use arrayvec::ArrayVec;

use crate::contact::{ClaimSource, Contact, Place, Whose};
use crate::decision::{AreaIndex, Decision, Discrepancy, DispatcherIndex, Rung, Step, Why};
use crate::geo::area::{self, Shape, overlap};
use crate::geo::edges::{NEAR_MAX, Near};
use crate::geo::grid::Only;
use crate::geo::makani::{self, PLACES_MAX};
use crate::geo::point::{Point, distance_cm, offset};
use crate::limits::CANDIDATES_MAX;
use crate::tables::snapshot::{Flag, Ground, Side, Snapshot, Zone};
use crate::units::{Name, Ppm, Timestamp};

/// What is known of the place.
#[derive(Clone, Debug)]
pub struct Located {
    pub rung: Rung,
    /// The area that owns the place; `None` when the place is unknown or outside the country.
    pub area: Option<AreaIndex>,
    /// Whose rooms answer: the owner, the nearest area when outside, the first of several that cannot be told apart.
    pub answering_area: Option<AreaIndex>,
    /// The room that answers when not even an area is known.
    pub answering: Option<DispatcherIndex>,
    /// The chance that `area` is right.
    pub probability: Option<Ppm>,
    /// The others it may belong to, most probable first.
    pub doubt: ArrayVec<Doubt, CANDIDATES_MAX>,
    pub place: Option<Placed>,
    /// The overlays that hold the place, strongest first.
    pub over: Overlays,
    pub water: Water,
    pub outside: bool,
}

/// Overlays at one place, as positions in [`Ground::overlays`].
pub type Overlays = ArrayVec<u16, 16>;

/// Another area the contact may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub area: AreaIndex,
    pub probability: Option<Ppm>,
    pub why: Why,
}

/// The placed claim: a point that stands for it and how far the truth may be from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub point: Point,
    pub reach_cm: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Water {
    Land,
    /// Beyond the shore: the coast guard's.
    Sea,
    /// In the water, but so near to land that it may be a pier, a lagoon or reclaimed land.
    Shore,
}

/// The most areas named in doubt: a dispatcher can read three, not eight.
const DOUBT_MAX: usize = 3;
/// How far outside the country the nearest room is looked for, in steps; beyond, the nationwide room answers.
const ABROAD_CM: [u32; 3] = [500_000, 5_000_000, 25_000_000];
/// Confidence of a serving cell's sector: masts are heard beyond their planned edge.
const CELL_CONFIDENCE: Ppm = Ppm(900_000);
/// A fix older than this is not where the caller is now.
const STALE_SECS: u32 = 300;

/// Finds the place of a contact, or the best that is left when there is none. Oddities and reasons go into the decision.
pub fn locate(snapshot: &Snapshot, contact: &Contact, sea_words: bool, now: Timestamp, decision: &mut Decision) -> Located {
    let identities = &snapshot.tables.identities;
    if contact.cell.as_deref().is_some_and(|cell| identities.is_foreign_network(cell)) {
        decision.note(Discrepancy::ForeignNetwork);
    }
    let located = from_claims(snapshot, contact, now, decision)
        .or_else(|| from_makani(snapshot, contact, now, decision))
        .or_else(|| from_cell(snapshot, contact, now, decision));
    let mut located = match located {
        Some(located) => located,
        None => {
            decision.note(Discrepancy::NoLocation);
            from_identities(snapshot, contact, now, decision)
        }
    };
    if located.water == Water::Shore && sea_words {
        located.water = Water::Sea;
    }
    if located.doubt.iter().any(|doubt| doubt.why == Why::Border) {
        decision.note(Discrepancy::BorderUncertain);
    }
    compare_entry(snapshot, contact, now, &located, decision);
    decision.rung = located.rung;
    decision.area = located.area;
    located
}

impl Located {
    fn unknown(rung: Rung) -> Self {
        Self {
            rung,
            area: None,
            answering_area: None,
            answering: None,
            probability: None,
            doubt: ArrayVec::new(),
            place: None,
            over: Overlays::new(),
            water: Water::Land,
            outside: false,
        }
    }
}

// --- rungs ---

/// Device fix, by reference, eCall, civic: the best ranked claim with a shape.
fn from_claims(snapshot: &Snapshot, contact: &Contact, now: Timestamp, decision: &mut Decision) -> Option<Located> {
    let shapes = || {
        contact.claims.iter().filter_map(|claim| match &claim.place {
            Place::Shape(shape) => Some((claim, shape)),
            Place::Makani(_) => None,
        })
    };
    let rank = |age: u32, source: ClaimSource, whose: Whose, reach: u32| (age > STALE_SECS, source, whose == Whose::Caller, reach);
    let (claim, shape) = shapes().min_by_key(|(claim, shape)| rank(claim.age_secs, claim.source, claim.whose, shape.reach_cm()))?;
    let rung = match claim.source {
        ClaimSource::DeviceFix => Rung::DeviceFix,
        ClaimSource::ByReference => Rung::ByReference,
        ClaimSource::ECall => Rung::ECall,
        ClaimSource::Civic => Rung::Civic,
        ClaimSource::Makani => Rung::Makani,
        ClaimSource::ServingCell => Rung::ServingCell,
    };
    if claim.age_secs > STALE_SECS {
        decision.note(Discrepancy::LocationStale);
    }
    decision.because(Step::Claim, name(rung.word()));
    let why = if rung == Rung::ServingCell { Why::Cell } else { Why::Border };
    let mut located = weigh(snapshot, shape, claim.confidence, rung, why, now, decision);
    for (other, shape) in shapes().filter(|(other, _)| !core::ptr::eq(*other, claim)) {
        disagreement(snapshot, shape, other.source, &mut located, decision);
    }
    Some(located)
}

/// A second claim that lies elsewhere is told, never followed.
fn disagreement(snapshot: &Snapshot, shape: &Shape, source: ClaimSource, located: &mut Located, decision: &mut Decision) {
    let (Some(place), point) = (located.place, shape.representative()) else { return };
    let apart = u64::from(distance_cm(place.point, point));
    if apart <= 2 * (u64::from(place.reach_cm) + u64::from(shape.reach_cm())) {
        return;
    }
    let Some(area) = own_area(&snapshot.tables.ground, point) else { return };
    if located.area == Some(area) || located.doubt.iter().any(|doubt| doubt.area == area) {
        return;
    }
    decision.note(Discrepancy::ClaimsDisagree);
    let why = if source == ClaimSource::ServingCell { Why::Cell } else { Why::NamedPlace };
    let _ = located.doubt.try_push(Doubt { area, probability: None, why });
}

fn from_makani(snapshot: &Snapshot, contact: &Contact, now: Timestamp, decision: &mut Decision) -> Option<Located> {
    let digits = contact.claims.iter().find_map(|claim| match &claim.place {
        Place::Makani(digits) => Some(*digits),
        Place::Shape(_) => None,
    })?;
    let ground = &snapshot.tables.ground;
    let mut squares: ArrayVec<Point, PLACES_MAX> = ArrayVec::new();
    makani::candidates(digits, ground.bbox, &mut squares);
    // Land before water: a number in the sea is only meant when no square on land holds it.
    let mut inside: ArrayVec<(bool, AreaIndex, Point), PLACES_MAX> = squares
        .iter()
        .filter_map(|point| match ground.grid.owner(*point).and_then(|zone| ground.zones.get(usize::from(zone))) {
            Some(Zone::Land(area) | Zone::Patch { area, .. }) => Some((false, *area, *point)),
            Some(Zone::Water(area)) => Some((true, *area, *point)),
            _ => None,
        })
        .collect();
    inside.sort_unstable();
    if inside.is_empty() {
        decision.note(Discrepancy::BadMakani);
        return None;
    }
    let found = if inside.len() == 1 { inside.first().copied() } else { narrow_makani(snapshot, contact, now, &inside) };
    let Some((_, _, point)) = found else {
        decision.note(Discrepancy::MakaniAmbiguous);
        decision.because(Step::Claim, name("makani_ambiguous"));
        return None;
    };
    if inside.len() > 1 {
        decision.note(Discrepancy::MakaniAmbiguousResolved);
    }
    decision.because(Step::Claim, name("makani"));
    let square = Shape::Circle { center: point, radius_cm: 100 };
    Some(weigh(snapshot, &square, Ppm(950_000), Rung::Makani, Why::Makani, now, decision))
}

/// Tells squares with the same number apart: by the serving cell, by the line's or trunk's areas. Land wins over water.
fn narrow_makani(
    snapshot: &Snapshot,
    contact: &Contact,
    now: Timestamp,
    squares: &[(bool, AreaIndex, Point)],
) -> Option<(bool, AreaIndex, Point)> {
    let identities = &snapshot.tables.identities;
    if let Some(cell) = contact.cell.as_deref().and_then(|cell| identities.cell(cell, now)) {
        let from = cell.shape.representative();
        return squares.iter().copied().min_by_key(|(_, _, point)| distance_cm(from, *point));
    }
    let line = contact.line.as_deref().filter(|_| !contact.door.is_third_party());
    let mut areas: ArrayVec<AreaIndex, CANDIDATES_MAX> = ArrayVec::new();
    let mut add = |found: &[AreaIndex]| areas.extend(found.iter().copied().take(CANDIDATES_MAX));
    match line.and_then(|line| identities.line(line, now)).and_then(|line| line.area) {
        Some(area) => add(&[area]),
        None => match line.and_then(|line| identities.area_code(line)).filter(|code| !code.areas.is_empty()) {
            Some(code) => add(&code.areas),
            None => add(contact.trunk.and_then(|trunk| identities.trunk(trunk)).and_then(|row| row.area).as_slice()),
        },
    }
    let mut fitting: ArrayVec<_, PLACES_MAX> = squares.iter().copied().filter(|(_, area, _)| areas.contains(area)).collect();
    if fitting.iter().any(|(water, ..)| !water) {
        fitting.retain(|(water, ..)| !*water);
    }
    if fitting.len() == 1 { fitting.pop() } else { None }
}

fn from_cell(snapshot: &Snapshot, contact: &Contact, now: Timestamp, decision: &mut Decision) -> Option<Located> {
    let cell = contact.cell.as_deref()?;
    let Some(row) = snapshot.tables.identities.cell(cell, now) else {
        decision.note(Discrepancy::CellUnknown);
        return None;
    };
    decision.because(Step::Claim, name("serving_cell"));
    let mut located = weigh(snapshot, &row.shape, CELL_CONFIDENCE, Rung::ServingCell, Why::Cell, now, decision);
    if row.offshore && located.water == Water::Shore {
        located.water = Water::Sea;
    }
    if let Some(area) = row.area {
        // The operator's own override: whatever the geometry says.
        let before = located.area.filter(|owner| *owner != area);
        located.doubt.retain(|doubt| doubt.area != area);
        if let Some(owner) = before {
            located.doubt.insert(0, Doubt { area: owner, probability: located.probability, why: Why::Cell });
            located.doubt.truncate(DOUBT_MAX);
        }
        (located.area, located.answering_area, located.outside, located.probability) = (Some(area), Some(area), false, None);
        decision.because(Step::Policy, name("cell_override"));
    }
    Some(located)
}

/// Registered line, trunk, area code, nothing: no place, only whose room answers.
fn from_identities(snapshot: &Snapshot, contact: &Contact, now: Timestamp, decision: &mut Decision) -> Located {
    let identities = &snapshot.tables.identities;
    let line = contact.line.as_deref();
    if let Some(area) = line.and_then(|line| identities.line(line, now)).and_then(|row| row.area) {
        decision.because(Step::Claim, name("line"));
        // A third party's line is where the reporter sits.
        let known = Some(area).filter(|_| !contact.door.is_third_party());
        return Located { area: known, answering_area: Some(area), ..Located::unknown(Rung::Line) };
    }
    if let Some(row) = contact.trunk.and_then(|trunk| identities.trunk(trunk)).filter(|row| row.area.is_some()) {
        decision.because(Step::Claim, row.trunk);
        return Located { answering_area: row.area, answering: Some(row.default), ..Located::unknown(Rung::Trunk) };
    }
    if let Some(code) = line.and_then(|line| identities.area_code(line)).filter(|code| !code.areas.is_empty()) {
        decision.because(Step::Claim, Name::new(&code.prefix).unwrap_or_default());
        let mut located = Located::unknown(Rung::AreaCode);
        located.answering_area = code.areas.first().copied();
        if code.areas.len() > 1 {
            decision.note(Discrepancy::AreaCodeAmbiguous);
            let others = code.areas.iter().skip(1).take(DOUBT_MAX);
            located.doubt.extend(others.map(|area| Doubt { area: *area, probability: None, why: Why::AreaCode }));
        } else if code.fixed && !contact.door.is_third_party() {
            located.area = located.answering_area;
        }
        return located;
    }
    decision.because(Step::Claim, name("nothing"));
    let trunk = contact.trunk.and_then(|trunk| identities.trunk(trunk)).map(|row| row.default);
    Located { answering: trunk.or(snapshot.tables.dispatchers.answering_nothing), ..Located::unknown(Rung::Nothing) }
}

/// The trunk of another area than the place's: the old way would have sent it there.
fn compare_entry(snapshot: &Snapshot, contact: &Contact, now: Timestamp, located: &Located, decision: &mut Decision) {
    let identities = &snapshot.tables.identities;
    if contact.door.is_third_party() {
        let line = contact.line.as_deref();
        let listed = line.and_then(|line| identities.line(line, now)).and_then(|row| row.area);
        let code = line.and_then(|line| identities.area_code(line)).map(|code| &*code.areas);
        let line_area = listed.as_ref().map(core::slice::from_ref).or(code);
        let elsewhere = line_area.is_some_and(|areas| located.area.is_some_and(|area| !areas.is_empty() && !areas.contains(&area)));
        if elsewhere {
            decision.note(Discrepancy::LineIsThirdParty);
        }
        return;
    }
    let trunk = contact.trunk.and_then(|trunk| identities.trunk(trunk)).and_then(|row| row.area);
    if let (Some(entry), Some(area)) = (trunk, located.area)
        && entry != area
    {
        decision.note(Discrepancy::EntryGatewayElsewhere);
    }
}

// --- weighing a shape against the ground ---

/// Finds the owner of a shape and everyone else it may belong to.
fn weigh(snapshot: &Snapshot, shape: &Shape, confidence: Ppm, rung: Rung, why: Why, now: Timestamp, decision: &mut Decision) -> Located {
    let tables = &snapshot.tables;
    let ground = &tables.ground;
    let point = shape.representative();
    let reach_cm = if matches!(shape, Shape::Point(_)) { tables.settings.uncertainty_cm } else { shape.reach_cm() };
    let mut located = Located::unknown(rung);
    located.place = Some(Placed { point, reach_cm });
    let zone = ground.grid.owner(point).and_then(|zone| ground.zones.get(usize::from(zone)));
    let clear = ground.edges.clearance_cm(point) > reach_cm;
    match zone {
        Some(Zone::Land(area) | Zone::Patch { area, .. }) if clear => own(&mut located, *area, confidence),
        Some(Zone::Water(area)) if clear && ground.grid.only_candidate(shape.bbox()) != Only::Mixed => {
            own(&mut located, *area, confidence);
        }
        Some(Zone::Foreign(country)) if clear => abroad(snapshot, point, Some(*country), &mut located, decision),
        None => off_the_map(snapshot, point, reach_cm, confidence, &mut located, decision),
        Some(_) => weigh_overlap(snapshot, shape, reach_cm, confidence, why, &mut located, decision),
    }
    if matches!(zone, Some(Zone::Water(_))) || (zone.is_none() && located.area.is_some()) {
        let shore = ground.edges.nearest(point, tables.settings.shore_cm).is_some();
        located.water = if shore { Water::Shore } else { Water::Sea };
    }
    if let Some(area) = located.area {
        decision.because(Step::Owner, tables.area_id(area));
    }
    zone_marks(snapshot, zone, point, now, &mut located, decision);
    located
}

fn own(located: &mut Located, area: AreaIndex, probability: Ppm) {
    located.area = Some(area);
    located.answering_area = Some(area);
    located.probability = Some(probability);
}

/// Uncertainty or a border's accuracy reaches another owner: greatest overlap owns, the others are named (RFC 7459).
fn weigh_overlap(
    snapshot: &Snapshot,
    shape: &Shape,
    reach_cm: u32,
    confidence: Ppm,
    why: Why,
    located: &mut Located,
    decision: &mut Decision,
) {
    let ground = &snapshot.tables.ground;
    let point = shape.representative();
    // Areas with a border that the claim's uncertainty and the border's own accuracy together reach.
    let mut near: ArrayVec<Near, NEAR_MAX> = ArrayVec::new();
    ground.edges.near(point, reach_cm, &mut near);
    let spread = match shape {
        Shape::Point(_) => &Shape::Circle { center: point, radius_cm: reach_cm },
        other => other,
    };
    let shares = shares_of(ground, spread, 0);
    let home = ground.grid.owner(point).and_then(|zone| side_of(ground, zone)).unwrap_or(Side::Unknown);
    let owner = if matches!(shape, Shape::Point(_)) { home } else { shares.greatest().unwrap_or(home) };
    // The borders that matter are those between this owner and the others; the widest of them widens the shape.
    let widest = near.iter().filter(|near| ground.side(near.area) != owner).map(|near| near.reach_cm).max().unwrap_or(0);
    let wide = if widest > 0 { shares_of(ground, spread, widest) } else { shares.clone() };
    let floor = Ppm(snapshot.tables.settings.neighbour_ppm_min);

    match owner {
        Side::Own(area) => own(located, area, confidence.times(wide.of(owner))),
        Side::Foreign(country) => abroad(snapshot, point, Some(country), located, decision),
        Side::Unknown => abroad(snapshot, point, None, located, decision),
    }
    let mut others: ArrayVec<(Side, Ppm), { CANDIDATES_MAX * 2 }> = ArrayVec::new();
    for (side, share) in shares.0.iter().filter(|(side, share)| *side != owner && confidence.times(*share) >= floor) {
        let _ = others.try_push((*side, confidence.times(wide.of(*side)).max(confidence.times(*share))));
    }
    for side in near.iter().map(|near| ground.side(near.area)) {
        if side != owner && !others.iter().any(|(known, _)| *known == side) {
            let _ = others.try_push((side, confidence.times(wide.of(side)).max(floor)));
        }
    }
    // The share of nobody's ground outside the country is doubt too, but it names no room.
    others.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.order().cmp(&b.0.order())));
    for (side, probability) in others {
        match side {
            Side::Own(area) if Some(area) == located.answering_area => {}
            Side::Own(area) if located.doubt.len() < DOUBT_MAX => {
                decision.because(Step::Doubt, snapshot.tables.area_id(area));
                located.doubt.push(Doubt { area, probability: Some(probability), why });
            }
            Side::Foreign(country) if owner != Side::Unknown => {
                decision.note(Discrepancy::ForeignPeer(country));
                decision.note(Discrepancy::BorderUncertain);
            }
            _ => {}
        }
    }
}

/// Outside every boundary: a gap of the layer, the sea of a pack that draws no water, or abroad.
fn off_the_map(snapshot: &Snapshot, point: Point, reach_cm: u32, confidence: Ppm, located: &mut Located, decision: &mut Decision) {
    let (ground, settings) = (&snapshot.tables.ground, &snapshot.tables.settings);
    // Where the water is drawn, what is neither land nor water is abroad but for slivers of the layer.
    let cap = if ground.has_water { settings.gap_cm.min(settings.accuracy_cm) } else { settings.coast_cm };
    let Some(nearest) = ground.edges.nearest(point, cap) else {
        return abroad(snapshot, point, None, located, decision);
    };
    let area = match ground.side(nearest.area) {
        Side::Own(area) => area,
        Side::Foreign(country) => return abroad(snapshot, point, Some(country), located, decision),
        Side::Unknown => return abroad(snapshot, point, None, located, decision),
    };
    decision.because(Step::Nearest, snapshot.tables.area_id(area));
    if nearest.distance_cm <= settings.gap_cm {
        decision.note(Discrepancy::NearestOwner);
    }
    // Whoever might be the nearest, given how accurate the coasts are drawn, may own it too.
    let mut rivals: ArrayVec<Near, NEAR_MAX> = ArrayVec::new();
    ground.edges.near(point, nearest.distance_cm.saturating_add(reach_cm), &mut rivals);
    let mut taken = 0_u32;
    for rival in rivals.iter().filter(|rival| rival.area != nearest.area) {
        let accuracy_cm = rival.reach_cm.max(nearest.reach_cm).max(settings.accuracy_cm);
        let tolerance = accuracy_cm.saturating_add(reach_cm).max(1);
        let behind = rival.distance_cm.saturating_sub(nearest.distance_cm);
        if behind > tolerance {
            continue;
        }
        let probability = confidence.times(Ppm::ratio(u64::from(tolerance - behind), 2 * u64::from(tolerance)));
        match ground.side(rival.area) {
            Side::Own(area) if located.doubt.len() < DOUBT_MAX => {
                taken = taken.saturating_add(probability.0);
                decision.because(Step::Doubt, snapshot.tables.area_id(area));
                located.doubt.push(Doubt { area, probability: Some(probability), why: Why::Border });
            }
            Side::Foreign(country) => {
                decision.note(Discrepancy::ForeignPeer(country));
                decision.note(Discrepancy::BorderUncertain);
            }
            _ => {}
        }
    }
    let rest = Ppm(confidence.0.saturating_sub(taken).max(confidence.0 / 2));
    own(located, area, rest);
}

/// The place is in another country: nobody here owns it, the nearest room answers, the peer is named.
fn abroad(snapshot: &Snapshot, point: Point, country: Option<[u8; 2]>, located: &mut Located, decision: &mut Decision) {
    let ground = &snapshot.tables.ground;
    located.outside = true;
    decision.note(Discrepancy::OutsideCountry);
    let mut near: ArrayVec<Near, NEAR_MAX> = ArrayVec::new();
    let mut country = country;
    for reach in ABROAD_CM {
        near.clear();
        ground.edges.near(point, reach, &mut near);
        for side in near.iter().map(|near| ground.side(near.area)) {
            match side {
                Side::Own(area) => located.answering_area = located.answering_area.or(Some(area)),
                Side::Foreign(found) => country = country.or(Some(found)),
                Side::Unknown => {}
            }
        }
        if located.answering_area.is_some() && country.is_some() {
            break;
        }
    }
    if located.answering_area.is_none() {
        located.answering = snapshot.tables.dispatchers.answering_nothing;
    }
    if let Some(country) = country {
        decision.note(Discrepancy::ForeignPeer(country));
        decision.because(Step::Foreign, core::str::from_utf8(&country).ok().and_then(Name::new).unwrap_or_else(|| name("??")));
    }
}

/// Marks of patches and overlays that a person should see.
fn zone_marks(snapshot: &Snapshot, zone: Option<&Zone>, point: Point, now: Timestamp, located: &mut Located, decision: &mut Decision) {
    let mut mark = |flag: Flag| match flag {
        Flag::Disputed => decision.note(Discrepancy::Disputed),
        Flag::NeutralZone => decision.note(Discrepancy::NeutralZone),
        Flag::None => {}
    };
    if let Some(Zone::Patch { flag, .. }) = zone {
        mark(*flag);
    }
    let ground = &snapshot.tables.ground;
    ground.overlay_grid.members(point, &mut located.over);
    for overlay in located.over.iter().filter_map(|at| ground.overlays.get(usize::from(*at))) {
        if !snapshot.hold(&overlay.hours, now) {
            continue;
        }
        mark(overlay.flag);
        for area in &overlay.told {
            let known = located.area == Some(*area) || located.doubt.iter().any(|doubt| doubt.area == *area);
            if !known {
                let _ = located.doubt.try_push(Doubt { area: *area, probability: None, why: Why::Policy });
            }
        }
    }
    if let Some(Zone::Patch { overlay, .. }) = zone {
        decision.because(Step::Overlay, *overlay);
    }
}

/// Shares of a shape's area by whose ground it is.
#[derive(Clone, Debug, Default)]
struct Sides(ArrayVec<(Side, Ppm), CANDIDATES_MAX>);

impl Sides {
    fn of(&self, side: Side) -> Ppm {
        self.0.iter().find(|(known, _)| *known == side).map_or(Ppm::ZERO, |(_, share)| *share)
    }

    fn greatest(&self) -> Option<Side> {
        self.0.iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.order().cmp(&a.0.order()))).map(|(side, _)| *side)
    }
}

impl Side {
    /// A stable order for ties: own areas by number, then countries, then nobody's.
    fn order(self) -> (u8, u16) {
        match self {
            Self::Own(area) => (0, area.0),
            Self::Foreign([a, b]) => (1, u16::from_be_bytes([a, b])),
            Self::Unknown => (2, 0),
        }
    }
}

fn shares_of(ground: &Ground, shape: &Shape, inflate_cm: u32) -> Sides {
    let mut zones = area::Shares::new();
    overlap(&ground.grid, shape, inflate_cm, &mut zones);
    // Where no water is drawn, the part of a shape off the coast goes with the land the shape touches.
    let mut shares = Sides::default();
    let mut nobody = Ppm::ZERO;
    for (zone, share) in zones {
        let Some(side) = zone.and_then(|zone| side_of(ground, zone)) else {
            nobody.0 += share.0;
            continue;
        };
        match shares.0.iter_mut().find(|(known, _)| *known == side) {
            Some((_, sum)) => sum.0 += share.0,
            None => {
                let _ = shares.0.try_push((side, share));
            }
        }
    }
    let known = 1_000_000_u32.saturating_sub(nobody.0);
    if !ground.has_water && known > 0 {
        for (_, share) in &mut shares.0 {
            *share = Ppm::ratio(u64::from(share.0), u64::from(known));
        }
    } else if nobody.0 > 0 {
        let _ = shares.0.try_push((Side::Unknown, nobody));
    }
    shares
}

fn side_of(ground: &Ground, zone: u16) -> Option<Side> {
    Some(match ground.zones.get(usize::from(zone))? {
        Zone::Land(area) | Zone::Water(area) | Zone::Patch { area, .. } => Side::Own(*area),
        Zone::Foreign(country) => Side::Foreign(*country),
    })
}

/// Whether the sea is within sight: eight places 12 km around, any of them water or off every map.
pub fn is_near_sea(ground: &Ground, point: Point) -> bool {
    const FAR_CM: i64 = 1_200_000;
    const ASLANT_CM: i64 = FAR_CM * 7 / 10;
    let around = [(1, 0), (-1, 0), (0, 1), (0, -1)].map(|(north, east)| (north * FAR_CM, east * FAR_CM));
    let aslant = [(1, 1), (1, -1), (-1, 1), (-1, -1)].map(|(north, east)| (north * ASLANT_CM, east * ASLANT_CM));
    around.into_iter().chain(aslant).any(|(north_cm, east_cm)| {
        let zone = ground.grid.owner(offset(point, north_cm, east_cm)).and_then(|zone| ground.zones.get(usize::from(zone)));
        matches!(zone, None | Some(Zone::Water(_)))
    })
}

/// The own area that holds a point, land or water.
pub fn own_area(ground: &Ground, point: Point) -> Option<AreaIndex> {
    match side_of(ground, ground.grid.owner(point)?)? {
        Side::Own(area) => Some(area),
        _ => None,
    }
}

fn name(word: &'static str) -> Name {
    Name::of_word(word)
}
