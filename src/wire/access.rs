//! By which mast, access point or exchange a call came in: `P-Access-Network-Info` and `Cellular-Network-Info`.
//!
//! A cell id has no separators; its length tells how many digits the network code has. One that fits no layout is no cell. What the
//! network provides wins over what the device says, and a spec of the present over one with an age.
//!
//! # Source
//! RFC 7315, 5.4 (header); 3GPP TS 24.229, 7.2A.4 (values, `network-provided`) and 7.2.15 (`Cellular-Network-Info`).

use crate::limits::{IDENTITY_BYTES_MAX, SIP_PARAMETERS_MAX};
use crate::wire::notes::{Notes, cut, decimal};
use crate::wire::uri::parameters;

/// A serving cell in its parts, hexadecimal in lower case as every table spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// `GERAN`, `UTRAN`, `E-UTRAN` or `NR`.
    pub rat: &'static str,
    /// All of it: MCC, MNC, area and cell, without separators.
    pub whole: Box<str>,
    mnc_digits: usize,
    area_digits: usize,
    pub by_network: bool,
    /// Seconds since the device was last on it, where that was said.
    pub age_s: Option<u32>,
}

impl Cell {
    /// Reads the id of a cell as its access network spells it; `None` when it fits no layout.
    pub fn read(rat: &'static str, id: &str) -> Option<Self> {
        let id = id.trim();
        // Digits of area and cell; two for the network code more or three.
        let (area_digits, cell_digits) = match rat {
            "GERAN" => (4, 4),
            "NR" => (6, 9),
            _ => (4, 7),
        };
        let mnc_digits = id.len().checked_sub(3 + area_digits + cell_digits).filter(|digits| matches!(digits, 2 | 3))?;
        let (network, local) = id.split_at_checked(3 + mnc_digits)?;
        let fine = network.bytes().all(|byte| byte.is_ascii_digit()) && local.bytes().all(|byte| byte.is_ascii_hexdigit());
        fine.then(|| Self { rat, whole: id.to_ascii_lowercase().into(), mnc_digits, area_digits, by_network: false, age_s: None })
    }

    pub fn mcc(&self) -> &str {
        self.whole.get(..3).unwrap_or_default()
    }

    pub fn mnc(&self) -> &str {
        self.whole.get(3..3 + self.mnc_digits).unwrap_or_default()
    }

    /// Location area of 2G and 3G, tracking area of LTE and NR.
    pub fn area(&self) -> &str {
        self.whole.get(3 + self.mnc_digits..3 + self.mnc_digits + self.area_digits).unwrap_or_default()
    }

    pub fn cell(&self) -> &str {
        self.whole.get(3 + self.mnc_digits + self.area_digits..).unwrap_or_default()
    }

    pub fn has_tracking_area(&self) -> bool {
        matches!(self.rat, "E-UTRAN" | "NR")
    }
}

/// What the headers of one call say of its access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    pub cell: Option<Cell>,
    /// The cell that a device on another access was last seen on.
    pub cellular: Option<Cell>,
    /// The access point of a call over Wi-Fi.
    pub wlan: Option<Box<str>>,
    /// The kind of an access that is no cell (`GSTN`, `IEEE-802.11`, `xDSL`).
    pub kind: Option<Box<str>>,
    /// The operator's own id of a place behind a PSTN gateway.
    pub operator_gi: Option<Box<str>>,
}

impl Access {
    /// One spec of `P-Access-Network-Info`.
    pub fn network_info(&mut self, spec: &str, notes: &mut Notes) {
        let mut parts = parameters(spec, SIP_PARAMETERS_MAX);
        let Some((kind, _)) = parts.next() else { return };
        let by_network = parameters(spec, SIP_PARAMETERS_MAX).any(|(name, _)| name.eq_ignore_ascii_case("network-provided"));
        let rat = rat_of(kind);
        if rat.is_none() && (self.kind.is_none() || by_network) {
            self.kind = Some(cut(kind, IDENTITY_BYTES_MAX).into());
        }
        let mut cells = 0;
        for (name, value) in parts {
            let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
            let is = |word: &str| name.eq_ignore_ascii_case(word);
            if is("cgi-3gpp") || is("utran-cell-id-3gpp") {
                cells += 1;
                // A second id in one spec is somebody's mistake or trick; the first stands.
                notes.note_if(cells > 1, "cell_repeated");
                if cells == 1 {
                    self.add(rat, value, by_network, notes);
                }
            } else if is("i-wlan-node-id") {
                self.wlan.get_or_insert_with(|| cut(value, IDENTITY_BYTES_MAX).to_ascii_lowercase().into());
            } else if is("operator-specific-GI") {
                self.operator_gi.get_or_insert_with(|| cut(value, IDENTITY_BYTES_MAX).into());
            }
        }
    }

    fn add(&mut self, rat: Option<&'static str>, id: &str, by_network: bool, notes: &mut Notes) {
        let Some(mut cell) = rat.and_then(|rat| Cell::read(rat, id)) else {
            notes.note("cell_unreadable");
            return;
        };
        cell.by_network = by_network;
        match &self.cell {
            None => self.cell = Some(cell),
            Some(before) => {
                notes.note_if(before.whole != cell.whole, "cells_disagree");
                if by_network && !before.by_network {
                    self.cell = Some(cell);
                }
            }
        }
    }

    /// `Cellular-Network-Info`: the cell of a device whose call goes another way.
    pub fn cellular_info(&mut self, spec: &str, notes: &mut Notes) {
        let mut parts = parameters(spec, SIP_PARAMETERS_MAX);
        let Some((kind, _)) = parts.next() else { return };
        let (mut cell, mut age_s) = (None, None);
        for (name, value) in parts {
            let Some(value) = value else { continue };
            if name.eq_ignore_ascii_case("cell-info-age") {
                age_s = decimal(value).filter(|age| (0.0..=f64::from(u32::MAX)).contains(age)).map(|age| age as u32);
            } else if name.eq_ignore_ascii_case("cgi-3gpp") || name.eq_ignore_ascii_case("utran-cell-id-3gpp") {
                cell = cell.or_else(|| rat_of(kind).and_then(|rat| Cell::read(rat, value)));
                notes.note_if(cell.is_none(), "cell_unreadable");
            }
        }
        if let Some(mut cell) = cell.filter(|_| self.cellular.is_none()) {
            cell.age_s = age_s;
            self.cellular = Some(cell);
        }
    }

    /// The cell to route by: the serving one, else the one the device was last seen on.
    pub fn best_cell(&self) -> Option<&Cell> {
        self.cell.as_ref().or(self.cellular.as_ref())
    }
}

fn rat_of(kind: &str) -> Option<&'static str> {
    let starts = |word: &str| kind.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if starts("3GPP-GERAN") {
        Some("GERAN")
    } else if starts("3GPP-UTRAN") {
        Some("UTRAN")
    } else if starts("3GPP-E-UTRAN") {
        Some("E-UTRAN")
    } else if starts("3GPP-NR") {
        Some("NR")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(specs: &[&str]) -> (Access, Notes) {
        let (mut access, mut notes) = (Access::default(), Notes::default());
        specs.iter().for_each(|spec| access.network_info(spec, &mut notes));
        (access, notes)
    }

    #[test]
    fn only_its_length_tells_how_long_a_network_code_is() {
        for (spec, parts) in [
            ("3GPP-GERAN;cgi-3gpp=42402a1b2c3d4", ["424", "02", "a1b2", "c3d4"]),
            ("3GPP-GERAN;cgi-3gpp=310410a1b2c3d4", ["310", "410", "a1b2", "c3d4"]),
            ("3GPP-UTRAN-TDD;utran-cell-id-3gpp=42403A1B20c3d4e5", ["424", "03", "a1b2", "0c3d4e5"]),
            ("3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=310410a1b20c3d4e5", ["310", "410", "a1b2", "0c3d4e5"]),
            ("3gpp-nr-fdd; UTRAN-CELL-ID-3GPP = \"424020000010012a3f45\" ", ["424", "02", "000001", "0012a3f45"]),
            ("3GPP-NR;utran-cell-id-3gpp=310410000001123456789", ["310", "410", "000001", "123456789"]),
        ] {
            let (found, notes) = access(&[spec]);
            let cell = found.cell.unwrap_or_else(|| panic!("{spec}"));
            assert_eq!([cell.mcc(), cell.mnc(), cell.area(), cell.cell()], parts, "{spec}");
            assert!(notes.codes().is_empty(), "{spec}");
        }
    }

    #[test]
    fn what_fits_no_layout_is_no_cell() {
        for id in ["", "2620", "262011001010abcdef", "26x0110010100abc", "2620110010100abg", "26201é0010100ab"] {
            let (found, _) = access(&[&format!("3GPP-E-UTRAN-FDD;utran-cell-id-3gpp={id}")]);
            assert_eq!(found.cell, None, "{id}");
        }
    }

    #[test]
    fn the_network_wins_over_the_device_in_any_order() {
        let device = "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=4240210010000001";
        let network = "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=4240210010000002;network-provided";
        for specs in [[device, network], [network, device]] {
            let (found, notes) = access(&specs);
            assert!(found.cell.is_some_and(|cell| cell.by_network && cell.cell() == "0000002"));
            assert_eq!(notes.codes(), ["cells_disagree"]);
        }
    }

    #[test]
    fn a_call_over_wi_fi_has_the_cell_its_device_was_last_on() {
        let (mut found, mut notes) = access(&["IEEE-802.11n;i-wlan-node-id=00A0C91E6BF6"]);
        found.cellular_info("3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=4240210010000001;cell-info-age=412", &mut notes);
        assert_eq!((found.wlan.as_deref(), found.kind.as_deref()), (Some("00a0c91e6bf6"), Some("IEEE-802.11n")));
        assert_eq!(found.best_cell().and_then(|cell| cell.age_s), Some(412));
    }
}
