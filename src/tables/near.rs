//! A position in words: the nearest named place, how far and in which direction.

use super::snapshot::{NamedPlace, Tables};
use crate::geo::point::{Point, distance_cm, plane_cm};

/// The named place nearest to a point, as people say it.
#[derive(Clone, Copy, Debug)]
pub struct Near<'t> {
    pub place: &'t NamedPlace,
    pub distance_cm: u32,
    pub direction: Direction,
}

/// From the place to the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    N,
    NE,
    E,
    SE,
    S,
    SW,
    W,
    NW,
}

impl Direction {
    pub const fn word(self) -> &'static str {
        match self {
            Self::N => "N",
            Self::NE => "NE",
            Self::E => "E",
            Self::SE => "SE",
            Self::S => "S",
            Self::SW => "SW",
            Self::W => "W",
            Self::NW => "NW",
        }
    }

    /// The eighth of the circle that `to` is in, seen from `from`.
    pub fn between(from: Point, to: Point) -> Self {
        let (north, east) = plane_cm(from, to, from.lat_e7);
        let (n, e) = (north.unsigned_abs(), east.unsigned_abs());
        // The border between two eighths lies at 22.5 degrees, whose tangent is 0.41421.
        let leans = |less: u64, more: u64| less * 100_000 < more * 41_421;
        match (leans(e, n), leans(n, e), north >= 0, east >= 0) {
            (true, _, true, _) => Self::N,
            (true, _, false, _) => Self::S,
            (_, true, _, true) => Self::E,
            (_, true, _, false) => Self::W,
            (_, _, true, true) => Self::NE,
            (_, _, true, false) => Self::NW,
            (_, _, false, true) => Self::SE,
            (_, _, false, false) => Self::SW,
        }
    }
}

impl Near<'_> {
    /// Names stand for about a kilometre: within that, a direction would say more than is known.
    pub const fn is_here(&self) -> bool {
        self.distance_cm < 100_000
    }
}

/// The nearest named place; `None` when the tables name none.
pub fn nearest(tables: &Tables, point: Point) -> Option<Near<'_>> {
    let place = tables.places.iter().min_by_key(|place| distance_cm(place.point, point))?;
    Some(Near { place, distance_cm: distance_cm(place.point, point), direction: Direction::between(place.point, point) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_the_eighths_of_the_circle() {
        let from = Point::from_degrees(25.0, 55.0).unwrap();
        let at = |lat: f64, lon: f64| Direction::between(from, Point::from_degrees(25.0 + lat, 55.0 + lon).unwrap()).word();
        let around = [at(1.0, 0.0), at(1.0, 1.0), at(0.0, 1.0), at(-1.0, 1.0), at(-1.0, 0.0), at(-1.0, -1.0), at(0.0, -1.0), at(1.0, -1.0)];
        assert_eq!(around, ["N", "NE", "E", "SE", "S", "SW", "W", "NW"]);
        assert_eq!((at(1.0, 0.4), at(1.0, 0.6)), ("N", "NE"), "a degree of longitude is 0.906 of one of latitude here");
    }
}
