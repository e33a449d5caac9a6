//! What stands in a cell through which borders run: its edges, and whose sides they part.
//!
//! # Invariants
//! - Reading never panics and never runs beyond the words, whatever they hold.

use super::super::point::Point;
use super::super::ring::is_left;
use super::lines::{Kind, View, kind_of};

/// Areas that one record can speak of.
pub(super) const PALETTE_MAX: usize = 8;
pub(super) const VERTICES_MAX: usize = 32;

const HEAD_WORDS: usize = 3;
pub(super) const MORE: u32 = 1 << 11;
pub(super) const SAME: u32 = 1 << 12;
/// Coordinates have 32 bits instead of 24.
const WIDE: u32 = 1 << 13;
/// Every bit of a head that means something.
pub(super) const HEAD_BITS: u32 = 0xffff_3ffe;
/// Vertices of a record whose slots fit into a byte.
const SHORT_VERTICES_MAX: usize = 9;
const NARROW_BITS: usize = 24;
const NARROW_MASK: u32 = (1 << NARROW_BITS) - 1;
/// What a narrow coordinate is at the cell's corner.
const MIDDLE: i32 = 1 << (NARROW_BITS - 1);

pub(super) struct LeafEdge<'a> {
    pub a: Point,
    pub b: Point,
    pub mask: u32,
    pub palette: Palette<'a>,
}

impl LeafEdge<'_> {
    pub fn areas(&self) -> impl Iterator<Item = u16> + '_ {
        (0..PALETTE_MAX as u32).filter(|bit| self.mask & (1 << bit) != 0).map(|bit| self.palette.area(bit))
    }
}

/// The areas of a record, ascending, two a word: the first two stand in its head, the others behind its vertices.
#[derive(Clone, Copy, Default)]
pub(super) struct Palette<'a> {
    first: u32,
    others: &'a [u32],
}

impl Palette<'_> {
    #[inline]
    pub fn area(&self, bit: u32) -> u16 {
        let pair = if bit < 2 { self.first } else { self.others.get(bit as usize / 2 - 1).copied().unwrap_or(0) };
        (pair >> (16 * (bit & 1))) as u16
    }
}

pub(super) struct Record<'a> {
    pub head: u32,
    pub slots: Slots,
    lats: Coordinates<'a>,
    lons: Coordinates<'a>,
    palette: Palette<'a>,
    /// The masks, and whatever follows the record.
    masks: &'a [u32],
}

/// One bit a slot, of three kinds.
#[derive(Clone, Copy, Default)]
pub(super) struct Slots {
    /// It is an edge.
    pub real: u32,
    /// The edge straddles the corner's meridian.
    pub across: u32,
    /// The corner is left of the edge.
    pub left: u32,
}

impl<'a> Record<'a> {
    /// The record at the front of `words` and the words after it; `None` when it is cut off.
    #[inline]
    pub fn read(words: &'a [u32]) -> Option<(Self, &'a [u32])> {
        let ([head, first, bits], rest) = words.split_first_chunk::<HEAD_WORDS>()?;
        let vertices = ((head >> 1) & 0x3f) as usize;
        let (slots, rest) = if vertices <= SHORT_VERTICES_MAX {
            (Slots { real: bits & 0xff, across: (bits >> 8) & 0xff, left: (bits >> 16) & 0xff }, rest)
        } else {
            let ([across, left], rest) = rest.split_first_chunk::<2>()?;
            (Slots { real: *bits, across: *across, left: *left }, rest)
        };
        let (lats, rest) = Coordinates::read(*head, rest)?;
        let (lons, rest) = Coordinates::read(*head, rest)?;
        let (others, masks) = rest.split_at_checked(palette_words(*head))?;
        let record = Self { head: *head, slots, lats, lons, palette: Palette { first: *first, others }, masks };
        let rest = masks.get(record.mask_words()..)?;
        Some((record, rest))
    }

    #[inline]
    pub fn vertex_count(&self) -> usize {
        self.lats.count
    }

    /// All vertices; those of a narrow record are counted from the cell's corner.
    pub fn vertices(&self, corner: Point) -> impl Iterator<Item = Point> {
        (0..self.vertex_count()).filter_map(move |at| self.vertex(at)).map(move |stored| absolute(self.head, corner, stored))
    }

    /// A vertex as it is stored.
    #[inline]
    fn vertex(&self, at: usize) -> Option<Point> {
        Some(Point { lat_e7: self.lats.at(at)?, lon_e7: self.lons.at(at)? })
    }

    #[inline]
    fn mask_words(&self) -> usize {
        if self.uniform() == 0 { self.slot_count().div_ceil(4) as usize } else { 0 }
    }

    /// Places between two vertices that follow each other.
    #[inline]
    pub fn slot_count(&self) -> u32 {
        self.vertex_count().saturating_sub(1) as u32
    }

    /// The mask of every edge, or 0 where they differ.
    #[inline]
    pub fn uniform(&self) -> u32 {
        self.head >> 24
    }

    #[inline]
    pub fn palette(&self) -> Palette<'a> {
        self.palette
    }

    #[inline]
    pub fn palette_count(&self) -> u32 {
        palette_count(self.head)
    }

    #[inline]
    pub fn corner_mask(&self) -> u32 {
        (self.head >> 16) & 0xff
    }

    #[inline]
    pub fn mask(&self, slot: u32) -> u32 {
        match self.uniform() {
            0 => (self.masks.get(slot as usize / 4).copied().unwrap_or(0) >> (8 * (slot & 3))) & 0xff,
            uniform => uniform,
        }
    }

    #[inline]
    fn edge(&self, slot: u32) -> Option<(Point, Point)> {
        Some((self.vertex(slot as usize)?, self.vertex(slot as usize + 1)?))
    }

    pub fn edges(self, corner: Point) -> impl Iterator<Item = (Point, Point, u32)> + use<'a> {
        (0..32u32).filter(move |slot| self.slots.real & (1 << slot) != 0).filter_map(move |slot| {
            let (a, b) = self.edge(slot)?;
            Some((absolute(self.head, corner, a), absolute(self.head, corner, b), self.mask(slot)))
        })
    }

    /// The areas whose edges are crossed an odd number of times between the point and the corner.
    #[inline]
    pub fn flips(&self, corner: Point, point: Point) -> u32 {
        let Slots { real, across, left } = self.slots;
        // Only differences count, so all is done in the coordinates of the record.
        let (point, corner) = (stored(self.head, corner, point), stored(self.head, corner, corner));
        let north = self.lats.beyond(point.lat_e7);
        let straddles = (north ^ (north >> 1)) & real;
        let elbow = Point { lat_e7: point.lat_e7, lon_e7: corner.lon_e7 };
        let mut flips = 0;
        let mut slots = straddles | across;
        while slots != 0 {
            let slot = slots.trailing_zeros();
            slots &= slots - 1;
            let Some((a, b)) = self.edge(slot) else { break };
            let at_elbow = is_left(a, b, elbow);
            let west = (straddles >> slot) & 1 & u32::from(is_left(a, b, point) != at_elbow);
            let south = (across >> slot) & 1 & (u32::from(at_elbow) ^ (left >> slot));
            flips ^= self.mask(slot) * (west ^ south);
        }
        flips
    }
}

/// A point in the coordinates of a record.
#[inline]
fn stored(head: u32, corner: Point, point: Point) -> Point {
    if head & WIDE != 0 {
        return point;
    }
    let of = |value: i32, from: i32| value.wrapping_sub(from).wrapping_add(MIDDLE);
    Point { lat_e7: of(point.lat_e7, corner.lat_e7), lon_e7: of(point.lon_e7, corner.lon_e7) }
}

#[inline]
fn absolute(head: u32, corner: Point, stored: Point) -> Point {
    if head & WIDE != 0 {
        return stored;
    }
    let of = |value: i32, from: i32| from.wrapping_add(value.wrapping_sub(MIDDLE));
    Point { lat_e7: of(stored.lat_e7, corner.lat_e7), lon_e7: of(stored.lon_e7, corner.lon_e7) }
}

/// The latitudes or the longitudes of a record: 32 bits each, or four of 24 bits in three words.
#[derive(Clone, Copy)]
struct Coordinates<'a> {
    /// From the first one on, and whatever follows the last.
    words: &'a [u32],
    count: usize,
    is_wide: bool,
}

impl<'a> Coordinates<'a> {
    #[inline]
    fn read(head: u32, words: &'a [u32]) -> Option<(Self, &'a [u32])> {
        let (count, is_wide) = (((head >> 1) & 0x3f) as usize, head & WIDE != 0);
        let rest = words.get(if is_wide { count } else { (3 * count).div_ceil(4) }..)?;
        Some((Self { words, count, is_wide }, rest))
    }

    #[inline]
    fn at(&self, index: usize) -> Option<i32> {
        if self.is_wide {
            return self.words.get(index).map(|value| *value as i32);
        }
        let (word, shift) = (index * NARROW_BITS / 32, index * NARROW_BITS % 32);
        let low = u64::from(*self.words.get(word)?);
        let high = u64::from(self.words.get(word + 1).copied().unwrap_or(0));
        Some((((high << 32 | low) >> shift) as u32 & NARROW_MASK) as i32)
    }

    /// One bit for each: it is greater. Bits beyond the last mean nothing.
    #[inline]
    fn beyond(&self, line: i32) -> u32 {
        let four = |[a, b, c, d]: [u32; 4]| {
            let is_beyond = |value: u32| u32::from(value as i32 > line);
            is_beyond(a) | is_beyond(b) << 1 | is_beyond(c) << 2 | is_beyond(d) << 3
        };
        // Four in three words.
        let narrow = |[a, b, c]: [u32; 3]| four([a, a >> 24 | b << 8, b >> 16 | c << 16, c >> 8].map(|value| value & NARROW_MASK));
        let (mut bits, mut done) = (0, 0);
        if self.is_wide {
            for values in self.words.as_chunks::<4>().0.iter().take(self.count.div_ceil(4)) {
                bits |= four(*values) << (done & 31);
                done += 4;
            }
        } else if let Some(([a, b, c, d, e, f], rest)) = self.words.split_first_chunk::<6>() {
            // Eight at once without asking how many there are, as most leaves have no more.
            bits = narrow([*a, *b, *c]) | narrow([*d, *e, *f]) << 4;
            done = 8;
            for words in rest.as_chunks::<3>().0.iter().take(self.count.saturating_sub(8).div_ceil(4)) {
                bits |= narrow(*words) << (done & 31);
                done += 4;
            }
        }
        // Where the words end with the record.
        for index in done..self.count {
            bits |= u32::from(self.at(index).is_some_and(|value| value > line)) << (index & 31);
        }
        bits
    }
}

#[inline]
fn palette_count(head: u32) -> u32 {
    (head >> 7) & 0xf
}

/// Words of the palette behind the vertices.
#[inline]
fn palette_words(head: u32) -> usize {
    (palette_count(head) as usize).div_ceil(2).saturating_sub(1)
}

/// The records of one leaf.
pub(super) struct Records<'a> {
    rest: &'a [u32],
    more: bool,
}

impl<'a> Records<'a> {
    /// The records of the leaf whose block begins at this line.
    #[inline]
    pub fn of(lines: View<'a>, line: usize) -> Self {
        let words = lines.from(line);
        let rest = match words.first().map(|head| kind_of(*head)) {
            Some(Kind::Elsewhere(line)) => lines.from(line),
            _ => words,
        };
        Self { rest, more: true }
    }

    /// How many records the leaf has, and how many edges they have.
    pub fn sizes(lines: View<'a>, line: usize) -> (usize, usize) {
        Self::of(lines, line).fold((0, 0), |(records, edges), record| (records + 1, edges + record.slots.real.count_ones() as usize))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        if !self.more {
            return None;
        }
        let (record, rest) = Record::read(self.rest)?;
        self.more = record.head & MORE != 0;
        self.rest = rest;
        Some(record)
    }
}

/// Appends one record; `masks` has one mask a slot, 0 where the slot is no edge.
pub(super) fn write_record(
    out: &mut Vec<u32>,
    corner: Point,
    (palette, corner_mask): (&[u16], u8),
    (more, same): (bool, bool),
    vertices: &[Point],
    masks: &[u8],
) {
    let mut slots = Slots::default();
    for (slot, (pair, _)) in vertices.windows(2).zip(masks).enumerate().filter(|(_, (_, mask))| **mask != 0) {
        let (a, b) = (pair[0], pair[1]);
        slots.real |= 1 << slot;
        slots.across |= u32::from((a.lon_e7 > corner.lon_e7) != (b.lon_e7 > corner.lon_e7)) << slot;
        slots.left |= u32::from(is_left(a, b, corner)) << slot;
    }
    let is_near = |value: i32, from: i32| (-i64::from(MIDDLE)..i64::from(MIDDLE)).contains(&(i64::from(value) - i64::from(from)));
    let is_narrow = vertices.iter().all(|vertex| is_near(vertex.lat_e7, corner.lat_e7) && is_near(vertex.lon_e7, corner.lon_e7));
    let width = if is_narrow { 0 } else { WIDE };
    let flags = if more { MORE } else { 0 } | if same { SAME } else { 0 } | width;
    let mut edge_masks = masks.iter().copied().filter(|mask| *mask != 0);
    let first = edge_masks.next().unwrap_or(0);
    let uniform = if edge_masks.all(|mask| mask == first) { first } else { 0 };
    let mut pairs = palette.chunks(2).map(|pair| u32::from(pair[0]) | pair.get(1).map_or(0, |area| u32::from(*area) << 16));
    let sizes = (vertices.len() as u32) << 1 | (palette.len() as u32) << 7;
    out.push(sizes | flags | u32::from(corner_mask) << 16 | u32::from(uniform) << 24);
    out.push(pairs.next().unwrap_or(0));
    if vertices.len() <= SHORT_VERTICES_MAX {
        out.push(slots.real | slots.across << 8 | slots.left << 16);
    } else {
        out.extend([slots.real, slots.across, slots.left]);
    }
    let vertices = || vertices.iter().map(|vertex| stored(width, corner, *vertex));
    write_coordinates(out, is_narrow, vertices().map(|vertex| vertex.lat_e7 as u32));
    write_coordinates(out, is_narrow, vertices().map(|vertex| vertex.lon_e7 as u32));
    out.extend(pairs);
    if uniform == 0 {
        out.extend(masks.chunks(4).map(|four| four.iter().rev().fold(0u32, |word, mask| word << 8 | u32::from(*mask))));
    }
}

fn write_coordinates(out: &mut Vec<u32>, is_narrow: bool, values: impl Iterator<Item = u32>) {
    if !is_narrow {
        return out.extend(values);
    }
    let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes().into_iter().take(NARROW_BITS / 8)).collect();
    out.extend(bytes.chunks(4).map(|four| four.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte))));
}
