//! What an identity says about a place: lines, area codes, trunks, serving cells, networks abroad.
//!
//! None of them moves a call against a fix. They are the lower rungs of the ladder, and hints about who is calling.

use arrayvec::ArrayString;

use crate::decision::{AreaIndex, DispatcherIndex};
use crate::geo::area::Shape;
use crate::limits::IDENTITY_BYTES_MAX;
use crate::units::{Name, Timestamp};

/// Digits of an identity on the stack.
pub type Digits = ArrayString<IDENTITY_BYTES_MAX>;

/// Lines, area codes, trunks and cells, each sorted for binary search.
#[derive(Clone, Debug, Default)]
pub struct Identities {
    /// `971`
    pub calling_code: Box<str>,
    /// `0`
    pub trunk_prefix: Box<str>,
    pub home_mcc: Vec<Box<str>>,
    /// Sorted by prefix.
    pub area_codes: Vec<AreaCode>,
    /// Sorted by line (digits with `+`, without the trailing star).
    pub lines: Vec<Line>,
    /// Sorted by trunk.
    pub trunks: Vec<Trunk>,
    /// Sorted by cell (without the trailing star).
    pub cells: Vec<Cell>,
    /// Sorted by country.
    pub foreign: Vec<Foreign>,
}

#[derive(Clone, Debug)]
pub struct AreaCode {
    pub prefix: Box<str>,
    pub areas: Vec<AreaIndex>,
    pub fixed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineClass {
    Centre,
    Fixed,
    Mobile,
    Panel,
    /// A switchboard: the number is not the person.
    Pilot,
    Test,
}

#[derive(Clone, Debug)]
pub struct Line {
    pub line: Box<str>,
    pub range: bool,
    pub class: LineClass,
    pub area: Option<AreaIndex>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct Trunk {
    pub trunk: Name,
    pub area: Option<AreaIndex>,
    pub default: DispatcherIndex,
}

#[derive(Clone, Debug)]
pub struct Cell {
    pub cell: Box<str>,
    pub range: bool,
    pub shape: Shape,
    pub offshore: bool,
    pub area: Option<AreaIndex>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// A country next door and its peer room.
#[derive(Clone, Debug)]
pub struct Foreign {
    pub country: [u8; 2],
    pub name_en: Box<str>,
    pub peer: Name,
    pub uri: Box<str>,
    pub mcc: Vec<Box<str>>,
}

impl Identities {
    /// The line in the national form with its trunk digit (`0612345`), when it is one of ours.
    pub fn national(&self, line: &str) -> Option<Digits> {
        let digits = digits_of(line);
        let rest = if let Some(rest) = digits.strip_prefix('+') {
            rest.strip_prefix(&*self.calling_code)?
        } else if let Some(rest) = digits.strip_prefix("00") {
            rest.strip_prefix(&*self.calling_code)?
        } else {
            return digits.starts_with(&*self.trunk_prefix).then_some(digits);
        };
        let rest = rest.strip_prefix(&*self.trunk_prefix).unwrap_or(rest);
        let mut national = Digits::from(&self.trunk_prefix).ok()?;
        national.try_push_str(rest).ok()?;
        Some(national)
    }

    /// The row of a listed line, and the number it can be called under: `+` and 8 to 15 digits (E.164), the same however it was written.
    ///
    /// No number where the line is none: an anonymous caller, a name, the identity a network makes up for a phone without a SIM (an
    /// IMEI, or in North America 911 and seven digits).
    pub fn caller(&self, line: &str, now: Timestamp) -> (Option<&Line>, Option<Digits>) {
        let e164 = self.e164(line);
        (self.listed(&e164, now), number_of(line, e164))
    }

    /// The longest area code that fits a line of ours.
    pub fn area_code(&self, line: &str) -> Option<&AreaCode> {
        let national = self.national(line)?;
        let fits = |length: usize| {
            let prefix = national.get(..length)?;
            self.area_codes.binary_search_by(|row| (*row.prefix).cmp(prefix)).ok().and_then(|at| self.area_codes.get(at))
        };
        (1..=national.len().min(6)).rev().find_map(fits)
    }

    /// The row of a listed line: an exact one first, then the longest range.
    pub fn line(&self, line: &str, now: Timestamp) -> Option<&Line> {
        self.listed(&self.e164(line), now)
    }

    fn listed(&self, e164: &str, now: Timestamp) -> Option<&Line> {
        longest(&self.lines, e164, |row| (&row.line, row.range), |row| within(row.from, row.until, now))
    }

    /// A line of ours in its international form; another as its digits.
    fn e164(&self, line: &str) -> Digits {
        let mut e164 = Digits::new();
        let whole = match self.national(line).as_deref().and_then(|national| national.strip_prefix(&*self.trunk_prefix)) {
            Some(rest) => ["+", &*self.calling_code, rest].iter().try_for_each(|part| e164.try_push_str(part)).is_ok(),
            None => false,
        };
        if whole { e164 } else { digits_of(line) }
    }

    pub fn trunk(&self, trunk: Name) -> Option<&Trunk> {
        self.trunks.binary_search_by(|row| row.trunk.cmp(&trunk)).ok().and_then(|at| self.trunks.get(at))
    }

    pub fn cell(&self, cell: &str, now: Timestamp) -> Option<&Cell> {
        let cell = upper_of(cell);
        longest(&self.cells, &cell, |row| (&row.cell, row.range), |row| within(row.from, row.until, now))
    }

    /// Whether a cell belongs to a network abroad. Unknown spelling is not abroad.
    pub fn is_foreign_network(&self, cell: &str) -> bool {
        match cell.get(..3) {
            Some(mcc) if mcc.bytes().all(|byte| byte.is_ascii_digit()) => !self.home_mcc.iter().any(|home| **home == *mcc),
            _ => false,
        }
    }

    pub fn foreign(&self, country: [u8; 2]) -> Option<&Foreign> {
        self.foreign.binary_search_by(|row| row.country.cmp(&country)).ok().and_then(|at| self.foreign.get(at))
    }
}

fn within(from: Option<Timestamp>, until: Option<Timestamp>, now: Timestamp) -> bool {
    from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until)
}

/// The exact row, else the row of the longest range that is a prefix of `text`.
///
/// A row that is a prefix of the text is a prefix of every row between the two, so what the text has in common with the row before
/// it bounds the next search: two or three searches, not one for each digit.
fn longest<'t, T>(rows: &'t [T], text: &str, key: impl Fn(&T) -> (&str, bool), valid: impl Fn(&T) -> bool) -> Option<&'t T> {
    let (mut rows, mut prefix) = (rows, text.as_bytes());
    while !prefix.is_empty() {
        rows = rows.get(..rows.partition_point(|row| key(row).0.as_bytes() <= prefix))?;
        let before = key(rows.last()?).0.as_bytes();
        let common = before.iter().zip(prefix).take_while(|(a, b)| a == b).count();
        if common == before.len() {
            let (shorter, same) = rows.split_at_checked(rows.partition_point(|row| key(row).0.as_bytes() < before))?;
            let fits = |row: &&T| !before.is_empty() && (key(row).1 || common == text.len()) && valid(row);
            if let Some(found) = same.iter().find(fits) {
                return Some(found);
            }
            rows = shorter;
            prefix = prefix.get(..common.saturating_sub(1)).unwrap_or_default();
        } else {
            prefix = prefix.get(..common).unwrap_or_default();
        }
    }
    None
}

fn number_of(line: &str, e164: Digits) -> Option<Digits> {
    let is_made_up = e164.starts_with("911") && matches!(e164.len(), 10 | 11);
    if is_made_up || line.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let number = match e164.strip_prefix("00") {
        Some(rest) => {
            let mut number = Digits::from("+").ok()?;
            number.try_push_str(rest).ok()?;
            number
        }
        None => e164,
    };
    let fits = number.starts_with('+') && !number.starts_with("+0") && (9..=16).contains(&number.len());
    fits.then_some(number)
}

/// Digits with a leading `+`; separators dropped, Arabic-Indic digits read.
fn digits_of(text: &str) -> Digits {
    let mut out = Digits::new();
    for c in text.chars() {
        let kept = match c {
            '+' if out.is_empty() => Some('+'),
            '0'..='9' => Some(c),
            '\u{660}'..='\u{669}' => char::from_digit(c as u32 - 0x660, 10),
            '\u{6f0}'..='\u{6f9}' => char::from_digit(c as u32 - 0x6f0, 10),
            _ => None,
        };
        if kept.is_some_and(|c| out.try_push(c).is_err()) {
            break;
        }
    }
    out
}

fn upper_of(text: &str) -> Digits {
    let mut out = Digits::new();
    for c in text.chars().filter(char::is_ascii_alphanumeric) {
        if out.try_push(c.to_ascii_uppercase()).is_err() {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emirates() -> Identities {
        let code = |prefix: &str, areas: &[u16], fixed| AreaCode {
            prefix: prefix.into(),
            areas: areas.iter().map(|at| AreaIndex(*at)).collect(),
            fixed,
        };
        let line = |line: &str, range| Line { line: line.into(), range, class: LineClass::Pilot, area: None, from: None, until: None };
        Identities {
            calling_code: "971".into(),
            trunk_prefix: "0".into(),
            home_mcc: vec!["424".into()],
            area_codes: vec![code("04", &[1], true), code("050", &[], false), code("06", &[4, 0, 5], true)],
            lines: vec![line("+9714", true), line("+97142000000", false)],
            ..Identities::default()
        }
    }

    #[test]
    fn a_line_is_the_same_in_every_way_people_write_it() {
        let ids = emirates();
        for text in ["+97160000015", "0097160000015", "060000015", "+971 6 000-0015", "+971060000015", "٠٦٠٠٠٠٠١٥"] {
            assert_eq!(ids.area_code(text).map(|code| code.areas.len()), Some(3), "{text}");
        }
        assert!(ids.area_code("+923000000009").is_none());
        assert!(ids.area_code("").is_none());
    }

    #[test]
    fn a_line_can_be_called_when_it_is_a_number_and_is_the_same_number_in_every_way_people_write_it() {
        let ids = emirates();
        let number = |line: &str| ids.caller(line, Timestamp::default()).1;
        for text in ["+971500000001", "00971500000001", "0500000001", "+971 50 000-0001", "+9710500000001", "٠٥٠٠٠٠٠٠٠١"] {
            assert_eq!(number(text).as_deref(), Some("+971500000001"), "{text}");
        }
        assert_eq!(number("+923000000009").as_deref(), Some("+923000000009"));
        let none = ["", "anonymous", "anonymous@anonymous.invalid", "unavailable 050", "0", "999", "911", "9115551234", "+000000000000"];
        let imei = ["356938035643809", "35693803564380", "3569380356438091", "010200300400500"];
        for text in none.into_iter().chain(imei) {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn an_exact_line_wins_over_its_range() {
        let ids = emirates();
        assert_eq!(ids.line("042000000", Timestamp::default()).map(|row| row.range), Some(false));
        assert_eq!(ids.line("042000001", Timestamp::default()).map(|row| row.range), Some(true));
        assert!(ids.line("+97120000000", Timestamp::default()).is_none());
    }

    #[test]
    fn only_another_countrys_network_is_foreign() {
        let ids = emirates();
        assert!(ids.is_foreign_network("4220212AB00C3D09"));
        assert!(!ids.is_foreign_network("4240212AB00C3D07"));
        assert!(!ids.is_foreign_network("x"));
    }

    /// Goal: the search by common prefixes finds what a search at every length finds.
    #[test]
    fn the_longest_range_is_the_one_a_slow_search_finds() {
        type Row = (&'static str, bool, bool);
        let slow = |rows: &[Row], text: &str| {
            (1..=text.len()).rev().find_map(|length| {
                let fits = |row: &&Row| row.0 == &text[..length] && (row.1 || length == text.len()) && row.2;
                rows.iter().position(|row| fits(&row))
            })
        };
        let keys = ["1", "12", "12", "123", "1234", "124", "13", "2", "21", "212", "2121", "3"];
        // Every choice of which rows are ranges and which are valid, from a seed.
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..2_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bit = |at: usize| random >> (20 + at) & 1 == 1;
            let rows: Vec<Row> = keys.iter().enumerate().map(|(at, key)| (*key, bit(at), bit(at + 12))).collect();
            for text in ["1", "12", "123", "1234", "12345", "125", "1299", "2", "21", "2121", "21219", "22", "3", "34", "4", "0", ""] {
                let found = longest(&rows, text, |row| (row.0, row.1), |row| row.2);
                let expected = slow(&rows, text).and_then(|at| rows.get(at));
                assert_eq!(found.map(std::ptr::from_ref), expected.map(std::ptr::from_ref), "{text} in {rows:?}");
            }
        }
    }
}
