//! What kind of help: the services, and the service URNs that ask for them.

use core::fmt;

/// A kind of help with its own control rooms. The order is the order of the journal's codes; append, never reorder.
///
/// # Source
/// RFC 5031, 4.2 (service URNs); UAE numbers 999, 998, 997, 996, 995.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Service {
    Police = 0,
    Ambulance = 1,
    CivilDefence = 2,
    CoastGuard = 3,
    SearchRescue = 4,
    Electricity = 5,
    Water = 6,
    PoliceNonEmergency = 7,
    AnimalControl = 8,
}

impl Service {
    pub const ALL: [Self; 9] = [
        Self::Police,
        Self::Ambulance,
        Self::CivilDefence,
        Self::CoastGuard,
        Self::SearchRescue,
        Self::Electricity,
        Self::Water,
        Self::PoliceNonEmergency,
        Self::AnimalControl,
    ];

    /// The word used in tables, JSON and the journal query.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Police => "police",
            Self::Ambulance => "ambulance",
            Self::CivilDefence => "civil_defence",
            Self::CoastGuard => "coast_guard",
            Self::SearchRescue => "search_rescue",
            Self::Electricity => "electricity",
            Self::Water => "water",
            Self::PoliceNonEmergency => "police_non_emergency",
            Self::AnimalControl => "animal_control",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.word() == word)
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|service| *service as u8 == code)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A set of services as one byte pair: bit `n` is the service with code `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServiceSet(pub u16);

impl ServiceSet {
    pub const EMPTY: Self = Self(0);

    pub const fn of(service: Service) -> Self {
        Self(1 << service as u8)
    }

    pub const fn with(self, service: Service) -> Self {
        Self(self.0 | 1 << service as u8)
    }

    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, service: Service) -> bool {
        self.0 & (1 << service as u8) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In the order of [`Service::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Service> {
        Service::ALL.into_iter().filter(move |service| self.contains(*service))
    }
}

impl FromIterator<Service> for ServiceSet {
    fn from_iter<T: IntoIterator<Item = Service>>(iter: T) -> Self {
        iter.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// A service URN as it was read: what it asks for, and whether it is a test.
///
/// # Source
/// RFC 5031, 4.2; RFC 8147, 6 and 14 (eCall); RFC 6881, SP-27 (`urn:service:test.sos`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceUrn {
    pub kind: UrnKind,
    pub test: bool,
}

/// What a service URN asks for. A sub-service we do not know is the service above it, at last plain `sos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UrnKind {
    Ambulance,
    AnimalControl,
    ECallAutomatic,
    ECallManual,
    Fire,
    Gas,
    Marine,
    Mountain,
    Physician,
    Poison,
    Police,
    Sos,
}

impl UrnKind {
    /// The label below `sos`, `sos` itself for the plain service.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ambulance => "ambulance",
            Self::AnimalControl => "animal-control",
            Self::ECallAutomatic => "ecall.automatic",
            Self::ECallManual => "ecall.manual",
            Self::Fire => "fire",
            Self::Gas => "gas",
            Self::Marine => "marine",
            Self::Mountain => "mountain",
            Self::Physician => "physician",
            Self::Poison => "poison",
            Self::Police => "police",
            Self::Sos => "sos",
        }
    }
}

impl ServiceUrn {
    /// Reads `urn:service:sos.*` and `urn:service:test.sos.*` in any case; `None` when it is no emergency service URN.
    ///
    /// # Examples
    /// ```
    /// use najda::service::{ServiceUrn, UrnKind};
    /// let urn = ServiceUrn::parse("URN:service:test.SOS.fire").unwrap();
    /// assert!(urn.test && urn.kind == UrnKind::Fire);
    /// assert!(ServiceUrn::parse("urn:service:counseling").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        const PREFIX: &str = "urn:service:";
        let text = text.trim();
        let (prefix, rest) = text.split_at_checked(PREFIX.len())?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return None;
        }
        let mut labels = rest.split('.').map(|label| label.trim());
        let first = labels.next()?;
        let test = first.eq_ignore_ascii_case("test");
        let sos = if test { labels.next()? } else { first };
        if !sos.eq_ignore_ascii_case("sos") {
            return None;
        }
        let kind = match labels.next() {
            None => UrnKind::Sos,
            Some(label) => Self::kind_of(label, labels.next()),
        };
        Some(Self { kind, test })
    }

    fn kind_of(label: &str, below: Option<&str>) -> UrnKind {
        let is = |word: &str| label.eq_ignore_ascii_case(word);
        if is("ecall") {
            let manual = below.is_some_and(|word| word.eq_ignore_ascii_case("manual"));
            return if manual { UrnKind::ECallManual } else { UrnKind::ECallAutomatic };
        }
        const KINDS: [(&str, UrnKind); 9] = [
            ("ambulance", UrnKind::Ambulance),
            ("animal-control", UrnKind::AnimalControl),
            ("fire", UrnKind::Fire),
            ("gas", UrnKind::Gas),
            ("marine", UrnKind::Marine),
            ("mountain", UrnKind::Mountain),
            ("physician", UrnKind::Physician),
            ("poison", UrnKind::Poison),
            ("police", UrnKind::Police),
        ];
        KINDS.into_iter().find(|(word, _)| is(word)).map_or(UrnKind::Sos, |(_, kind)| kind)
    }
}
