//! stub
use super::numbers::Numbers;
use super::plans::Plans;
use super::source::{Defect, Source};
use super::types::Types;
use crate::units::AreaId;
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    pub numbers: Numbers,
    pub types: Types,
    pub plans: Plans,
}
impl Vocabulary {
    pub fn compile(source: &Source, areas: &[AreaId], defects: &mut Vec<Defect>) -> Self {
        let (types, d) = Types::compile(&source.types, &source.plans);
        defects.extend(d);
        let (plans, d) = Plans::compile(&source.plans, areas, &types);
        defects.extend(d);
        let (numbers, d) = Numbers::compile(&source.numbers);
        defects.extend(d);
        Self { numbers, types, plans }
    }
}
