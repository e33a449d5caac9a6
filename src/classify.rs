//! stub
use crate::contact::*;
use crate::decision::*;
use crate::service::*;
pub use crate::tables::numbers::DialledMeaning;
use crate::tables::vocabulary::Vocabulary;
use crate::units::*;
use arrayvec::ArrayVec;
#[derive(Clone, Debug, Default)]
pub struct Classification {
    pub incident_type: Option<TypeIndex>,
    pub types: ArrayVec<TypeIndex, 8>,
    pub dialled: Option<Option<DialledMeaning>>,
    pub hint: Option<Service>,
    pub priority: u8,
    pub quiet: bool,
    pub sea_words: bool,
    pub silent: bool,
    pub no_words: bool,
    pub test_urn: bool,
    pub lang: Option<[u8; 2]>,
    pub upgraded: bool,
    pub evidence: Option<Name>,
}
pub fn classify(contact: &Contact, v: &Vocabulary) -> Classification {
    let mut c = Classification { priority: 1, no_words: true, ..Default::default() };
    for s in &contact.signals {
        match s {
            Signal::Dialled(d) => {
                let m = v.numbers.meaning(d);
                c.dialled = Some(m);
                if let Some(DialledMeaning::Hint(s)) = m {
                    c.hint = Some(s);
                }
            }
            Signal::Urn(u) => {
                c.test_urn |= u.test;
            }
            Signal::Silence { .. } => c.silent = true,
            Signal::Words(_) => c.no_words = false,
            _ => {}
        }
    }
    c
}
