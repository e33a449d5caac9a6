//! What is needed: every signal of a contact votes, and the votes are added up the same way on every machine.
//!
//! Evidence for incident types, with its weight:
//!
//! | signal | stands for | weight |
//! | --- | --- | --- |
//! | words, panel events in words | the types of `lexicon/*.csv` | each term's own, 1 to 100, see `tables/lexicon` |
//! | eCall | crash; with fuel at risk also fuel | 90 |
//! | service URN | fire, gas, crash, search, poison, ... | 70 |
//! | door of a panel or a crash sensor | fire alarm, burglar alarm, crash | 60 |
//! | CAP category | fire, disaster, crash, ... | 45 |
//!
//! Evidence for a service of which no type is known: a URN (police, ambulance, marine) 90, a menu key 80, the number dialled 40.
//!
//! How several types become one answer:
//! 1. Types weaker than half the strongest, or than [`WEIGHT_MIN`], are not believed; the strongest always is.
//! 2. Of those believed, the one that stands first in `plans.csv` (the order of command) is the incident's type and gives the lead: a
//!    crash with a fire is led by the police, a fire with people trapped by civil defence, a stabbing with bleeding by the police.
//! 3. The services are the union of their plans: the lead's first, then the others' in the order of command, then a service that was
//!    asked for by URN or key and is still missing.
//!
//! What evidence may do to a number: raise a non-emergency number (a type of priority 1 or 2, or an emergency URN), never lower an
//! emergency one: what came on an emergency number has priority 1 or 2, and 1 when nothing is known, as unknown rides in the top lane.
//!
//! Pure and total: no allocation, no clock, any contact has a classification.

use arrayvec::ArrayVec;

use crate::contact::{Contact, Door, Signal};
use crate::decision::{AreaIndex, TypeIndex};
use crate::limits::{SERVICES_MAX, TYPES_MAX};
use crate::service::{Service, ServiceSet, UrnKind};
use crate::tables::lexicon::Words;
use crate::tables::numbers::DialledMeaning;
use crate::tables::plans::{Plans, ServiceList, add};
use crate::tables::vocabulary::Vocabulary;
use crate::units::{Name, Ppm};

/// A type weaker than this is not believed beside a stronger one.
pub const WEIGHT_MIN: u16 = 25;
/// Seconds of silence on an open line from which the line counts as silent.
pub const SILENCE_SECS_MIN: u16 = 5;

const ECALL_WEIGHT: u16 = 90;
const URN_WEIGHT: u16 = 70;
const DOOR_WEIGHT: u16 = 60;
const CATEGORY_WEIGHT: u16 = 45;
const URN_SERVICE_WEIGHT: u64 = 90;
const MENU_SERVICE_WEIGHT: u64 = 80;
const DIALLED_SERVICE_WEIGHT: u64 = 40;
/// Terms named in the reasons of a decision.
const TERMS_MAX: usize = 4;

/// What a contact is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classification {
    /// Services asked for without words, most probable first; their probabilities add up to one. Empty when none was.
    pub services_hint: ArrayVec<(Service, Ppm), SERVICES_MAX>,
    /// Services asked for by URN or menu key, not only by the number dialled: they come whatever the words say.
    pub requested: ServiceSet,
    /// Services that a person asked for as well: they come after all others and lead nothing.
    pub wanted: ServiceSet,
    /// The types believed, strongest first.
    pub types: ArrayVec<TypeWeight, TYPES_MAX>,
    /// The type that leads.
    pub incident_type: Option<TypeIndex>,
    pub dialled: Option<DialledMeaning>,
    /// Digits were dialled that the tables do not know.
    pub unknown_dialled: bool,
    /// What a service URN asked for.
    pub urn: Option<UrnKind>,
    /// 1 life-threatening or unknown, 2 urgent, 3 not an emergency.
    pub priority: u8,
    /// Nothing may ring or be sent back by itself.
    pub quiet: bool,
    /// Words or a URN of the sea.
    pub sea_words: bool,
    /// An open line on which nothing is said.
    pub silent: bool,
    /// A key was pressed on the open line: somebody is there and cannot speak.
    pub key_pressed: bool,
    /// Nothing was said or written that could be read; not on a silent line, where silence says more.
    pub no_words: bool,
    /// Some words were left unread, beyond the bound.
    pub words_cut: bool,
    pub test_urn: bool,
    /// An event that is neither a CAP category nor in the lexicon.
    pub unknown_event: bool,
    /// ISO 639-1: what the sender says, else what the words look like.
    pub lang: Option<[u8; 2]>,
    /// Words or a URN of an emergency on a number that is none.
    pub upgraded: bool,
    pub hurt: bool,
    pub many: bool,
    /// Something was denied (`no fire`).
    pub denied: bool,
    /// An alarm centre or a person confirmed it, or said that it is not confirmed.
    pub verified: Option<bool>,
    /// The terms that decided, `lang:meaning`, strongest first.
    pub terms: ArrayVec<Name, TERMS_MAX>,
}

/// A type and how strongly it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeWeight {
    pub type_: TypeIndex,
    /// 1 to about 130.
    pub weight: u16,
    /// Its place in the order of command, the lowest leads.
    rank: u16,
    /// The term that spoke of it, when words did.
    term: Option<Name>,
}

/// Classifies a contact.
pub fn classify(contact: &Contact, vocabulary: &Vocabulary) -> Classification {
    let mut heard = Classification::default();
    classify_into(&mut heard, contact, vocabulary);
    heard
}

/// [`classify`] where the answer is wanted: a classification is too large to be handed from function to function.
pub fn classify_into(heard: &mut Classification, contact: &Contact, vocabulary: &Vocabulary) {
    let mut votes = Votes {
        vocabulary,
        types: ArrayVec::new(),
        services: [0; Service::ALL.len()],
        out: heard,
        word_count: 0,
        unhurt: false,
        automatic: false,
        emergency_urn: false,
    };
    for signal in &contact.signals {
        votes.hear(signal);
    }
    votes.door(contact.door);
    votes.settle(contact);
}

impl Classification {
    /// The services needed, the lead first; never empty. The number dialled counts only when nothing better is known.
    ///
    /// `at_sea` is true when the place is on the water, or when no place is known and [`Self::sea_words`] is set.
    pub fn services(&self, plans: &Plans, area: Option<AreaIndex>, at_sea: bool) -> ServiceList {
        let mut list = self.services_of_evidence(plans, area, at_sea);
        for service in self.wanted.iter() {
            add(&mut list, &[service]);
        }
        list
    }

    fn services_of_evidence(&self, plans: &Plans, area: Option<AreaIndex>, at_sea: bool) -> ServiceList {
        let hint = self.services_hint.first().map(|(service, _)| *service);
        if let (Some(DialledMeaning::NonEmergency(service)), false) = (self.dialled, self.upgraded) {
            return plans.services(None, Some(service), area, at_sea);
        }
        let at_sea = at_sea || self.urn == Some(UrnKind::Marine);
        if self.types.is_empty() && self.incident_type.is_none() {
            return plans.services(None, hint, area, at_sea);
        }
        let mut order: ArrayVec<TypeIndex, TYPES_MAX> = self.incident_type.into_iter().collect();
        let mut others: ArrayVec<TypeWeight, TYPES_MAX> = self.types.clone();
        others.sort_unstable_by_key(|believed| (believed.rank, believed.type_));
        for other in &others {
            if !order.contains(&other.type_) {
                let _ = order.try_push(other.type_);
            }
        }
        let mut list = plans.combine(&order, hint, area, at_sea);
        for service in self.requested.iter() {
            add(&mut list, &[service]);
        }
        list
    }
}

/// The votes while they are counted.
struct Votes<'v> {
    vocabulary: &'v Vocabulary,
    types: ArrayVec<TypeWeight, { TYPES_MAX * 4 }>,
    services: [u64; Service::ALL.len()],
    out: &'v mut Classification,
    word_count: u32,
    unhurt: bool,
    automatic: bool,
    emergency_urn: bool,
}

impl Votes<'_> {
    fn hear(&mut self, signal: &Signal) {
        match signal {
            Signal::Dialled(digits) => self.dialled(digits),
            Signal::Dtmf { .. } => self.out.key_pressed = true,
            Signal::ECall { fuel_at_risk, .. } => {
                self.automatic = true;
                self.type_(self.vocabulary.known.crash, ECALL_WEIGHT);
                if *fuel_at_risk {
                    self.type_(self.vocabulary.known.fuel, ECALL_WEIGHT);
                }
            }
            Signal::Event(event) => self.event(event),
            Signal::MenuKey(key) => {
                let service = self.vocabulary.numbers.menu(*key);
                self.service(service, MENU_SERVICE_WEIGHT);
                self.out.requested = service.map_or(self.out.requested, |service| self.out.requested.with(service));
            }
            Signal::Silence { secs } => self.out.silent |= *secs >= SILENCE_SECS_MIN,
            Signal::Urn(urn) => {
                self.out.test_urn |= urn.test;
                self.out.sea_words |= urn.kind == UrnKind::Marine;
                // The most specific of several URNs is the one remembered.
                if self.out.urn.is_none_or(|before| before == UrnKind::Sos) {
                    self.out.urn = Some(urn.kind);
                }
                let (type_, service) = self.vocabulary.known.urn(urn.kind);
                self.emergency_urn |= service.is_some_and(|service| service != Service::AnimalControl);
                self.type_(type_, URN_WEIGHT);
                self.service(service, URN_SERVICE_WEIGHT);
                // Where the URN stands for a type, the type's plan knows better which services come.
                if let (None, Some(service)) = (type_, service) {
                    self.out.requested = self.out.requested.with(service);
                }
            }
            Signal::CallBack => {}
            Signal::Wanted(service) => self.out.wanted = self.out.wanted.with(*service),
            Signal::Verified(verified) => self.out.verified = Some(self.out.verified.unwrap_or(false) || *verified),
            Signal::Words(text) => {
                let words = self.vocabulary.lexicon.read(text);
                self.words(&words);
            }
        }
    }

    fn dialled(&mut self, digits: &str) {
        match self.vocabulary.numbers.meaning(digits) {
            None => self.out.unknown_dialled = true,
            Some(meaning) => {
                // Of several numbers an emergency one is not lowered by one that is none.
                let lowers = matches!(meaning, DialledMeaning::NonEmergency(_)) && self.out.dialled.is_some();
                if !lowers {
                    self.out.dialled = Some(meaning);
                }
                if let DialledMeaning::Hint(service) | DialledMeaning::NonEmergency(service) = meaning {
                    self.service(Some(service), DIALLED_SERVICE_WEIGHT);
                }
            }
        }
    }

    fn event(&mut self, event: &str) {
        if let Some(type_) = self.vocabulary.known.cap_category(event) {
            self.type_(type_, CATEGORY_WEIGHT);
            return;
        }
        let words = self.vocabulary.lexicon.read(event);
        self.out.unknown_event |= words.types.is_empty() && !words.denied;
        self.automatic = true;
        self.words(&Words { count: 0, lang: None, ..words });
    }

    fn words(&mut self, words: &Words) {
        self.word_count = self.word_count.saturating_add(u32::from(words.count));
        self.out.denied |= words.denied;
        self.out.hurt |= words.hurt;
        self.out.many |= words.many;
        self.out.quiet |= words.quiet;
        self.out.sea_words |= words.sea;
        self.out.words_cut |= words.cut;
        self.out.lang = self.out.lang.or(words.lang);
        self.unhurt |= words.unhurt;
        for heard in &words.types {
            self.add(heard.type_, heard.weight, Some(heard.term));
        }
    }

    /// A panel or a crash sensor says by its door what happened, when nothing else does.
    fn door(&mut self, door: Door) {
        let known = &self.vocabulary.known;
        let (type_, service) = match door {
            Door::FirePanel => (known.fire_alarm, Service::CivilDefence),
            Door::IntruderPanel => (known.burglar_alarm, Service::Police),
            Door::SipECall => (known.crash, Service::Police),
            Door::App | Door::Cap | Door::Relay | Door::SipVoice | Door::Sms => return,
        };
        self.automatic = true;
        self.type_(type_, DOOR_WEIGHT);
        self.service(Some(service), MENU_SERVICE_WEIGHT);
    }

    fn type_(&mut self, type_: Option<TypeIndex>, weight: u16) {
        if let Some(type_) = type_ {
            self.add(type_, weight, None);
        }
    }

    fn service(&mut self, service: Option<Service>, weight: u64) {
        if let Some(votes) = service.and_then(|service| self.services.get_mut(service as usize)) {
            *votes += weight;
        }
    }

    fn add(&mut self, type_: TypeIndex, weight: u16, term: Option<Name>) {
        if let Some(known) = self.types.iter_mut().find(|known| known.type_ == type_) {
            known.weight = known.weight.max(weight);
            known.term = known.term.or(term);
            return;
        }
        let rank = self.vocabulary.types.entry(type_).map_or(u16::MAX, |entry| entry.rank);
        if let Err(full) = self.types.try_push(TypeWeight { type_, weight, rank, term }) {
            let weakest = self.types.iter_mut().min_by_key(|known| known.weight);
            if let Some(weakest) = weakest.filter(|weakest| weakest.weight < weight) {
                *weakest = full.element();
            }
        }
    }

    fn settle(&mut self, contact: &Contact) {
        self.know_the_crash();
        self.believe();
        self.out.no_words = self.word_count == 0 && !self.out.silent;
        self.out.silent &= self.word_count == 0;
        self.out.lang = contact.lang.or(self.out.lang);
        self.share_services();
        let leading = self.out.types.iter().min_by_key(|believed| (believed.rank, believed.type_));
        self.out.incident_type = leading.map(|believed| believed.type_);
        self.judge_priority(contact);
    }

    /// A crash of which the injuries are known is another type than one of which they are not.
    fn know_the_crash(&mut self) {
        let known = &self.vocabulary.known;
        let better = if self.out.hurt { known.crash_hurt } else { known.crash_unhurt.filter(|_| self.unhurt && !self.automatic) };
        let (Some(crash), Some(better)) = (known.crash, better) else { return };
        let Some(at) = self.types.iter().position(|known| known.type_ == crash) else { return };
        let of_crash = self.types.remove(at);
        self.add(better, of_crash.weight, of_crash.term);
    }

    /// Keeps the types strong enough to be believed, strongest first.
    fn believe(&mut self) {
        if self.types.is_empty() {
            return;
        }
        self.types.sort_unstable_by_key(|known| (core::cmp::Reverse(known.weight), known.rank, known.type_));
        let strongest = self.types.first().map_or(0, |known| known.weight);
        let enough = WEIGHT_MIN.max(strongest / 2).min(strongest);
        self.out.types = self.types.iter().filter(|known| known.weight >= enough).take(TYPES_MAX).copied().collect();
        self.out.terms = self.out.types.iter().filter_map(|believed| believed.term).take(TERMS_MAX).collect();
    }

    fn share_services(&mut self) {
        let all: u64 = self.services.iter().sum();
        for (service, votes) in Service::ALL.into_iter().zip(self.services) {
            if votes > 0 {
                // There is room: no service stands twice.
                let _ = self.out.services_hint.try_push((service, Ppm::ratio(votes, all)));
            }
        }
        if self.out.services_hint.len() > 1 {
            self.out.services_hint.sort_unstable_by_key(|(service, share)| (core::cmp::Reverse(*share), *service));
        }
    }

    fn judge_priority(&mut self, contact: &Contact) {
        let types = &self.vocabulary.types;
        let entries = self.out.types.iter().filter_map(|believed| types.entry(believed.type_));
        let mut of_types = 3;
        for entry in entries {
            of_types = of_types.min(entry.priority);
            self.out.quiet |= entry.quiet;
            self.out.sea_words |= entry.sea;
        }
        if self.out.hurt || (self.out.many && of_types == 2) {
            of_types = 1;
        }
        let evidence = !self.out.types.is_empty() || self.out.hurt;
        let emergency = (evidence && of_types <= 2) || self.emergency_urn;
        let non_emergency_number = matches!(self.out.dialled, Some(DialledMeaning::NonEmergency(_)));
        self.out.upgraded = non_emergency_number && emergency;
        let emergency_number = !non_emergency_number && (self.out.dialled.is_some() || contact.door == Door::SipVoice);
        self.out.priority = match (evidence, non_emergency_number) {
            (false, true) if !emergency => 3,
            (false, _) => 1,
            // An emergency number is never lowered to what can wait.
            (true, _) if emergency_number => of_types.min(2),
            (true, _) if self.emergency_urn => of_types.min(2),
            (true, _) => of_types,
        };
    }
}
