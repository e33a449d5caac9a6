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
/// Every bit of a head that means something.
pub(super) const HEAD_BITS: u32 = 0xffff_1ffe;

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
    pub real: u32,
    pub lats: &'a [u32],
    pub lons: &'a [u32],
    palette: Palette<'a>,
    /// The latitudes and whatever follows them, and the longitudes likewise.
    from_lats: &'a [u32],
    from_lons: &'a [u32],
    /// The masks, and whatever follows the record.
    masks: &'a [u32],
}

impl<'a> Record<'a> {
    /// The record at the front of `words` and the words after it; `None` when it is cut off.
    #[inline]
    pub fn read(words: &'a [u32]) -> Option<(Self, &'a [u32])> {
        let ([head, real, first], rest) = words.split_first_chunk::<HEAD_WORDS>()?;
        let vertices = ((head >> 1) & 0x3f) as usize;
        let from_lats = rest;
        let (lats, from_lons) = from_lats.split_at_checked(vertices)?;
        let (lons, rest) = from_lons.split_at_checked(vertices)?;
        let (others, masks) = rest.split_at_checked(palette_words(*head))?;
        let palette = Palette { first: *first, others };
        let record = Self { head: *head, real: *real, lats, lons, palette, from_lats, from_lons, masks };
        let rest = masks.get(record.mask_words()..)?;
        Some((record, rest))
    }

    #[inline]
    fn mask_words(&self) -> usize {
        if self.uniform() == 0 { self.slots().div_ceil(4) as usize } else { 0 }
    }

    /// Places between two vertices that follow each other.
    #[inline]
    pub fn slots(&self) -> u32 {
        self.lats.len().saturating_sub(1) as u32
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
        let slot = slot as usize;
        let (lats, lons) = (self.lats.get(slot..slot + 2)?, self.lons.get(slot..slot + 2)?);
        let (&[a_lat, b_lat], &[a_lon, b_lon]) = (lats.first_chunk::<2>()?, lons.first_chunk::<2>()?);
        Some((Point { lat_e7: a_lat as i32, lon_e7: a_lon as i32 }, Point { lat_e7: b_lat as i32, lon_e7: b_lon as i32 }))
    }

    pub fn edges(self) -> impl Iterator<Item = (Point, Point, u32)> + use<'a> {
        (0..32u32).filter(move |slot| self.real & (1 << slot) != 0).filter_map(move |slot| {
            let (a, b) = self.edge(slot)?;
            Some((a, b, self.mask(slot)))
        })
    }

    /// The areas whose edges are crossed an odd number of times between the point and the corner.
    #[inline]
    pub fn flips(&self, corner: Point, point: Point) -> u32 {
        let (north, east) = (beyond(self.from_lats, self.lats.len(), point.lat_e7), beyond(self.from_lons, self.lons.len(), corner.lon_e7));
        let straddles = (north ^ (north >> 1)) & self.real;
        let across = (east ^ (east >> 1)) & self.real;
        let elbow = Point { lat_e7: point.lat_e7, lon_e7: corner.lon_e7 };
        let mut flips = 0;
        let mut slots = straddles | across;
        while slots != 0 {
            let slot = slots.trailing_zeros();
            slots &= slots - 1;
            let Some((a, b)) = self.edge(slot) else { break };
            let at_elbow = is_left(a, b, elbow);
            let west = (straddles >> slot) & 1 & u32::from(is_left(a, b, point) != at_elbow);
            let south = (across >> slot) & 1 & u32::from(at_elbow != is_left(a, b, corner));
            flips ^= self.mask(slot) * (west ^ south);
        }
        flips
    }
}

/// One bit for each of the first coordinates: it is greater. Four at a time; bits beyond the last mean nothing.
#[inline]
fn beyond(coordinates: &[u32], count: usize, line: i32) -> u32 {
    let is_beyond = |value: u32| u32::from(value as i32 > line);
    let fours = coordinates.as_chunks::<4>().0;
    let mut bits = 0;
    for (at, [a, b, c, d]) in fours.iter().take(count.div_ceil(4)).enumerate() {
        let four = is_beyond(*a) | is_beyond(*b) << 1 | is_beyond(*c) << 2 | is_beyond(*d) << 3;
        bits |= four << (4 * at & 31);
    }
    // Where the words end with the record.
    for (at, value) in coordinates.iter().enumerate().take(count).skip(4 * fours.len()) {
        bits |= is_beyond(*value) << (at & 31);
    }
    bits
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
    palette: &[u16],
    corner_mask: u8,
    (more, same): (bool, bool),
    vertices: &[Point],
    masks: &[u8],
) {
    let real = masks.iter().enumerate().fold(0u32, |real, (slot, mask)| real | u32::from(*mask != 0) << slot);
    let flags = if more { MORE } else { 0 } | if same { SAME } else { 0 };
    let mut edge_masks = masks.iter().copied().filter(|mask| *mask != 0);
    let first = edge_masks.next().unwrap_or(0);
    let uniform = if edge_masks.all(|mask| mask == first) { first } else { 0 };
    let mut pairs = palette.chunks(2).map(|pair| u32::from(pair[0]) | pair.get(1).map_or(0, |area| u32::from(*area) << 16));
    let sizes = (vertices.len() as u32) << 1 | (palette.len() as u32) << 7;
    out.push(sizes | flags | u32::from(corner_mask) << 16 | u32::from(uniform) << 24);
    out.extend([real, pairs.next().unwrap_or(0)]);
    out.extend(vertices.iter().map(|vertex| vertex.lat_e7 as u32));
    out.extend(vertices.iter().map(|vertex| vertex.lon_e7 as u32));
    out.extend(pairs);
    if uniform == 0 {
        out.extend(masks.chunks(4).map(|four| four.iter().rev().fold(0u32, |word, mask| word << 8 | u32::from(*mask))));
    }
}
