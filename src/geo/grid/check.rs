//! Checking words from a file: nothing may stand in a grid that a build cannot have written.

use arrayvec::ArrayVec;

use super::super::point::Point;
use super::lines::{Cell, Kind, LINE_WORDS, SIDE, SIDE_LOG, Tile};
use super::record::{HEAD_BITS, MORE, PALETTE_MAX, Record, SAME, VERTICES_MAX};
use super::{Grid, Square, root_side};

/// The position of the first word that no build writes, counted from the first line.
pub(super) fn all(grid: &Grid) -> Result<(), usize> {
    let sides = grid.bbox.map_or((0, 0), |all| {
        let shift = grid.root_shift + SIDE_LOG;
        (root_side(all.min.lon_e7, all.max.lon_e7, shift), root_side(all.min.lat_e7, all.max.lat_e7, shift))
    });
    let words = grid.lines.view().0.len();
    if sides != (u64::from(grid.root_lons), u64::from(grid.root_lats)) || sides.0 * sides.1 * LINE_WORDS as u64 > words as u64 {
        return Err(0);
    }
    let roots = (sides.0 * sides.1) as usize;
    let mut check = Check { grid, next_line: roots };
    let root = Square { corner: grid.origin, shift: grid.root_shift + SIDE_LOG };
    for line in 0..roots {
        check.tile(line, root.beside(line as u32 % grid.root_lons, line as u32 / grid.root_lons))?;
    }
    if check.next_line * LINE_WORDS == words { check.sets() } else { Err(check.next_line * LINE_WORDS) }
}

struct Check<'a> {
    grid: &'a Grid,
    /// The first line of which nothing has spoken yet: what a block refers to stands before the block, in the order of the cells.
    next_line: usize,
}

impl Check<'_> {
    /// Depth is bounded by the shift, which every level lowers; a tile that was walked through has lines of its own.
    fn tile(&mut self, line: usize, square: Square) -> Result<(), usize> {
        let at = line * LINE_WORDS;
        let shift = square.shift.checked_sub(SIDE_LOG).ok_or(at)?;
        let tile = self.grid.lines.view().tile(line).ok_or(at)?;
        if self.grid.lines.view().kind(line) != Some(Kind::Tile) || !self.names_values(&tile) {
            return Err(at);
        }
        let mut run = 0;
        for lat in 0..SIDE {
            if tile.start(lat as usize) != run {
                return Err(at);
            }
            for lon in 0..SIDE {
                if let Cell::Block { line, count } = tile.cell(lon, lat) {
                    run += count;
                    self.block(line, count, Square { corner: square.corner, shift }.beside(lon, lat))?;
                }
            }
        }
        if tile.first_line() != self.next_line {
            return Err(at);
        }
        self.next_line += run;
        if self.next_line * LINE_WORDS > self.grid.lines.view().0.len() { Err(at) } else { Ok(()) }
    }

    /// Values stand once, are known, and no code is beyond them.
    fn names_values(&self, tile: &Tile<'_>) -> bool {
        let values: ArrayVec<u16, 8> = tile.values().take_while(|value| *value != 0).collect();
        let once = values.iter().enumerate().all(|(at, value)| !values.iter().take(at).any(|before| before == value));
        let unused = tile.values().skip(values.len()).all(|value| value == 0);
        let known = values.iter().all(|value| self.is_value(*value));
        once && unused && known && tile.code_max() as usize <= values.len()
    }

    fn is_value(&self, value: u16) -> bool {
        match self.grid.set_of(value) {
            None => value <= self.grid.area_max + 1,
            Some(set) => set.len() > 1,
        }
    }

    fn block(&mut self, line: usize, count: usize, cell: Square) -> Result<(), usize> {
        let at = line * LINE_WORDS;
        let words = self.grid.lines.view().from(line).get(..count * LINE_WORDS).ok_or(at)?;
        match self.grid.lines.view().kind(line).ok_or(at)? {
            Kind::Record => {
                let used = self.leaf(words, cell.corner).ok_or(at)?;
                let shortest = used.div_ceil(LINE_WORDS) == count;
                let rest_is_zero = words.iter().skip(used).all(|word| *word == 0);
                if shortest && rest_is_zero { Ok(()) } else { Err(at) }
            }
            Kind::Tile => self.tile(line, cell),
            Kind::Elsewhere(first) => {
                let rest_is_zero = words.iter().skip(1).all(|word| *word == 0);
                if first != self.next_line || count != 1 || !rest_is_zero {
                    return Err(at);
                }
                let used = self.leaf(self.grid.lines.view().from(first), cell.corner).ok_or(at)?;
                self.next_line += used.div_ceil(LINE_WORDS);
                let padding = self.grid.lines.view().from(first).get(used..(self.next_line - first) * LINE_WORDS).ok_or(at)?;
                if padding.iter().all(|word| *word == 0) { Ok(()) } else { Err(at) }
            }
        }
    }

    fn sets(&self) -> Result<(), usize> {
        let mut rest = self.grid.sets.as_slice();
        let base = self.grid.lines.view().0.len();
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

    /// How many words the records of a leaf take.
    fn leaf(&self, words: &[u32], corner: Point) -> Option<usize> {
        let (mut palette_count, mut goes_on, mut rest) = (0, false, words);
        loop {
            let (record, next) = Record::read(rest)?;
            palette_count = if goes_on { palette_count } else { record.palette_count() };
            let palette: ArrayVec<u16, 16> = (0..record.palette_count()).map(|bit| record.palette().area(bit)).collect();
            let slot_bits = ((1u64 << record.slot_count()) - 1) as u32;
            let on_globe = record.vertices(corner).all(|vertex| Point::new(vertex.lat_e7, vertex.lon_e7).is_some());
            let masks_fit = (0..record.slot_count()).all(|slot| {
                let mask = record.mask(slot);
                let real = record.slots.real & (1 << slot) != 0;
                mask >> palette_count == 0 && (record.uniform() != 0 || (mask != 0) == real)
            });
            let fine = record.head & !HEAD_BITS == 0
                && record.vertex_count() <= VERTICES_MAX
                && palette.len() <= PALETTE_MAX
                && goes_on == palette.is_empty()
                && palette.is_sorted_by(|a, b| a < b)
                && palette.iter().all(|area| *area <= self.grid.area_max)
                && record.corner_mask() >> record.palette_count() == 0
                && record.slots.real & !slot_bits == 0
                && record.slots.across & !record.slots.real == 0
                && record.slots.left & !record.slots.real == 0
                && masks_fit
                && on_globe;
            // `same` promises another record.
            if !fine || (record.head & SAME != 0 && record.head & MORE == 0) {
                return None;
            }
            goes_on = record.head & SAME != 0;
            rest = next;
            if record.head & MORE == 0 {
                return Some(words.len() - rest.len());
            }
        }
    }
}
