//! All that a contact is classified with: the lexicon, the types, the numbers, and the types that signals without words stand for.

use crate::decision::TypeIndex;
use crate::service::{Service, UrnKind};

use super::lexicon::Lexicon;
use super::numbers::Numbers;
use super::source::{Defect, Source};
use super::types::Types;
use crate::units::Name;

/// The part of the tables that `classify` reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    pub lexicon: Lexicon,
    pub types: Types,
    pub numbers: Numbers,
    pub known: KnownTypes,
    pub names: ServiceNames,
}

/// The word of each service as a name, made once: a decision gives one or two of them as reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceNames([Name; Service::ALL.len()]);

/// Types that signals without words stand for, by their APCO codes; absent from a pack that has other codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownTypes {
    pub animal: Option<TypeIndex>,
    pub burglar_alarm: Option<TypeIndex>,
    pub crash: Option<TypeIndex>,
    pub crash_hurt: Option<TypeIndex>,
    pub crash_unhurt: Option<TypeIndex>,
    pub disaster: Option<TypeIndex>,
    pub fire: Option<TypeIndex>,
    pub fire_alarm: Option<TypeIndex>,
    pub fuel: Option<TypeIndex>,
    pub gas: Option<TypeIndex>,
    pub hazard: Option<TypeIndex>,
    pub ill: Option<TypeIndex>,
    pub poison: Option<TypeIndex>,
    pub rescue: Option<TypeIndex>,
    pub search: Option<TypeIndex>,
    pub suspicion: Option<TypeIndex>,
    pub trouble: Option<TypeIndex>,
    pub utility: Option<TypeIndex>,
    pub water: Option<TypeIndex>,
}

impl ServiceNames {
    #[inline]
    pub fn of(&self, service: Service) -> Name {
        self.0.get(service as usize).copied().unwrap_or_default()
    }
}

impl Default for ServiceNames {
    fn default() -> Self {
        let mut names = [Name::default(); Service::ALL.len()];
        for service in Service::ALL {
            names[service as usize] = Name::of_word(service.word());
        }
        Self(names)
    }
}

impl KnownTypes {
    fn of(types: &Types) -> Self {
        Self {
            animal: types.index("ANIMAL"),
            burglar_alarm: types.index("ALRBA"),
            crash: types.index("MVAUNK"),
            crash_hurt: types.index("MVAINJY"),
            crash_unhurt: types.index("MVA"),
            disaster: types.index("MAJORINC"),
            fire: types.index("FUNK"),
            fire_alarm: types.index("ALRF"),
            fuel: types.index("HAZMAT"),
            gas: types.index("GASLEAK"),
            hazard: types.index("CHEMICAL"),
            ill: types.index("SICK"),
            poison: types.index("OD"),
            rescue: types.index("RESCUE"),
            search: types.index("SAR"),
            suspicion: types.index("SUSP"),
            trouble: types.index("TROUBLE"),
            utility: types.index("PUBWKS"),
            water: types.index("WATER"),
        }
    }

    /// The type and the service a service URN stands for.
    ///
    /// # Source
    /// RFC 5031, 4.2; RFC 8147, 6.
    pub fn urn(&self, kind: UrnKind) -> (Option<TypeIndex>, Option<Service>) {
        match kind {
            UrnKind::Ambulance => (None, Some(Service::Ambulance)),
            UrnKind::AnimalControl => (self.animal, Some(Service::AnimalControl)),
            UrnKind::ECallAutomatic | UrnKind::ECallManual => (self.crash, Some(Service::Police)),
            UrnKind::Fire => (self.fire, Some(Service::CivilDefence)),
            UrnKind::Gas => (self.gas, Some(Service::CivilDefence)),
            UrnKind::Marine => (None, Some(Service::CoastGuard)),
            UrnKind::Mountain => (self.search, Some(Service::SearchRescue)),
            UrnKind::Physician => (self.ill, Some(Service::Ambulance)),
            UrnKind::Poison => (self.poison, Some(Service::Ambulance)),
            UrnKind::Police => (None, Some(Service::Police)),
            UrnKind::Sos => (None, None),
        }
    }

    /// The type a CAP category stands for; the outer `None` when the word is no category.
    ///
    /// # Source
    /// OASIS CAP 1.2, 3.2.2, element `category`.
    pub fn cap_category(&self, word: &str) -> Option<Option<TypeIndex>> {
        let categories = [
            ("CBRNE", self.hazard),
            ("Env", self.hazard),
            ("Fire", self.fire),
            ("Geo", self.disaster),
            ("Health", self.ill),
            ("Infra", self.utility),
            ("Met", self.disaster),
            ("Other", None),
            ("Rescue", self.rescue),
            ("Safety", self.trouble),
            ("Security", self.suspicion),
            ("Transport", self.crash),
        ];
        categories.into_iter().find(|(category, _)| category.eq_ignore_ascii_case(word.trim())).map(|(_, type_)| type_)
    }
}

impl Vocabulary {
    /// Compiles the parts of a pack that words, types and numbers come from.
    pub fn compile(source: &Source) -> (Self, Vec<Defect>) {
        let (types, mut defects) = Types::compile(&source.types, &source.plans);
        let (numbers, more) = Numbers::compile(&source.numbers);
        defects.extend(more);
        let (lexicon, more) = Lexicon::compile(&source.lexicon, &types);
        defects.extend(more);
        let known = KnownTypes::of(&types);
        (Self { lexicon, types, numbers, known, names: ServiceNames::default() }, defects)
    }
}
