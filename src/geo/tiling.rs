//! Areas that should tile a country: makes borders drawn twice one border, and finds what does not fit.
//!
//! [`snap`] moves vertices of different areas that stand closer than the pack's `snap_m` onto each other and inserts the vertices
//! of one area into the nearby edges of another, so that shared borders coincide exactly. [`inspect`] lays all edges into one
//! planar map, walks its faces, and reports every face that belongs to nobody or to two.
//!
//! What this module does not do: it never closes a gap or an overlap wider than `snap_m`. Who owns such a place is for people.
//!
//! # Invariants
//! 1. No vertex moves farther than `snap_m`, and every vertex of a changed edge lies within `snap_m` of the edge as it was drawn.
//!    The points within a distance of a segment form a convex set, so the whole new line lies in it, and the owner of a place
//!    farther than `snap_m` from every drawn border never changes.
//! 2. Integers only and sorted order everywhere: the same layers give the same result on every machine.
//! 3. Distances are rounded up, so that a bound in metres holds on the ground.

use super::point::Point;
use super::ring;
use super::trig::{self, SCALE_BITS, Scale};

/// One feature of a layer: the area it belongs to and its polygons, each with the outer ring first, rings not closed.
///
/// Outlines with the same `area` are one area.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    pub area: u32,
    pub polygons: Vec<Vec<Vec<Point>>>,
}

/// What [`snap`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapping {
    /// Distinct positions that moved onto a vertex of another area.
    pub vertices_snapped: u32,
    /// Vertices inserted into edges of another area.
    pub nodes_added: u32,
    /// Rings that had no inside left and are gone.
    pub rings_collapsed: u32,
    /// The farthest any vertex moved, rounded up.
    pub moved_cm_max: u32,
}

/// Something in a layer that does not tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Two areas have a polygon in common, vertex for vertex or place for place.
    Duplicate,
    /// Nobody's place, enclosed by two areas or more.
    Gap,
    /// Nobody's place, enclosed by one area alone: a lake, a foreign enclave, or an area that was forgotten.
    Hole,
    /// A hole drawn inside another hole of the same polygon.
    HoleInHole,
    /// A hole drawn outside the outer ring of its polygon.
    HoleOutside,
    /// A polygon of one area lies wholly inside another area, which has no hole for it.
    Orphan,
    /// Two areas own the same place.
    Overlap,
    /// A ring crosses itself or another ring of its polygon.
    SelfCrossing,
    /// Two polygons of one area overlap; counted twice, the place would be nobody's.
    SelfOverlap,
}

/// One fault: whose it is, where, and how large.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub fault: Fault,
    /// Positions of the outlines concerned in the slice given to [`inspect`], sorted. For [`Fault::Orphan`] the inner one first.
    pub outlines: Vec<u32>,
    /// A place in the middle of the largest piece.
    pub at: Point,
    /// All pieces together; zero for crossings.
    pub area_m2: u64,
    /// How far the middle of the largest piece is from its edge: every point of it is at most this far from a border.
    pub radius_cm: u64,
    /// Pieces, or crossings.
    pub count: u32,
}

/// What [`inspect`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Sorted by fault, then by outlines.
    pub findings: Vec<Finding>,
    /// Gaps and overlaps nowhere deeper than the tolerance: nobody is sent wrong by more than that.
    pub slivers: u32,
    pub slivers_m2: u64,
    /// Faces of the planar map that exactly one area owns, as an area.
    pub owned_m2: u64,
    /// The noding did not come to rest within its bound; findings are right up to a few centimetres.
    pub unsettled: bool,
}

/// Brings borders of different areas that are closer than `snap_m` together. See the module for what is promised.
///
/// # Cost
/// `O(n log n)` in the vertices; 180,000 of them take well under a second.
pub fn snap(outlines: &mut [Outline], snap_m: u32) -> Snapping {
    let mut report = Snapping::default();
    let snap_um = i64::from(snap_m) * 1_000_000;
    let mut sites = Sites::collect(outlines);
    if snap_um == 0 || sites.points.is_empty() {
        return report;
    }
    let moves = choose_moves(&mut sites, snap_um);
    report.vertices_snapped = moves.len() as u32;
    report.moved_cm_max = moves.iter().map(|&(from, to)| (distance_um(from, to) as u64).div_ceil(10_000) as u32).max().unwrap_or(0);
    let nodes = choose_nodes(outlines, &moves, &sites, snap_um);
    report.nodes_added = nodes.len() as u32;
    rebuild(outlines, &moves, &nodes, &mut report);
    report
}

/// Finds everything in a layer that does not tile. Gaps and overlaps nowhere deeper than `tolerance_m` are only counted.
///
/// # Cost
/// `O(n log n)` in the vertices plus the size of what is found.
pub fn inspect(outlines: &[Outline], tolerance_m: u32) -> Inspection {
    let mut inspection = Inspection::default();
    let shards = shards_of(outlines);
    let mut findings = misplaced_holes(outlines);
    let map = PlanarMap::build(outlines, &shards, &mut findings, &mut inspection.unsettled);
    find_faces(&map, &shards, tolerance_m, &mut findings, &mut inspection);
    findings.sort();
    inspection.findings = findings;
    inspection
}

/// Whether the polygons own the place: even-odd over all rings, borders as [`ring`] says.
pub fn contains(polygons: &[Vec<Vec<Point>>], p: Point) -> bool {
    polygons.iter().flatten().fold(false, |inside, ring| inside ^ ring::contains(ring, p))
}

/// A place well inside a ring: the point farthest from its edge, near enough. `None` when the ring has no inside.
pub fn middle(ring: &[Point]) -> Option<Point> {
    deepest(&ring::edges(ring).map(|(a, b)| (Site::of(a), Site::of(b))).collect::<Vec<_>>()).map(|(at, _)| at)
}

/// Pairs of areas that share an edge, and areas with an edge that nobody shares. Sorted; `None` stands for the outside.
pub fn neighbours(outlines: &[Outline]) -> Vec<(u32, Option<u32>)> {
    let mut edges: Vec<(Point, Point, u32)> = Vec::new();
    for outline in outlines {
        for (a, b) in outline.polygons.iter().flatten().flat_map(|ring| ring::edges(ring)) {
            edges.push((a.min(b), a.max(b), outline.area));
        }
    }
    edges.sort_unstable();
    let mut pairs = Vec::new();
    for group in edges.chunk_by(|x, y| (x.0, x.1) == (y.0, y.1)) {
        let mut areas: Vec<u32> = group.iter().map(|edge| edge.2).collect();
        areas.dedup();
        match areas.as_slice() {
            [one] if group.len() == 1 => pairs.push((*one, None)),
            [_] => {}
            several => {
                for (i, &a) in several.iter().enumerate() {
                    pairs.extend(several[i + 1..].iter().map(|&b| (a, Some(b))));
                }
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

// --- measuring ---

/// A flat map of a neighbourhood in micrometres.
#[derive(Clone, Copy)]
struct Plane {
    origin: Point,
    scale: Scale,
}

impl Plane {
    fn at(origin: Point) -> Self {
        Self { origin, scale: trig::scale(origin.lat_e7) }
    }

    fn place(self, p: Point) -> (i128, i128) {
        let ground = |units: i64, scale: u32| (i128::from(units) * i128::from(scale) * 10_000) >> SCALE_BITS;
        let east = i64::from(p.lon_e7) - i64::from(self.origin.lon_e7);
        let north = i64::from(p.lat_e7) - i64::from(self.origin.lat_e7);
        (ground(east, self.scale.lon), ground(north, self.scale.lat))
    }
}

fn length_um(x: i128, y: i128) -> i64 {
    let square = (x * x + y * y) as u128;
    let root = square.isqrt();
    (root + u128::from(root * root < square)) as i64
}

fn distance_um(a: Point, b: Point) -> i64 {
    let (x, y) = Plane::at(a).place(b);
    length_um(x, y)
}

/// How far a point is from a segment, rounded up, and where along it: from 0 at `a` to the length at `b`, both in micrometres.
fn from_segment(p: Point, a: Point, b: Point) -> (i64, i64, i64) {
    let plane = Plane::at(p);
    let ((ax, ay), (bx, by)) = (plane.place(a), plane.place(b));
    let (dx, dy) = (bx - ax, by - ay);
    let length = length_um(dx, dy);
    if length == 0 {
        return (length_um(ax, ay), 0, 0);
    }
    let along = (-(ax * dx + ay * dy)) / i128::from(length);
    if along <= 0 {
        return (length_um(ax, ay), 0, length);
    }
    if along >= i128::from(length) {
        return (length_um(bx, by), length, length);
    }
    let cross = (ax * dy - ay * dx).unsigned_abs();
    (cross.div_ceil(length as u128) as i64, along as i64, length)
}

/// The distance from a place to the nearest edge of these polygons in centimetres, rounded up.
pub fn distance_cm(polygons: &[Vec<Vec<Point>>], p: Point) -> Option<u64> {
    let edges = polygons.iter().flatten().flat_map(|ring| ring::edges(ring));
    edges.map(|(a, b)| (from_segment(p, a, b).0 as u64).div_ceil(10_000)).min()
}

/// The distance between two places in centimetres, rounded up; never less than on the ground.
pub fn span_cm(a: Point, b: Point) -> u64 {
    (distance_um(a, b) as u64).div_ceil(10_000)
}

/// Whether the edge crosses the ray that leaves `p` westward; half-open, so that a vertex is met once.
fn crosses_west(a: Point, b: Point, p: Point) -> bool {
    if (a.lat_e7 > p.lat_e7) == (b.lat_e7 > p.lat_e7) {
        return false;
    }
    let (low, high) = if a.lat_e7 < b.lat_e7 { (a, b) } else { (b, a) };
    Site::of(low).turn(Site::of(high), Site::of(p)) <= 0
}

// --- snapping ---

/// The distinct positions of a layer and the areas that stand on each.
struct Sites {
    points: Vec<Point>,
    /// Sorted.
    areas: Vec<Vec<u32>>,
}

impl Sites {
    fn collect(outlines: &[Outline]) -> Self {
        let mut all: Vec<(Point, u32)> = Vec::new();
        for outline in outlines {
            all.extend(outline.polygons.iter().flatten().flatten().map(|&point| (point, outline.area)));
        }
        all.sort_unstable();
        all.dedup();
        let mut sites = Self { points: Vec::new(), areas: Vec::new() };
        for group in all.chunk_by(|x, y| x.0 == y.0) {
            sites.points.push(group[0].0);
            sites.areas.push(group.iter().map(|pair| pair.1).collect());
        }
        sites
    }
}

fn disjoint(a: &[u32], b: &[u32]) -> bool {
    a.iter().all(|x| b.binary_search(x).is_err())
}

fn join(into: &mut Vec<u32>, from: &[u32]) {
    into.extend_from_slice(from);
    into.sort_unstable();
    into.dedup();
}

/// Which positions move onto which. A position with more areas stays, then the smaller; each takes one vertex of an area at most,
/// so no area loses a vertex to itself.
fn choose_moves(sites: &mut Sites, snap_um: i64) -> Vec<(Point, Point)> {
    let segments: Vec<(Site, Site)> = sites.points.iter().map(|&p| (Site::of(p), Site::of(p))).collect();
    let margin = Margin::around(&sites.points, snap_um);
    let near = |i: usize, j: usize| {
        disjoint(&sites.areas[i], &sites.areas[j])
            && distance_um(sites.points[i].min(sites.points[j]), sites.points[i].max(sites.points[j])) <= snap_um
    };
    let pairs = close_pairs(&segments, margin, &near);
    if pairs.is_empty() {
        return Vec::new();
    }
    let mut links: Vec<(u32, u32)> = pairs.iter().flat_map(|&(i, j)| [(i, j), (j, i)]).collect();
    links.sort_unstable();
    let mut order: Vec<u32> = links.iter().map(|link| link.0).collect();
    order.dedup();
    order.sort_by_key(|&i| (usize::MAX - sites.areas[i as usize].len(), i));
    let mut anchor = vec![false; sites.points.len()];
    let mut moves = Vec::new();
    for i in order {
        let from = links.partition_point(|link| link.0 < i);
        let candidates = links[from..].iter().take_while(|link| link.0 == i).map(|link| link.1 as usize);
        let here = sites.points[i as usize];
        let target = candidates
            .filter(|&j| anchor[j] && disjoint(&sites.areas[i as usize], &sites.areas[j]))
            .min_by_key(|&j| (distance_um(here.min(sites.points[j]), here.max(sites.points[j])), j));
        match target {
            Some(j) => {
                let taken = std::mem::take(&mut sites.areas[i as usize]);
                join(&mut sites.areas[j], &taken);
                moves.push((here, sites.points[j]));
            }
            None => anchor[i as usize] = true,
        }
    }
    moves.sort_unstable();
    moves
}

fn moved(moves: &[(Point, Point)], point: Point) -> Point {
    moves.binary_search_by_key(&point, |pair| pair.0).map_or(point, |at| moves[at].1)
}

/// A vertex to be inserted into an edge: the edge's number in the layer, how far along, and the vertex.
type Node = (u32, i64, Point);

/// For every vertex and every area that has no vertex there but an edge nearby: the nearest such edge.
fn choose_nodes(outlines: &[Outline], moves: &[(Point, Point)], sites: &Sites, snap_um: i64) -> Vec<Node> {
    let mut segments: Vec<(Site, Site)> = Vec::new();
    let mut edges: Vec<(Point, Point, u32)> = Vec::new();
    for outline in outlines {
        for (a, b) in outline.polygons.iter().flatten().flat_map(|ring| ring::edges(ring)) {
            segments.push((Site::of(a), Site::of(b)));
            edges.push((a, b, outline.area));
        }
    }
    let edge_count = segments.len();
    // A position whose areas moved away has none left and is nobody's vertex any more.
    let live: Vec<usize> = (0..sites.points.len()).filter(|&i| !sites.areas[i].is_empty()).collect();
    segments.extend(live.iter().map(|&i| (Site::of(sites.points[i]), Site::of(sites.points[i]))));
    let margin = Margin::around(&sites.points, snap_um);
    let measure = |edge: usize, site: usize| {
        let (a, b, area) = edges[edge];
        let vertex = sites.points[site];
        if sites.areas[site].binary_search(&area).is_ok() {
            return None;
        }
        // Both areas of a shared border must come to the same answer, whichever way round they drew it.
        let (distance, along, length) = from_segment(vertex, a.min(b), a.max(b));
        let inside = along > 0 && along < length && distance <= snap_um;
        inside.then_some((distance, if a <= b { along } else { length - along }))
    };
    let want = |i: usize, j: usize| {
        let (edge, site) = (i.min(j), i.max(j));
        edge < edge_count && site >= edge_count && measure(edge, live[site - edge_count]).is_some()
    };
    let mut found: Vec<(usize, u32, i64, u32, i64)> = Vec::new();
    for (edge, site) in close_pairs(&segments, margin, &want) {
        let site = live[site as usize - edge_count];
        if let Some((distance, along)) = measure(edge as usize, site) {
            found.push((site, edges[edge as usize].2, distance, edge, along));
        }
    }
    found.sort_unstable();
    let nearest = found.chunk_by(|x, y| (x.0, x.1) == (y.0, y.1)).filter_map(|group| group.first());
    let mut nodes: Vec<Node> = nearest
        .filter(|&&(site, _, _, edge, _)| {
            let (a, b, _) = edges[edge as usize];
            let vertex = sites.points[site];
            vertex != moved(moves, a) && vertex != moved(moves, b)
        })
        .map(|&(site, _, _, edge, along)| (edge, along, sites.points[site]))
        .collect();
    nodes.sort_unstable();
    nodes
}

fn rebuild(outlines: &mut [Outline], moves: &[(Point, Point)], nodes: &[Node], report: &mut Snapping) {
    let (mut edge, mut next) = (0, 0);
    for outline in outlines {
        for polygon in &mut outline.polygons {
            for ring in polygon.iter_mut() {
                let mut line = Vec::with_capacity(ring.len());
                for (&point, &following) in ring.iter().zip(ring.iter().cycle().skip(1)) {
                    line.push(moved(moves, point));
                    // A repeated vertex has no edge behind it, and edges are counted as `ring::edges` does.
                    if point == following {
                        continue;
                    }
                    while let Some(&(_, _, node)) = nodes.get(next).filter(|node| node.0 == edge) {
                        line.push(node);
                        next += 1;
                    }
                    edge += 1;
                }
                line.dedup();
                if line.len() > 1 && line.first() == line.last() {
                    line.pop();
                }
                *ring = line;
            }
            report.rings_collapsed += drop_collapsed(polygon);
        }
        outline.polygons.retain(|polygon| !polygon.is_empty());
    }
}

/// Removes rings without an inside; a polygon that loses its outer ring loses all.
fn drop_collapsed(polygon: &mut Vec<Vec<Point>>) -> u32 {
    let before = polygon.len();
    if polygon.first().is_some_and(|outer| is_flat(outer)) {
        polygon.clear();
    }
    polygon.retain(|ring| !is_flat(ring));
    (before - polygon.len()) as u32
}

/// Whether all vertices stand on one line, so that there is no inside. A figure of eight has an inside, though its area is zero.
pub fn is_flat(ring: &[Point]) -> bool {
    let Some((&first, rest)) = ring.split_first() else { return true };
    let Some(&second) = rest.iter().find(|&&p| p != first) else { return true };
    rest.iter().all(|&p| Site::of(first).turn(Site::of(second), Site::of(p)) == 0)
}

// --- finding what is close to what ---

/// A position in units of 1e-7 degree / [`Site::FINE`], so that crossings can be rounded to far less than a centimetre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Site {
    x: i64,
    y: i64,
}

impl Site {
    const FINE: i64 = 256;

    fn of(p: Point) -> Self {
        Self { x: i64::from(p.lon_e7) * Self::FINE, y: i64::from(p.lat_e7) * Self::FINE }
    }

    fn point(self) -> Point {
        let round = |v: i64| (v + Self::FINE / 2).div_euclid(Self::FINE) as i32;
        Point { lat_e7: round(self.y), lon_e7: round(self.x) }
    }

    /// Positive when `c` is left of the line from here to `b`.
    fn turn(self, b: Self, c: Self) -> i128 {
        i128::from(b.x - self.x) * i128::from(c.y - self.y) - i128::from(b.y - self.y) * i128::from(c.x - self.x)
    }
}

#[derive(Clone, Copy)]
struct Margin {
    x: i64,
    y: i64,
}

impl Margin {
    const NONE: Self = Self { x: 0, y: 0 };

    /// Enough units on both axes to reach `reach_um` anywhere among these points.
    fn around(points: &[Point], reach_um: i64) -> Self {
        // A degree of latitude is shortest on the equator, one of longitude at the greatest latitude.
        let far = points.iter().map(|p| p.lat_e7.saturating_abs()).max().unwrap_or(0);
        let units = |scale: u32| (i128::from(reach_um) << SCALE_BITS) / (i128::from(scale.max(1 << 16)) * 10_000) + 2;
        let (x, y) = (units(trig::scale(far).lon), units(trig::scale(0).lat));
        Self { x: x as i64 * Site::FINE, y: y as i64 * Site::FINE }
    }
}

/// A segment's part inside one box of the division, as a box.
#[derive(Clone, Copy)]
struct Part {
    id: u32,
    low: Site,
    high: Site,
}

/// All pairs of segments whose boxes, widened by the margin, meet and for which `want` holds; smaller number first, sorted.
///
/// Divides space in halves until few segments are left together; a long segment is cut at every division, so that it is only
/// compared with what it passes.
fn close_pairs(segments: &[(Site, Site)], margin: Margin, want: &dyn Fn(usize, usize) -> bool) -> Vec<(u32, u32)> {
    let parts = segments.iter().enumerate().map(|(i, &(a, b))| Part {
        id: i as u32,
        low: Site { x: a.x.min(b.x) - margin.x, y: a.y.min(b.y) - margin.y },
        high: Site { x: a.x.max(b.x) + margin.x, y: a.y.max(b.y) + margin.y },
    });
    let mut division = Division { segments, margin, want, pairs: Vec::new() };
    division.divide(parts.collect(), 0);
    let mut pairs = division.pairs;
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

struct Division<'a> {
    segments: &'a [(Site, Site)],
    margin: Margin,
    want: &'a dyn Fn(usize, usize) -> bool,
    pairs: Vec<(u32, u32)>,
}

impl Division<'_> {
    const LEAF: usize = 20;
    const DEPTH_MAX: u32 = 40;

    fn divide(&mut self, parts: Vec<Part>, depth: u32) {
        if parts.len() <= Self::LEAF || depth == Self::DEPTH_MAX {
            return self.compare(&parts);
        }
        let (low, high) = parts.iter().fold((parts[0].low, parts[0].high), |(low, high), part| {
            let low = Site { x: low.x.min(part.low.x), y: low.y.min(part.low.y) };
            (low, Site { x: high.x.max(part.high.x), y: high.y.max(part.high.y) })
        });
        let by_x = high.x - low.x >= high.y - low.y;
        let mut middles: Vec<i64> = parts.iter().map(|p| if by_x { (p.low.x + p.high.x) / 2 } else { (p.low.y + p.high.y) / 2 }).collect();
        let half = middles.len() / 2;
        let (_, &mut cut, _) = middles.select_nth_unstable(half);
        let (mut under, mut over) = (Vec::with_capacity(half), Vec::with_capacity(half));
        for &part in &parts {
            let (from, until) = if by_x { (part.low.x, part.high.x) } else { (part.low.y, part.high.y) };
            if until <= cut {
                under.push(part);
            } else if from > cut {
                over.push(part);
            } else {
                under.push(self.clip(part, by_x, from, cut));
                over.push(self.clip(part, by_x, cut, until));
            }
        }
        // Too many straddle the cut: dividing further only copies them.
        if under.len().max(over.len()) * 10 > parts.len() * 9 {
            return self.compare(&parts);
        }
        drop(parts);
        self.divide(under, depth + 1);
        self.divide(over, depth + 1);
    }

    /// The part of a segment's widened box between two coordinates of one axis.
    fn clip(&self, part: Part, by_x: bool, from: i64, until: i64) -> Part {
        let (a, b) = self.segments[part.id as usize];
        let Part { id, mut low, mut high } = part;
        if by_x {
            (low.x, high.x) = (from, until);
            let (y0, y1) = range_between((a.x, a.y), (b.x, b.y), from - self.margin.x, until + self.margin.x);
            (low.y, high.y) = (low.y.max(y0 - self.margin.y), high.y.min(y1 + self.margin.y));
        } else {
            (low.y, high.y) = (from, until);
            let (x0, x1) = range_between((a.y, a.x), (b.y, b.x), from - self.margin.y, until + self.margin.y);
            (low.x, high.x) = (low.x.max(x0 - self.margin.x), high.x.min(x1 + self.margin.x));
        }
        Part { id, low, high }
    }

    fn compare(&mut self, parts: &[Part]) {
        for (i, p) in parts.iter().enumerate() {
            for q in &parts[i + 1..] {
                let apart = p.high.x < q.low.x || q.high.x < p.low.x || p.high.y < q.low.y || q.high.y < p.low.y;
                if !apart && p.id != q.id {
                    let (i, j) = (p.id.min(q.id), p.id.max(q.id));
                    if (self.want)(i as usize, j as usize) {
                        self.pairs.push((i, j));
                    }
                }
            }
        }
    }
}

/// The range of the second coordinate of a segment while the first is between two values, rounded outward.
fn range_between(a: (i64, i64), b: (i64, i64), from: i64, until: i64) -> (i64, i64) {
    let (a, b) = if a.0 <= b.0 { (a, b) } else { (b, a) };
    let whole = (a.1.min(b.1), a.1.max(b.1));
    if a.0 == b.0 || (a.0 >= from && b.0 <= until) {
        return whole;
    }
    let at = |v: i64| {
        let v = v.clamp(a.0, b.0);
        a.1 + (i128::from(v - a.0) * i128::from(b.1 - a.1) / i128::from(b.0 - a.0)) as i64
    };
    let (u, v) = (at(from), at(until));
    ((u.min(v) - 1).max(whole.0), (u.max(v) + 1).min(whole.1))
}

// --- holes in the wrong place ---

/// One polygon of the layer: the outline it belongs to and that outline's area.
#[derive(Clone, Copy)]
struct Shard {
    outline: u32,
    area: u32,
}

fn shards_of(outlines: &[Outline]) -> Vec<Shard> {
    let mut shards = Vec::new();
    for (index, outline) in outlines.iter().enumerate() {
        shards.extend(outline.polygons.iter().map(|_| Shard { outline: index as u32, area: outline.area }));
    }
    shards
}

fn misplaced_holes(outlines: &[Outline]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, outline) in outlines.iter().enumerate() {
        for polygon in &outline.polygons {
            let Some((outer, holes)) = polygon.split_first() else { continue };
            let boxes: Vec<_> = holes.iter().map(|hole| bounds(hole)).collect();
            for (i, hole) in holes.iter().enumerate() {
                let mut fault = |fault| {
                    let at = middle(hole).or_else(|| hole.first().copied()).unwrap_or_default();
                    let area_m2 = square_metres(ring::doubled_area(hole).abs() * i128::from(Site::FINE * Site::FINE), at.lat_e7);
                    findings.push(Finding { fault, outlines: vec![index as u32], at, area_m2, radius_cm: 0, count: 1 });
                };
                if lies_outside(hole, outer) {
                    fault(Fault::HoleOutside);
                }
                let within = |&j: &usize| j != i && box_within(boxes[i], boxes[j]) && lies_inside(hole, &holes[j]);
                if (0..holes.len()).any(|j| within(&j)) {
                    fault(Fault::HoleInHole);
                }
            }
        }
    }
    findings
}

/// South, west, north, east of a ring.
fn bounds(ring: &[Point]) -> [i32; 4] {
    ring.iter().fold([i32::MAX, i32::MAX, i32::MIN, i32::MIN], |[s, w, n, e], p| {
        [s.min(p.lat_e7), w.min(p.lon_e7), n.max(p.lat_e7), e.max(p.lon_e7)]
    })
}

fn box_within(inner: [i32; 4], outer: [i32; 4]) -> bool {
    inner[0] >= outer[0] && inner[1] >= outer[1] && inner[2] <= outer[2] && inner[3] <= outer[3]
}

fn on_ring(ring: &[Point], p: Point) -> bool {
    ring::edges(ring).any(|(a, b)| {
        let between = p >= a.min(b) && p <= a.max(b) || (p.lat_e7 >= a.lat_e7.min(b.lat_e7) && p.lat_e7 <= a.lat_e7.max(b.lat_e7));
        between
            && p.lon_e7 >= a.lon_e7.min(b.lon_e7)
            && p.lon_e7 <= a.lon_e7.max(b.lon_e7)
            && p.lat_e7 >= a.lat_e7.min(b.lat_e7)
            && p.lat_e7 <= a.lat_e7.max(b.lat_e7)
            && Site::of(a).turn(Site::of(b), Site::of(p)) == 0
    })
}

/// A ring is judged by its first vertex that is not on the other; rings that cross are reported as crossing.
fn lies_outside(hole: &[Point], other: &[Point]) -> bool {
    hole.iter().find(|&&p| !on_ring(other, p)).is_some_and(|&p| !ring::contains(other, p))
}

fn lies_inside(hole: &[Point], other: &[Point]) -> bool {
    hole.iter().find(|&&p| !on_ring(other, p)).is_some_and(|&p| ring::contains(other, p))
}

// --- the planar map ---

/// All edges of a layer, cut where they meet, each once, with the polygons it bounds.
struct PlanarMap {
    sites: Vec<Site>,
    /// Ends of each edge as positions in `sites`; half-edge `2 e` runs from the first to the second, `2 e + 1` back.
    edges: Vec<(u32, u32)>,
    /// Polygons (positions among the shards) that have an odd number of ring edges here, sorted.
    owners: Vec<Vec<u32>>,
    /// The half-edge after each on its face, which lies to the left.
    next: Vec<u32>,
}

type Piece = (Site, Site, u32);

impl PlanarMap {
    /// Cuts once more for every time rounding made new crossings; never seen to need more than three.
    const PASSES_MAX: u32 = 12;

    fn build(outlines: &[Outline], shards: &[Shard], findings: &mut Vec<Finding>, unsettled: &mut bool) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        let polygons = outlines.iter().flat_map(|outline| &outline.polygons);
        for (shard, polygon) in polygons.enumerate() {
            for (a, b) in polygon.iter().flat_map(|ring| ring::edges(ring)) {
                let (a, b) = (Site::of(a), Site::of(b));
                if a != b {
                    pieces.push((a.min(b), a.max(b), shard as u32));
                }
            }
        }
        cancel_pairs(&mut pieces);
        *unsettled = true;
        for pass in 0..Self::PASSES_MAX {
            let crossings = if pass == 0 { Some(&mut *findings) } else { None };
            if !cut(&mut pieces, shards, crossings) {
                *unsettled = false;
                break;
            }
        }
        Self::link(&pieces)
    }

    fn link(pieces: &[Piece]) -> Self {
        let mut sites: Vec<Site> = pieces.iter().flat_map(|piece| [piece.0, piece.1]).collect();
        sites.sort_unstable();
        sites.dedup();
        let index = |site: Site| sites.binary_search(&site).map_or(0, |at| at as u32);
        let (mut edges, mut owners) = (Vec::new(), Vec::new());
        for group in pieces.chunk_by(|x, y| (x.0, x.1) == (y.0, y.1)) {
            edges.push((index(group[0].0), index(group[0].1)));
            owners.push(group.iter().map(|piece| piece.2).collect());
        }
        let next = link_faces(&sites, &edges);
        Self { sites, edges, owners, next }
    }

    fn from(&self, half: u32) -> u32 {
        let (a, b) = self.edges[half as usize / 2];
        if half & 1 == 0 { a } else { b }
    }

    fn segment(&self, half: u32) -> (Site, Site) {
        (self.sites[self.from(half) as usize], self.sites[self.from(half ^ 1) as usize])
    }
}

/// An edge that one polygon runs along twice separates nothing.
fn cancel_pairs(pieces: &mut Vec<Piece>) {
    pieces.sort_unstable();
    let mut kept = Vec::with_capacity(pieces.len());
    for group in pieces.chunk_by(|x, y| x == y) {
        if group.len() % 2 == 1 {
            kept.push(group[0]);
        }
    }
    *pieces = kept;
}

/// Cuts all pieces where they cross or touch. False when there was nothing to cut.
fn cut(pieces: &mut Vec<Piece>, shards: &[Shard], findings: Option<&mut Vec<Finding>>) -> bool {
    let groups: Vec<&[Piece]> = pieces.chunk_by(|x, y| (x.0, x.1) == (y.0, y.1)).collect();
    let segments: Vec<(Site, Site)> = groups.iter().map(|group| (group[0].0, group[0].1)).collect();
    let meet = |i: usize, j: usize| !meetings(segments[i], segments[j]).is_empty();
    let mut nodes: Vec<(u32, Site)> = Vec::new();
    let mut self_crossings: Vec<(u32, Site)> = Vec::new();
    for (i, j) in close_pairs(&segments, Margin::NONE, &meet) {
        let (s, t) = (segments[i as usize], segments[j as usize]);
        for site in meetings(s, t) {
            nodes.extend([(i, site), (j, site)].into_iter().filter(|&(k, _)| {
                let (a, b) = segments[k as usize];
                site != a && site != b
            }));
        }
        if crosses(s, t) {
            let shared = groups[i as usize].iter().find(|p| groups[j as usize].iter().any(|q| p.2 == q.2));
            self_crossings.extend(shared.map(|piece| (shards[piece.2 as usize].outline, crossing(s, t))));
        }
    }
    if let Some(findings) = findings {
        self_crossings.sort_unstable();
        for group in self_crossings.chunk_by(|x, y| x.0 == y.0) {
            let (outline, at) = group[0];
            let (fault, outlines, at) = (Fault::SelfCrossing, vec![outline], at.point());
            findings.push(Finding { fault, outlines, at, area_m2: 0, radius_cm: 0, count: group.len() as u32 });
        }
    }
    if nodes.is_empty() {
        return false;
    }
    // Along a segment the sites come in their own order, because its ends do.
    nodes.sort_unstable();
    nodes.dedup();
    let mut out = Vec::with_capacity(pieces.len() + 2 * nodes.len());
    for (i, group) in groups.iter().enumerate() {
        let first = nodes.partition_point(|node| node.0 < i as u32);
        let mut from = segments[i].0;
        let inner = nodes[first..].iter().take_while(|node| node.0 == i as u32).map(|node| node.1);
        for until in along(segments[i], inner) {
            out.extend(group.iter().filter(|_| from != until).map(|piece| (from.min(until), from.max(until), piece.2)));
            from = until;
        }
    }
    cancel_pairs(&mut out);
    *pieces = out;
    true
}

/// The given sites in the order in which the segment meets them, and its end.
fn along(segment: (Site, Site), sites: impl Iterator<Item = Site>) -> Vec<Site> {
    let (a, b) = segment;
    let mut line: Vec<Site> = sites.collect();
    line.sort_by_key(|site| i128::from(site.x - a.x) * i128::from(b.x - a.x) + i128::from(site.y - a.y) * i128::from(b.y - a.y));
    line.push(b);
    line
}

/// Whether two segments cross in the inside of both.
fn crosses((a, b): (Site, Site), (c, d): (Site, Site)) -> bool {
    let (c_side, d_side) = (a.turn(b, c).signum(), a.turn(b, d).signum());
    let (a_side, b_side) = (c.turn(d, a).signum(), c.turn(d, b).signum());
    c_side * d_side < 0 && a_side * b_side < 0
}

/// Where two segments cross, rounded to the nearest site.
fn crossing((a, b): (Site, Site), (c, d): (Site, Site)) -> Site {
    let (part, rest) = (c.turn(d, a), c.turn(d, b));
    let whole = part - rest;
    if whole == 0 {
        return a;
    }
    let at = |from: i64, until: i64| from + divide_rounded(i128::from(until - from) * part, whole) as i64;
    Site { x: at(a.x, b.x), y: at(a.y, b.y) }
}

fn divide_rounded(a: i128, b: i128) -> i128 {
    let (a, b) = if b < 0 { (-a, -b) } else { (a, b) };
    (2 * a + b).div_euclid(2 * b)
}

/// The places where two segments must be cut: their crossing, or ends of one in the inside of the other.
fn meetings(s: (Site, Site), t: (Site, Site)) -> Vec<Site> {
    let mut out = Vec::new();
    if crosses(s, t) {
        out.push(crossing(s, t));
        return out;
    }
    for (end, other) in [(s.0, t), (s.1, t), (t.0, s), (t.1, s)] {
        if inside_segment(end, other) {
            out.push(end);
        }
    }
    out
}

fn inside_segment(p: Site, (a, b): (Site, Site)) -> bool {
    p != a && p != b && p.x >= a.x.min(b.x) && p.x <= a.x.max(b.x) && p.y >= a.y.min(b.y) && p.y <= a.y.max(b.y) && a.turn(b, p) == 0
}

/// Sorts the edges around every site and says which half-edge follows which around a face.
fn link_faces(sites: &[Site], edges: &[(u32, u32)]) -> Vec<u32> {
    let ends = |half: u32| {
        let (a, b) = edges[half as usize / 2];
        let (from, until) = if half & 1 == 0 { (a, b) } else { (b, a) };
        (sites[from as usize], sites[until as usize])
    };
    let mut leaving: Vec<(u32, u32)> = Vec::with_capacity(edges.len() * 2);
    for (e, &(a, b)) in edges.iter().enumerate() {
        leaving.extend([(a, 2 * e as u32), (b, 2 * e as u32 + 1)]);
    }
    leaving.sort_unstable();
    let mut next = vec![0; edges.len() * 2];
    for around in leaving.chunk_by_mut(|x, y| x.0 == y.0) {
        around.sort_by(|x, y| compare_angles(ends(x.1), ends(y.1)));
        for i in 0..around.len() {
            // Coming in by the twin of one, the face on the left goes on with the one before it.
            let before = around[(i + around.len() - 1) % around.len()].1;
            next[(around[i].1 ^ 1) as usize] = before;
        }
    }
    next
}

/// Compares two half-edges that leave one site by their angle, counter-clockwise from east.
fn compare_angles(a: (Site, Site), b: (Site, Site)) -> std::cmp::Ordering {
    let (u, v) = ((a.1.x - a.0.x, a.1.y - a.0.y), (b.1.x - b.0.x, b.1.y - b.0.y));
    let upper = |(x, y): (i64, i64)| y < 0 || (y == 0 && x < 0);
    let cross = i128::from(u.0) * i128::from(v.1) - i128::from(u.1) * i128::from(v.0);
    upper(u).cmp(&upper(v)).then(0.cmp(&cross))
}

// --- faces ---

/// One cycle of half-edges: a face's outer line when it runs counter-clockwise, else the outside of a group of connected edges.
struct Cycle {
    first: u32,
    twice_area: i128,
    /// Polygons that own the face on its left; sorted.
    cover: Vec<u32>,
    /// For an outside: the counter-clockwise cycle whose face it lies in, if any.
    parent: Option<u32>,
    known: bool,
}

fn cycle_halves(map: &PlanarMap, first: u32) -> impl Iterator<Item = u32> + '_ {
    let mut at = Some(first);
    std::iter::from_fn(move || {
        let half = at?;
        let next = map.next[half as usize];
        at = (next != first).then_some(next);
        Some(half)
    })
}

fn walk_cycles(map: &PlanarMap) -> (Vec<Cycle>, Vec<u32>) {
    let mut cycle_of = vec![u32::MAX; map.next.len()];
    let mut cycles = Vec::new();
    for first in 0..map.next.len() as u32 {
        if cycle_of[first as usize] != u32::MAX {
            continue;
        }
        let mut twice_area = 0;
        for half in cycle_halves(map, first) {
            cycle_of[half as usize] = cycles.len() as u32;
            let (a, b) = map.segment(half);
            twice_area += i128::from(a.x) * i128::from(b.y) - i128::from(b.x) * i128::from(a.y);
        }
        cycles.push(Cycle { first, twice_area, cover: Vec::new(), parent: None, known: false });
    }
    (cycles, cycle_of)
}

/// Gives every cycle the polygons that own its face: known outside, then across every edge the edge's own polygons change.
fn spread_cover(map: &PlanarMap, cycles: &mut [Cycle], cycle_of: &[u32]) {
    let rows = Rows::build(map);
    let mut outsides: Vec<(Site, u32)> = Vec::new();
    for (index, cycle) in cycles.iter().enumerate() {
        if cycle.twice_area <= 0 {
            let west = cycle_halves(map, cycle.first).map(|half| map.segment(half).0).min();
            outsides.extend(west.map(|site| (site, index as u32)));
        }
    }
    // From west to east: what encloses a group begins west of it, so it is known before.
    outsides.sort_unstable();
    let mut queue = Vec::new();
    for (west, outside) in outsides {
        let parent = rows.face_west_of(map, west).map(|half| cycle_of[half as usize]);
        let parent =
            parent.and_then(|cycle| if cycles[cycle as usize].twice_area > 0 { Some(cycle) } else { cycles[cycle as usize].parent });
        let cover = parent.map_or_else(Vec::new, |cycle| cycles[cycle as usize].cover.clone());
        let cycle = &mut cycles[outside as usize];
        (cycle.parent, cycle.known) = (parent, true);
        cycle.cover = cover;
        queue.push(outside);
        while let Some(at) = queue.pop() {
            let cover = cycles[at as usize].cover.clone();
            for half in cycle_halves(map, cycles[at as usize].first) {
                let beyond = cycle_of[(half ^ 1) as usize];
                if !cycles[beyond as usize].known {
                    cycles[beyond as usize].known = true;
                    cycles[beyond as usize].cover = toggled(&cover, &map.owners[half as usize / 2]);
                    queue.push(beyond);
                }
            }
        }
    }
}

fn toggled(a: &[u32], b: &[u32]) -> Vec<u32> {
    let only_a = a.iter().filter(|x| b.binary_search(x).is_err());
    let mut out: Vec<u32> = only_a.chain(b.iter().filter(|x| a.binary_search(x).is_err())).copied().collect();
    out.sort_unstable();
    out
}

/// Edges by latitude, to look west from a site without asking all of them.
struct Rows {
    south: i64,
    step: i64,
    starts: Vec<u32>,
    edges: Vec<u32>,
}

impl Rows {
    fn build(map: &PlanarMap) -> Self {
        let south = map.sites.iter().map(|site| site.y).min().unwrap_or(0);
        let north = map.sites.iter().map(|site| site.y).max().unwrap_or(0);
        let count = map.edges.len().isqrt().clamp(1, 4_096);
        let step = (north - south) / count as i64 + 1;
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for e in 0..map.edges.len() as u32 {
            let (a, b) = map.segment(2 * e);
            let (from, until) = ((a.y.min(b.y) - south) / step, (a.y.max(b.y) - south) / step);
            pairs.extend((from..=until).map(|row| (row as u32, e)));
        }
        pairs.sort_unstable();
        let starts = (0..=count as u32 + 1).map(|row| pairs.partition_point(|pair| pair.0 < row) as u32).collect();
        Self { south, step, starts, edges: pairs.into_iter().map(|pair| pair.1).collect() }
    }

    /// The half-edge that has this site's outside on its left: the first met when looking west from a hair above the site.
    fn face_west_of(&self, map: &PlanarMap, site: Site) -> Option<u32> {
        let row = ((site.y - self.south) / self.step) as usize;
        let (from, until) = (*self.starts.get(row)? as usize, *self.starts.get(row + 1)? as usize);
        let mut best: Option<(i128, i128, i128, u32)> = None;
        for &edge in &self.edges[from..until] {
            let (a, b) = map.segment(2 * edge);
            let upward = a.y <= b.y;
            let (low, high) = if upward { (a, b) } else { (b, a) };
            if !(low.y <= site.y && site.y < high.y) {
                continue;
            }
            // Where the edge meets the line of latitude, relative to the site, as a fraction; and its lean, for ties.
            let whole = i128::from(high.y - low.y);
            let part = i128::from(low.x - site.x) * whole + i128::from(site.y - low.y) * i128::from(high.x - low.x);
            let lean = i128::from(high.x - low.x);
            if part >= 0 {
                continue;
            }
            let nearer = best.is_none_or(|(p, w, l, _)| (part * w).cmp(&(p * whole)).then((lean * w).cmp(&(l * whole))).is_gt());
            if nearer {
                // Looking west at it, the east side is on the left of the edge that runs south.
                let half = if upward { 2 * edge + 1 } else { 2 * edge };
                best = Some((part, whole, lean, half));
            }
        }
        best.map(|found| found.3)
    }
}

/// A face with more or fewer owners than one.
struct Wrong {
    twice_area: i128,
    radius_cm: u64,
    at: Point,
}

fn find_faces(map: &PlanarMap, shards: &[Shard], tolerance_m: u32, findings: &mut Vec<Finding>, inspection: &mut Inspection) {
    let (mut cycles, cycle_of) = walk_cycles(map);
    spread_cover(map, &mut cycles, &cycle_of);
    // What lies inside a face as an island of its own is no part of it.
    let mut faces: Vec<i128> = cycles.iter().map(|cycle| cycle.twice_area.max(0)).collect();
    for cycle in cycles.iter().filter(|cycle| cycle.twice_area <= 0) {
        if let Some(parent) = cycle.parent {
            faces[parent as usize] += cycle.twice_area;
        }
    }
    let mut owned = vec![0; shards.len()];
    let mut gaps: Vec<(Fault, Vec<u32>, Wrong)> = Vec::new();
    let mut doubles: Vec<((u32, u32), Wrong)> = Vec::new();
    let tolerance_cm = u64::from(tolerance_m) * 100;
    for (index, cycle) in cycles.iter().enumerate().filter(|(_, cycle)| cycle.twice_area > 0) {
        let twice_area = faces[index];
        cycle.cover.iter().for_each(|&shard| owned[shard as usize] += twice_area);
        if cycle.cover.len() == 1 {
            let (site, _) = map.segment(cycle.first);
            inspection.owned_m2 += square_metres(twice_area, site.point().lat_e7);
            continue;
        }
        let Some(wrong) = measure_face(map, cycle.first, twice_area, tolerance_cm) else {
            let (site, _) = map.segment(cycle.first);
            inspection.slivers += 1;
            inspection.slivers_m2 += square_metres(twice_area, site.point().lat_e7);
            // A double owner is remembered, so that an orphan that is partly a sliver is still known as one.
            continue;
        };
        if cycle.cover.is_empty() {
            let mut around: Vec<u32> =
                cycle_halves(map, cycle.first).flat_map(|half| map.owners[half as usize / 2].iter().copied()).collect();
            around.sort_unstable();
            around.dedup();
            let mut areas: Vec<u32> = around.iter().map(|&shard| shards[shard as usize].area).collect();
            areas.sort_unstable();
            areas.dedup();
            let mut features: Vec<u32> = around.iter().map(|&shard| shards[shard as usize].outline).collect();
            features.dedup();
            gaps.push((if areas.len() > 1 { Fault::Gap } else { Fault::Hole }, features, wrong));
            continue;
        }
        for (i, &a) in cycle.cover.iter().enumerate() {
            for &b in &cycle.cover[i + 1..] {
                doubles.push(((a, b), Wrong { ..wrong }));
            }
        }
    }
    findings.extend(gaps.into_iter().map(|(fault, outlines, wrong)| finding(fault, outlines, [wrong].iter())));
    report_doubles(doubles, shards, &owned, findings);
}

/// Depth and middle of a face; `None` when no point of it is deeper than the tolerance.
fn measure_face(map: &PlanarMap, first: u32, twice_area: i128, tolerance_cm: u64) -> Option<Wrong> {
    let edges: Vec<(Site, Site)> = cycle_halves(map, first).map(|half| map.segment(half)).collect();
    let at = edges.first()?.0.point();
    // A disc is the deepest shape of its area: most slivers need no closer look.
    let area_cm2 = square_centimetres(twice_area, at.lat_e7);
    if area_cm2 * 7 <= tolerance_cm as u128 * tolerance_cm as u128 * 22 {
        return None;
    }
    let (at, radius_cm) = deepest(&edges)?;
    (radius_cm > tolerance_cm).then_some(Wrong { twice_area, radius_cm, at })
}

fn finding<'a>(fault: Fault, outlines: Vec<u32>, pieces: impl Iterator<Item = &'a Wrong> + Clone) -> Finding {
    let largest = pieces.clone().max_by_key(|wrong| (wrong.radius_cm, wrong.at));
    let (at, radius_cm) = largest.map_or((Point::default(), 0), |wrong| (wrong.at, wrong.radius_cm));
    let twice_area = pieces.clone().map(|wrong| wrong.twice_area).sum();
    Finding { fault, outlines, at, area_m2: square_metres(twice_area, at.lat_e7), radius_cm, count: pieces.count() as u32 }
}

/// Says of every two polygons that own a place together what they are: the same, one inside the other, or overlapping.
fn report_doubles(mut doubles: Vec<((u32, u32), Wrong)>, shards: &[Shard], owned: &[i128], findings: &mut Vec<Finding>) {
    doubles.sort_by_key(|(pair, wrong)| (*pair, wrong.at));
    let mut overlaps: Vec<((Fault, Vec<u32>), Wrong)> = Vec::new();
    for group in doubles.chunk_by(|x, y| x.0 == y.0) {
        let (a, b) = group[0].0;
        let (shard_a, shard_b) = (shards[a as usize], shards[b as usize]);
        let common: i128 = group.iter().map(|(_, wrong)| wrong.twice_area).sum();
        // Slivers at the edge are not in the sum; a thousandth may be missing.
        let all_of = |shard: u32| common * 1_000 >= owned[shard as usize] * 999;
        let (fault, features) = if shard_a.area == shard_b.area {
            (Fault::SelfOverlap, vec![shard_a.outline, shard_b.outline])
        } else if all_of(a) && all_of(b) {
            (Fault::Duplicate, vec![shard_a.outline, shard_b.outline])
        } else if all_of(a) {
            (Fault::Orphan, vec![shard_a.outline, shard_b.outline])
        } else if all_of(b) {
            (Fault::Orphan, vec![shard_b.outline, shard_a.outline])
        } else {
            (Fault::Overlap, vec![shard_a.outline, shard_b.outline])
        };
        overlaps.extend(group.iter().map(|(_, wrong)| ((fault, features.clone()), Wrong { ..*wrong })));
    }
    // One finding for two areas, however many of their polygons overlap.
    overlaps.sort_by(|x, y| x.0.cmp(&y.0).then(x.1.at.cmp(&y.1.at)));
    for group in overlaps.chunk_by(|x, y| x.0 == y.0) {
        let (fault, mut features) = group[0].0.clone();
        features.dedup();
        findings.push(finding(fault, features, group.iter().map(|(_, wrong)| wrong)));
    }
}

fn square_centimetres(twice_area: i128, lat_e7: i32) -> u128 {
    // Half, and back from fine units to units.
    let units = twice_area.max(0) as u128 / (2 * (Site::FINE * Site::FINE) as u128);
    let Scale { lat, lon } = trig::scale(lat_e7);
    (((units * u128::from(lat)) >> SCALE_BITS) * u128::from(lon)) >> SCALE_BITS
}

fn square_metres(twice_area: i128, lat_e7: i32) -> u64 {
    (square_centimetres(twice_area, lat_e7) / 10_000) as u64
}

// --- the deepest point of a face ---

/// The point inside closed lines that is farthest from them, to about a twentieth, and its distance in centimetres.
///
/// Divides squares into four and keeps those that can still hold a deeper point. A long thin face would need very many: after a
/// fixed number the best so far counts.
fn deepest(edges: &[(Site, Site)]) -> Option<(Point, u64)> {
    const SQUARES_MAX: usize = 2_000;
    let points: Vec<(Point, Point)> = edges.iter().map(|(a, b)| (a.point(), b.point())).collect();
    let corner = points.first()?.0;
    let [mut south, mut west, mut north, mut east] = [corner.lat_e7, corner.lon_e7, corner.lat_e7, corner.lon_e7];
    for (p, _) in &points {
        (south, north) = (south.min(p.lat_e7), north.max(p.lat_e7));
        (west, east) = (west.min(p.lon_e7), east.max(p.lon_e7));
    }
    let inside = |p: Point| points.iter().fold(false, |inside, &(a, b)| inside ^ crosses_west(a, b, p));
    let depth = |p: Point| {
        let distance = points.iter().map(|&(a, b)| from_segment(p, a, b).0).min().unwrap_or(0);
        if inside(p) { distance } else { -distance }
    };
    let mut best = scan_line(&points, south, north).map(|p| (depth(p), p))?;
    let mut squares = std::collections::BinaryHeap::new();
    let square = |south: i64, west: i64, north: i64, east: i64| {
        let point = Point { lat_e7: ((south + north) / 2) as i32, lon_e7: ((west + east) / 2) as i32 };
        let here = depth(point);
        let reach = distance_um(point, Point { lat_e7: north as i32, lon_e7: east as i32 });
        (here.saturating_add(reach), here, point, [south, west, north, east])
    };
    squares.push(square(south.into(), west.into(), north.into(), east.into()));
    for _ in 0..SQUARES_MAX {
        let Some((possible, here, point, [south, west, north, east])) = squares.pop() else { break };
        best = best.max((here, point));
        if possible <= best.0 + best.0.max(0) / 20 + 10_000 || north - south < 2 || east - west < 2 {
            break;
        }
        let (lat, lon) = ((south + north) / 2, (west + east) / 2);
        squares.push(square(south, west, lat, lon));
        squares.push(square(south, lon, lat, east));
        squares.push(square(lat, west, north, lon));
        squares.push(square(lat, lon, north, east));
    }
    (best.0 >= 0).then_some((best.1, best.0 as u64 / 10_000))
}

/// The middle of the widest stretch inside the lines, on a few lines of latitude.
fn scan_line(edges: &[(Point, Point)], south: i32, north: i32) -> Option<Point> {
    const LINES: i64 = 8;
    let mut best: Option<(i64, Point)> = None;
    for k in 1..LINES {
        let lat = (i64::from(south) + (i64::from(north) - i64::from(south)) * k / LINES) as i32;
        let mut meets: Vec<i64> = Vec::new();
        for &(a, b) in edges {
            if (a.lat_e7 > lat) != (b.lat_e7 > lat) {
                let rise = i64::from(b.lat_e7) - i64::from(a.lat_e7);
                let run = i128::from(b.lon_e7) - i128::from(a.lon_e7);
                let step = run * (i128::from(lat) - i128::from(a.lat_e7)) / i128::from(rise);
                meets.push(i64::from(a.lon_e7) + step as i64);
            }
        }
        meets.sort_unstable();
        for pair in meets.chunks_exact(2) {
            let width = pair[1] - pair[0];
            if best.is_none_or(|(widest, _)| width > widest) {
                best = Some((width, Point { lat_e7: lat, lon_e7: ((pair[0] + pair[1]) / 2) as i32 }));
            }
        }
    }
    best.map(|found| found.1).or_else(|| edges.first().map(|edge| edge.0))
}

#[cfg(test)]
mod tests;
