//! Shapes of uncertainty: where a caller may be.

use super::point::Point;

/// A claimed place as a shape. Distances in centimetres on the ground, angles in thousandths of a degree clockwise from north.
///
/// # Source
/// RFC 5491, 5 (the eight PIDF-LO shapes; the three-dimensional ones are read as their ground projection).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    Point(Point),
    Circle {
        center: Point,
        radius_cm: u32,
    },
    Ellipse {
        center: Point,
        semi_major_cm: u32,
        semi_minor_cm: u32,
        orientation_mdeg: u32,
    },
    ArcBand {
        center: Point,
        inner_cm: u32,
        outer_cm: u32,
        start_mdeg: u32,
        opening_mdeg: u32,
    },
    /// The outer ring, not repeated at the end, 3 to [`crate::limits::CLAIM_VERTICES_MAX`] vertices.
    Polygon(Vec<Point>),
}
