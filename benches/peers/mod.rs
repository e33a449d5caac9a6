//! What one would take instead: two exact look-ups in this process, from the packages that are used most.
//!
//! Both hold the same areas as polygons of `geo`, with our integer coordinates as floats, which represent them without rounding.
//! - `geo-index` finds the boxes that hold a point, and `geo`'s interval tree over each area's edges says whether the area does.
//! - `rstar` finds the boxes, and `geo` walks the polygon.
//!
//! Neither decides who owns a point that lies on a border: an interval tree says no for every area there.

use geo::indexed::IntervalTreeMultiPolygon;
use geo::orient::{Direction, Orient};
use geo::{BoundingRect, Contains, Coord, LineString, MultiPolygon, Polygon};
use geo_index::rtree::sort::HilbertSort;
use geo_index::rtree::{RTree as PackedTree, RTreeBuilder, RTreeIndex};
use najda::geo::point::Point;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use crate::tilings::Tiling;

/// The areas as `geo` holds them, in the order of their numbers.
pub struct Polygons(pub Vec<(u16, MultiPolygon<f64>)>);

impl Polygons {
    pub fn of(tiling: &Tiling) -> Self {
        let ring = |ring: &Vec<Point>| {
            let mut line: Vec<Coord<f64>> = ring.iter().map(|point| coord(*point)).collect();
            line.extend(line.first().copied());
            LineString::new(line)
        };
        let polygon = |rings: &Vec<Vec<Point>>| {
            let mut rings = rings.iter().map(ring);
            let outer = rings.next().unwrap_or_else(|| LineString::new(Vec::new()));
            Polygon::new(outer, rings.collect()).orient(Direction::Default)
        };
        let areas = tiling.areas.iter();
        Self(areas.map(|(area, polygons)| (*area, MultiPolygon::new(polygons.iter().map(polygon).collect()))).collect())
    }

    /// Bytes of the vertices and of the lists that hold them.
    pub fn memory_bytes(&self) -> usize {
        let line = |line: &LineString<f64>| size_of::<LineString<f64>>() + line.0.len() * size_of::<Coord<f64>>();
        let of_polygon = |polygon: &Polygon<f64>| {
            let inner: usize = polygon.interiors().iter().map(line).sum();
            size_of::<Vec<LineString<f64>>>() + line(polygon.exterior()) + inner
        };
        self.0.iter().map(|(_, area)| size_of::<MultiPolygon<f64>>() + area.0.iter().map(of_polygon).sum::<usize>()).sum()
    }

    fn boxes(&self) -> impl Iterator<Item = (usize, geo::Rect<f64>)> {
        self.0.iter().enumerate().filter_map(|(at, (_, area))| Some((at, area.bounding_rect()?)))
    }
}

fn coord(point: Point) -> Coord<f64> {
    Coord { x: f64::from(point.lon_e7), y: f64::from(point.lat_e7) }
}

/// geo-index and geo's interval trees.
pub struct IndexAndTrees {
    boxes: PackedTree<f64>,
    areas: Vec<(u16, IntervalTreeMultiPolygon<f64>)>,
}

impl IndexAndTrees {
    pub fn build(polygons: &Polygons) -> Self {
        let mut boxes = RTreeBuilder::<f64>::new(polygons.boxes().count() as u32);
        for (_, rect) in polygons.boxes() {
            boxes.add(rect.min().x, rect.min().y, rect.max().x, rect.max().y);
        }
        let areas = polygons.boxes().map(|(at, _)| (polygons.0[at].0, IntervalTreeMultiPolygon::new(&polygons.0[at].1)));
        Self { areas: areas.collect(), boxes: boxes.finish::<HilbertSort>() }
    }

    /// One more than the least area that contains the point; 0 for none.
    pub fn owner(&self, point: Point) -> u64 {
        let at = coord(point);
        let found = self.boxes.search(at.x, at.y, at.x, at.y).into_iter().filter_map(|index| self.areas.get(index as usize));
        found.filter(|(_, tree)| tree.contains(&at)).map(|(area, _)| u64::from(*area) + 1).min().unwrap_or(0)
    }
}

/// rstar and geo.
pub struct RStarAndGeo<'a> {
    boxes: RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>,
    polygons: &'a Polygons,
}

impl<'a> RStarAndGeo<'a> {
    pub fn build(polygons: &'a Polygons) -> Self {
        let corner = |at: Coord<f64>| [at.x, at.y];
        let boxes = polygons.boxes().map(|(at, rect)| {
            let bounds = AABB::from_corners(corner(rect.min()), corner(rect.max()));
            GeomWithData::new(Rectangle::from_aabb(bounds), at)
        });
        Self { boxes: RTree::bulk_load(boxes.collect()), polygons }
    }

    /// The areas whose box holds the point.
    pub fn near(&self, point: Point) -> impl Iterator<Item = u16> {
        let at = coord(point);
        self.boxes.locate_all_at_point(&[at.x, at.y]).filter_map(|found| Some(self.polygons.0.get(found.data)?.0))
    }

    /// One more than the least area that contains the point; 0 for none.
    pub fn owner(&self, point: Point) -> u64 {
        let at = coord(point);
        let found = self.boxes.locate_all_at_point(&[at.x, at.y]).filter_map(|found| self.polygons.0.get(found.data));
        found.filter(|(_, area)| area.contains(&at)).map(|(area, _)| u64::from(*area) + 1).min().unwrap_or(0)
    }
}
