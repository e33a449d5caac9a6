//! The minimum set of data of a crashed car: 140 bytes at most, packed bit by bit.
//!
//! The reader is ours and small: every field has a fixed width, nothing is allocated but the car's number, and the count of bits read is
//! known exactly. Tests read what an encoder of their own wrote.
//!
//! ```text
//! version 1:   id(8) message           versions 2 and 3:   id(8) length(8) message
//! message:     extended(1) additional(1) structure [extensions] [additional data]
//! structure:   extended(1) present(3, in version 3 only 1) identifier(8) control(3) vehicle(1 + 4) car(17 x 6)
//!              propulsion(1 + 6, from version 2 on 7, then a bit each) time(32) latitude(32) longitude(32) direction(8)
//!              [earlier place(20)] [one before(20)] [people(8)] [extensions]
//! ```
//!
//! # Source
//! EN 15722:2011 (version 1), :2015 (version 2), :2020 (version 3: both earlier places always present, people renamed occupants);
//! ITU-T X.691 (unaligned PER).

use crate::contact::{ClaimSource, LocationClaim, Place, Whose};
use crate::geo::area::Shape;
use crate::geo::point::Point;
use crate::limits::MSD_BYTES_MAX;
use crate::units::Ppm;

/// A position that the car did not know.
const UNAVAILABLE: i32 = i32::MAX;
/// Thousandths of a second of arc in a degree.
const MAS_PER_DEGREE: f64 = 3_600_000.0;
/// EN 15722: a position can be trusted when it is within 150 m with 95 % confidence.
const TRUSTED_RADIUS_CM: u32 = 15_000;

/// Vehicle classes in the order of the standard.
const VEHICLES: [&str; 13] = [
    "passengerVehicleClassM1",
    "busesAndCoachesClassM2",
    "busesAndCoachesClassM3",
    "lightCommercialVehiclesClassN1",
    "heavyDutyVehiclesClassN2",
    "heavyDutyVehiclesClassN3",
    "motorcyclesClassL1e",
    "motorcyclesClassL2e",
    "motorcyclesClassL3e",
    "motorcyclesClassL4e",
    "motorcyclesClassL5e",
    "motorcyclesClassL6e",
    "motorcyclesClassL7e",
];
/// Classes that version 3 adds behind the extension mark.
const VEHICLES_ADDED: [&str; 10] = [
    "trailersClassO",
    "agriVehiclesClassR",
    "agriVehiclesClassS",
    "agriVehiclesClassT",
    "offRoadVehiclesG",
    "specialPurposeMotorCaravanClassSA",
    "specialPurposeArmouredVehicleClassSB",
    "specialPurposeAmbulanceClassSC",
    "specialPurposeHearseClassSD",
    "otherVehicleClass",
];
const PROPULSIONS: [&str; 7] = ["gasoline", "diesel", "cng", "lpg", "electric", "hydrogen", "other"];
/// What may be in a car's number, in the order of its code.
const VIN_SIGNS: &[u8; 33] = b"0123456789ABCDEFGHJKLMNPRSTUVWXYZ";

/// Why a message could not be read; what it says of the place is then not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MsdError {
    #[error("the message ends before its last field")]
    Truncated,
    #[error("format version {0} is not known")]
    UnknownVersion(u8),
    #[error("a field holds a value that no car sends")]
    Impossible,
    #[error("more than {MSD_BYTES_MAX} bytes")]
    TooLong,
}

impl MsdError {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Truncated => "msd_truncated",
            Self::UnknownVersion(_) => "msd_version_unknown",
            Self::Impossible => "msd_impossible",
            Self::TooLong => "msd_too_long",
        }
    }
}

/// The message as the car sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Msd {
    pub version: u8,
    /// The message and its structure carry extensions that we pass over.
    pub extended: bool,
    pub structure_extended: bool,
    pub message_identifier: u8,
    pub automatic: bool,
    pub test: bool,
    pub trusted: bool,
    pub vehicle: &'static str,
    pub vin: Box<str>,
    /// One bit for each of [`Msd::propulsion`].
    propulsion_bits: u8,
    /// Unix seconds; 0 when the car's clock had failed.
    pub timestamp_secs: u32,
    /// Thousandths of a second of arc; 2147483647 when not known.
    pub lat_mas: i32,
    pub lon_mas: i32,
    /// In units of 2 degrees clockwise from north; 255 when not known.
    pub direction: u8,
    /// Earlier places, in tenths of a second of arc relative to the one after them.
    pub n1: Option<(i16, i16)>,
    pub n2: Option<(i16, i16)>,
    pub passengers: Option<u8>,
    /// Bits up to the end of the structure, id and length included.
    pub bits_used: usize,
    /// Data beyond the structure, not read.
    pub additional: bool,
}

impl Msd {
    pub fn propulsion(&self) -> impl Iterator<Item = &'static str> {
        let bits = self.propulsion_bits;
        PROPULSIONS.into_iter().enumerate().filter(move |(at, _)| bits >> at & 1 == 1).map(|(_, name)| name)
    }

    /// Degrees clockwise from north, 0 to 358; `None` when the car did not know.
    pub fn direction_deg(&self) -> Option<u16> {
        (self.direction < 180).then_some(u16::from(self.direction) * 2)
    }

    /// Degrees, rounded to 1e-7; `None` when the car did not know.
    pub fn position(&self) -> Option<(f64, f64)> {
        if self.lat_mas == UNAVAILABLE || self.lon_mas == UNAVAILABLE || (self.lat_mas == 0 && self.lon_mas == 0) {
            return None;
        }
        let degrees = |mas: i32| (f64::from(mas) / MAS_PER_DEGREE * 1e7).round() / 1e7;
        let (lat, lon) = (degrees(self.lat_mas), degrees(self.lon_mas));
        Point::from_degrees(lat, lon).map(|_| (lat, lon))
    }

    /// The place as a claim, as good as the car vouches for it.
    pub fn claim(&self) -> Option<LocationClaim> {
        let (lat, lon) = self.position()?;
        let center = Point::from_degrees(lat, lon)?;
        let (radius_cm, confidence) = if self.trusted { (TRUSTED_RADIUS_CM, 950_000) } else { (TRUSTED_RADIUS_CM * 10, 500_000) };
        let place = Place::Shape(Shape::Circle { center, radius_cm });
        Some(LocationClaim { whose: Whose::Caller, place, source: ClaimSource::ECall, age_secs: 0, confidence: Ppm(confidence) })
    }

    /// Gas under pressure: what leaks burns or bursts, where petrol mostly does not.
    pub const fn fuel_at_risk(&self) -> bool {
        self.propulsion_bits & 0b10_1100 != 0
    }
}

/// Reads a message.
///
/// # Errors
/// [`MsdError`]; nothing of a message that cannot be read whole is used.
pub fn read(bytes: &[u8]) -> Result<Msd, MsdError> {
    if bytes.len() > MSD_BYTES_MAX {
        return Err(MsdError::TooLong);
    }
    let mut bits = Bits { bytes, at: 0 };
    let version = bits.take(8)? as u8;
    match version {
        1 => {}
        2 | 3 => {
            // The length of what follows; whatever stands behind it is not part of the message.
            let length = bits.take(8)? as usize;
            bits.bytes = bytes.get(..(2 + length)).ok_or(MsdError::Truncated)?;
        }
        other => return Err(MsdError::UnknownVersion(other)),
    }
    let extended = bits.flag()?;
    let additional = bits.flag()?;
    let structure_extended = bits.flag()?;
    // Version 3 always sends both earlier places.
    let (has_n1, has_n2) = if version == 3 { (true, true) } else { (bits.flag()?, bits.flag()?) };
    let has_passengers = bits.flag()?;
    let message_identifier = bits.take(8)? as u8;
    let (automatic, test, trusted) = (bits.flag()?, bits.flag()?, bits.flag()?);
    let vehicle = bits.vehicle()?;
    let vin = bits.vin()?;
    let propulsion_bits = bits.propulsion(if version == 1 { 6 } else { 7 })?;
    let timestamp_secs = bits.take(32)?;
    let (lat_mas, lon_mas) = (bits.signed_32()?, bits.signed_32()?);
    let direction = bits.take(8)? as u8;
    let n1 = if has_n1 { Some(bits.delta()?) } else { None };
    let n2 = if has_n2 { Some(bits.delta()?) } else { None };
    let passengers = if has_passengers { Some(bits.take(8)? as u8) } else { None };
    let bits_used = bits.at;
    if structure_extended {
        bits.additions()?;
    }
    Ok(Msd {
        version,
        extended,
        structure_extended,
        message_identifier,
        automatic,
        test,
        trusted,
        vehicle,
        vin,
        propulsion_bits,
        timestamp_secs,
        lat_mas,
        lon_mas,
        direction,
        n1,
        n2,
        passengers,
        bits_used,
        additional,
    })
}

/// Reads bits, the highest of a byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// At most 32 bits.
    fn take(&mut self, count: usize) -> Result<u32, MsdError> {
        let mut value = 0_u32;
        for at in self.at..self.at + count {
            let byte = *self.bytes.get(at / 8).ok_or(MsdError::Truncated)?;
            value = value << 1 | u32::from(byte >> (7 - at % 8) & 1);
        }
        self.at += count;
        Ok(value)
    }

    fn flag(&mut self) -> Result<bool, MsdError> {
        self.take(1).map(|bit| bit == 1)
    }

    /// An integer from -2147483648 on, as its distance from there.
    fn signed_32(&mut self) -> Result<i32, MsdError> {
        self.take(32).map(|value| (i64::from(value) + i64::from(i32::MIN)) as i32)
    }

    fn vehicle(&mut self) -> Result<&'static str, MsdError> {
        if self.flag()? {
            let index = self.small()?;
            return Ok(VEHICLES_ADDED.get(index).copied().unwrap_or("unknown"));
        }
        let index = self.take(4)? as usize;
        VEHICLES.get(index).copied().ok_or(MsdError::Impossible)
    }

    fn vin(&mut self) -> Result<Box<str>, MsdError> {
        let mut vin = String::with_capacity(17);
        for _ in 0..17 {
            let sign = VIN_SIGNS.get(self.take(6)? as usize).ok_or(MsdError::Impossible)?;
            vin.push(char::from(*sign));
        }
        Ok(vin.into())
    }

    /// A set of flags that are only sent when they are not the default.
    fn propulsion(&mut self, count: usize) -> Result<u8, MsdError> {
        let extended = self.flag()?;
        let present = self.take(count)?;
        let mut bits = 0;
        for at in 0..count {
            if present >> (count - 1 - at) & 1 == 1 && self.flag()? {
                bits |= 1 << at;
            }
        }
        if extended {
            self.additions()?;
        }
        Ok(bits)
    }

    fn delta(&mut self) -> Result<(i16, i16), MsdError> {
        let (lat, lon) = (self.take(10)? as i16 - 512, self.take(10)? as i16 - 512);
        Ok((lat, lon))
    }

    /// A small number without a bound: six bits when it is below 64 (X.691, 11.6).
    fn small(&mut self) -> Result<usize, MsdError> {
        if self.flag()? { Err(MsdError::Impossible) } else { self.take(6).map(|value| value as usize) }
    }

    /// Extensions we do not know: how many, which are there, each with its length in bytes (X.691, 19.7).
    fn additions(&mut self) -> Result<(), MsdError> {
        let count = self.small()? + 1;
        let mut present = 0;
        for _ in 0..count {
            present += usize::from(self.flag()?);
        }
        if present == 0 {
            return Err(MsdError::Impossible);
        }
        for _ in 0..present {
            let length = self.take(8)? as usize;
            if length >= 128 {
                return Err(MsdError::Impossible);
            }
            for _ in 0..length {
                self.take(8)?;
            }
        }
        Ok(())
    }
}
