//! A point on WGS 84 as two integers, boxes of points, and distances on the ground.
//!
//! Distances are those of a plane laid at the middle latitude of the two points: within 0.1 % of the ellipsoid up to 50 km and
//! within 1 % up to 500 km below 70 degrees of latitude. Nothing here routes along the Earth's curve.

use super::trig::{self, SCALE_BITS};

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

/// A closed box of latitudes and longitudes: both ends belong to it.
///
/// # Invariants
/// `min` is not greater than `max` in either coordinate, when made by [`BBox::new`] or [`BBox::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BBox {
    pub min: Point,
    pub max: Point,
}

impl BBox {
    /// The smallest box around two points.
    pub fn new(a: Point, b: Point) -> Self {
        Self {
            min: Point { lat_e7: a.lat_e7.min(b.lat_e7), lon_e7: a.lon_e7.min(b.lon_e7) },
            max: Point { lat_e7: a.lat_e7.max(b.lat_e7), lon_e7: a.lon_e7.max(b.lon_e7) },
        }
    }

    /// The smallest box around some points; `None` when there are none.
    pub fn of(points: impl IntoIterator<Item = Point>) -> Option<Self> {
        points.into_iter().map(|point| Self { min: point, max: point }).reduce(Self::union)
    }

    /// A box that holds every point within `reach_cm` of `center`, cut at the poles and at the 180th meridian.
    pub fn around(center: Point, reach_cm: u32) -> Self {
        Self { min: center, max: center }.grown(reach_cm)
    }

    /// This box and everything within `reach_cm` of it, cut at the poles and at the 180th meridian.
    pub fn grown(self, reach_cm: u32) -> Self {
        // A hundredth more, because the scale changes on the way.
        let reach_cm = i64::from(reach_cm) + i64::from(reach_cm) / 100 + 1;
        let up = cm_to_lat_e7(reach_cm, 0).saturating_add(1);
        let lat = |value: i64| value.clamp(-i64::from(Point::LAT_E7_MAX), i64::from(Point::LAT_E7_MAX)) as i32;
        let lon = |value: i64| value.clamp(-i64::from(Point::LON_E7_MAX), i64::from(Point::LON_E7_MAX)) as i32;
        let south = lat(i64::from(self.min.lat_e7) - up);
        let north = lat(i64::from(self.max.lat_e7) + up);
        // The parallel nearest to a pole is the shortest.
        let steepest = if south.unsigned_abs() > north.unsigned_abs() { south } else { north };
        let aside = cm_to_lon_e7(reach_cm, steepest).saturating_add(1);
        Self {
            min: Point { lat_e7: south, lon_e7: lon(i64::from(self.min.lon_e7).saturating_sub(aside)) },
            max: Point { lat_e7: north, lon_e7: lon(i64::from(self.max.lon_e7).saturating_add(aside)) },
        }
    }

    pub fn union(self, other: Self) -> Self {
        Self {
            min: Point { lat_e7: self.min.lat_e7.min(other.min.lat_e7), lon_e7: self.min.lon_e7.min(other.min.lon_e7) },
            max: Point { lat_e7: self.max.lat_e7.max(other.max.lat_e7), lon_e7: self.max.lon_e7.max(other.max.lon_e7) },
        }
    }

    pub const fn contains(&self, point: Point) -> bool {
        self.min.lat_e7 <= point.lat_e7
            && point.lat_e7 <= self.max.lat_e7
            && self.min.lon_e7 <= point.lon_e7
            && point.lon_e7 <= self.max.lon_e7
    }

    pub const fn meets(&self, other: &Self) -> bool {
        self.min.lat_e7 <= other.max.lat_e7
            && other.min.lat_e7 <= self.max.lat_e7
            && self.min.lon_e7 <= other.max.lon_e7
            && other.min.lon_e7 <= self.max.lon_e7
    }

    /// The point of the box nearest to `point` in degrees.
    pub fn nearest(&self, point: Point) -> Point {
        let within = |value: i32, low: i32, high: i32| value.max(low).min(high);
        Point {
            lat_e7: within(point.lat_e7, self.min.lat_e7, self.max.lat_e7),
            lon_e7: within(point.lon_e7, self.min.lon_e7, self.max.lon_e7),
        }
    }

    pub fn middle(&self) -> Point {
        let mean = |a: i32, b: i32| ((i64::from(a) + i64::from(b)) / 2) as i32;
        Point { lat_e7: mean(self.min.lat_e7, self.max.lat_e7), lon_e7: mean(self.min.lon_e7, self.max.lon_e7) }
    }
}

/// The distance on the ground between two points, the short way around the Earth.
///
/// # Units
/// Centimetres. Within 0.1 % up to 50 km, 1 % up to 500 km below 70 degrees of latitude; beyond that an estimate.
pub fn distance_cm(a: Point, b: Point) -> u32 {
    let middle = ((i64::from(a.lat_e7) + i64::from(b.lat_e7)) / 2) as i32;
    let (north, east) = plane_cm(a, b, middle);
    // Each leg is at most half the Earth's girth (2.1e9), so the sum of squares fits.
    trig::root((north * north + east * east) as u64) as u32
}

/// The distance from `point` to the nearest place on the straight edge from `a` to `b`.
///
/// # Units
/// Centimetres, as exact as [`distance_cm`]. The edge is straight in degrees, as a polygon's edge in GeoJSON is.
pub fn segment_distance_cm(point: Point, a: Point, b: Point) -> u32 {
    distance_cm(point, nearest_on_segment(point, a, b))
}

/// The place on the edge from `a` to `b` nearest to `point`, to the nearest 1e-7 degree.
pub fn nearest_on_segment(point: Point, a: Point, b: Point) -> Point {
    let near = BBox::new(a, b).nearest(point);
    let middle = ((i64::from(point.lat_e7) + i64::from(near.lat_e7)) / 2) as i32;
    let (along_north, along_east) = plane_cm(a, b, middle);
    let (north, east) = plane_cm(a, point, middle);
    // A leg is at most half the Earth's girth (2.1e9 < 2^31), so the sum of two products fits.
    let length = (along_north * along_north + along_east * along_east) as u64;
    let part = along_north * north + along_east * east;
    let Some(part) = u64::try_from(part).ok().filter(|part| *part > 0 && length > 0) else { return a };
    if part >= length {
        return b;
    }
    // The share of the way as a 30-bit fraction. Two dozen bits of the length are enough to divide by.
    let spare = (64 - length.leading_zeros()).saturating_sub(32);
    let share = (((part >> spare) << 30) / (length >> spare)) as i64;
    let go = |from: i32, to: i32| {
        let way = i64::from(to) - i64::from(from);
        (i64::from(from) + ((way * share + (1 << 29)) >> 30)) as i32
    };
    Point { lat_e7: go(a.lat_e7, b.lat_e7), lon_e7: go(a.lon_e7, b.lon_e7) }
}

/// A bound that no place in `bbox` is nearer to `point` than.
///
/// # Units
/// Centimetres, at most the distance itself; a little below it, because the ground scale changes inside the box.
pub fn box_distance_cm(point: Point, bbox: &BBox) -> u32 {
    let near = bbox.nearest(point);
    if near == point {
        return 0;
    }
    // The parallels shrink toward the poles: the steepest latitude in play gives the shortest east leg.
    let steepest = point.lat_e7.unsigned_abs().max(bbox.min.lat_e7.unsigned_abs()).max(bbox.max.lat_e7.unsigned_abs());
    let lon = trig::scale(steepest.min(Point::LAT_E7_MAX as u32) as i32).lon;
    let lat = trig::scale(0).lat;
    let north = ((i64::from(near.lat_e7) - i64::from(point.lat_e7)).abs() * i64::from(lat)) >> SCALE_BITS;
    let east = (lon_way(point.lon_e7, near.lon_e7).abs() * i64::from(lon)) >> SCALE_BITS;
    let (north, east) = (north.min(LEG_CM_MAX), east.min(LEG_CM_MAX));
    let cm = trig::isqrt((north * north + east * east) as u64);
    cm.saturating_sub(cm / 256 + 2) as u32
}

/// The point `north_cm` north and `east_cm` east of `from`, kept on the globe.
pub fn offset(from: Point, north_cm: i64, east_cm: i64) -> Point {
    moved(from, cm_to_lat_e7(north_cm, from.lat_e7), cm_to_lon_e7(east_cm, from.lat_e7))
}

/// The point some 1e-7 degrees north and east of `from`: cut at the poles, carried on beyond the 180th meridian.
#[inline]
pub fn moved(from: Point, north_e7: i64, east_e7: i64) -> Point {
    let (pole, half) = (i64::from(Point::LAT_E7_MAX), i64::from(Point::LON_E7_MAX));
    let lat = i64::from(from.lat_e7).saturating_add(north_e7).clamp(-pole, pole);
    let lon = i64::from(from.lon_e7).saturating_add(east_e7);
    let lon = if (-half..=half).contains(&lon) { lon } else { lon.saturating_add(half).rem_euclid(2 * half) - half };
    Point { lat_e7: lat as i32, lon_e7: lon as i32 }
}

/// Degrees of latitude in a distance, at a latitude.
///
/// # Units
/// From centimetres to 1e-7 degree, cut at 3.6e9 either way.
pub fn cm_to_lat_e7(cm: i64, lat_e7: i32) -> i64 {
    degrees_e7(cm, trig::scale(lat_e7).lat)
}

/// Degrees of longitude in a distance, at a latitude.
///
/// # Units
/// From centimetres to 1e-7 degree, cut at 3.6e9 either way (the whole way around: at a pole every distance is).
pub fn cm_to_lon_e7(cm: i64, lat_e7: i32) -> i64 {
    degrees_e7(cm, trig::scale(lat_e7).lon)
}

fn degrees_e7(cm: i64, scale: u32) -> i64 {
    let most = 2 * i64::from(Point::LON_E7_MAX);
    let cm = cm.clamp(-(1 << 34), 1 << 34);
    ((cm << SCALE_BITS) / i64::from(scale.max(1))).clamp(-most, most)
}

/// The legs from `a` to `b` in a plane with the ground scale of one latitude: centimetres north and east.
pub fn plane_cm(a: Point, b: Point, lat_e7: i32) -> (i64, i64) {
    let scale = trig::scale(lat_e7);
    let half = 1 << (SCALE_BITS - 1);
    let north = ((i64::from(b.lat_e7) - i64::from(a.lat_e7)) * i64::from(scale.lat) + half) >> SCALE_BITS;
    let east = (lon_way(a.lon_e7, b.lon_e7) * i64::from(scale.lon) + half) >> SCALE_BITS;
    (north.clamp(-LEG_CM_MAX, LEG_CM_MAX), east.clamp(-LEG_CM_MAX, LEG_CM_MAX))
}

/// No leg on the globe is longer than half its girth, 2.004e9 cm; with this bound the sum of two products of legs fits an
/// `i64` for any four integers.
const LEG_CM_MAX: i64 = (1 << 31) - 1;

/// The way from one longitude to another, the short way around.
fn lon_way(from: i32, to: i32) -> i64 {
    let (way, half) = (i64::from(to) - i64::from(from), i64::from(Point::LON_E7_MAX));
    if way > half {
        way - 2 * half
    } else if way < -half {
        way + 2 * half
    } else {
        way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_hold_both_their_ends() {
        let bbox = BBox::new(Point { lat_e7: 5, lon_e7: -3 }, Point { lat_e7: -5, lon_e7: 3 });
        for corner in [bbox.min, bbox.max, Point { lat_e7: -5, lon_e7: 3 }] {
            assert!(bbox.contains(corner));
            assert_eq!(bbox.nearest(corner), corner);
        }
        assert!(!bbox.contains(Point { lat_e7: 6, lon_e7: 0 }));
        assert!(bbox.meets(&BBox { min: bbox.max, max: bbox.max }), "boxes that share a corner meet");
        assert_eq!(BBox::of([]), None);
    }

    #[test]
    fn distance_goes_the_short_way_around_the_180th_meridian() {
        let (west, east) = (Point { lat_e7: 0, lon_e7: -1_799_999_000 }, Point { lat_e7: 0, lon_e7: 1_799_999_000 });
        assert!((2_220..=2_230).contains(&distance_cm(west, east)), "{}", distance_cm(west, east));
        assert_eq!(offset(east, 0, 2_227).lon_e7 / 100, west.lon_e7 / 100);
    }

    #[test]
    fn distances_of_the_whole_globe_neither_overflow_nor_panic() {
        let edge = [-900_000_000, -1, 0, 1, 900_000_000];
        let points: Vec<Point> = edge.iter().flat_map(|lat| edge.map(|lon| Point { lat_e7: *lat, lon_e7: lon * 2 })).collect();
        for a in &points {
            for b in &points {
                assert!(distance_cm(*a, *b) <= 2_900_000_000);
                assert_eq!(distance_cm(*a, *b), distance_cm(*b, *a));
                for p in &points {
                    let foot = nearest_on_segment(*p, *a, *b);
                    assert!(BBox::new(*a, *b).contains(foot), "{a:?} {b:?} {p:?} {foot:?}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn a_grown_box_holds_every_point_within_reach(
            lat in -700_000_000i32..700_000_000, lon in -1_700_000_000i32..1_700_000_000,
            reach in 0u32..20_000_000, turn in 0u32..,
        ) {
            let center = Point { lat_e7: lat, lon_e7: lon };
            let (sin, cos) = (trig::sin(turn), trig::cos(turn));
            let on_rim = offset(center, (i64::from(reach) * cos) >> trig::SINE_BITS, (i64::from(reach) * sin) >> trig::SINE_BITS);
            proptest::prop_assert!(BBox::around(center, reach).contains(on_rim));
        }

        #[test]
        fn the_distance_to_a_box_is_never_more_than_to_a_point_in_it(
            lat in -700_000_000i32..700_000_000, lon in -1_700_000_000i32..1_700_000_000,
            low in (-30_000_000i32..30_000_000, -30_000_000i32..30_000_000), size in (0i32..9_000_000, 0i32..9_000_000),
            inside in (0u32..1_000, 0u32..1_000),
        ) {
            let point = Point { lat_e7: lat, lon_e7: lon };
            let min = Point { lat_e7: lat + low.0, lon_e7: lon + low.1 };
            let bbox = BBox { min, max: Point { lat_e7: min.lat_e7 + size.0, lon_e7: min.lon_e7 + size.1 } };
            let part = |low: i32, size: i32, part: u32| low + (i64::from(size) * i64::from(part) / 999) as i32;
            let other = Point { lat_e7: part(min.lat_e7, size.0, inside.0), lon_e7: part(min.lon_e7, size.1, inside.1) };
            proptest::prop_assert!(box_distance_cm(point, &bbox) <= distance_cm(point, other));
        }

        #[test]
        fn no_point_of_an_edge_is_nearer_than_its_nearest(
            p in (-20_000_000i32..20_000_000, -20_000_000i32..20_000_000),
            a in (-20_000_000i32..20_000_000, -20_000_000i32..20_000_000),
            b in (-20_000_000i32..20_000_000, -20_000_000i32..20_000_000),
        ) {
            let at = |(lat, lon): (i32, i32)| Point { lat_e7: 250_000_000 + lat, lon_e7: 550_000_000 + lon };
            let (p, a, b) = (at(p), at(a), at(b));
            let got = segment_distance_cm(p, a, b);
            let tried = (0..=1000i64).map(|step| {
                let go = |from: i32, to: i32| from + ((i64::from(to) - i64::from(from)) * step / 1000) as i32;
                distance_cm(p, Point { lat_e7: go(a.lat_e7, b.lat_e7), lon_e7: go(a.lon_e7, b.lon_e7) })
            });
            let best = tried.min().unwrap();
            // The plane is laid at one latitude: a foot may be off by a little, the distance by its square.
            proptest::prop_assert!(u64::from(got) <= u64::from(best) + u64::from(best) / 5_000 + 2, "{got} {best}");
            let step = distance_cm(a, b) / 1000 + 2;
            proptest::prop_assert!(got + step >= best, "{got} {best}");
        }
    }
}
