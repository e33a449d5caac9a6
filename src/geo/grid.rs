//! The index key: whose is this point, over any number of areas that may overlap, exactly, in one or two dependent loads.
//!
//! # Layout
//!
//! Two flat arrays of `u32`, so that a compiled table is cast, never parsed. The first is lines of 64 bytes, as the processor
//! fetches them:
//!
//! ```text
//! lines   the tiles of the root, then the blocks of each tile, behind the blocks of the tiles among them
//!
//! tile    one line for 8 x 8 cells
//!   0       first line of its blocks (30 bits) | 01
//!   1..4    for each row of cells, from the south: lines before its first block, 16 bits
//!   5..12   one word a row, four bits a cell from the west: 0 outside, 1 to 6 a value, 8 to 15 a block of 1 to 8 lines
//!   13..15  the values, 16 bits each: 1 + area, or 2 + the greatest area + offset of a set in `sets`
//!
//! block   of a cell that is no value: a tile of 8 x 8 finer cells, a leaf, or (line (30 bits) | 11) where a longer leaf stands
//!
//! leaf    records of at most 24 edges (31 when it cannot be split):
//!   0       0 | vertices (6 bits) | areas (4) | more | same | wide | areas of the cell's corner (8, from bit 16) |
//!           the mask of every slot, where they are alike (8)
//!   1       the first two areas
//!   2       one bit a slot: it is an edge (a slot between two chains is not) | the edge straddles the corner's meridian |
//!           the corner is left of the edge; 8 bits each, or with more than 9 vertices three words
//!   -       latitudes, then longitudes of the chains: four of 24 bits in three words, 2^23 at the cell's corner, or where one
//!           is too far for that (wide) 32 bits each; slot i is the edge from vertex i to vertex i + 1
//!   -       the other areas, two a word, ascending, at most 8
//!   -       where the masks differ, one byte a slot: the areas the edge bounds, as bits of the areas above
//!
//! sets    length, then areas in ascending order
//! ```
//!
//! A look-up in a large map is waiting for memory: the directory has a byte a cell, so the tiles of a country stay in the second
//! cache, and the line of a tile says where a leaf begins and how long it is, so that all of it is fetched at once.
//!
//! A cell's corner is its south-western one, displaced as every point is (see [`super::ring`]). The areas that contain the corner
//! are known; a query walks due west from the point to the corner's meridian and then due south to the corner, and flips the
//! areas of every edge that it crosses. An edge shared by two areas stands once, with the bits of both. Leaves with more than
//! eight areas or too many edges have several records: `more` says that another one follows, `same` that it goes on with the
//! areas of this one.
//!
//! # Invariants
//! - No query allocates. No query panics, or runs longer than the arrays are, whatever the arrays hold.
//! - Every level of tiles lowers the shift, so there is no cycle to run in.

mod build;
mod check;
mod lines;
mod record;

use arrayvec::ArrayVec;

pub(super) use self::build::merged_edges;
use self::lines::{Cell, Kind, LINE_WORDS, Lines, SIDE, SIDE_LOG, View};
use self::record::{LeafEdge, Palette, Records, SAME, VERTICES_MAX};
use super::point::{BBox, Point};
use super::ring::edge_meets_box;
use crate::limits::AREAS_MAX;

/// One area to index: its name in the tables and all its rings, outer ones and holes in any order (even-odd parity).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedArea {
    pub area: u16,
    pub rings: Vec<Vec<Point>>,
}

/// Why areas cannot be indexed, or words are not a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    #[error("area {area} is not below the {AREAS_MAX} areas of one layer")]
    AreaOutOfRange { area: u16 },
    #[error("area {area} has a vertex that is not on the globe: {point:?}")]
    PointOutOfRange { area: u16, point: Point },
    #[error("the areas have more edges than one grid can hold")]
    TooLarge,
    #[error("word {at} of the grid is not what a grid has there")]
    NotAGrid { at: usize },
}

/// What is known about a whole box: see [`Grid::only_candidate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Every point of the box has this owner; `None` is outside every area.
    Certain(Option<u16>),
    /// A border runs through the box, or the box is too large to say in bounded time.
    Mixed,
}

/// How far the answer of [`Grid::candidates`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Every area that has a point in the box was named. False when there were more than fit, or the box was too large.
    pub complete: bool,
    /// Some of the box may lie outside every area.
    pub outside: bool,
}

/// Sizes of a grid, for benches and for ops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GridStats {
    pub tiles: usize,
    pub leaves: usize,
    pub records: usize,
    /// Edges counted once for each leaf that they meet.
    pub leaf_edges: usize,
    pub leaf_records_max: usize,
    pub depth_max: usize,
    pub bytes: usize,
}

/// What one look-up reads, for benches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Tiles of the grid and records of leaves.
    pub cells: usize,
    /// Every edge of those records.
    pub edges: usize,
}

/// The compiled index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The box of all vertices; `None` when there is no edge at all.
    bbox: Option<BBox>,
    /// The corner of the first root cell: one unit south-west of every vertex, so that it is outside every area.
    origin: Point,
    /// A root cell is `1 << root_shift` units wide.
    root_shift: u32,
    /// Tiles of the root.
    root_lons: u32,
    root_lats: u32,
    area_max: u16,
    lines: Lines,
    sets: Vec<u32>,
}

/// Edges of a leaf that need not be split.
const LEAF_EDGES_MAX: usize = 24;
/// The largest root cell is 1.7 degrees, so that corners stay in range beyond the last vertex.
const ROOT_SHIFT_MAX: u32 = 24;
const ROOT_CELLS_MAX: u64 = 1 << 22;
/// Below 45 m a cell is split only where that parts the edges.
const FINE_SHIFT: u32 = 12;
/// Cells visited for one box. A box of the usual uncertainty meets one to four; beyond this the caller samples.
pub const BOX_CELLS_MAX: u32 = 256;

/// Points looked up side by side: as many as the processor has loads in flight.
const BATCH: usize = 16;

const WORDS_MAGIC: u32 = 0x4752_4433;
const HEADER_WORDS: usize = 12;

const _: () = assert!(AREAS_MAX < u16::MAX as usize);
const _: () = assert!(LEAF_EDGES_MAX < VERTICES_MAX);

impl Grid {
    /// The owner of a point: the smallest of the areas that contain it.
    ///
    /// # Cost
    /// One load away from borders, two or three near them, and then at most 24 edges.
    #[inline]
    pub fn owner(&self, point: Point) -> Option<u16> {
        let lines = self.lines.view();
        let (cell, corner) = self.locate(lines, point)?;
        self.owner_in(lines, cell, corner, point)
    }

    /// Every area that contains the point, ascending. False when there were more than fit.
    pub fn members<const N: usize>(&self, point: Point, out: &mut ArrayVec<u16, N>) -> bool {
        out.clear();
        let lines = self.lines.view();
        let Some((cell, corner)) = self.locate(lines, point) else { return true };
        let mut complete = true;
        let push = |area| {
            complete = out.try_push(area).is_ok();
            complete
        };
        match cell {
            Cell::Final(value) => self.final_members(value, push),
            Cell::Block { line, .. } => leaf_members(lines, line, corner, point, push),
        }
        complete
    }

    /// The owners of many points; as many as the shorter of the two slices holds.
    ///
    /// # Cost
    /// Sixteen points at a time take each step together, so that their loads overlap.
    pub fn owners_batch(&self, points: &[Point], owners: &mut [Option<u16>]) {
        let lines = self.lines.view();
        for (points, owners) in points.chunks(BATCH).zip(owners.chunks_mut(BATCH)) {
            let located: ArrayVec<Option<(Cell, Point)>, BATCH> = points.iter().map(|point| self.locate(lines, *point)).collect();
            for ((point, owner), place) in points.iter().zip(owners).zip(located) {
                *owner = place.and_then(|(cell, corner)| self.owner_in(lines, cell, corner, *point));
            }
        }
    }

    /// Whether every point of a closed box has the same owner.
    pub fn only_candidate(&self, bbox: BBox) -> Only {
        let lines = self.lines.view();
        let mut only: Option<Option<u16>> = None;
        let whole = self.pieces(bbox, &mut |piece| {
            let owner = match piece {
                Piece::Outside => None,
                Piece::Final { value } => self.first_of_final(value),
                Piece::Leaf { line, corner, part } => {
                    if leaf_edges(lines, line, corner).any(|edge| edge_meets_box(edge.a, edge.b, &part)) {
                        return false;
                    }
                    leaf_owner(lines, line, corner, part.min)
                }
            };
            *only.get_or_insert(owner) == owner
        });
        match only {
            Some(owner) if whole => Only::Certain(owner),
            _ => Only::Mixed,
        }
    }

    /// Every area that may have a point in a closed box, ascending.
    pub fn candidates<const N: usize>(&self, bbox: BBox, out: &mut ArrayVec<u16, N>) -> Coverage {
        out.clear();
        let lines = self.lines.view();
        let (mut fits, mut outside) = (true, false);
        let mut add = |area: u16| {
            if let Err(at) = out.binary_search(&area) {
                fits &= out.try_insert(at, area).is_ok();
            }
        };
        let whole = self.pieces(bbox, &mut |piece| {
            let mut empty = true;
            let mut member = |area| {
                empty = false;
                add(area);
                true
            };
            match piece {
                Piece::Outside => {}
                Piece::Final { value } => self.final_members(value, &mut member),
                Piece::Leaf { line, corner, part } => {
                    leaf_members(lines, line, corner, part.min, &mut member);
                    for edge in leaf_edges(lines, line, corner).filter(|edge| edge_meets_box(edge.a, edge.b, &part)) {
                        // An edge of one area has nothing of that layer beyond it.
                        outside |= edge.mask.count_ones() == 1;
                        edge.areas().for_each(&mut add);
                    }
                }
            }
            outside |= empty;
            true
        });
        Coverage { complete: whole && fits, outside: outside || !whole }
    }

    /// The box of all vertices; `None` for a grid without areas.
    pub fn bbox(&self) -> Option<BBox> {
        self.bbox
    }

    /// No area in the grid is greater than this.
    pub fn area_max(&self) -> u16 {
        self.area_max
    }

    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.lines.memory_bytes() + self.sets.len() * size_of::<u32>()
    }

    pub fn stats(&self) -> GridStats {
        let mut stats = GridStats { bytes: self.memory_bytes(), ..GridStats::default() };
        let roots = (self.root_lons * self.root_lats) as usize;
        (0..roots).for_each(|line| self.count(line, self.root_shift, 1, &mut stats));
        stats
    }

    fn count(&self, tile_line: usize, shift: u32, depth: usize, stats: &mut GridStats) {
        let lines = self.lines.view();
        let Some(tile) = lines.tile(tile_line) else { return };
        stats.tiles += 1;
        stats.depth_max = stats.depth_max.max(depth);
        for (lat, lon) in (0..SIDE).flat_map(|lat| (0..SIDE).map(move |lon| (lat, lon))) {
            let Cell::Block { line, .. } = tile.cell(lon, lat) else { continue };
            if lines.kind(line) == Some(Kind::Tile) {
                if let Some(finer) = shift.checked_sub(SIDE_LOG) {
                    self.count(line, finer, depth + 1, stats);
                }
                continue;
            }
            let (records, edges) = Records::sizes(lines, line);
            stats.leaves += 1;
            stats.records += records;
            stats.leaf_records_max = stats.leaf_records_max.max(records);
            stats.leaf_edges += edges;
        }
    }

    /// How much [`Grid::owner`] reads for a point. For benches: it walks as slowly as it likes.
    pub fn touched(&self, point: Point) -> Touched {
        let (mut touched, lines) = (Touched::default(), self.lines.view());
        let found = self.walk(lines, point, |_| touched.cells += 1);
        if let Some((Cell::Block { line, .. }, _)) = found {
            let (records, edges) = Records::sizes(lines, line);
            touched.cells += records;
            touched.edges += edges;
        }
        touched
    }

    // --- the walk ---

    /// What is in a point's cell, a leaf or a value, and the cell's corner; `None` outside the box of all vertices.
    #[inline]
    fn locate(&self, lines: View<'_>, point: Point) -> Option<(Cell, Point)> {
        self.walk(lines, point, |_| {})
    }

    /// [`Self::locate`], which tells of every tile on its way.
    #[inline]
    fn walk(&self, lines: View<'_>, point: Point, mut each: impl FnMut(usize)) -> Option<(Cell, Point)> {
        if !self.bbox?.contains(point) {
            return None;
        }
        let east = point.lon_e7.wrapping_sub(self.origin.lon_e7) as u32;
        let north = point.lat_e7.wrapping_sub(self.origin.lat_e7) as u32;
        let mut shift = self.root_shift;
        let (lon, lat) = (east >> shift >> SIDE_LOG, north >> shift >> SIDE_LOG);
        let mut tile_line = (lat * self.root_lons + lon) as usize;
        loop {
            each(tile_line);
            let cell = lines.tile(tile_line)?.cell(east >> shift, north >> shift);
            match cell {
                Cell::Block { line, .. } if lines.kind(line)? == Kind::Tile => {
                    tile_line = line;
                    shift = shift.checked_sub(SIDE_LOG)?;
                }
                _ => {
                    let corner = Point {
                        lat_e7: self.origin.lat_e7.wrapping_add(((north >> shift) << shift) as i32),
                        lon_e7: self.origin.lon_e7.wrapping_add(((east >> shift) << shift) as i32),
                    };
                    return Some((cell, corner));
                }
            }
        }
    }

    #[inline]
    fn owner_in(&self, lines: View<'_>, cell: Cell, corner: Point, point: Point) -> Option<u16> {
        match cell {
            Cell::Final(value) => self.first_of_final(value),
            Cell::Block { line, count } => {
                // Asks for the far lines of the leaf before its head has said what is in it.
                core::hint::black_box((lines.from(line + 1).first().copied(), lines.from(line + count - 1).first().copied()));
                leaf_owner(lines, line, corner, point)
            }
        }
    }

    #[inline]
    fn first_of_final(&self, value: u16) -> Option<u16> {
        match self.set_of(value) {
            None => value.checked_sub(1),
            Some(areas) => areas.first().map(|area| *area as u16),
        }
    }

    fn final_members(&self, value: u16, mut each: impl FnMut(u16) -> bool) {
        match self.set_of(value) {
            None => drop(value.checked_sub(1).map(each)),
            Some(areas) => drop(areas.iter().all(|area| each(*area as u16))),
        }
    }

    /// The areas of a value that stands for several.
    #[inline]
    fn set_of(&self, value: u16) -> Option<&[u32]> {
        let offset = u32::from(value).checked_sub(u32::from(self.area_max) + 2)? as usize;
        let (count, areas) = self.sets.get(offset..).unwrap_or_default().split_first().unwrap_or((&0, &[]));
        Some(areas.get(..*count as usize).unwrap_or_default())
    }

    /// The cells that a box meets, each with the part of the box inside it. False when `each` ended it or there were too many.
    fn pieces(&self, bbox: BBox, each: &mut dyn FnMut(Piece) -> bool) -> bool {
        let Some(all) = self.bbox.filter(|all| all.meets(&bbox)) else { return each(Piece::Outside) };
        let sticks_out = !(all.contains(bbox.min) && all.contains(bbox.max));
        if sticks_out && !each(Piece::Outside) {
            return false;
        }
        let part = BBox { min: all.nearest(bbox.min), max: all.nearest(bbox.max) };
        let mut budget = BOX_CELLS_MAX;
        let tile_of = |value: i32, from: i32| (value.wrapping_sub(from) as u32) >> self.root_shift >> SIDE_LOG;
        for lat in tile_of(part.min.lat_e7, self.origin.lat_e7)..=tile_of(part.max.lat_e7, self.origin.lat_e7) {
            for lon in tile_of(part.min.lon_e7, self.origin.lon_e7)..=tile_of(part.max.lon_e7, self.origin.lon_e7) {
                let line = (lat * self.root_lons + lon) as usize;
                let square = Square { corner: self.origin, shift: self.root_shift + SIDE_LOG }.beside(lon, lat);
                if !self.tile_pieces(line, square, part, &mut budget, each) {
                    return false;
                }
            }
        }
        true
    }

    fn tile_pieces(&self, line: usize, square: Square, bbox: BBox, budget: &mut u32, each: &mut dyn FnMut(Piece) -> bool) -> bool {
        let lines = self.lines.view();
        let (Some(tile), Some(shift)) = (lines.tile(line), square.shift.checked_sub(SIDE_LOG)) else { return false };
        let part = square.part(bbox);
        if let Some(value) = tile.only_value() {
            return spend(budget) && each(Piece::Final { value });
        }
        let cell_of = |value: i32, from: i32| (value.wrapping_sub(from) as u32) >> shift;
        for lat in cell_of(part.min.lat_e7, square.corner.lat_e7)..=cell_of(part.max.lat_e7, square.corner.lat_e7) {
            for lon in cell_of(part.min.lon_e7, square.corner.lon_e7)..=cell_of(part.max.lon_e7, square.corner.lon_e7) {
                let cell = Square { corner: square.corner, shift }.beside(lon, lat);
                let go_on = spend(budget)
                    && match tile.cell(lon, lat) {
                        Cell::Final(value) => each(Piece::Final { value }),
                        Cell::Block { line, .. } if lines.kind(line) == Some(Kind::Tile) => {
                            self.tile_pieces(line, cell, part, budget, each)
                        }
                        Cell::Block { line, .. } => each(Piece::Leaf { line, corner: cell.corner, part: cell.part(part) }),
                    };
                if !go_on {
                    return false;
                }
            }
        }
        true
    }

    // --- words ---

    /// The grid as flat words, to be written little-endian.
    pub fn to_words(&self) -> Vec<u32> {
        let bbox = self.bbox.unwrap_or(BBox { min: Point::default(), max: Point::default() });
        let mut words = vec![
            WORDS_MAGIC,
            u32::from(self.bbox.is_some()),
            bbox.min.lat_e7 as u32,
            bbox.min.lon_e7 as u32,
            bbox.max.lat_e7 as u32,
            bbox.max.lon_e7 as u32,
            self.root_shift,
            self.root_lons,
            self.root_lats,
            u32::from(self.area_max),
            self.lines.view().0.len() as u32,
            self.sets.len() as u32,
        ];
        debug_assert_eq!(words.len(), HEADER_WORDS);
        words.extend_from_slice(self.lines.view().0);
        words.extend_from_slice(&self.sets);
        words
    }

    /// Reads what [`Grid::to_words`] wrote.
    ///
    /// # Errors
    /// [`GridError::NotAGrid`] for anything that a build cannot have written, so that no query on it can fail. Whether the areas
    /// are where they should be, it cannot know: tables carry a hash for that.
    pub fn from_words(words: &[u32]) -> Result<Self, GridError> {
        let bad = |at| GridError::NotAGrid { at };
        let header = words.first_chunk::<HEADER_WORDS>().ok_or(bad(words.len()))?;
        let [magic, some, south, west, north, east, root_shift, root_lons, root_lats, area_max, line_words, set_count] = *header;
        let min = Point::new(south as i32, west as i32).ok_or(bad(2))?;
        let max = Point::new(north as i32, east as i32).ok_or(bad(4))?;
        let ordered = min.lat_e7 <= max.lat_e7 && min.lon_e7 <= max.lon_e7;
        let known = magic == WORDS_MAGIC && some <= 1 && ordered && area_max < AREAS_MAX as u32;
        let whole = (line_words as usize).is_multiple_of(LINE_WORDS);
        if !known || !whole || root_shift > ROOT_SHIFT_MAX {
            return Err(bad(0));
        }
        let (lines, sets) = words.get(HEADER_WORDS..).unwrap_or_default().split_at_checked(line_words as usize).ok_or(bad(10))?;
        if sets.len() != set_count as usize {
            return Err(bad(11));
        }
        let grid = Self {
            bbox: (some == 1).then_some(BBox { min, max }),
            origin: origin_of(min),
            root_shift,
            root_lons,
            root_lats,
            area_max: area_max as u16,
            lines: Lines::of(lines),
            sets: sets.to_vec(),
        };
        check::all(&grid).map_err(|at| bad(HEADER_WORDS + at))?;
        Ok(grid)
    }
}

fn origin_of(min: Point) -> Point {
    Point { lat_e7: min.lat_e7.wrapping_sub(1), lon_e7: min.lon_e7.wrapping_sub(1) }
}

/// Cells from the origin to the farthest vertex.
fn root_side(min: i32, max: i32, shift: u32) -> u64 {
    (((i64::from(max) - i64::from(min) + 1) as u64) >> shift) + 1
}

#[inline]
fn leaf_owner(lines: View<'_>, line: usize, corner: Point, point: Point) -> Option<u16> {
    let mut owner = None;
    leaf_members(lines, line, corner, point, |area| {
        owner = Some(area);
        false
    });
    owner
}

/// The areas of a leaf that contain the point, ascending, until `each` returns false.
#[inline]
fn leaf_members(lines: View<'_>, line: usize, corner: Point, point: Point, mut each: impl FnMut(u16) -> bool) {
    let mut records = Records::of(lines, line);
    while let Some(first) = records.next() {
        let mut mask = first.corner_mask() ^ first.flips(corner, point);
        let mut last = first.head;
        while last & SAME != 0 {
            let Some(next) = records.next() else { return };
            mask ^= next.flips(corner, point);
            last = next.head;
        }
        while mask != 0 {
            if !each(first.palette().area(mask.trailing_zeros())) {
                return;
            }
            mask &= mask - 1;
        }
    }
}

fn leaf_edges(lines: View<'_>, line: usize, corner: Point) -> impl Iterator<Item = LeafEdge<'_>> {
    let mut palette = Palette::default();
    Records::of(lines, line).flat_map(move |record| {
        if record.palette_count() > 0 {
            palette = record.palette();
        }
        record.edges(corner).map(move |(a, b, mask)| LeafEdge { a, b, mask, palette })
    })
}

/// Takes one from a budget; false when nothing is left.
fn spend(budget: &mut u32) -> bool {
    let left = budget.checked_sub(1);
    *budget = left.unwrap_or(0);
    left.is_some()
}

/// A square of the grid: a cell or a tile.
#[derive(Clone, Copy)]
struct Square {
    corner: Point,
    shift: u32,
}

impl Square {
    /// The square of the same size that is that many squares east and north.
    fn beside(self, lons: u32, lats: u32) -> Self {
        let step = |from: i32, count: u32| (i64::from(from) + (i64::from(count) << self.shift)) as i32;
        Self { corner: Point { lat_e7: step(self.corner.lat_e7, lats), lon_e7: step(self.corner.lon_e7, lons) }, ..self }
    }

    /// The part of a box that lies in the half-open square; of a box that does not meet it, the places nearest to it.
    fn part(self, bbox: BBox) -> BBox {
        let last = |from: i32| (i64::from(from) + (1i64 << self.shift) - 1) as i32;
        let cell = BBox { min: self.corner, max: Point { lat_e7: last(self.corner.lat_e7), lon_e7: last(self.corner.lon_e7) } };
        BBox { min: cell.nearest(bbox.min), max: cell.nearest(bbox.max) }
    }
}

enum Piece {
    Outside,
    Final { value: u16 },
    Leaf { line: usize, corner: Point, part: BBox },
}
