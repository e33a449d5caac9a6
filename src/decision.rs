//! The answer to a contact: which services, whose rooms, why, who is next, and what was odd.
//!
//! [`Decision`] is what `route` computes: indices into the tables it was computed with, no heap. [`DecisionRecord`] is the same
//! with names instead of indices; it outlives the tables and is what the engine, the journal and the wire keep.

use arrayvec::ArrayVec;

use crate::limits::{CHAIN_MAX, DISCREPANCIES_MAX, NEIGHBOURS_MAX, REASONS_MAX, SERVICES_MAX};
use crate::service::Service;
use crate::units::{AreaId, DispatcherId, Name, Ppm, TablesVersion};

/// Position of a dispatcher in one table set. Only meaningful together with that set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DispatcherIndex(pub u16);

/// Position of an area in one table set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AreaIndex(pub u16);

/// Position of an incident type in one table set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeIndex(pub u16);

/// The state of a dispatcher.
///
/// # Source
/// NENA-STA-010, queue states (Active, Inactive, Disabled, Full, Standby, Unreachable, DiversionRequested).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DispatcherState {
    #[default]
    Active = 0,
    /// Asks that others be asked first.
    Diverting = 1,
    Full = 2,
    Unreachable = 3,
    Closed = 4,
}

impl DispatcherState {
    pub const ALL: [Self; 5] = [Self::Active, Self::Diverting, Self::Full, Self::Unreachable, Self::Closed];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Diverting => "diverting",
            Self::Full => "full",
            Self::Unreachable => "unreachable",
            Self::Closed => "closed",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// What `route` answers: total, deterministic, without heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub tables: TablesVersion,
    /// The number of the published snapshot it was decided under; only a running engine counts them.
    pub snapshot: u64,
    /// The lead first. Empty only for a test contact.
    pub services: ArrayVec<Assigned, SERVICES_MAX>,
    pub neighbours: ArrayVec<Neighbour, NEIGHBOURS_MAX>,
    /// The area that owns the place, when the place is known.
    pub area: Option<AreaIndex>,
    pub incident_type: Option<TypeIndex>,
    /// 1 life-threatening or unclassified emergency, 2 urgent, 3 not an emergency. `None` for a test.
    pub priority: Option<u8>,
    pub rung: Rung,
    pub discrepancies: ArrayVec<Discrepancy, DISCREPANCIES_MAX>,
    pub reasons: ArrayVec<Reason, REASONS_MAX>,
    /// Reaches the test sink only, never a live screen.
    pub test: bool,
    /// What the caller speaks, where known (ISO 639-1), and whether the lead room needs an interpreter for it.
    pub lang: Option<[u8; 2]>,
    pub interpreter: bool,
    /// A text-capable seat holds the whole conversation.
    pub text: bool,
    /// Nothing may ring or be sent back by itself: the caller hides, or asked for it.
    pub quiet: bool,
    /// Who can be called back; `None` without a line, or with one that is no number.
    pub caller: Option<Caller>,
}

/// The line a contact came from, as a number that can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// E.164: `+` and at most 15 digits, however the line was written.
    pub number: Name,
    /// Another contact of this line is the same caller. Not so for a switchboard, a panel, an alarm centre, or a third party's line.
    pub links: bool,
}

/// One service with the room responsible for it and who is asked in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    pub service: Service,
    /// Who is responsible. Overflow never changes it.
    pub dispatcher: DispatcherIndex,
    pub area: Option<AreaIndex>,
    /// The chance that `area` is right; `None` when the place is unknown.
    pub probability: Option<Ppm>,
    pub lead: bool,
    /// Who is asked, in order: usually the responsible room first, the national fallback last.
    pub chain: ArrayVec<DispatcherIndex, CHAIN_MAX>,
}

/// A room that might be the right one instead, and is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub area: Option<AreaIndex>,
    pub dispatcher: DispatcherIndex,
    pub service: Service,
    pub probability: Option<Ppm>,
    pub why: Why,
}

/// Why a neighbour is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Why {
    AreaCode = 0,
    Border = 1,
    Cell = 2,
    Foreign = 3,
    Makani = 4,
    NamedPlace = 5,
    NearCoast = 6,
    Policy = 7,
}

impl Why {
    pub const ALL: [Self; 8] =
        [Self::AreaCode, Self::Border, Self::Cell, Self::Foreign, Self::Makani, Self::NamedPlace, Self::NearCoast, Self::Policy];

    pub const fn word(self) -> &'static str {
        match self {
            Self::AreaCode => "area_code",
            Self::Border => "border",
            Self::Cell => "cell",
            Self::Foreign => "foreign",
            Self::Makani => "makani",
            Self::NamedPlace => "named_place",
            Self::NearCoast => "near_coast",
            Self::Policy => "policy",
        }
    }
}

/// On which rung of the ladder of location evidence the decision stands, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Rung {
    DeviceFix = 0,
    ByReference = 1,
    ECall = 2,
    Civic = 3,
    Makani = 4,
    ServingCell = 5,
    Line = 6,
    Trunk = 7,
    AreaCode = 8,
    Nothing = 9,
}

impl Rung {
    pub const ALL: [Self; 10] = [
        Self::DeviceFix,
        Self::ByReference,
        Self::ECall,
        Self::Civic,
        Self::Makani,
        Self::ServingCell,
        Self::Line,
        Self::Trunk,
        Self::AreaCode,
        Self::Nothing,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::DeviceFix => "device_fix",
            Self::ByReference => "by_reference",
            Self::ECall => "ecall",
            Self::Civic => "civic",
            Self::Makani => "makani",
            Self::ServingCell => "serving_cell",
            Self::Line => "line",
            Self::Trunk => "trunk",
            Self::AreaCode => "area_code",
            Self::Nothing => "nothing",
        }
    }
}

/// Something odd about the input that a person should know. Never a reason to refuse.
///
/// # Source
/// NENA-STA-010, discrepancy reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discrepancy {
    AreaCodeAmbiguous,
    BadCell,
    BadLine,
    BadLocation,
    BadMakani,
    BadTime,
    BadUrn,
    BorderUncertain,
    CellUnknown,
    ClaimsDisagree,
    DialledServiceDiffers,
    Disputed,
    EntryGatewayElsewhere,
    /// The peer country, ISO 3166-1 alpha-2.
    ForeignPeer([u8; 2]),
    ForeignNetwork,
    InputCut,
    /// The gateway used a reference it had used for another contact.
    KeyReused,
    LineIsThirdParty,
    LocationStale,
    MakaniAmbiguous,
    MakaniAmbiguousResolved,
    NearestOwner,
    NeutralZone,
    NoLocation,
    NoWords,
    OutsideCountry,
    OverflowTaken,
    Silent,
    TestCall,
    TextOnly,
    UnknownDialled,
    UnknownDoor,
    UnknownEvent,
    UpgradedFromNonEmergency,
    /// A broken invariant was met and the fallback dispatcher answers.
    Internal,
}

impl Discrepancy {
    /// The code in JSON and in the journal, `foreign_peer:OM` with its country.
    pub fn code(self) -> Name {
        if let Self::ForeignPeer([a, b]) = self {
            let text = [b"foreign_peer:".as_slice(), &[a, b]].concat();
            let name = core::str::from_utf8(&text).ok().and_then(Name::new);
            return name.unwrap_or_default();
        }
        Name::new(self.word()).unwrap_or_default()
    }

    const fn word(self) -> &'static str {
        match self {
            Self::AreaCodeAmbiguous => "area_code_ambiguous",
            Self::BadCell => "bad_cell",
            Self::BadLine => "bad_line",
            Self::BadLocation => "bad_location",
            Self::BadMakani => "bad_makani",
            Self::BadTime => "bad_time",
            Self::BadUrn => "bad_urn",
            Self::BorderUncertain => "border_uncertain",
            Self::CellUnknown => "cell_unknown",
            Self::ClaimsDisagree => "claims_disagree",
            Self::DialledServiceDiffers => "dialled_service_differs",
            Self::Disputed => "disputed",
            Self::EntryGatewayElsewhere => "entry_gateway_elsewhere",
            Self::ForeignNetwork => "foreign_network",
            Self::ForeignPeer(_) => "foreign_peer",
            Self::InputCut => "input_cut",
            Self::Internal => "internal",
            Self::KeyReused => "key_reused",
            Self::LineIsThirdParty => "line_is_third_party",
            Self::LocationStale => "location_stale",
            Self::MakaniAmbiguous => "makani_ambiguous",
            Self::MakaniAmbiguousResolved => "makani_ambiguous_resolved",
            Self::NearestOwner => "nearest_owner",
            Self::NeutralZone => "neutral_zone",
            Self::NoLocation => "no_location",
            Self::NoWords => "no_words",
            Self::OutsideCountry => "outside_country",
            Self::OverflowTaken => "overflow_taken",
            Self::Silent => "silent",
            Self::TestCall => "test_call",
            Self::TextOnly => "text_only",
            Self::UnknownDialled => "unknown_dialled",
            Self::UnknownDoor => "unknown_door",
            Self::UnknownEvent => "unknown_event",
            Self::UpgradedFromNonEmergency => "upgraded_from_non_emergency",
        }
    }
}

/// One step of the path that led to the answer: the step, and the row or value that decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    pub step: Step,
    /// A name from the tables or a word of the step; empty when the step says it all.
    pub what: Name,
}

/// The steps of a decision, in the order they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Step {
    Test = 0,
    Word = 1,
    Urn = 2,
    Dialled = 3,
    NoEvidence = 4,
    Type = 5,
    Claim = 6,
    Owner = 7,
    Overlay = 8,
    Nearest = 9,
    Doubt = 10,
    Foreign = 11,
    Answering = 12,
    Plan = 13,
    Policy = 14,
    Skipped = 15,
    Fallback = 16,
}

impl Step {
    pub const ALL: [Self; 17] = [
        Self::Test,
        Self::Word,
        Self::Urn,
        Self::Dialled,
        Self::NoEvidence,
        Self::Type,
        Self::Claim,
        Self::Owner,
        Self::Overlay,
        Self::Nearest,
        Self::Doubt,
        Self::Foreign,
        Self::Answering,
        Self::Plan,
        Self::Policy,
        Self::Skipped,
        Self::Fallback,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Word => "word",
            Self::Urn => "urn",
            Self::Dialled => "dialled",
            Self::NoEvidence => "no_evidence",
            Self::Type => "type",
            Self::Claim => "claim",
            Self::Owner => "owner",
            Self::Overlay => "overlay",
            Self::Nearest => "nearest",
            Self::Doubt => "doubt",
            Self::Foreign => "foreign",
            Self::Answering => "answering",
            Self::Plan => "plan",
            Self::Policy => "policy",
            Self::Skipped => "skipped",
            Self::Fallback => "fallback",
        }
    }
}

/// A decision with names instead of indices: it outlives the tables that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionRecord {
    pub tables: TablesVersion,
    /// The number of the published snapshot it was decided under, for replay.
    pub snapshot: u64,
    /// The lead first; empty only for a test.
    pub services: Vec<AssignedRecord>,
    pub neighbours: Vec<NeighbourRecord>,
    pub area: Option<AreaId>,
    pub incident_type: Option<Name>,
    pub priority: Option<u8>,
    /// [`Rung::word`].
    pub rung: Name,
    /// [`Discrepancy::code`], sorted as found.
    pub discrepancies: Vec<Name>,
    /// `step` or `step: what`, in order.
    pub reasons: Vec<Box<str>>,
    pub test: bool,
    pub lang: Option<[u8; 2]>,
    pub interpreter: bool,
    pub text: bool,
    pub quiet: bool,
    pub caller: Option<Caller>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignedRecord {
    pub service: Service,
    pub dispatcher: DispatcherId,
    pub area: Option<AreaId>,
    pub probability: Option<Ppm>,
    pub lead: bool,
    pub chain: Vec<DispatcherId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighbourRecord {
    pub area: Option<AreaId>,
    pub dispatcher: DispatcherId,
    pub service: Service,
    pub probability: Option<Ppm>,
    /// [`Why::word`].
    pub why: Name,
}

impl Decision {
    /// Nothing decided yet.
    pub fn blank(tables: TablesVersion, snapshot: u64) -> Self {
        Self {
            tables,
            snapshot,
            services: ArrayVec::new(),
            neighbours: ArrayVec::new(),
            area: None,
            incident_type: None,
            priority: None,
            rung: Rung::Nothing,
            discrepancies: ArrayVec::new(),
            reasons: ArrayVec::new(),
            test: false,
            lang: None,
            interpreter: false,
            text: false,
            quiet: false,
            caller: None,
        }
    }

    /// Nothing decided yet, in place.
    pub fn clear(&mut self, tables: TablesVersion, snapshot: u64) {
        // All by name, so that a new field cannot be forgotten.
        let Self {
            tables: of_tables,
            snapshot: of_snapshot,
            services,
            neighbours,
            area,
            incident_type,
            priority,
            rung,
            discrepancies,
            reasons,
            test,
            lang,
            interpreter,
            text,
            quiet,
            caller,
        } = self;
        (*of_tables, *of_snapshot, *rung) = (tables, snapshot, Rung::Nothing);
        (*area, *incident_type, *priority) = (None, None, None);
        services.clear();
        neighbours.clear();
        discrepancies.clear();
        reasons.clear();
        (*test, *interpreter, *text, *quiet) = (false, false, false, false);
        (*lang, *caller) = (None, None);
    }

    /// Adds an oddity once. Past the bound the first ones stay: they are nearest to the evidence.
    pub fn note(&mut self, discrepancy: Discrepancy) {
        if !self.discrepancies.contains(&discrepancy) {
            let _ = self.discrepancies.try_push(discrepancy);
        }
    }

    /// Adds a step of the reasoning.
    pub fn because(&mut self, step: Step, what: Name) {
        let _ = self.reasons.try_push(Reason { step, what });
    }

    /// The service whose room gets the voice.
    #[inline]
    pub fn lead(&self) -> Option<&Assigned> {
        self.services.iter().find(|assigned| assigned.lead)
    }
}
