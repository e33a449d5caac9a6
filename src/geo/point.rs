//! A point on WGS 84 as two integers.

/// A place on WGS 84: latitude and longitude in units of 1e-7 degree (about 1.1 cm of latitude).
///
/// # Units
/// `lat_e7` from -900,000,000 (south) to 900,000,000; `lon_e7` from -1,800,000,000 (west) to 1,800,000,000. Latitude first in
/// Rust, longitude first in GeoJSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    pub lat_e7: i32,
    pub lon_e7: i32,
}

impl Point {
    pub const LAT_E7_MAX: i32 = 900_000_000;
    pub const LON_E7_MAX: i32 = 1_800_000_000;

    /// `None` when out of range.
    pub const fn new(lat_e7: i32, lon_e7: i32) -> Option<Self> {
        let inside = lat_e7 >= -Self::LAT_E7_MAX && lat_e7 <= Self::LAT_E7_MAX && lon_e7 >= -Self::LON_E7_MAX && lon_e7 <= Self::LON_E7_MAX;
        if inside { Some(Self { lat_e7, lon_e7 }) } else { None }
    }

    /// Degrees, rounded to the nearest 1e-7; `None` when not finite or out of range.
    pub fn from_degrees(lat: f64, lon: f64) -> Option<Self> {
        let (lat, lon) = ((lat * 1e7).round(), (lon * 1e7).round());
        let fits = lat.abs() <= f64::from(Self::LAT_E7_MAX) && lon.abs() <= f64::from(Self::LON_E7_MAX);
        if fits { Self::new(lat as i32, lon as i32) } else { None }
    }

    pub fn lat_degrees(self) -> f64 {
        f64::from(self.lat_e7) / 1e7
    }

    pub fn lon_degrees(self) -> f64 {
        f64::from(self.lon_e7) / 1e7
    }
}
