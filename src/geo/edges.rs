//! Borders and coasts as edges: how near is the next one, and whose is it.
//!
//! The question on every contact's path is "is any border near enough to matter", and [`Borders::clearance_cm`] answers it
//! with one load from a coarse grid. Only where it says "perhaps" are edges looked at, through a packed tree: edges sorted along
//! a Z-curve in runs of sixteen, a box over each run, a box over each sixteen boxes, up to one.
//!
//! # Invariants
//! - `clearance_cm` is never more than the least of distance minus reach over all edges.
//! - Queries allocate nothing and end, whatever the words hold: a child's index is computed from its level, never read.

use arrayvec::ArrayVec;

use super::grid::{GridError, IndexedArea, merged_edges};
use super::point::{BBox, Point, box_distance_cm, segment_distance_cm};
use super::ring::edge_meets_box;
use super::trig::{self, SCALE_BITS};
use crate::limits::AREAS_MAX;

/// One straight piece of a border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BorderEdge {
    pub a: Point,
    pub b: Point,
    pub area: u16,
    /// The area on the other side; `None` is the outside (a coast, or a neighbour that has no table).
    pub other: Option<u16>,
    /// The declared accuracy of this border, in centimetres on the ground, set by whoever surveyed it.
    pub reach_cm: u32,
}

/// An area one of whose edges is near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    pub area: u16,
    /// From the point to the nearest of the area's edges that count.
    pub distance_cm: u32,
    /// The declared accuracy of that edge.
    pub reach_cm: u32,
}

/// Areas named by one question about what is near.
pub const NEAR_MAX: usize = 16;

/// The compiled index over border edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Borders {
    /// Six words an edge: latitude and longitude of `a`, of `b`, the two areas, the reach.
    edges: Vec<[u32; EDGE_WORDS]>,
    /// Boxes of runs of sixteen, then of sixteen of those, and so on: south, west, north, east, greatest reach, areas.
    nodes: Vec<[u32; NODE_WORDS]>,
    clearance: Clearance,
}

/// For each cell of a coarse grid, metres in which no edge lies, however it is displaced within its reach.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Clearance {
    bbox: BBox,
    shift: u32,
    lons: u32,
    lats: u32,
    reach_cm_max: u32,
    metres: Vec<u16>,
}

const EDGE_WORDS: usize = 6;
const NODE_WORDS: usize = 6;
const FANOUT: usize = 16;
/// 16^7 runs of 16 edges are more than a u32 counts.
const LEVELS_MAX: usize = 8;
/// Two areas in one word; none of them is this.
const NO_AREA: u32 = 0xffff;
/// A node whose edges do not all part the same two areas.
const MIXED: u32 = u32::MAX;
/// The coarse grid stays below 256 KiB, so that it lives in the second cache.
const CLEARANCE_CELLS_MAX: u64 = 131_072;
const CLEARANCE_SHIFT_MAX: u32 = 24;
/// A reach beyond this says nothing about whose place it is.
pub const REACH_CM_MAX: u32 = 100_000_000;
const WORDS_MAGIC: u32 = 0x4752_4532;
const HEADER_WORDS: usize = 10;

/// The edges of a set of areas: where two areas share an edge one edge between them, elsewhere an edge to the outside.
///
/// Areas of one layer are meant; where several layers share an edge it is returned once for each two areas, in ascending order.
///
/// # Errors
/// An area or a vertex out of range.
pub fn border_edges(areas: &[IndexedArea], reach_cm: impl Fn(u16, Option<u16>) -> u32) -> Result<Vec<BorderEdge>, GridError> {
    let merged = merged_edges(areas)?;
    let mut edges = Vec::with_capacity(merged.edges.len());
    for edge in &merged.edges {
        for pair in merged.areas(edge).chunks(2) {
            if let Some((area, other)) = pair.first().map(|area| (*area, pair.get(1).copied())) {
                edges.push(BorderEdge { a: edge.a, b: edge.b, area, other, reach_cm: reach_cm(area, other) });
            }
        }
    }
    Ok(edges)
}

impl Borders {
    /// Compiles border edges. The order in which they are given does not matter.
    ///
    /// # Errors
    /// An area or a vertex out of range.
    pub fn build(edges: &[BorderEdge]) -> Result<Self, GridError> {
        for edge in edges {
            let mut sides = [Some(edge.area), edge.other].into_iter().flatten();
            if let Some(area) = sides.find(|area| *area as usize >= AREAS_MAX) {
                return Err(GridError::AreaOutOfRange { area });
            }
            for point in [edge.a, edge.b] {
                Point::new(point.lat_e7, point.lon_e7).ok_or(GridError::PointOutOfRange { area: edge.area, point })?;
            }
        }
        let mut sorted: Vec<(u64, [u32; EDGE_WORDS])> = edges.iter().map(|edge| (z_order(edge), edge_words_of(edge))).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let edges: Vec<[u32; EDGE_WORDS]> = sorted.into_iter().map(|(_, words)| words).collect();
        let nodes = packed_nodes(&edges);
        let clearance = Clearance::of(&edges);
        Ok(Self { edges, nodes, clearance })
    }

    /// A lower bound of "distance to an edge minus its reach" over all edges, in centimetres; `u32::MAX` when there is no edge.
    ///
    /// # Cost
    /// One load.
    #[inline]
    pub fn clearance_cm(&self, point: Point) -> u32 {
        self.clearance.at(point)
    }

    /// Every area with an edge within that edge's reach plus `reach_cm` of the point: for each the nearest such edge; nearest
    /// first, then by area. An area that contains the point is named too when its own edge is near. False when there were more
    /// than [`NEAR_MAX`]: the nearest stay.
    ///
    /// # Cost
    /// A few hundred nanoseconds where few edges are in reach. Each area is measured until nothing nearer can come, so a wide
    /// reach costs boxes, not edges.
    pub fn near(&self, point: Point, reach_cm: u32, out: &mut ArrayVec<Near, NEAR_MAX>) -> bool {
        out.clear();
        let window = BBox::around(point, reach_cm.saturating_add(self.clearance.reach_cm_max));
        let mut search = AllNear { window, reach_cm, found: out, complete: true };
        self.search(point, &mut search);
        let complete = search.complete;
        out.sort_unstable_by_key(|near| (near.distance_cm, near.area));
        complete
    }

    /// The nearest edge within `max_cm`, whatever its reach; of areas equally near the smallest. An edge between two areas names
    /// the smaller one.
    ///
    /// # Cost
    /// A microsecond or so; the tree is walked nearest box first.
    pub fn nearest(&self, point: Point, max_cm: u32) -> Option<Near> {
        let mut search = Nearest { point, max_cm, best: None };
        self.search(point, &mut search);
        search.best
    }

    /// Every edge, for drawing.
    pub fn edges(&self) -> impl Iterator<Item = BorderEdge> + '_ {
        self.edges.iter().map(edge_of)
    }

    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.edges.len() * EDGE_WORDS * 4 + self.nodes.len() * NODE_WORDS * 4 + self.clearance.metres.len() * 2
    }

    /// The index as flat words, to be written little-endian. The tree is not among them: reading lays it again.
    pub fn to_words(&self) -> Vec<u32> {
        let coarse = &self.clearance;
        let mut words = vec![
            WORDS_MAGIC,
            self.edges.len() as u32,
            coarse.shift,
            coarse.lons,
            coarse.lats,
            coarse.bbox.min.lat_e7 as u32,
            coarse.bbox.min.lon_e7 as u32,
            coarse.bbox.max.lat_e7 as u32,
            coarse.bbox.max.lon_e7 as u32,
            coarse.reach_cm_max,
        ];
        debug_assert_eq!(words.len(), HEADER_WORDS);
        words.extend(self.edges.iter().flatten());
        words.extend(coarse.metres.chunks(2).map(|two| u32::from(two[0]) | two.get(1).map_or(0, |high| u32::from(*high) << 16)));
        words
    }

    /// Reads what [`Borders::to_words`] wrote.
    ///
    /// # Errors
    /// [`GridError::NotAGrid`] for anything that a build cannot have written.
    pub fn from_words(words: &[u32]) -> Result<Self, GridError> {
        let bad = |at| GridError::NotAGrid { at };
        let header = words.first_chunk::<HEADER_WORDS>().ok_or(bad(words.len()))?;
        let [magic, edge_count, shift, lons, lats, south, west, north, east, reach_cm_max] = *header;
        let min = Point::new(south as i32, west as i32).ok_or(bad(5))?;
        let max = Point::new(north as i32, east as i32).ok_or(bad(7))?;
        let cells = u64::from(lons) * u64::from(lats);
        let fits = shift <= CLEARANCE_SHIFT_MAX && cells <= CLEARANCE_CELLS_MAX && reach_cm_max <= REACH_CM_MAX;
        if magic != WORDS_MAGIC || !fits || min.lat_e7 > max.lat_e7 || min.lon_e7 > max.lon_e7 {
            return Err(bad(0));
        }
        let bbox = BBox { min, max };
        let sides = if edge_count == 0 { (0, 0) } else { clearance_sides(&bbox, shift) };
        if sides != (u64::from(lons), u64::from(lats)) {
            return Err(bad(3));
        }
        let body = words.get(HEADER_WORDS..).unwrap_or_default();
        let edge_words = (edge_count as usize).checked_mul(EDGE_WORDS).ok_or(bad(1))?;
        let (edges, coarse) = body.split_at_checked(edge_words).ok_or(bad(1))?;
        if coarse.len() as u64 != cells.div_ceil(2) {
            return Err(bad(HEADER_WORDS + edge_words));
        }
        let edges = edges.as_chunks::<EDGE_WORDS>().0.to_vec();
        let mut last = None;
        for (index, words) in edges.iter().enumerate() {
            let place = bad(HEADER_WORDS + index * EDGE_WORDS);
            let edge = edge_of(words);
            let known = (edge.area as usize) < AREAS_MAX && edge.other.is_none_or(|other| (other as usize) < AREAS_MAX);
            let on_globe = [edge.a, edge.b].iter().all(|point| Point::new(point.lat_e7, point.lon_e7).is_some());
            let here = (z_order(&edge), *words);
            if !known
                || !on_globe
                || edge_words_of(&edge) != *words
                || edge.reach_cm > reach_cm_max
                || last.is_some_and(|last| last >= here)
            {
                return Err(place);
            }
            last = Some(here);
        }
        let metres = coarse.iter().flat_map(|word| [*word as u16, (*word >> 16) as u16]).take(cells as usize).collect();
        let nodes = packed_nodes(&edges);
        Ok(Self { edges, nodes, clearance: Clearance { bbox, shift, lons, lats, reach_cm_max, metres } })
    }

    // --- the tree ---

    fn search(&self, point: Point, search: &mut dyn Search) {
        let levels = levels_of(self.edges.len());
        if let Some(top) = levels.len().checked_sub(1) {
            self.descend(point, &levels, top, 0, search);
        }
    }

    /// Visits what is below one node, nearest box first.
    fn descend(&self, point: Point, levels: &Levels, level: usize, index: usize, search: &mut dyn Search) {
        let Some(below) = level.checked_sub(1) else {
            let first = index * FANOUT;
            for words in self.edges.get(first..(first + FANOUT).min(self.edges.len())).unwrap_or_default() {
                search.measure(point, words);
            }
            return;
        };
        let Some((offset, count)) = levels.get(below).copied() else { return };
        let mut near_first: ArrayVec<(u32, usize), FANOUT> = ArrayVec::new();
        let window = search.window();
        for child in index * FANOUT..((index + 1) * FANOUT).min(count) {
            let Some(node) = self.nodes.get(offset + child) else { return };
            // Four comparisons spare most children the distance.
            if !node_box(node).meets(&window) {
                continue;
            }
            let bound_cm = box_distance_cm(point, &node_box(node));
            if search.wants(bound_cm, node) {
                let at = near_first.partition_point(|known| *known <= (bound_cm, child));
                let _ = near_first.try_insert(at, (bound_cm, child));
            }
        }
        for (bound_cm, child) in near_first {
            // Asked again, because a nearer sibling may have settled it.
            if self.nodes.get(offset + child).is_some_and(|node| search.wants(bound_cm, node)) {
                self.descend(point, levels, below, child, search);
            }
        }
    }
}

/// What a walk through the tree looks for.
trait Search {
    /// A box outside which nothing can change the answer.
    fn window(&self) -> BBox;
    /// Whether anything below a node, none of it nearer than `bound_cm`, could change the answer.
    fn wants(&self, bound_cm: u32, node: &[u32; NODE_WORDS]) -> bool;
    fn measure(&mut self, point: Point, words: &[u32; EDGE_WORDS]);
}

struct AllNear<'a> {
    window: BBox,
    reach_cm: u32,
    found: &'a mut ArrayVec<Near, NEAR_MAX>,
    complete: bool,
}

impl AllNear<'_> {
    /// Whether each of two areas is known to have an edge no farther than `bound_cm`.
    fn settled(&self, pair: u32, bound_cm: u32) -> bool {
        pair_areas(pair).all(|area| self.found.iter().any(|near| near.area == area && near.distance_cm <= bound_cm))
    }

    fn add(&mut self, near: Near) {
        if let Some(known) = self.found.iter_mut().find(|known| known.area == near.area) {
            // Of two edges equally near the less accurate one counts.
            if (near.distance_cm, u32::MAX - near.reach_cm) < (known.distance_cm, u32::MAX - known.reach_cm) {
                *known = near;
            }
        } else if self.found.try_push(near).is_err() {
            self.complete = false;
            if let Some(worst) = self.found.iter_mut().max_by_key(|known| (known.distance_cm, known.area))
                && (near.distance_cm, near.area) < (worst.distance_cm, worst.area)
            {
                *worst = near;
            }
        }
    }
}

impl Search for AllNear<'_> {
    fn window(&self) -> BBox {
        self.window
    }

    fn wants(&self, bound_cm: u32, node: &[u32; NODE_WORDS]) -> bool {
        let [.., reach_cm, pair] = *node;
        bound_cm <= reach_cm.saturating_add(self.reach_cm) && (pair == MIXED || !self.settled(pair, bound_cm))
    }

    fn measure(&mut self, point: Point, words: &[u32; EDGE_WORDS]) {
        let edge = edge_of(words);
        let limit_cm = edge.reach_cm.saturating_add(self.reach_cm);
        let bbox = BBox::new(edge.a, edge.b);
        if !bbox.meets(&self.window) {
            return;
        }
        let bound_cm = box_distance_cm(point, &bbox);
        let [.., pair, _] = *words;
        if bound_cm > limit_cm || self.settled(pair, bound_cm) {
            return;
        }
        let distance_cm = segment_distance_cm(point, edge.a, edge.b);
        if distance_cm <= limit_cm {
            for area in pair_areas(pair) {
                self.add(Near { area, distance_cm, reach_cm: edge.reach_cm });
            }
        }
    }
}

struct Nearest {
    point: Point,
    max_cm: u32,
    best: Option<Near>,
}

impl Nearest {
    fn limit_cm(&self) -> u32 {
        self.best.map_or(self.max_cm, |best| best.distance_cm)
    }
}

impl Search for Nearest {
    fn window(&self) -> BBox {
        BBox::around(self.point, self.limit_cm())
    }

    fn wants(&self, bound_cm: u32, _: &[u32; NODE_WORDS]) -> bool {
        bound_cm <= self.limit_cm()
    }

    fn measure(&mut self, point: Point, words: &[u32; EDGE_WORDS]) {
        let edge = edge_of(words);
        if box_distance_cm(point, &BBox::new(edge.a, edge.b)) > self.limit_cm() {
            return;
        }
        let distance_cm = segment_distance_cm(point, edge.a, edge.b);
        let near = Near { area: edge.other.map_or(edge.area, |other| other.min(edge.area)), distance_cm, reach_cm: edge.reach_cm };
        let rank = |near: &Near| (near.distance_cm, near.area, near.reach_cm);
        if distance_cm <= self.max_cm && self.best.is_none_or(|best| rank(&near) < rank(&best)) {
            self.best = Some(near);
        }
    }
}

// --- the tree's layout ---

/// Where each level starts in the nodes and how many nodes it has; the runs of edges first, the root last.
type Levels = ArrayVec<(usize, usize), LEVELS_MAX>;

fn levels_of(edge_count: usize) -> Levels {
    let mut levels = Levels::new();
    let (mut offset, mut count) = (0, edge_count.div_ceil(FANOUT));
    while count > 0 && levels.try_push((offset, count)).is_ok() && count > 1 {
        offset += count;
        count = count.div_ceil(FANOUT);
    }
    levels
}

fn packed_nodes(edges: &[[u32; EDGE_WORDS]]) -> Vec<[u32; NODE_WORDS]> {
    let mut nodes: Vec<[u32; NODE_WORDS]> = Vec::new();
    for (level, (offset, count)) in levels_of(edges.len()).into_iter().enumerate() {
        for index in 0..count {
            let inner = index * FANOUT..(index + 1) * FANOUT;
            let node = if level == 0 {
                edges.get(inner.start..inner.end.min(edges.len())).unwrap_or_default().iter().map(edge_node).reduce(joined)
            } else {
                let below = levels_of(edges.len()).get(level - 1).copied().unwrap_or_default();
                nodes.get(below.0 + inner.start..below.0 + inner.end.min(below.1)).unwrap_or_default().iter().copied().reduce(joined)
            };
            nodes.extend(node);
        }
        debug_assert_eq!(nodes.len(), offset + count);
    }
    nodes
}

fn edge_node(words: &[u32; EDGE_WORDS]) -> [u32; NODE_WORDS] {
    let edge = edge_of(words);
    let bbox = BBox::new(edge.a, edge.b);
    let [.., pair, _] = *words;
    let [min, max] = [bbox.min, bbox.max];
    [min.lat_e7 as u32, min.lon_e7 as u32, max.lat_e7 as u32, max.lon_e7 as u32, edge.reach_cm, pair]
}

fn joined(one: [u32; NODE_WORDS], other: [u32; NODE_WORDS]) -> [u32; NODE_WORDS] {
    let all = node_box(&one).union(node_box(&other));
    let pair = if one[5] == other[5] { one[5] } else { MIXED };
    [all.min.lat_e7 as u32, all.min.lon_e7 as u32, all.max.lat_e7 as u32, all.max.lon_e7 as u32, one[4].max(other[4]), pair]
}

fn node_box(node: &[u32; NODE_WORDS]) -> BBox {
    let [south, west, north, east, ..] = *node;
    BBox { min: Point { lat_e7: south as i32, lon_e7: west as i32 }, max: Point { lat_e7: north as i32, lon_e7: east as i32 } }
}

fn pair_areas(pair: u32) -> impl Iterator<Item = u16> {
    [pair & 0xffff, pair >> 16].into_iter().filter(|area| *area != NO_AREA).map(|area| area as u16)
}

fn edge_of(words: &[u32; EDGE_WORDS]) -> BorderEdge {
    let [a_lat, a_lon, b_lat, b_lon, pair, reach_cm] = *words;
    let other = pair >> 16;
    BorderEdge {
        a: Point { lat_e7: a_lat as i32, lon_e7: a_lon as i32 },
        b: Point { lat_e7: b_lat as i32, lon_e7: b_lon as i32 },
        area: pair as u16,
        other: (other != NO_AREA).then_some(other as u16),
        reach_cm,
    }
}

/// An edge in the one form in which it is kept: ends and areas in ascending order, the reach within bounds.
fn edge_words_of(edge: &BorderEdge) -> [u32; EDGE_WORDS] {
    let (a, b) = (edge.a.min(edge.b), edge.a.max(edge.b));
    let other = edge.other.filter(|other| *other != edge.area);
    let (low, high) = (other.map_or(edge.area, |other| other.min(edge.area)), other.map(|other| other.max(edge.area)));
    let pair = u32::from(low) | high.map_or(NO_AREA, u32::from) << 16;
    [a.lat_e7 as u32, a.lon_e7 as u32, b.lat_e7 as u32, b.lon_e7 as u32, pair, edge.reach_cm.min(REACH_CM_MAX)]
}

/// The place of an edge's middle on a Z-curve over the globe: neighbours on the curve are neighbours on the map.
fn z_order(edge: &BorderEdge) -> u64 {
    let middle = BBox::new(edge.a, edge.b).middle();
    let spread = |value: i32| {
        let mut bits = u64::from((value as u32) ^ 0x8000_0000);
        for (shift, keep) in [
            (16, 0x0000_ffff_0000_ffff_u64),
            (8, 0x00ff_00ff_00ff_00ff),
            (4, 0x0f0f_0f0f_0f0f_0f0f),
            (2, 0x3333_3333_3333_3333),
            (1, 0x5555_5555_5555_5555),
        ] {
            bits = (bits | bits << shift) & keep;
        }
        bits
    };
    spread(middle.lon_e7) | spread(middle.lat_e7) << 1
}

// --- impl Clearance ---

fn clearance_sides(bbox: &BBox, shift: u32) -> (u64, u64) {
    let side = |min: i32, max: i32| (((i64::from(max) - i64::from(min)) as u64) >> shift) + 1;
    (side(bbox.min.lon_e7, bbox.max.lon_e7), side(bbox.min.lat_e7, bbox.max.lat_e7))
}

impl Clearance {
    fn of(edges: &[[u32; EDGE_WORDS]]) -> Self {
        let all = edges.iter().map(edge_node).reduce(joined);
        let Some(all) = all else {
            let nowhere = BBox { min: Point::default(), max: Point::default() };
            return Self { bbox: nowhere, shift: 0, lons: 0, lats: 0, reach_cm_max: 0, metres: Vec::new() };
        };
        let (bbox, reach_cm_max) = (node_box(&all), all[4]);
        let fits = |shift: &u32| {
            let (lons, lats) = clearance_sides(&bbox, *shift);
            lons * lats <= CLEARANCE_CELLS_MAX
        };
        let shift = (0..CLEARANCE_SHIFT_MAX).find(fits).unwrap_or(CLEARANCE_SHIFT_MAX);
        let (lons, lats) = clearance_sides(&bbox, shift);
        let mut coarse =
            Self { bbox, shift, lons: lons as u32, lats: lats as u32, reach_cm_max, metres: vec![u16::MAX; (lons * lats) as usize] };
        // One pass for each declared accuracy; when they are many, for each power of two above one.
        let mut classes: Vec<u32> = edges.iter().map(|words| words[5]).collect();
        classes.sort_unstable();
        classes.dedup();
        let exact = classes.len() <= 8;
        let class = |reach_cm: u32| if exact { reach_cm } else { reach_cm.next_power_of_two() };
        classes.iter_mut().for_each(|reach_cm| *reach_cm = class(*reach_cm));
        classes.dedup();
        for reach_cm in classes {
            let mut marked = vec![false; coarse.metres.len()];
            for edge in edges.iter().map(edge_of).filter(|edge| class(edge.reach_cm) == reach_cm) {
                coarse.mark(&edge, &mut marked);
            }
            coarse.lower(&marked, reach_cm);
        }
        coarse
    }

    /// Marks every cell that an edge meets.
    fn mark(&self, edge: &BorderEdge, marked: &mut [bool]) {
        let (first, last) = (self.cell(edge.a), self.cell(edge.b));
        let (south, north) = (first.1.min(last.1), first.1.max(last.1));
        let (west, east) = (first.0.min(last.0), first.0.max(last.0));
        for lat in south..=north {
            for lon in west..=east {
                if edge_meets_box(edge.a, edge.b, &self.cell_box(lon, lat)) {
                    marked[lat as usize * self.lons as usize + lon as usize] = true;
                }
            }
        }
    }

    /// Lowers every cell to its distance from the nearest marked one, minus the reach.
    fn lower(&mut self, marked: &[bool], reach_cm: u32) {
        let (lons, lats) = (self.lons as usize, self.lats as usize);
        let far = u32::MAX;
        // Cells between each cell and the nearest marked one of its row.
        let mut aside = vec![far; marked.len()];
        for row in 0..lats {
            let mut last: Option<usize> = None;
            for lon in 0..lons {
                last = if marked[row * lons + lon] { Some(lon) } else { last };
                aside[row * lons + lon] = last.map_or(far, |last| (lon - last).saturating_sub(1) as u32);
            }
            last = None;
            for lon in (0..lons).rev() {
                last = if marked[row * lons + lon] { Some(lon) } else { last };
                let gap = last.map_or(far, |last| (last - lon).saturating_sub(1) as u32);
                aside[row * lons + lon] = aside[row * lons + lon].min(gap);
            }
        }
        // The least ground that a cell covers, so that the bound stays a bound.
        let high_cm = u64::from(trig::scale(0).lat) << self.shift >> SCALE_BITS;
        let wide_cm: Vec<u64> = (0..self.lats)
            .map(|lat| {
                let cell = self.cell_box(0, lat);
                let least = trig::scale(cell.min.lat_e7).lon.min(trig::scale(cell.max.lat_e7).lon);
                u64::from(least) << self.shift >> SCALE_BITS
            })
            .collect();
        let cap_cm = u64::from(u16::MAX) * 100 + u64::from(reach_cm);
        for row in 0..lats {
            for lon in 0..lons {
                let mut best = (cap_cm + cap_cm / 32) * (cap_cm + cap_cm / 32);
                let measure = |other: usize, best: &mut u64| {
                    let up = row.abs_diff(other).saturating_sub(1) as u64 * high_cm;
                    let gap = aside[other * lons + lon];
                    if gap != far {
                        let east = u64::from(gap) * wide_cm[row].min(wide_cm[other]);
                        *best = (*best).min(up * up + east.min(1 << 31) * east.min(1 << 31));
                    }
                    up * up < *best
                };
                for other in row..lats {
                    if !measure(other, &mut best) {
                        break;
                    }
                }
                for other in (0..row).rev() {
                    if !measure(other, &mut best) {
                        break;
                    }
                }
                // A sixty-fourth less, for the bend of the parallels.
                let cm = best.isqrt();
                let metres = (cm - cm / 64).saturating_sub(u64::from(reach_cm) + 2) / 100;
                let cell = &mut self.metres[row * lons + lon];
                *cell = (*cell).min(metres.min(u64::from(u16::MAX)) as u16);
            }
        }
    }

    fn cell(&self, point: Point) -> (u32, u32) {
        let of = |value: i32, from: i32| (value.wrapping_sub(from) as u32) >> self.shift;
        (of(point.lon_e7, self.bbox.min.lon_e7), of(point.lat_e7, self.bbox.min.lat_e7))
    }

    fn cell_box(&self, lon: u32, lat: u32) -> BBox {
        let at = |from: i32, cell: u32| (i64::from(from) + (i64::from(cell) << self.shift)).min(i64::from(i32::MAX)) as i32;
        let min = self.bbox.min;
        BBox {
            min: Point { lat_e7: at(min.lat_e7, lat), lon_e7: at(min.lon_e7, lon) },
            max: Point { lat_e7: at(min.lat_e7, lat + 1), lon_e7: at(min.lon_e7, lon + 1) },
        }
    }

    #[inline]
    fn at(&self, point: Point) -> u32 {
        if self.metres.is_empty() {
            return u32::MAX;
        }
        // From outside the box, nothing in it is nearer than it is from the box's nearest point.
        let inside = self.bbox.nearest(point);
        let (lon, lat) = self.cell(inside);
        let index = lat as usize * self.lons as usize + lon as usize;
        let clear_cm = u32::from(self.metres.get(index).copied().unwrap_or(0)) * 100;
        if inside == point { clear_cm } else { clear_cm.max(box_distance_cm(point, &self.bbox).saturating_sub(self.reach_cm_max)) }
    }
}
