//! What the number dialled says about the help that is needed, and what the keys of an announcement's menu say.

use crate::service::Service;

use super::source::{Defect, NumberRow, Row};

/// What a dialled number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialledMeaning {
    /// The one number: it asks for help of any kind.
    National,
    /// It used to be this service's line.
    Hint(Service),
    /// A line for what can wait, of this service.
    NonEmergency(Service),
}

/// Every number of a pack.
///
/// # Invariants
/// Sorted by digits; no digits twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    dialled: Vec<(Box<str>, DialledMeaning)>,
    /// The same by [`key`], ascending, but for numbers that are too long for one.
    by_key: Vec<(u64, DialledMeaning)>,
    menu: [Option<Service>; 10],
}

/// The menu of a gateway when the pack names none: 1 police, 2 ambulance, 3 civil defence, 4 coast guard, 5 search and rescue.
const MENU: [Option<Service>; 10] = [
    None,
    Some(Service::Police),
    Some(Service::Ambulance),
    Some(Service::CivilDefence),
    Some(Service::CoastGuard),
    Some(Service::SearchRescue),
    None,
    None,
    None,
    None,
];

impl Numbers {
    /// Compiles the rows of `numbers.csv`: kinds `national`, `hint`, `non_emergency`, and `menu` (the number is then a key, 0 to 9).
    pub fn compile(rows: &[Row<NumberRow>]) -> (Self, Vec<Defect>) {
        let mut defects = Vec::new();
        let mut numbers = Self { dialled: Vec::with_capacity(rows.len()), by_key: Vec::new(), menu: [None; 10] };
        for row in rows {
            if let Err(defect) = numbers.add(row) {
                defects.push(defect);
            }
        }
        if numbers.menu.iter().all(Option::is_none) {
            numbers.menu = MENU;
        }
        numbers.dialled.sort_by(|a, b| a.0.cmp(&b.0));
        assert!(numbers.dialled.is_sorted_by(|a, b| a.0 < b.0));
        numbers.by_key = numbers.dialled.iter().filter_map(|(digits, meaning)| Some((key(digits)?, *meaning))).collect();
        numbers.by_key.sort_unstable_by_key(|(key, _)| *key);
        (numbers, defects)
    }

    fn add(&mut self, row: &Row<NumberRow>) -> Result<(), Defect> {
        let NumberRow { number, kind, service, .. } = &row.value;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(row.defect("bad_number", format!("`{number}` is no number"), "write digits only"));
        }
        let service = || {
            Service::from_word(service)
                .ok_or_else(|| row.defect("unknown_service", format!("`{service}` is no service"), "name the service of this number"))
        };
        let meaning = match kind.as_str() {
            "national" => DialledMeaning::National,
            "hint" => DialledMeaning::Hint(service()?),
            "non_emergency" => DialledMeaning::NonEmergency(service()?),
            "menu" => {
                let key = number.parse::<usize>().ok().and_then(|key| self.menu.get_mut(key));
                let key = key.ok_or_else(|| row.defect("bad_number", format!("`{number}` is no key"), "write one digit"))?;
                *key = Some(service()?);
                return Ok(());
            }
            other => {
                let what = format!("`{other}` is no kind of number");
                return Err(row.defect("bad_kind", what, "write national, hint, non_emergency or menu"));
            }
        };
        match self.dialled.iter().find(|(digits, _)| **digits == **number) {
            None => self.dialled.push((number.as_str().into(), meaning)),
            // The same number by voice and by text.
            Some((_, before)) if *before == meaning => {}
            Some(_) => return Err(row.defect("duplicate_number", format!("`{number}` has two meanings"), "keep one of the rows")),
        }
        Ok(())
    }

    /// The meaning of a number as it was dialled; spaces, dashes and brackets do not count.
    pub fn meaning(&self, dialled: &str) -> Option<DialledMeaning> {
        if let Some(key) = key(dialled) {
            let at = self.by_key.partition_point(|(known, _)| *known < key);
            return self.by_key.get(at).filter(|(known, _)| *known == key).map(|(_, meaning)| *meaning);
        }
        let digits = || dialled.bytes().filter(u8::is_ascii_digit);
        let at = self.dialled.binary_search_by(|(number, _)| number.bytes().cmp(digits())).ok()?;
        self.dialled.get(at).map(|(_, meaning)| *meaning)
    }

    /// Every number that a row speaks of, sorted.
    pub fn dialled(&self) -> impl Iterator<Item = &str> {
        self.dialled.iter().map(|(digits, _)| &**digits)
    }

    /// The one number of the country, where the pack names it; of several the shortest.
    pub fn national(&self) -> Option<&str> {
        let national = self.dialled.iter().filter(|(_, meaning)| *meaning == DialledMeaning::National);
        national.map(|(digits, _)| &**digits).min_by_key(|digits| digits.len())
    }

    /// The service behind a key of the announcement's menu.
    pub fn menu(&self, key: u8) -> Option<Service> {
        self.menu.get(usize::from(key)).copied().flatten()
    }
}

/// The digits of a number as one number, four bits each and none of them zero; `None` when there are more than sixteen.
fn key(dialled: &str) -> Option<u64> {
    let digits = dialled.bytes().filter(u8::is_ascii_digit).map(|digit| u64::from(digit - b'0') + 1);
    digits.enumerate().try_fold(0, |key: u64, (at, digit)| (at < 16).then_some(key << 4 | digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: &str, kind: &str, service: &str) -> Row<NumberRow> {
        let value =
            NumberRow { number: number.into(), kind: kind.into(), service: service.into(), medium: String::new(), note: String::new() };
        Row { file: "numbers.csv".into(), line: 2, value }
    }

    #[test]
    fn a_number_means_what_its_row_says_however_it_is_written() {
        let rows = [row("999", "hint", "police"), row("900", "national", ""), row("901", "non_emergency", "police_non_emergency")];
        let (numbers, defects) = Numbers::compile(&rows);
        assert_eq!(defects, []);
        assert_eq!(numbers.meaning("999"), Some(DialledMeaning::Hint(Service::Police)));
        assert_eq!(numbers.meaning("9-0 0"), Some(DialledMeaning::National));
        assert_eq!(numbers.meaning("901"), Some(DialledMeaning::NonEmergency(Service::PoliceNonEmergency)));
        assert_eq!((numbers.meaning("90"), numbers.meaning(""), numbers.meaning("9990")), (None, None, None));
        assert_eq!(numbers.national(), Some("900"));
        assert_eq!(numbers.menu(2), Some(Service::Ambulance), "the usual menu, as the pack names none");
    }

    #[test]
    fn numbers_of_any_length_are_told_apart() {
        let long = "12345678901234567";
        let rows =
            [row("0999", "hint", "ambulance"), row("999", "hint", "police"), row(long, "national", ""), row(&long[1..], "hint", "police")];
        let (numbers, defects) = Numbers::compile(&rows);
        assert_eq!(defects, []);
        assert_eq!(numbers.meaning("(0) 999"), Some(DialledMeaning::Hint(Service::Ambulance)));
        assert_eq!(numbers.meaning("999"), Some(DialledMeaning::Hint(Service::Police)));
        assert_eq!((numbers.meaning("00999"), numbers.meaning("99")), (None, None));
        assert_eq!(numbers.meaning("1 2345678901234567"), Some(DialledMeaning::National));
        assert_eq!(numbers.meaning(&long[1..]), Some(DialledMeaning::Hint(Service::Police)));
        assert_eq!((numbers.meaning(&long[..16]), numbers.meaning("123456789012345678")), (None, None));
    }

    #[test]
    fn a_pack_may_name_its_own_menu() {
        let (numbers, _) = Numbers::compile(&[row("7", "menu", "ambulance")]);
        assert_eq!((numbers.menu(7), numbers.menu(1), numbers.menu(200)), (Some(Service::Ambulance), None, None));
    }

    #[test]
    fn numbers_that_contradict_each_other_are_defects() {
        let rows = [row("999", "hint", "police"), row("999", "hint", "police"), row("999", "national", ""), row("99x", "hint", "police")];
        let (_, defects) = Numbers::compile(&rows);
        assert_eq!(defects.iter().map(|defect| defect.code).collect::<Vec<_>>(), ["duplicate_number", "bad_number"]);
    }
}
