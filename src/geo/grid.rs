//! The index key: whose is this point, over any number of areas that may overlap, exactly, in two or three dependent loads.
//!
//! # Layout
//!
//! Three flat arrays of `u32`, so that a compiled table is cast, never parsed:
//!
//! ```text
//! cells   root grid, then sub-grids of 2x2 to 16x16 in the order of a depth-first walk. One word a cell:
//!           00 + 30 bits   final: 0 outside, 1 + area, or 65,537 + offset of a set
//!           01 + 4 + 26    leaf: half its vertices less one, offset / 2 in `leaves`
//!           10 + 3 + 27    sub-grid: log2 of its side, offset / 4 in `cells`
//! leaves  records of at most 24 edges (31 when a leaf cannot be split), see below
//! sets    length, then areas in ascending order
//!
//! record  head       vertices (6 bits) | palette (4) | more | same | - | areas of the cell's corner (8, from bit 16) |
//!                    the mask of every slot, where they are alike (8)
//!         real       one bit a slot: it is an edge (a slot between two chains is not)
//!         across     one bit a slot: the edge straddles the corner's meridian
//!         left       one bit a slot: the corner is left of the edge
//!         lats, lons the vertices of the chains, an even number; slot i is the edge from vertex i to vertex i + 1
//!         palette    two areas a word, ascending, at most 8
//!         masks      where they differ, one byte a slot: the areas the edge bounds, as bits of the palette
//!         -          nothing or one word, so that records start at even words
//! ```
//!
//! A cell's corner is its south-western one, displaced as every point is (see [`super::ring`]). The areas that contain the corner
//! are known; a query walks due west from the point to the corner's meridian and then due south to the corner, and flips the
//! areas of every edge that it crosses. An edge shared by two areas stands once, with the bits of both. Leaves with more than
//! eight areas or too many edges have several records: `more` says that another one follows, `same` that it goes on with the
//! palette of this one.
//!
//! A look-up in a large map is waiting for memory. So the word of a leaf says how long its first record is: everything in the record
//! can be fetched at once, and nothing has to wait for its head.
//!
//! # Invariants
//! - No query allocates. No query panics, or runs longer than the arrays are, whatever the arrays hold.
//! - Offsets only grow in the order of the walk, which [`Grid::from_words`] checks, so there is no cycle to run in.

mod build;

use arrayvec::ArrayVec;

pub(super) use self::build::merged_edges;
use super::point::{BBox, Point};
use super::ring::{edge_meets_box, is_left};
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
    pub cells: usize,
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
    /// Words of the grid and records of leaves.
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
    root_shift: u32,
    root_lons: u32,
    root_lats: u32,
    area_max: u16,
    cells: Vec<u32>,
    leaves: Vec<u32>,
    sets: Vec<u32>,
}

const FINAL: u32 = 0;
const LEAF: u32 = 1;
const SUB: u32 = 2;
const KIND_SHIFT: u32 = 30;
const PAYLOAD: u32 = (1 << KIND_SHIFT) - 1;
const SUB_SHIFT: u32 = 27;
const SUB_OFFSET: u32 = (1 << SUB_SHIFT) - 1;
const SET_FIRST: u32 = 65_537;

const PALETTE_MAX: usize = 8;
const RECORD_VERTICES_MAX: usize = 32;
const RECORD_HEAD_WORDS: usize = 4;
const LEAF_SHIFT: u32 = 26;
const LEAF_OFFSET: u32 = (1 << LEAF_SHIFT) - 1;
const MORE: u32 = 1 << 10;
const SAME: u32 = 1 << 11;
const HEAD_BITS: u32 = 0xffff_0fff;

/// Edges of a leaf that need not be split.
const LEAF_EDGES_MAX: usize = 24;
/// The largest sub-grid has 16 x 16 cells: one kilobyte, and four levels at most below a root cell of a country.
const SUB_LOG_MAX: u32 = 4;
/// The largest root cell is 1.7 degrees, so that corners stay in range beyond the last vertex.
const ROOT_SHIFT_MAX: u32 = 24;
const ROOT_CELLS_MAX: u64 = 1 << 20;
/// Below 45 m a cell is split only where that parts the edges.
const FINE_SHIFT: u32 = 12;
/// Cells visited for one box. A box of the usual uncertainty meets one to four; beyond this the caller samples.
pub const BOX_CELLS_MAX: u32 = 256;

/// Points looked up side by side: as many as the processor has loads in flight.
const BATCH: usize = 16;

const WORDS_MAGIC: u32 = 0x4752_4432;
const HEADER_WORDS: usize = 14;

const _: () = assert!(AREAS_MAX < u16::MAX as usize);
const _: () = assert!(LEAF_EDGES_MAX < RECORD_VERTICES_MAX);

impl Grid {
    /// The owner of a point: the smallest of the areas that contain it.
    ///
    /// # Cost
    /// Two or three dependent loads, then at most 24 edges.
    #[inline]
    pub fn owner(&self, point: Point) -> Option<u16> {
        let (word, corner) = self.locate(point)?;
        self.owner_in(word, corner, point)
    }

    /// Every area that contains the point, ascending. False when there were more than fit.
    pub fn members<const N: usize>(&self, point: Point, out: &mut ArrayVec<u16, N>) -> bool {
        out.clear();
        let Some((word, corner)) = self.locate(point) else { return true };
        let mut complete = true;
        let push = |area| {
            complete = out.try_push(area).is_ok();
            complete
        };
        if word >> KIND_SHIFT == FINAL {
            self.final_members(word, push)
        } else {
            self.leaf_members(word, corner, point, push)
        }
        complete
    }

    /// The owners of many points; as many as the shorter of the two slices holds.
    ///
    /// # Cost
    /// Sixteen points at a time take each step together, so that their loads overlap.
    pub fn owners_batch(&self, points: &[Point], owners: &mut [Option<u16>]) {
        for (points, owners) in points.chunks(BATCH).zip(owners.chunks_mut(BATCH)) {
            let located: ArrayVec<Option<(u32, Point)>, BATCH> = points.iter().map(|point| self.locate(*point)).collect();
            // Reads the head of every leaf before any is worked through.
            let heads = located.iter().flatten().filter_map(|(word, _)| self.leaves.get(leaf_parts(*word).0));
            let warm = heads.fold(0, |sum: u32, head| sum.wrapping_add(*head));
            core::hint::black_box(warm);
            for ((point, owner), place) in points.iter().zip(owners).zip(located) {
                *owner = place.and_then(|(word, corner)| self.owner_in(word, corner, *point));
            }
        }
    }

    /// Whether every point of a closed box has the same owner.
    pub fn only_candidate(&self, bbox: BBox) -> Only {
        let mut only: Option<Option<u16>> = None;
        let whole = self.pieces(bbox, &mut |piece| {
            let owner = match piece {
                Piece::Outside => None,
                Piece::Final { word } => self.first_of_final(word),
                Piece::Leaf { word, corner, part } => {
                    if self.leaf_edges(word).any(|edge| edge_meets_box(edge.a, edge.b, &part)) {
                        return false;
                    }
                    self.owner_in(word, corner, part.min)
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
                Piece::Final { word } => self.final_members(word, &mut member),
                Piece::Leaf { word, corner, part } => {
                    self.leaf_members(word, corner, part.min, &mut member);
                    for edge in self.leaf_edges(word).filter(|edge| edge_meets_box(edge.a, edge.b, &part)) {
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
        size_of::<Self>() + (self.cells.len() + self.leaves.len() + self.sets.len()) * size_of::<u32>()
    }

    pub fn stats(&self) -> GridStats {
        let mut stats = GridStats { cells: self.cells.len(), bytes: self.memory_bytes(), ..GridStats::default() };
        for word in self.cells.iter().filter(|word| **word >> KIND_SHIFT == LEAF) {
            stats.leaves += 1;
            let records = self.records(*word).count();
            stats.records += records;
            stats.leaf_records_max = stats.leaf_records_max.max(records);
            stats.leaf_edges += self.records(*word).map(|record| record.real.count_ones() as usize).sum::<usize>();
        }
        let roots = (self.root_lons * self.root_lats) as usize;
        stats.depth_max = self.cells.iter().take(roots).map(|word| self.depth(*word, self.root_shift)).max().unwrap_or(0);
        stats
    }

    /// How much [`Grid::owner`] reads for a point. For benches: it walks as slowly as it likes.
    pub fn touched(&self, point: Point) -> Touched {
        let mut touched = Touched::default();
        if !self.bbox.is_some_and(|all| all.contains(point)) {
            return touched;
        }
        let east = point.lon_e7.wrapping_sub(self.origin.lon_e7) as u32;
        let north = point.lat_e7.wrapping_sub(self.origin.lat_e7) as u32;
        let (mut offset, mut lons, mut lon, mut lat) = (0, self.root_lons, east >> self.root_shift, north >> self.root_shift);
        let mut shift = self.root_shift;
        while let Some(word) = self.cells.get(offset + (lat * lons + lon) as usize).copied() {
            touched.cells += 1;
            if word >> KIND_SHIFT != SUB {
                let leaf = word >> KIND_SHIFT == LEAF;
                for record in leaf.then(|| self.records(word)).into_iter().flatten() {
                    touched.cells += 1;
                    touched.edges += record.real.count_ones() as usize;
                }
                break;
            }
            let (side_log, start) = sub_parts(word);
            shift = shift.saturating_sub(side_log);
            (offset, lons) = (start, 1 << side_log);
            (lon, lat) = ((east >> shift) & (lons - 1), (north >> shift) & (lons - 1));
        }
        touched
    }

    fn depth(&self, word: u32, shift: u32) -> usize {
        if word >> KIND_SHIFT != SUB {
            return 1;
        }
        let (side_log, offset) = sub_parts(word);
        let inner = self.cells.get(offset..offset + (1 << (2 * side_log))).unwrap_or_default();
        1 + inner.iter().map(|word| self.depth(*word, shift.saturating_sub(side_log))).max().unwrap_or(0)
    }

    // --- the walk ---

    /// The final or leaf word of a point's cell, and that cell's corner; `None` outside the box of all vertices.
    #[inline]
    fn locate(&self, point: Point) -> Option<(u32, Point)> {
        if !self.bbox?.contains(point) {
            return None;
        }
        let east = point.lon_e7.wrapping_sub(self.origin.lon_e7) as u32;
        let north = point.lat_e7.wrapping_sub(self.origin.lat_e7) as u32;
        let mut shift = self.root_shift;
        let root = (north >> shift) * self.root_lons + (east >> shift);
        let mut word = *self.cells.get(root as usize)?;
        while word >> KIND_SHIFT == SUB {
            let (side_log, offset) = sub_parts(word);
            shift = shift.saturating_sub(side_log);
            let side_mask = (1 << side_log) - 1;
            let inner = (((north >> shift) & side_mask) << side_log) | ((east >> shift) & side_mask);
            word = *self.cells.get(offset + inner as usize)?;
        }
        let corner = Point {
            lat_e7: self.origin.lat_e7.wrapping_add(((north >> shift) << shift) as i32),
            lon_e7: self.origin.lon_e7.wrapping_add(((east >> shift) << shift) as i32),
        };
        Some((word, corner))
    }

    #[inline]
    fn owner_in(&self, word: u32, corner: Point, point: Point) -> Option<u16> {
        if word >> KIND_SHIFT == FINAL {
            return self.first_of_final(word);
        }
        let mut owner = None;
        self.leaf_members(word, corner, point, |area| {
            owner = Some(area);
            false
        });
        owner
    }

    #[inline]
    fn first_of_final(&self, word: u32) -> Option<u16> {
        match word & PAYLOAD {
            0 => None,
            payload if payload < SET_FIRST => Some((payload - 1) as u16),
            payload => self.sets.get((payload - SET_FIRST) as usize + 1).map(|area| *area as u16),
        }
    }

    fn final_members(&self, word: u32, mut each: impl FnMut(u16) -> bool) {
        match word & PAYLOAD {
            0 => {}
            payload if payload < SET_FIRST => {
                each((payload - 1) as u16);
            }
            payload => {
                let set = self.sets.get((payload - SET_FIRST) as usize..).unwrap_or_default();
                if let Some((count, areas)) = set.split_first() {
                    areas.iter().take(*count as usize).all(|area| each(*area as u16));
                }
            }
        }
    }

    /// The areas of a leaf that contain the point, ascending, until `each` returns false.
    #[inline]
    fn leaf_members(&self, word: u32, corner: Point, point: Point, mut each: impl FnMut(u16) -> bool) {
        let mut records = self.records(word);
        while let Some(first) = records.next() {
            let mut mask = first.corner_mask() ^ first.flips(corner, point);
            let mut last = first.head;
            while last & SAME != 0 {
                let Some(next) = records.next() else { return };
                mask ^= next.flips(corner, point);
                last = next.head;
            }
            while mask != 0 {
                if !each(first.area(mask.trailing_zeros())) {
                    return;
                }
                mask &= mask - 1;
            }
        }
    }

    fn leaf_edges(&self, word: u32) -> impl Iterator<Item = LeafEdge<'_>> {
        let mut palette: &[u32] = &[];
        self.records(word).flat_map(move |record| {
            if record.palette_count() > 0 {
                palette = record.palette();
            }
            record.edges().map(move |(a, b, mask)| LeafEdge { a, b, mask, palette })
        })
    }

    #[inline]
    fn records(&self, word: u32) -> Records<'_> {
        let (offset, vertices) = leaf_parts(word);
        let rest = self.leaves.get(offset..).unwrap_or_default();
        Records { rest, vertices: Some(vertices), more: true }
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
        self.block_pieces(Block { offset: 0, side: self.root_lons, shift: self.root_shift, corner: self.origin }, part, &mut budget, each)
    }

    fn block_pieces(&self, block: Block, bbox: BBox, budget: &mut u32, each: &mut dyn FnMut(Piece) -> bool) -> bool {
        let cell_of = |value: i32, from: i32| (value.wrapping_sub(from) as u32) >> block.shift;
        let size = 1i64 << block.shift;
        for north in cell_of(bbox.min.lat_e7, block.corner.lat_e7)..=cell_of(bbox.max.lat_e7, block.corner.lat_e7) {
            for east in cell_of(bbox.min.lon_e7, block.corner.lon_e7)..=cell_of(bbox.max.lon_e7, block.corner.lon_e7) {
                let Some(left) = budget.checked_sub(1) else { return false };
                *budget = left;
                let corner = Point {
                    lat_e7: (i64::from(block.corner.lat_e7) + i64::from(north) * size) as i32,
                    lon_e7: (i64::from(block.corner.lon_e7) + i64::from(east) * size) as i32,
                };
                let last = |from: i32| (i64::from(from) + size - 1) as i32;
                let cell = BBox { min: corner, max: Point { lat_e7: last(corner.lat_e7), lon_e7: last(corner.lon_e7) } };
                let part = BBox { min: cell.nearest(bbox.min), max: cell.nearest(bbox.max) };
                let Some(word) = self.cells.get(block.offset + (north * block.side + east) as usize).copied() else { return false };
                let go_on = match word >> KIND_SHIFT {
                    FINAL => each(Piece::Final { word }),
                    LEAF => each(Piece::Leaf { word, corner, part }),
                    _ => {
                        let (side_log, offset) = sub_parts(word);
                        let Some(shift) = block.shift.checked_sub(side_log) else { return false };
                        self.block_pieces(Block { offset, side: 1 << side_log, shift, corner }, part, budget, each)
                    }
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
            self.cells.len() as u32,
            self.leaves.len() as u32,
            self.sets.len() as u32,
            0,
        ];
        debug_assert_eq!(words.len(), HEADER_WORDS);
        words.extend_from_slice(&self.cells);
        words.extend_from_slice(&self.leaves);
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
        let [magic, some, south, west, north, east, root_shift, root_lons, root_lats, area_max, cell_count, leaf_count, set_count, zero] =
            *header;
        let min = Point::new(south as i32, west as i32).ok_or(bad(2))?;
        let max = Point::new(north as i32, east as i32).ok_or(bad(4))?;
        let ordered = min.lat_e7 <= max.lat_e7 && min.lon_e7 <= max.lon_e7;
        let known = magic == WORDS_MAGIC && zero == 0 && some <= 1 && ordered && area_max < AREAS_MAX as u32;
        if !known || root_shift > ROOT_SHIFT_MAX {
            return Err(bad(0));
        }
        let (cell_count, leaf_count, set_count) = (cell_count as usize, leaf_count as usize, set_count as usize);
        let (cells, rest) = words.get(HEADER_WORDS..).unwrap_or_default().split_at_checked(cell_count).ok_or(bad(10))?;
        let (leaves, sets) = rest.split_at_checked(leaf_count).ok_or(bad(11))?;
        if sets.len() != set_count {
            return Err(bad(12));
        }
        let grid = Self {
            bbox: (some == 1).then_some(BBox { min, max }),
            origin: origin_of(min),
            root_shift,
            root_lons,
            root_lats,
            area_max: area_max as u16,
            cells: cells.to_vec(),
            leaves: leaves.to_vec(),
            sets: sets.to_vec(),
        };
        Check { grid: &grid, next_cell: 0, next_leaf: 0 }.all().map_err(|at| bad(HEADER_WORDS + at))?;
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
fn sub_parts(word: u32) -> (u32, usize) {
    ((word >> SUB_SHIFT) & 7, ((word & SUB_OFFSET) as usize) << 2)
}

/// Where a leaf starts, and how many vertices its first record has.
#[inline]
fn leaf_parts(word: u32) -> (usize, usize) {
    (((word & LEAF_OFFSET) as usize) << 1, ((word >> LEAF_SHIFT) as usize & 0xf) * 2 + 2)
}

#[derive(Clone, Copy)]
struct Block {
    offset: usize,
    side: u32,
    shift: u32,
    corner: Point,
}

enum Piece {
    Outside,
    Final { word: u32 },
    Leaf { word: u32, corner: Point, part: BBox },
}

struct LeafEdge<'a> {
    a: Point,
    b: Point,
    mask: u32,
    palette: &'a [u32],
}

impl LeafEdge<'_> {
    fn areas(&self) -> impl Iterator<Item = u16> + '_ {
        (0..PALETTE_MAX as u32).filter(|bit| self.mask & (1 << bit) != 0).map(|bit| palette_area(self.palette, bit))
    }
}

#[inline]
fn palette_area(palette: &[u32], bit: u32) -> u16 {
    let pair = palette.get(bit as usize / 2).copied().unwrap_or(0);
    (pair >> (16 * (bit & 1))) as u16
}

// --- impl Record ---

struct Record<'a> {
    head: u32,
    real: u32,
    across: u32,
    left: u32,
    lats: &'a [u32],
    lons: &'a [u32],
    /// Palette and masks, and whatever follows the record.
    tail: &'a [u32],
}

impl<'a> Record<'a> {
    /// The record at the front of `words`, which has this many vertices, and the words after its vertices; `None` when it is cut off.
    #[inline]
    fn read(words: &'a [u32], vertices: usize) -> Option<(Self, &'a [u32])> {
        let ([head, real, across, left], rest) = words.split_first_chunk::<RECORD_HEAD_WORDS>()?;
        let (lats, rest) = rest.split_at_checked(vertices)?;
        let (lons, rest) = rest.split_at_checked(vertices)?;
        Some((Self { head: *head, real: *real, across: *across, left: *left, lats, lons, tail: rest }, rest))
    }

    /// How many vertices the record has at whose head one stands.
    #[inline]
    fn vertices(head: u32) -> usize {
        (head & 0x3f) as usize
    }

    /// Words of palette and masks, and the one that may follow them.
    #[inline]
    fn tail_words(&self) -> usize {
        (self.palette_words() + self.mask_words()).next_multiple_of(2)
    }

    #[inline]
    fn palette_words(&self) -> usize {
        self.palette_count().div_ceil(2) as usize
    }

    #[inline]
    fn mask_words(&self) -> usize {
        if self.uniform() == 0 { self.lats.len().saturating_sub(1).div_ceil(4) } else { 0 }
    }

    /// The mask of every edge, or 0 where they differ.
    #[inline]
    fn uniform(&self) -> u32 {
        self.head >> 24
    }

    fn palette(&self) -> &'a [u32] {
        self.tail.get(..self.palette_words()).unwrap_or_default()
    }

    #[inline]
    fn palette_count(&self) -> u32 {
        (self.head >> 6) & 0xf
    }

    #[inline]
    fn corner_mask(&self) -> u32 {
        (self.head >> 16) & 0xff
    }

    #[inline]
    fn area(&self, bit: u32) -> u16 {
        palette_area(self.tail, bit)
    }

    #[inline]
    fn mask(&self, slot: u32) -> u32 {
        match self.uniform() {
            0 => (self.tail.get(self.palette_words() + slot as usize / 4).copied().unwrap_or(0) >> (8 * (slot & 3))) & 0xff,
            uniform => uniform,
        }
    }

    #[inline]
    fn edge(&self, slot: u32) -> Option<(Point, Point)> {
        let slot = slot as usize;
        let (lats, lons) = (self.lats.get(slot..slot + 2)?, self.lons.get(slot..slot + 2)?);
        let (&[a_lat, b_lat], &[a_lon, b_lon]) = (lats.first_chunk::<2>()?, lons.first_chunk::<2>()?);
        Some((Point { lat_e7: a_lat as i32, lon_e7: a_lon as i32 }, Point { lat_e7: b_lat as i32, lon_e7: b_lon as i32 }))
    }

    fn edges(self) -> impl Iterator<Item = (Point, Point, u32)> + use<'a> {
        (0..32u32).filter(move |slot| self.real & (1 << slot) != 0).filter_map(move |slot| {
            let (a, b) = self.edge(slot)?;
            Some((a, b, self.mask(slot)))
        })
    }

    /// The areas whose edges are crossed an odd number of times between the point and the corner.
    #[inline]
    fn flips(&self, corner: Point, point: Point) -> u32 {
        // Asks for the far end of the record before it is needed, so that its lines arrive together.
        core::hint::black_box((self.lons.last(), self.tail.first()).0.copied());
        let mut above = 0u32;
        for (vertex, lat) in self.lats.iter().enumerate() {
            above |= u32::from(*lat as i32 > point.lat_e7) << (vertex & 31);
        }
        let straddles = (above ^ (above >> 1)) & self.real;
        let elbow = Point { lat_e7: point.lat_e7, lon_e7: corner.lon_e7 };
        let mut flips = 0;
        let mut slots = straddles | self.across;
        while slots != 0 {
            let slot = slots.trailing_zeros();
            slots &= slots - 1;
            let Some((a, b)) = self.edge(slot) else { break };
            let at_elbow = is_left(a, b, elbow);
            let west = (straddles >> slot) & 1 & u32::from(is_left(a, b, point) != at_elbow);
            let south = (self.across >> slot) & 1 & (u32::from(at_elbow) ^ (self.left >> slot));
            flips ^= self.mask(slot) * (west ^ south);
        }
        flips
    }
}

struct Records<'a> {
    rest: &'a [u32],
    /// Of the first record, before its head is read.
    vertices: Option<usize>,
    more: bool,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        if !self.more {
            return None;
        }
        let vertices = match self.vertices.take() {
            Some(vertices) => vertices,
            None => Record::vertices(*self.rest.first()?),
        };
        let (record, rest) = Record::read(self.rest, vertices)?;
        self.more = record.head & MORE != 0;
        if self.more {
            self.rest = rest.get(record.tail_words()..).unwrap_or_default();
        }
        Some(record)
    }
}

// --- checking words from a file ---

struct Check<'a> {
    grid: &'a Grid,
    next_cell: usize,
    next_leaf: usize,
}

impl Check<'_> {
    /// The position of the first word that no build writes, counted from the first cell.
    fn all(mut self) -> Result<(), usize> {
        let grid = self.grid;
        let sides = grid.bbox.map_or((0, 0), |all| {
            (root_side(all.min.lon_e7, all.max.lon_e7, grid.root_shift), root_side(all.min.lat_e7, all.max.lat_e7, grid.root_shift))
        });
        if sides != (u64::from(grid.root_lons), u64::from(grid.root_lats)) || sides.0 * sides.1 > grid.cells.len() as u64 {
            return Err(0);
        }
        let roots = (sides.0 * sides.1) as usize;
        self.next_cell = roots.next_multiple_of(4);
        for at in 0..roots {
            self.cell(at, grid.root_shift)?;
        }
        let ends = self.next_cell == grid.cells.len() && self.next_leaf == grid.leaves.len();
        if ends { self.sets() } else { Err(self.next_cell) }
    }

    /// Depth is bounded by the shift, which every level lowers.
    fn cell(&mut self, at: usize, shift: u32) -> Result<(), usize> {
        let word = *self.grid.cells.get(at).ok_or(at)?;
        match word >> KIND_SHIFT {
            FINAL => self.is_final(word).then_some(()).ok_or(at),
            LEAF => {
                let (offset, vertices) = leaf_parts(word);
                let known =
                    offset == self.next_leaf && self.grid.leaves.get(offset).is_some_and(|head| Record::vertices(*head) == vertices);
                if !known {
                    return Err(at);
                }
                self.leaf().ok_or(at)
            }
            SUB => {
                let (side_log, offset) = sub_parts(word);
                let count = 1usize << (2 * side_log);
                let fine = (1..=SUB_LOG_MAX).contains(&side_log) && side_log <= shift && offset == self.next_cell;
                if !fine || offset + count > self.grid.cells.len() {
                    return Err(at);
                }
                self.next_cell += count;
                (offset..offset + count).try_for_each(|inner| self.cell(inner, shift - side_log))
            }
            _ => Err(at),
        }
    }

    fn is_final(&self, word: u32) -> bool {
        match word & PAYLOAD {
            0 => true,
            payload if payload < SET_FIRST => payload - 1 <= u32::from(self.grid.area_max),
            payload => {
                let set = self.grid.sets.get((payload - SET_FIRST) as usize..).unwrap_or_default();
                set.split_first().is_some_and(|(count, areas)| {
                    areas.get(..*count as usize).is_some_and(|areas| {
                        let known = areas.iter().all(|area| *area <= u32::from(self.grid.area_max));
                        known && areas.len() > 1 && areas.is_sorted_by(|a, b| a < b)
                    })
                })
            }
        }
    }

    fn sets(&self) -> Result<(), usize> {
        let mut rest = self.grid.sets.as_slice();
        let base = self.grid.cells.len() + self.grid.leaves.len();
        while let Some((count, areas)) = rest.split_first() {
            let at = base + self.grid.sets.len() - rest.len();
            let (set, next) = areas.split_at_checked(*count as usize).ok_or(at)?;
            let fine = set.len() > 1 && set.iter().all(|area| *area <= u32::from(self.grid.area_max));
            if !fine || !set.is_sorted_by(|a, b| a < b) {
                return Err(at);
            }
            rest = next;
        }
        Ok(())
    }

    fn leaf(&mut self) -> Option<()> {
        let mut palette_count = 0;
        let mut goes_on = false;
        loop {
            let words = self.grid.leaves.get(self.next_leaf..)?;
            let (record, tail) = Record::read(words, Record::vertices(*words.first()?))?;
            let (tail, rest) = tail.split_at_checked(record.tail_words())?;
            let used = record.palette_words() + record.mask_words();
            palette_count = if goes_on { palette_count } else { record.palette_count() };
            let palette: ArrayVec<u16, 16> = (0..record.palette_count()).map(|bit| record.area(bit)).collect();
            let slots = record.lats.len().saturating_sub(1) as u32;
            let slot_bits = ((1u64 << slots) - 1) as u32;
            let on_globe = record.lats.iter().zip(record.lons).all(|(lat, lon)| Point::new(*lat as i32, *lon as i32).is_some());
            let masks_fit = (0..slots).all(|slot| {
                let mask = record.mask(slot);
                let real = record.real & (1 << slot) != 0;
                mask >> palette_count == 0 && (record.uniform() != 0 || (mask != 0) == real)
            });
            let padded = tail.iter().skip(used).all(|word| *word == 0);
            let fine = record.head & !HEAD_BITS == 0
                && (2..=RECORD_VERTICES_MAX).contains(&record.lats.len())
                && record.lats.len().is_multiple_of(2)
                && padded
                && palette.len() <= PALETTE_MAX
                && goes_on == palette.is_empty()
                && palette.is_sorted_by(|a, b| a < b)
                && palette.iter().all(|area| *area <= self.grid.area_max)
                && record.corner_mask() >> record.palette_count() == 0
                && record.real & !slot_bits == 0
                && record.across & !record.real == 0
                && record.left & !record.real == 0
                && masks_fit
                && on_globe;
            // `same` promises another record.
            if !fine || (record.head & SAME != 0 && record.head & MORE == 0) {
                return None;
            }
            self.next_leaf = self.grid.leaves.len() - rest.len();
            goes_on = record.head & SAME != 0;
            if record.head & MORE == 0 {
                return Some(());
            }
        }
    }
}
