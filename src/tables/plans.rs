//! Plans: which services an incident needs, the lead first, by type, by area, on land and at sea.
//!
//! The rule, most specific first:
//! - On land: the type's row for the area, the type's row for `*`, the row of the service asked for (area, then `*`), the row `*`
//!   (area, then `*`).
//! - At sea: the type's row for `sea:AREA`, else for `sea`, followed by what the row `*` for `sea:AREA` (else `sea`) adds. A type
//!   without a row for the sea gets the sea's own row first and its land services behind it: at sea somebody must first get there.
//! - Several types in one contact: the one that leads (see `classify`) gives the lead and the first services, the others add what is
//!   missing, in the order of command.
//!
//! The order of the rows is the order of command: of two types the one that stands higher in `plans.csv` leads the scene.

use arrayvec::ArrayVec;

use crate::decision::{AreaIndex, TypeIndex};
use crate::limits::SERVICES_MAX;
use crate::service::Service;
use crate::units::AreaId;

use super::source::{Defect, PlanRow, Row, parse_services};
use super::types::Types;

/// The services of one incident, the lead first. No service twice.
pub type ServiceList = ArrayVec<Service, SERVICES_MAX>;

/// Every plan of a pack.
///
/// # Invariants
/// Sorted by what and where; no pair twice. Every row names at least one service, none twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans {
    rows: Vec<(What, Where, ServiceList)>,
    /// What and where of each row as one number, so that a contact's search compares words, not enums.
    keys: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Type(TypeIndex),
    Service(Service),
    Anything,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Where {
    Area(AreaIndex),
    Anywhere,
    SeaOf(AreaIndex),
    Sea,
}

impl Plans {
    /// Compiles the rows of `plans.csv`. `areas` are the ids of all areas, sorted: [`AreaIndex`] is the position in it.
    pub fn compile(rows: &[Row<PlanRow>], areas: &[AreaId], types: &Types) -> (Self, Vec<Defect>) {
        assert!(areas.is_sorted());
        let mut defects = Vec::new();
        let mut plans = Self { rows: Vec::with_capacity(rows.len()), keys: Vec::with_capacity(rows.len()) };
        for row in rows {
            match read(row, areas, types) {
                Ok((what, place, _)) if plans.row(what, place).is_some() => {
                    let text = format!("a second plan for `{}` in `{}` is never read", row.value.type_, row.value.area);
                    defects.push(row.defect("duplicate_plan", text, "remove one of the rows"));
                }
                Ok(read) => {
                    let at = plans.rows.partition_point(|(what, place, _)| (*what, *place) < (read.0, read.1));
                    plans.keys.insert(at, key(read.0, read.1));
                    plans.rows.insert(at, read);
                }
                Err(defect) => defects.push(defect),
            }
        }
        assert!(plans.keys.is_sorted());
        plans.check_reach(rows, areas, types, &mut defects);
        (plans, defects)
    }

    /// Rows that change nothing, types without a row, and the row that must exist.
    fn check_reach(&self, rows: &[Row<PlanRow>], areas: &[AreaId], types: &Types, defects: &mut Vec<Defect>) {
        for row in rows {
            let Ok((what, place, services)) = read(row, areas, types) else { continue };
            let wider = match place {
                Where::Area(_) => self.row(what, Where::Anywhere),
                Where::SeaOf(_) => self.row(what, Where::Sea),
                Where::Anywhere | Where::Sea => None,
            };
            if wider == Some(&services) {
                let text = format!("`{}` in `{}` says what its wider row says", row.value.type_, row.value.area);
                defects.push(Defect { warning: true, ..row.defect("redundant_plan", text, "remove it, or the wider row") });
            }
        }
        let file = rows.first().map_or_else(|| "plans.csv".to_owned(), |row| row.file.clone());
        let defect = |code, what: String, remedy: &str, warning| Defect {
            file: file.clone(),
            row: 0,
            code,
            what,
            remedy: remedy.to_owned(),
            warning,
        };
        if self.row(What::Anything, Where::Anywhere).is_none() {
            let what = "nothing says who answers when nothing is known".to_owned();
            defects.push(defect("no_plan", what, "add a row with type * and area *", false));
        }
        for (at, entry) in types.entries().iter().enumerate() {
            let index = TypeIndex(u16::try_from(at).unwrap_or(u16::MAX));
            if self.row(What::Type(index), Where::Anywhere).is_none() && self.row(What::Type(index), Where::Sea).is_none() {
                let what = format!("type `{}` has no plan for `*`", entry.code);
                defects.push(defect("no_plan", what, "add a row for it: without one only the answering room hears of it", true));
            }
        }
    }

    /// The services of one type, or of the service asked for, or of nothing known; the lead first. Never empty.
    pub fn services(&self, type_: Option<TypeIndex>, hint: Option<Service>, area: Option<AreaIndex>, at_sea: bool) -> ServiceList {
        let asked = [type_.map(What::Type), hint.map(What::Service)];
        let mut list = ServiceList::new();
        if at_sea {
            let own = asked.into_iter().flatten().find_map(|what| self.at_sea(what, area));
            let base = self.at_sea(What::Anything, area);
            add(&mut list, own.map_or(&[], ServiceList::as_slice));
            add(&mut list, base.map_or(&[], ServiceList::as_slice));
            if own.is_some() {
                return list;
            }
        }
        let own = asked.into_iter().flatten().find_map(|what| self.on_land(what, area));
        add(&mut list, own.map_or(&[], ServiceList::as_slice));
        if let (None, Some(service)) = (own, hint) {
            // A service without a row of its own is still the service that was asked for.
            add(&mut list, &[service]);
        }
        if list.is_empty() {
            add(&mut list, self.on_land(What::Anything, area).map_or(&[Service::Police], ServiceList::as_slice));
        }
        list
    }

    /// The union of what several types need, in the order given: the first one leads.
    pub fn combine(&self, types: &[TypeIndex], hint: Option<Service>, area: Option<AreaIndex>, at_sea: bool) -> ServiceList {
        let Some((lead, others)) = types.split_first() else { return self.services(None, hint, area, at_sea) };
        let mut list = self.services(Some(*lead), hint, area, at_sea);
        for other in others {
            add(&mut list, &self.services(Some(*other), None, area, at_sea));
        }
        list
    }

    fn on_land(&self, what: What, area: Option<AreaIndex>) -> Option<&ServiceList> {
        let anywhere = key(what, Where::Anywhere);
        let wanted = area.map_or(anywhere, |area| key(what, Where::Area(area)));
        let at = self.keys.partition_point(|known| *known < wanted);
        // The row of the area, or else the next one where that is the wider row already.
        if self.keys.get(at).is_some_and(|found| *found == wanted || *found == anywhere) {
            return self.rows.get(at).map(|(_, _, services)| services);
        }
        self.row(what, Where::Anywhere)
    }

    fn at_sea(&self, what: What, area: Option<AreaIndex>) -> Option<&ServiceList> {
        area.and_then(|area| self.row(what, Where::SeaOf(area))).or_else(|| self.row(what, Where::Sea))
    }

    fn row(&self, what: What, place: Where) -> Option<&ServiceList> {
        let at = self.keys.binary_search(&key(what, place)).ok()?;
        self.rows.get(at).map(|(_, _, services)| services)
    }
}

/// Sorts as the pair does.
fn key(what: What, place: Where) -> u64 {
    let what = match what {
        What::Type(type_) => u64::from(type_.0),
        What::Service(service) => 1 << 16 | service as u64,
        What::Anything => 2 << 16,
    };
    let place = match place {
        Where::Area(area) => u64::from(area.0),
        Where::Anywhere => 1 << 16,
        Where::SeaOf(area) => 2 << 16 | u64::from(area.0),
        Where::Sea => 3 << 16,
    };
    what << 32 | place
}

/// Adds the services that are not there yet.
pub fn add(list: &mut ServiceList, services: &[Service]) {
    for service in services {
        if !list.contains(service) {
            // There is room: no service stands twice and all of them fit.
            let _ = list.try_push(*service);
        }
    }
}

fn read(row: &Row<PlanRow>, areas: &[AreaId], types: &Types) -> Result<(What, Where, ServiceList), Defect> {
    let PlanRow { type_, area, services, .. } = &row.value;
    let what =
        match type_.strip_prefix("service:") {
            Some(service) => What::Service(
                Service::from_word(service)
                    .ok_or_else(|| row.defect("unknown_service", format!("`{service}` is no service"), "see SCHEMA.md for the services"))?,
            ),
            None if type_ == "*" => What::Anything,
            None => What::Type(types.index(type_).ok_or_else(|| {
                row.defect("unknown_type", format!("`{type_}` is not in types.csv"), "add the type, or correct the code")
            })?),
        };
    let index = |id: &str| {
        let at = areas.binary_search_by(|area| area.as_str().cmp(id)).ok().and_then(|at| u16::try_from(at).ok());
        at.map(AreaIndex)
            .ok_or_else(|| row.defect("unknown_area", format!("`{id}` is not in areas.csv"), "add the area, or correct the id"))
    };
    let place = match area.strip_prefix("sea:") {
        Some(id) => Where::SeaOf(index(id)?),
        None if area == "*" => Where::Anywhere,
        None if area == "sea" => Where::Sea,
        None => Where::Area(index(area)?),
    };
    let named = parse_services(services).map_err(|what| row.defect("unknown_service", what, "see SCHEMA.md for the services"))?;
    let mut list = ServiceList::new();
    add(&mut list, &named);
    if named.is_empty() || list.len() != named.len() {
        return Err(row.defect("bad_services", format!("`{services}` names none or one twice"), "name each service once, the lead first"));
    }
    Ok((what, place, list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::source::{TypeRow, read_csv};

    const TYPES: &str = "code,description,priority,quiet,sea\nCRASH,crash,1,,\nFIRE,fire,1,,\nSICK,ill,1,,\nWRECK,wreck,1,,yes\n";
    const PLANS: &str = "type,area,services,note
CRASH,*,police ambulance,
FIRE,*,civil_defence police,
FIRE,B,civil_defence,
WRECK,sea,coast_guard ambulance,
SICK,*,ambulance,
service:ambulance,*,ambulance police,
*,*,police,
*,B,civil_defence,
*,sea,coast_guard search_rescue,
*,sea:B,coast_guard search_rescue police,
";

    fn compiled(plans: &str) -> (Plans, Types, Vec<Defect>) {
        let mut defects = Vec::new();
        let types: Vec<Row<TypeRow>> = read_csv("types.csv", TYPES.as_bytes(), &mut defects);
        let plans: Vec<Row<PlanRow>> = read_csv("plans.csv", plans.as_bytes(), &mut defects);
        let areas = ["A", "B"].map(|id| AreaId::new(id).unwrap());
        let (types, more) = Types::compile(&types, &plans);
        defects.extend(more);
        let (plans, more) = Plans::compile(&plans, &areas, &types);
        defects.extend(more);
        (plans, types, defects)
    }

    /// `types` and `hint` by name, `where_` as in plans.csv, and the services expected.
    #[track_caller]
    fn check(types: &str, hint: &str, where_: &str, expected: &str) {
        let (plans, table, defects) = compiled(PLANS);
        assert_eq!(defects, []);
        let codes: Vec<_> = types.split_whitespace().map(|code| table.index(code).unwrap()).collect();
        let (at_sea, id) = match where_.strip_prefix("sea") {
            Some(rest) => (true, rest.trim_start_matches(':')),
            None => (false, where_),
        };
        let area = ["A", "B"].iter().position(|area| *area == id).map(|at| AreaIndex(at as u16));
        let services = plans.combine(&codes, Service::from_word(hint), area, at_sea);
        let words: Vec<_> = services.iter().map(|service| service.word()).collect();
        assert_eq!(words.join(" "), expected, "{types} {hint} {where_}");
    }

    #[test]
    fn the_most_specific_row_decides() {
        check("FIRE", "", "A", "civil_defence police");
        check("FIRE", "", "B", "civil_defence");
        check("FIRE", "", "", "civil_defence police");
        check("", "ambulance", "A", "ambulance police");
        check("", "coast_guard", "A", "coast_guard");
        check("", "", "A", "police");
        check("", "", "B", "civil_defence");
    }

    #[test]
    fn at_sea_the_seas_own_row_leads_and_the_type_adds_its_services() {
        check("SICK", "", "sea", "coast_guard search_rescue ambulance");
        check("SICK", "", "sea:B", "coast_guard search_rescue police ambulance");
        check("WRECK", "", "sea:B", "coast_guard ambulance search_rescue police");
        check("", "ambulance", "sea:A", "coast_guard search_rescue ambulance police");
        check("", "", "sea:B", "coast_guard search_rescue police");
    }

    #[test]
    fn several_types_give_the_union_led_by_the_first() {
        check("CRASH FIRE SICK", "", "A", "police ambulance civil_defence");
        check("FIRE CRASH", "", "A", "civil_defence police ambulance");
    }

    #[test]
    fn rows_that_cannot_be_read_or_are_never_reached_are_defects() {
        let (_, _, defects) = compiled(
            "type,area,services,note\nFIRE,*,police,\nFIRE,*,police,\nFIRE,A,police,\n\
             NONE,*,police,\nSICK,C,police,\nSICK,*,police police,\nSICK,*,magic,\n",
        );
        let mut codes: Vec<_> = defects.iter().map(|defect| (defect.code, defect.warning)).collect();
        codes.sort_unstable();
        codes.dedup();
        let expected = [
            ("bad_services", false),
            ("duplicate_plan", false),
            ("no_plan", false),
            ("no_plan", true),
            ("redundant_plan", true),
            ("unknown_area", false),
            ("unknown_service", false),
            ("unknown_type", false),
        ];
        assert_eq!(codes, expected);
    }
}
