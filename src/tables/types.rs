//! Incident types: what can have happened, how urgent it is, and whose scene it is.

use crate::decision::TypeIndex;
use crate::units::Name;

use super::source::{Defect, PlanRow, Row, TypeRow};

/// One incident type.
///
/// # Source
/// APCO common incident type codes for data exchange; a pack may add its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeEntry {
    pub code: Name,
    /// 1 life-threatening, 2 urgent, 3 not an emergency.
    pub priority: u8,
    /// Nothing may ring or be sent back by itself: somebody may be hiding.
    pub quiet: bool,
    /// Can only happen at sea or on water.
    pub sea: bool,
    /// Place in the order of command: the position of the type's first row in `plans.csv`. Of several types the lowest leads.
    pub rank: u16,
}

/// Every type of a pack.
///
/// # Invariants
/// Sorted by code, so [`TypeIndex`] is the position in the sorted list of codes; no code twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Types {
    entries: Vec<TypeEntry>,
}

impl Types {
    /// Compiles the rows of `types.csv`, ranked by the rows of `plans.csv`. Rows with defects are left out.
    pub fn compile(types: &[Row<TypeRow>], plans: &[Row<PlanRow>]) -> (Self, Vec<Defect>) {
        let mut defects = Vec::new();
        let mut entries: Vec<TypeEntry> = Vec::with_capacity(types.len());
        for row in types {
            match Self::entry_of(row, plans) {
                Ok(entry) if entries.iter().any(|other| other.code == entry.code) => {
                    defects.push(row.defect("duplicate_type", format!("`{}` stands twice", entry.code), "remove one of the rows"));
                }
                Ok(entry) => entries.push(entry),
                Err(defect) => defects.push(defect),
            }
        }
        entries.sort_by_key(|entry| entry.code);
        assert!(entries.is_sorted_by(|a, b| a.code < b.code));
        (Self { entries }, defects)
    }

    fn entry_of(row: &Row<TypeRow>, plans: &[Row<PlanRow>]) -> Result<TypeEntry, Defect> {
        let value = &row.value;
        let code = super::source::parse_name(&value.code).map_err(|what| row.defect("bad_code", what, "write a short code"))?;
        if !(1..=3).contains(&value.priority) {
            return Err(row.defect("bad_priority", format!("priority {} of `{code}`", value.priority), "write 1, 2 or 3"));
        }
        let yes = |text: &str, column: &str| match text {
            "yes" => Ok(true),
            "" | "no" => Ok(false),
            other => Err(row.defect("bad_flag", format!("`{other}` in column {column} of `{code}`"), "write yes, or leave it empty")),
        };
        let (quiet, sea) = (yes(&value.quiet, "quiet")?, yes(&value.sea, "sea")?);
        let rank = plans.iter().position(|plan| plan.value.type_ == value.code).unwrap_or(plans.len());
        let rank = u16::try_from(rank).unwrap_or(u16::MAX);
        Ok(TypeEntry { code, priority: value.priority, quiet, sea, rank })
    }

    pub fn index(&self, code: &str) -> Option<TypeIndex> {
        let at = self.entries.binary_search_by(|entry| entry.code.as_str().cmp(code)).ok()?;
        u16::try_from(at).ok().map(TypeIndex)
    }

    pub fn entry(&self, index: TypeIndex) -> Option<&TypeEntry> {
        self.entries.get(usize::from(index.0))
    }

    pub fn code(&self, index: TypeIndex) -> Option<Name> {
        self.entry(index).map(|entry| entry.code)
    }

    pub fn entries(&self) -> &[TypeEntry] {
        &self.entries
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(code: &str, priority: u8, quiet: &str) -> Row<TypeRow> {
        let value = TypeRow { code: code.into(), description: code.into(), priority, quiet: quiet.into(), sea: String::new() };
        Row { file: "types.csv".into(), line: 2, value }
    }

    fn plan(type_: &str) -> Row<PlanRow> {
        let value = PlanRow { type_: type_.into(), area: "*".into(), services: "police".into(), note: String::new() };
        Row { file: "plans.csv".into(), line: 2, value }
    }

    #[test]
    fn a_types_index_is_its_place_among_the_sorted_codes_and_its_rank_its_place_among_the_plans() {
        let (types, defects) = Types::compile(&[row("B", 1, ""), row("A", 2, "yes")], &[plan("B"), plan("A")]);
        assert_eq!(defects, []);
        assert_eq!((types.index("A"), types.index("B"), types.index("C")), (Some(TypeIndex(0)), Some(TypeIndex(1)), None));
        let [a, b] = types.entries() else { panic!("two types") };
        assert_eq!((a.rank, a.quiet, b.rank, b.quiet), (1, true, 0, false));
    }

    #[test]
    fn bad_types_are_defects_with_their_line() {
        let (types, defects) = Types::compile(&[row("A", 4, ""), row("B", 1, "perhaps"), row("C", 1, ""), row("C", 1, "")], &[]);
        assert_eq!(types.len(), 1);
        let codes: Vec<_> = defects.iter().map(|defect| defect.code).collect();
        assert_eq!(codes, ["bad_priority", "bad_flag", "duplicate_type"]);
    }
}
