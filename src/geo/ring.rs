//! Rings: which side, inside or not, area, crossings. Boundary semantics are stated here, once.
//!
//! # Half-open boundaries
//!
//! A point is judged as if it were displaced east by an infinitely small step, and north by a step infinitely smaller still.
//! A displaced point never lies on an edge between integer vertices, so it is inside exactly one of the areas that meet at a
//! border or at a vertex: in a tiling every point has exactly one owner, and which one does not depend on how a ring is
//! stored. In plain words: a point on a border belongs to the area on its east; on a border that runs due east it belongs to
//! the area on its north; at a vertex it belongs to the area that a walker going due east enters, bearing left.
//!
//! ```text
//!      W | E      a point on the line belongs to E        N
//!      --+--      a point on the line belongs to      ---------
//!      W | E      the cross itself belongs to the NE      S
//! ```
//!
//! # Arithmetic
//!
//! The side of a point is the sign of a cross product, found by comparing two products of differences. A difference of
//! longitudes is at most 3.6e9 and of latitudes 1.8e9, so each product fits in an `i64` and nothing is rounded.

use super::point::{BBox, Point};

/// Whether the displaced `p` is left of the directed edge from `a` to `b` (`a` and `b` differ).
///
/// Longitude is x and latitude is y. With the displacement (e, e²) the cross product is `S - dy*e + dx*e²`, so when `S` is zero
/// the sign of `-dy` decides, and when that is zero too the sign of `dx`.
#[inline]
pub fn is_left(a: Point, b: Point, p: Point) -> bool {
    let dx = i64::from(b.lon_e7) - i64::from(a.lon_e7);
    let dy = i64::from(b.lat_e7) - i64::from(a.lat_e7);
    let up = dx.wrapping_mul(i64::from(p.lat_e7) - i64::from(a.lat_e7));
    let aside = dy.wrapping_mul(i64::from(p.lon_e7) - i64::from(a.lon_e7));
    (up > aside) | ((up == aside) & ((dy < 0) | ((dy == 0) & (dx > 0))))
}

/// Whether a walk due east or west from the displaced `p` to the displaced `q` (same latitude) crosses the edge.
#[inline]
pub fn crosses_parallel(a: Point, b: Point, p: Point, q: Point) -> bool {
    ((a.lat_e7 > p.lat_e7) != (b.lat_e7 > p.lat_e7)) && (is_left(a, b, p) != is_left(a, b, q))
}

/// Whether a walk due north or south from the displaced `p` to the displaced `q` (same longitude) crosses the edge.
#[inline]
pub fn crosses_meridian(a: Point, b: Point, p: Point, q: Point) -> bool {
    ((a.lon_e7 > p.lon_e7) != (b.lon_e7 > p.lon_e7)) && (is_left(a, b, p) != is_left(a, b, q))
}

/// Whether one ring contains `p`: parity of the edges crossed on the way east.
pub fn contains(ring: &[Point], p: Point) -> bool {
    edges(ring).fold(false, |inside, (a, b)| {
        let straddles = (a.lat_e7 > p.lat_e7) != (b.lat_e7 > p.lat_e7);
        // Left of an edge that climbs means that the edge is to the east.
        inside ^ (straddles && is_left(a, b, p) == (b.lat_e7 > a.lat_e7))
    })
}

/// Whether an area of several rings contains `p`: holes, islands in holes and so on by even-odd parity.
pub fn area_contains(rings: &[Vec<Point>], p: Point) -> bool {
    rings.iter().fold(false, |inside, ring| inside ^ contains(ring, p))
}

/// [`area_contains`] in the slow and obvious way, to test the fast ones against: walk north instead of east, orient every edge
/// eastward, and compare the terms of the displaced cross product in the order of their size, in 128 bits.
pub fn contains_slow(rings: &[Vec<Point>], p: Point) -> bool {
    let (px, py) = (i128::from(p.lon_e7), i128::from(p.lat_e7));
    let mut inside = false;
    for (a, b) in rings.iter().flat_map(|ring| edges(ring)) {
        let (west, east) = if a.lon_e7 < b.lon_e7 { (a, b) } else { (b, a) };
        let (wx, wy) = (i128::from(west.lon_e7), i128::from(west.lat_e7));
        let (ex, ey) = (i128::from(east.lon_e7), i128::from(east.lat_e7));
        // The displaced point's meridian is just east of px: a vertex on px is west of it.
        if wx <= px && px < ex {
            let cross = (ex - wx) * (py - wy) - (ey - wy) * (px - wx);
            let below = (cross, -(ey - wy), ex - wx) < (0, 0, 0);
            inside ^= below;
        }
    }
    inside
}

/// The edges of a ring, the closing one included; none for a ring of fewer than two points.
pub fn edges(ring: &[Point]) -> impl Iterator<Item = (Point, Point)> + '_ {
    let closing = if ring.len() > 1 { ring.last().copied().zip(ring.first().copied()) } else { None };
    ring.windows(2).filter_map(|pair| pair.first().copied().zip(pair.last().copied())).chain(closing).filter(|(a, b)| a != b)
}

/// A ring without repeated neighbours and without the closing vertex; empty when fewer than three vertices remain.
pub fn normalised(ring: &[Point]) -> Vec<Point> {
    let mut clean = ring.to_vec();
    clean.dedup();
    while clean.len() > 1 && clean.first() == clean.last() {
        clean.pop();
    }
    if clean.len() < 3 {
        clean.clear();
    }
    clean
}

/// Twice the signed area, in squares of 1e-7 degree; positive when the ring runs counter-clockwise.
pub fn doubled_area(ring: &[Point]) -> i128 {
    let cross = |a: Point, b: Point| i128::from(a.lon_e7) * i128::from(b.lat_e7) - i128::from(b.lon_e7) * i128::from(a.lat_e7);
    edges(ring).map(|(a, b)| cross(a, b)).sum()
}

/// Two edges of one ring that meet anywhere but in a vertex of both, as the indices of their first vertices.
///
/// A ring may touch itself vertex to vertex; it may not cross itself, run along itself, or touch an edge's middle.
///
/// # Cost
/// A sweep from west to east: close to linear for maps, quadratic at worst. For building tables, not for contacts.
pub fn self_intersection(ring: &[Point]) -> Option<(usize, usize)> {
    let mut sorted: Vec<(i32, usize, Point, Point)> = (0..ring.len())
        .filter_map(|at| {
            let (a, b) = (*ring.get(at)?, *ring.get((at + 1) % ring.len())?);
            (a != b).then_some((a.lon_e7.min(b.lon_e7), at, a, b))
        })
        .collect();
    sorted.sort_unstable_by_key(|&(west, at, ..)| (west, at));
    let mut found: Option<(usize, usize)> = None;
    for (order, &(_, at, a, b)) in sorted.iter().enumerate() {
        let here = BBox::new(a, b);
        for &(_, other, c, d) in sorted.iter().skip(order + 1).take_while(|(west, ..)| *west <= here.max.lon_e7) {
            if here.meets(&BBox::new(c, d)) && edges_clash(a, b, c, d) {
                let pair = (at.min(other), at.max(other));
                found = Some(found.map_or(pair, |first| first.min(pair)));
            }
        }
    }
    found
}

/// Whether two edges share a point that is not a vertex of both.
pub fn edges_clash(a: Point, b: Point, c: Point, d: Point) -> bool {
    let (ac, ad, ca, cb) = (turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b));
    let vertex_inside = |end: Point, a: Point, b: Point, turn: i8| turn == 0 && end != a && end != b && BBox::new(a, b).contains(end);
    let crossing = ac != 0 && ad != 0 && ca != 0 && cb != 0 && ac != ad && ca != cb;
    let same = (a == c && b == d) || (a == d && b == c);
    crossing || same || vertex_inside(c, a, b, ac) || vertex_inside(d, a, b, ad) || vertex_inside(a, c, d, ca) || vertex_inside(b, c, d, cb)
}

/// Whether an edge and a closed box share a point.
#[inline]
pub fn edge_meets_box(a: Point, b: Point, bbox: &BBox) -> bool {
    if a.lat_e7.max(b.lat_e7) < bbox.min.lat_e7
        || a.lat_e7.min(b.lat_e7) > bbox.max.lat_e7
        || a.lon_e7.max(b.lon_e7) < bbox.min.lon_e7
        || a.lon_e7.min(b.lon_e7) > bbox.max.lon_e7
    {
        return false;
    }
    // The boxes meet, so the edge misses only when all four corners are strictly on one side of its line. The corner
    // farthest to each side is known from the edge's direction.
    let rises = (b.lon_e7 >= a.lon_e7) == (b.lat_e7 >= a.lat_e7);
    let (first, second) = if rises {
        (Point { lat_e7: bbox.max.lat_e7, lon_e7: bbox.min.lon_e7 }, Point { lat_e7: bbox.min.lat_e7, lon_e7: bbox.max.lon_e7 })
    } else {
        (bbox.min, bbox.max)
    };
    let (one, other) = (turn(a, b, first), turn(a, b, second));
    one == 0 || other == 0 || one != other
}

/// The exact turn from `a` to `b` to `p`: 1 left, -1 right, 0 straight on. No displacement.
#[inline]
pub fn turn(a: Point, b: Point, p: Point) -> i8 {
    let up = (i64::from(b.lon_e7) - i64::from(a.lon_e7)).wrapping_mul(i64::from(p.lat_e7) - i64::from(a.lat_e7));
    let aside = (i64::from(b.lat_e7) - i64::from(a.lat_e7)).wrapping_mul(i64::from(p.lon_e7) - i64::from(a.lon_e7));
    (up > aside) as i8 - (up < aside) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(points: &[(i32, i32)]) -> Vec<Point> {
        points.iter().map(|(lat_e7, lon_e7)| Point { lat_e7: *lat_e7, lon_e7: *lon_e7 }).collect()
    }

    fn check_owned(ring: &[Point], lat_e7: i32, lon_e7: i32, owned: bool) {
        let point = Point { lat_e7, lon_e7 };
        assert_eq!(contains(ring, point), owned, "{point:?}");
        assert_eq!(contains_slow(&[ring.to_vec()], point), owned, "slow {point:?}");
    }

    #[test]
    fn a_square_owns_its_western_and_southern_sides_and_one_corner() {
        for square in [ring(&[(0, 0), (0, 10), (10, 10), (10, 0)]), ring(&[(0, 0), (10, 0), (10, 10), (0, 10)])] {
            check_owned(&square, 5, 5, true);
            check_owned(&square, 5, 0, true);
            check_owned(&square, 0, 5, true);
            check_owned(&square, 0, 0, true);
            check_owned(&square, 5, 10, false);
            check_owned(&square, 10, 5, false);
            for (lat, lon) in [(0, 10), (10, 0), (10, 10)] {
                check_owned(&square, lat, lon, false);
            }
        }
    }

    #[test]
    fn a_point_on_a_slanted_border_belongs_to_the_east() {
        check_owned(&ring(&[(0, 0), (0, 10), (10, 10)]), 5, 5, true);
        check_owned(&ring(&[(0, 0), (10, 10), (10, 0)]), 5, 5, false);
    }

    #[test]
    fn rings_of_the_size_of_the_globe_do_not_overflow() {
        let (lat, lon) = (Point::LAT_E7_MAX, Point::LON_E7_MAX);
        let globe = ring(&[(-lat, -lon), (-lat, lon), (lat, lon), (lat, -lon)]);
        let half = ring(&[(-lat, -lon), (lat, lon), (lat, -lon)]);
        check_owned(&globe, 0, 0, true);
        check_owned(&globe, -lat, -lon, true);
        check_owned(&globe, lat, lon, false);
        check_owned(&half, 1, 0, true);
        check_owned(&half, -1, 0, false);
        check_owned(&half, 0, 0, false);
        assert_eq!(doubled_area(&globe), 2 * 4 * i128::from(lat) * i128::from(lon));
    }

    #[test]
    fn closing_and_doubled_vertices_are_dropped() {
        let clean = ring(&[(0, 0), (0, 9), (9, 9)]);
        assert_eq!(normalised(&ring(&[(0, 0), (0, 0), (0, 9), (9, 9), (9, 9), (0, 0), (0, 0)])), clean);
        assert_eq!(normalised(&clean), clean);
        assert!(normalised(&ring(&[(0, 0), (0, 9), (0, 0)])).is_empty());
        assert!(normalised(&[]).is_empty());
    }

    #[test]
    fn area_is_positive_counter_clockwise() {
        let square = ring(&[(0, 0), (0, 10), (10, 10), (10, 0)]);
        assert_eq!(doubled_area(&square), 200);
        assert_eq!(doubled_area(&square.iter().rev().copied().collect::<Vec<_>>()), -200);
    }

    #[test]
    fn a_ring_that_crosses_itself_is_found_and_one_that_touches_itself_is_not() {
        assert_eq!(self_intersection(&ring(&[(0, 0), (10, 10), (0, 10), (10, 0)])), Some((0, 2)));
        // Two squares that meet in one vertex.
        assert_eq!(self_intersection(&ring(&[(0, 0), (0, 5), (5, 5), (5, 9), (9, 9), (9, 5), (5, 5), (5, 0)])), None);
        // A vertex on the middle of another edge, and a spike that runs back along itself.
        assert!(self_intersection(&ring(&[(0, 0), (0, 9), (9, 9), (0, 5), (9, 0)])).is_some());
        assert!(self_intersection(&ring(&[(0, 0), (0, 9), (9, 9), (9, 15), (9, 9), (9, 0)])).is_some());
        assert_eq!(self_intersection(&ring(&[(0, 0), (0, 9), (9, 9), (9, 0)])), None);
    }

    proptest::proptest! {
        #[test]
        fn the_fast_test_agrees_with_the_slow_one(
            corners in proptest::collection::vec((-6i32..6, -6i32..6), 0..12), lat in -7i32..7, lon in -7i32..7,
        ) {
            // On so small a lattice most points lie on an edge, on a vertex, or in line with one.
            let ring = ring(&corners);
            let point = Point { lat_e7: lat, lon_e7: lon };
            proptest::prop_assert_eq!(contains(&ring, point), contains_slow(&[ring], point));
        }

        #[test]
        fn an_edge_meets_a_box_exactly_when_a_corner_or_an_end_says_so(
            a in (-9i32..9, -9i32..9), b in (-9i32..9, -9i32..9), low in (-5i32..5, -5i32..5), size in (0i32..5, 0i32..5),
        ) {
            let at = |(lat_e7, lon_e7): (i32, i32)| Point { lat_e7, lon_e7 };
            let bbox = BBox { min: at(low), max: at((low.0 + size.0, low.1 + size.1)) };
            let corners = [bbox.min, at((low.0, low.1 + size.1)), bbox.max, at((low.0 + size.0, low.1))];
            let (a, b) = (at(a), at(b));
            let touches = |c: Point, d: Point| {
                let apart = |x: i8, y: i8| x * y > 0;
                let boxes = BBox::new(a, b).meets(&BBox::new(c, d));
                boxes && !apart(turn(a, b, c), turn(a, b, d)) && !apart(turn(c, d, a), turn(c, d, b))
            };
            let sides = (0..4).any(|side| touches(corners[side], corners[(side + 1) % 4]));
            proptest::prop_assert_eq!(edge_meets_box(a, b, &bbox), bbox.contains(a) || bbox.contains(b) || sides);
        }
    }
}
