//! Makani: the ten digits on the plate of every building in the Emirates, as a place.
//!
//! The digits are the numeric part of the military grid reference at one metre, five of easting and five of northing in UTM
//! zone 40 North, without the letters of the 100 km square. So they repeat every 100 km: without a coarse fix a number has up to
//! ten places in the country, and [`candidates`] names them all.
//!
//! The projection uses `f64`, but only addition, subtraction, multiplication, division and square roots, which IEEE 754 defines
//! to the last bit: every machine computes the same digits.
//!
//! # Source
//! The transverse Mercator series of the usual textbooks, to the sixth power, good to a centimetre within six degrees of the
//! meridian. We use zone 40 for the whole country, also west of 54 E, as Makani does.

use arrayvec::ArrayVec;

use super::point::{BBox, Point};

/// Ten digits, each 0 to 9: five of easting, then five of northing.
pub type Digits = [u8; 10];

/// Places one number may have in one box: one in each 100 km square, and a country of six by six degrees has at most 49.
pub const PLACES_MAX: usize = 64;

/// Equatorial radius, first eccentricity squared, second eccentricity squared of WGS 84.
const RADIUS_M: f64 = 6_378_137.0;
const E2: f64 = 0.006_694_379_990_141_316_5;
const E2_SECOND: f64 = E2 / (1.0 - E2);
/// UTM: the scale on the central meridian, the easting given to it, and zone 40's meridian.
const SCALE: f64 = 0.9996;
const EASTING_0_M: f64 = 500_000.0;
const MERIDIAN_E7: i32 = 570_000_000;
/// Up to seven degrees of longitude from the meridian, and from the equator to 84 North, the series hold to well under a metre.
const WIDTH_E7_MAX: i32 = 70_000_000;
const LAT_E7_MAX: i32 = 840_000_000;
const SQUARE_M: i64 = 100_000;
const RADIANS: f64 = core::f64::consts::PI / 180.0;

/// Reads a number as people write it: ten digits, Latin, Arabic-Indic or Persian, with spaces and dashes anywhere.
pub fn parse(text: &str) -> Option<Digits> {
    let mut digits: ArrayVec<u8, 10> = ArrayVec::new();
    for c in text.chars() {
        let digit = match c {
            '0'..='9' => c as u32 - '0' as u32,
            '\u{660}'..='\u{669}' => c as u32 - 0x660,
            '\u{6f0}'..='\u{6f9}' => c as u32 - 0x6f0,
            // Hyphens, dashes and the marks of writing direction come along when people paste.
            '-' | '\u{2010}'..='\u{2015}' | '\u{200e}' | '\u{200f}' => continue,
            c if c.is_whitespace() => continue,
            _ => return None,
        };
        digits.try_push(digit as u8).ok()?;
    }
    digits.into_inner().ok()
}

/// The number as it is printed on a building's plate, without its blank.
pub fn written(digits: Digits) -> String {
    digits.iter().map(|digit| char::from(b'0' + (*digit).min(9))).collect()
}

/// The number of a place; `None` where zone 40's series do not hold (beyond 7 degrees of its meridian, south of the equator).
pub fn encode(point: Point) -> Option<Digits> {
    let (easting, northing) = utm(point)?;
    let part = |metres: f64| ((metres + 0.5).floor_exact()).rem_euclid(SQUARE_M);
    let (easting, northing) = (part(easting), part(northing));
    let digit = |value: i64, place: i64| (value / place % 10) as u8;
    let of = |value: i64| [10_000, 1_000, 100, 10, 1].map(|place| digit(value, place));
    let mut digits = [0; 10];
    for (out, digit) in digits.iter_mut().zip(of(easting).into_iter().chain(of(northing))) {
        *out = digit;
    }
    Some(digits)
}

/// Every place inside a closed box that has this number, from south to north and west to east. False when there were more than
/// fit; about ten of those in the Emirates' box lie on the Emirates' ground.
pub fn candidates(digits: Digits, bbox: BBox, out: &mut ArrayVec<Point, PLACES_MAX>) -> bool {
    out.clear();
    let value = |digits: &[u8]| digits.iter().fold(0i64, |value, digit| value * 10 + i64::from((*digit).min(9)));
    let (east_digits, north_digits) = digits.split_at(5);
    let (easting, northing) = (value(east_digits), value(north_digits));
    let Some((squares_east, squares_north)) = squares(&bbox) else { return true };
    let mut complete = true;
    for north in squares_north.0..=squares_north.1 {
        for east in squares_east.0..=squares_east.1 {
            let place = from_utm((east * SQUARE_M + easting) as f64, (north * SQUARE_M + northing) as f64);
            if let Some(point) = place.filter(|point| bbox.contains(*point)) {
                complete &= out.try_push(point).is_ok();
            }
        }
    }
    complete
}

/// The first and last 100 km square that a box may reach, east and north; `None` when it lies outside the zone.
fn squares(bbox: &BBox) -> Option<((i64, i64), (i64, i64))> {
    let lat = |value: i32| value.clamp(0, LAT_E7_MAX);
    let lon = |value: i32| value.clamp(MERIDIAN_E7 - WIDTH_E7_MAX, MERIDIAN_E7 + WIDTH_E7_MAX);
    let (south, north, west, east) = (lat(bbox.min.lat_e7), lat(bbox.max.lat_e7), lon(bbox.min.lon_e7), lon(bbox.max.lon_e7));
    let middle = MERIDIAN_E7.clamp(west, east);
    // Eastings are extreme at the corners or where the box is nearest to the equator; northings at the meridian and the sides.
    let outline = [south, north].into_iter().flat_map(|lat_e7| [west, middle, east].map(|lon_e7| Point { lat_e7, lon_e7 }));
    let (mut squares_east, mut squares_north) = ((i64::MAX, i64::MIN), (i64::MAX, i64::MIN));
    for point in outline {
        let (easting, northing) = utm(point)?;
        let (easting, northing) = (easting.floor_exact().div_euclid(SQUARE_M), northing.floor_exact().div_euclid(SQUARE_M));
        squares_east = (squares_east.0.min(easting), squares_east.1.max(easting));
        squares_north = (squares_north.0.min(northing), squares_north.1.max(northing));
    }
    // A square to spare for the metre of rounding.
    Some(((squares_east.0 - 1, squares_east.1 + 1), (squares_north.0 - 1, squares_north.1 + 1)))
}

/// Easting and northing in zone 40 North, in metres.
pub fn utm(point: Point) -> Option<(f64, f64)> {
    let aside = point.lon_e7.checked_sub(MERIDIAN_E7)?;
    if aside.abs() > WIDTH_E7_MAX || !(0..=LAT_E7_MAX).contains(&point.lat_e7) {
        return None;
    }
    let lat = f64::from(point.lat_e7) * 1e-7 * RADIANS;
    let (sin, cos) = sin_cos(lat);
    let tan = sin / cos;
    let (t, c) = (tan * tan, E2_SECOND * cos * cos);
    let n = RADIUS_M / (1.0 - E2 * sin * sin).sqrt();
    let a = f64::from(aside) * 1e-7 * RADIANS * cos;
    let (a2, a3) = (a * a, a * a * a);
    let (a4, a5, a6) = (a2 * a2, a2 * a3, a3 * a3);
    let east = a + (1.0 - t + c) * a3 / 6.0 + (5.0 - 18.0 * t + t * t + 72.0 * c - 58.0 * E2_SECOND) * a5 / 120.0;
    let north =
        a2 / 2.0 + (5.0 - t + 9.0 * c + 4.0 * c * c) * a4 / 24.0 + (61.0 - 58.0 * t + t * t + 600.0 * c - 330.0 * E2_SECOND) * a6 / 720.0;
    Some((SCALE * n * east + EASTING_0_M, SCALE * (meridian_arc(lat) + n * tan * north)))
}

/// The place with this easting and northing in zone 40 North, to the nearest 1e-7 degree; `None` outside the zone.
pub fn from_utm(easting: f64, northing: f64) -> Option<Point> {
    let arc = northing / SCALE;
    // The latitude whose meridian arc is the northing, by Newton; the slope changes by a hundredth at most.
    let mut foot = arc / (RADIUS_M * (1.0 - E2 / 4.0));
    for _ in 0..6 {
        let (sin, _) = sin_cos(foot);
        let w = 1.0 - E2 * sin * sin;
        foot += (arc - meridian_arc(foot)) * w * w.sqrt() / (RADIUS_M * (1.0 - E2));
    }
    let (sin, cos) = sin_cos(foot);
    if cos < 0.1 || sin < -0.01 {
        return None;
    }
    let tan = sin / cos;
    let (t, c) = (tan * tan, E2_SECOND * cos * cos);
    let w = 1.0 - E2 * sin * sin;
    let n = RADIUS_M / w.sqrt();
    let r = RADIUS_M * (1.0 - E2) / (w * w.sqrt());
    let d = (easting - EASTING_0_M) / (n * SCALE);
    let (d2, d3) = (d * d, d * d * d);
    let (d4, d5, d6) = (d2 * d2, d2 * d3, d3 * d3);
    let lat = foot
        - (n * tan / r)
            * (d2 / 2.0 - (5.0 + 3.0 * t + 10.0 * c - 4.0 * c * c - 9.0 * E2_SECOND) * d4 / 24.0
                + (61.0 + 90.0 * t + 298.0 * c + 45.0 * t * t - 252.0 * E2_SECOND - 3.0 * c * c) * d6 / 720.0);
    let lon =
        (d - (1.0 + 2.0 * t + c) * d3 / 6.0 + (5.0 - 2.0 * c + 28.0 * t - 3.0 * c * c + 8.0 * E2_SECOND + 24.0 * t * t) * d5 / 120.0) / cos;
    let point = Point::from_degrees(lat / RADIANS, f64::from(MERIDIAN_E7) * 1e-7 + lon / RADIANS)?;
    let inside = point.lon_e7.checked_sub(MERIDIAN_E7)?.abs() <= WIDTH_E7_MAX && (0..=LAT_E7_MAX).contains(&point.lat_e7);
    inside.then_some(point)
}

/// Metres along the meridian from the equator.
fn meridian_arc(lat: f64) -> f64 {
    const E4: f64 = E2 * E2;
    const E6: f64 = E4 * E2;
    let (sin_2, cos_2) = sin_cos(2.0 * lat);
    let sin_4 = 2.0 * sin_2 * cos_2;
    let cos_4 = 1.0 - 2.0 * sin_2 * sin_2;
    let sin_6 = sin_4 * cos_2 + cos_4 * sin_2;
    RADIUS_M
        * ((1.0 - E2 / 4.0 - 3.0 * E4 / 64.0 - 5.0 * E6 / 256.0) * lat - (3.0 * E2 / 8.0 + 3.0 * E4 / 32.0 + 45.0 * E6 / 1024.0) * sin_2
            + (15.0 * E4 / 256.0 + 45.0 * E6 / 1024.0) * sin_4
            - (35.0 * E6 / 3072.0) * sin_6)
}

/// Sine and cosine of an angle up to half a turn, by their power series at an eighth of it and three doublings.
fn sin_cos(angle: f64) -> (f64, f64) {
    let x = angle / 8.0;
    let square = x * x;
    let (mut sin, mut term, mut n) = (x, x, 2.0);
    // 1 - cos rather than cos: it keeps its digits near zero.
    let (mut versine, mut even) = (square / 2.0, square / 2.0);
    for _ in 0..9 {
        term = -term * square / (n * (n + 1.0));
        sin += term;
        even = -even * square / ((n + 1.0) * (n + 2.0));
        versine += even;
        n += 2.0;
    }
    for _ in 0..3 {
        let cos = 1.0 - versine;
        (sin, versine) = (2.0 * sin * cos, 2.0 * sin * sin);
    }
    (sin, 1.0 - versine)
}

trait FloorExact {
    fn floor_exact(self) -> i64;
}

impl FloorExact for f64 {
    /// Rounding toward minus infinity without a library call; for values of a few million metres.
    fn floor_exact(self) -> i64 {
        let cut = self as i64;
        if (cut as f64) > self { cut - 1 } else { cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_plates_are_read_and_written() {
        for (lat, lon, plate) in [(25.264_637_3, 55.312_168, "3003295320"), (25.419_01, 55.453_12, "4442612247")] {
            let point = Point::from_degrees(lat, lon).unwrap();
            assert_eq!(written(encode(point).unwrap()), plate);
            let mut places = ArrayVec::new();
            assert!(candidates(parse(plate).unwrap(), BBox::around(point, 1_000_000), &mut places));
            assert_eq!(places.len(), 1);
            assert!(super::super::point::distance_cm(places[0], point) < 100, "{places:?}");
        }
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let digits = Some([3, 0, 0, 3, 2, 9, 5, 3, 2, 0]);
        for written in ["30032 95320", "3003295320", " 30032-95320 ", "٣٠٠٣٢ ٩٥٣٢٠", "۳۰۰۳۲–۹۵۳۲۰", "3 0 0 3 2 9 5 3 2 0"]
        {
            assert_eq!(parse(written), digits, "{written}");
            assert_eq!(digits.map(super::written).as_deref(), Some("3003295320"));
        }
        for garbled in ["", "30032 9532", "30032 953201", "30032 9532O", "30032+95320"] {
            assert_eq!(parse(garbled), None, "{garbled}");
        }
    }

    #[test]
    fn a_number_has_ten_places_at_most_in_the_whole_country() {
        let box_of = |south, west, north, east| BBox {
            min: Point::from_degrees(south, west).unwrap(),
            max: Point::from_degrees(north, east).unwrap(),
        };
        let mut places = ArrayVec::new();
        assert!(candidates(parse("30032 95320").unwrap(), box_of(22.6, 51.5, 26.1, 56.4), &mut places) || places.is_full());
        assert!(places.is_sorted_by_key(|place| place.lat_e7 / 5_000_000), "from south to north: {places:?}");
        for place in &places {
            assert_eq!(written(encode(*place).unwrap()), "3003295320");
        }
    }

    #[test]
    fn places_outside_the_zone_have_no_number() {
        for (lat, lon) in [(-1.0, 57.0), (85.0, 57.0), (25.0, 40.0), (25.0, 70.0), (25.0, -170.0)] {
            assert_eq!(encode(Point::from_degrees(lat, lon).unwrap()), None);
        }
        let far = Point::from_degrees(48.0, 2.0).unwrap();
        let mut places = ArrayVec::new();
        assert!(candidates([0; 10], BBox::around(far, 1_000_000), &mut places));
        assert!(places.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn every_place_in_the_country_comes_back_within_a_metre(lat in 226_000_000..261_000_000, lon in 515_000_000..564_000_000) {
            let point = Point { lat_e7: lat, lon_e7: lon };
            let (easting, northing) = utm(point).unwrap();
            let back = from_utm(easting, northing).unwrap();
            proptest::prop_assert!((back.lat_e7 - lat).abs() <= 2 && (back.lon_e7 - lon).abs() <= 2, "{point:?} {back:?}");
            let mut places = ArrayVec::new();
            proptest::prop_assert!(candidates(encode(point).unwrap(), BBox::around(point, 3_000_000), &mut places));
            proptest::prop_assert_eq!(places.len(), 1);
            // Half a metre of rounding in each direction, and the scale of the map.
            proptest::prop_assert!(super::super::point::distance_cm(point, places[0]) <= 75);
        }
    }
}
