//! Building a [`Grid`]: merge the edges, sort them into cells, split the cells, write the leaves.

use std::collections::BTreeMap;

use super::lines::{BLOCK_LINES_MAX, TileBuilder, elsewhere};
use super::record::{PALETTE_MAX, write_record};
use super::*;
use crate::geo::ring;

/// Cells by which edges are sorted first.
const COARSE_CELLS_MAX: u64 = 1 << 16;
/// Edges of a root cell through which a border runs, on average; where they are more the root is finer.
const ROOT_EDGES_MEAN: usize = 12;

/// An edge of the map with every area that it bounds. `a` is west of `b`, or south of it on the same meridian.
#[derive(Clone, Copy, Debug)]
pub(in crate::geo) struct MergedEdge {
    pub a: Point,
    pub b: Point,
    /// Where its areas stand in [`MergedEdges::pool`]: a count, then that many areas in ascending order.
    at: u32,
}

#[derive(Clone, Debug, Default)]
pub(in crate::geo) struct MergedEdges {
    pub edges: Vec<MergedEdge>,
    pool: Vec<u16>,
}

impl MergedEdges {
    pub fn areas(&self, edge: &MergedEdge) -> &[u16] {
        let at = edge.at as usize;
        self.pool.get(at).and_then(|count| self.pool.get(at + 1..at + 1 + *count as usize)).unwrap_or_default()
    }
}

/// Every edge of every ring, once, with the areas that it bounds an odd number of times. The order is the same on every machine.
///
/// # Errors
/// An area or a vertex out of range, or more edges than a grid holds.
pub(in crate::geo) fn merged_edges(areas: &[IndexedArea]) -> Result<MergedEdges, GridError> {
    let points = areas.iter().flat_map(|area| area.rings.iter().flatten().map(move |point| (area.area, *point)));
    for (area, point) in points {
        if area as usize >= AREAS_MAX {
            return Err(GridError::AreaOutOfRange { area });
        }
        if Point::new(point.lat_e7, point.lon_e7).is_none() {
            return Err(GridError::PointOutOfRange { area, point });
        }
    }
    let count: usize = areas.iter().flat_map(|area| &area.rings).map(Vec::len).sum();
    if count > u32::MAX as usize / 4 {
        return Err(GridError::TooLarge);
    }
    let raw = sorted_by_place(areas);

    let mut merged = MergedEdges { edges: Vec::with_capacity(raw.len()), pool: Vec::with_capacity(raw.len() * 2) };
    for same in raw.chunk_by(|x, y| (x.0, x.1) == (y.0, y.1)) {
        let at = merged.pool.len();
        merged.pool.push(0);
        for odd in same.chunk_by(|x, y| x.2 == y.2).filter(|of_area| of_area.len() % 2 == 1) {
            merged.pool.extend(odd.first().map(|edge| edge.2));
        }
        let count = merged.pool.len() - at - 1;
        // An edge that bounds nothing on balance is no border.
        if count == 0 {
            merged.pool.truncate(at);
            continue;
        }
        merged.pool[at] = count as u16;
        merged.edges.extend(same.first().map(|edge| MergedEdge { a: point_of(edge.0), b: point_of(edge.1), at: at as u32 }));
    }
    Ok(merged)
}

/// Every edge with its ends as ascending keys, sorted by a coarse cell first, so that neighbours on the map are neighbours in
/// memory, and within a cell by the keys.
fn sorted_by_place(areas: &[IndexedArea]) -> Vec<(u64, u64, u16)> {
    let edges = || {
        let rings = areas.iter().flat_map(|area| area.rings.iter().map(|ring| (area.area, ring)));
        rings.flat_map(|(area, ring)| ring::edges(ring).map(move |(a, b)| (key(a).min(key(b)), key(a).max(key(b)), area)))
    };
    let Some(all) = BBox::of(areas.iter().flat_map(|area| area.rings.iter().flatten()).copied()) else { return Vec::new() };
    let sides = |shift: u32| (root_side(all.min.lon_e7, all.max.lon_e7, shift), root_side(all.min.lat_e7, all.max.lat_e7, shift));
    let shift = (0..ROOT_SHIFT_MAX).find(|shift| sides(*shift).0 * sides(*shift).1 <= COARSE_CELLS_MAX).unwrap_or(ROOT_SHIFT_MAX);
    let (lons, lats) = sides(shift);
    let cell = |from: u64| {
        let from = point_of(from);
        let lon = (i64::from(from.lon_e7) - i64::from(all.min.lon_e7)) as usize >> shift;
        let lat = (i64::from(from.lat_e7) - i64::from(all.min.lat_e7)) as usize >> shift;
        lat * lons as usize + lon
    };
    let mut starts = vec![0usize; (lons * lats) as usize + 1];
    edges().for_each(|(from, ..)| starts[cell(from) + 1] += 1);
    for cell in 1..starts.len() {
        starts[cell] += starts[cell - 1];
    }
    let mut raw = vec![(0, 0, 0); starts.last().copied().unwrap_or(0)];
    let mut next = starts.clone();
    for edge in edges() {
        let at = &mut next[cell(edge.0)];
        raw[*at] = edge;
        *at += 1;
    }
    starts.windows(2).for_each(|bounds| raw[bounds[0]..bounds[1]].sort_unstable());
    raw
}

/// A point as one number that sorts by longitude, then latitude.
fn key(point: Point) -> u64 {
    let up = |value: i32| u64::from((value as u32) ^ 0x8000_0000);
    up(point.lon_e7) << 32 | up(point.lat_e7)
}

fn point_of(key: u64) -> Point {
    let down = |value: u32| (value ^ 0x8000_0000) as i32;
    Point { lat_e7: down(key as u32), lon_e7: down((key >> 32) as u32) }
}

impl Grid {
    /// Compiles areas into a grid. Rings may be closed or not, in any direction and order; areas may overlap.
    ///
    /// # Errors
    /// An area or vertex out of range, or more edges than the offsets can name.
    ///
    /// # Cost
    /// A few hundred nanoseconds an edge. For building tables, not for contacts.
    pub fn build(areas: &[IndexedArea]) -> Result<Self, GridError> {
        let merged = merged_edges(areas)?;
        let bbox = BBox::of(merged.edges.iter().flat_map(|edge| [edge.a, edge.b]));
        let area_max = merged.edges.iter().filter_map(|edge| merged.areas(edge).last()).copied().max().unwrap_or(0);
        let mut grid = Self {
            bbox,
            origin: origin_of(bbox.map_or(Point::default(), |all| all.min)),
            root_shift: 0,
            root_lons: 0,
            root_lats: 0,
            area_max,
            lines: Lines::of(&[]),
            sets: Vec::new(),
        };
        if let Some(all) = bbox {
            let mut builder = Builder {
                merged: &merged,
                area_max,
                lines: Vec::new(),
                sets: Vec::new(),
                set_values: BTreeMap::new(),
                pools: Vec::new(),
                leaf_edges: 0,
                leaf_edges_max: 0,
            };
            (grid.root_shift, grid.root_lons, grid.root_lats) = builder.all(grid.origin, all)?;
            grid.lines = Lines::of(&builder.lines);
            grid.sets = builder.sets;
        }
        Ok(grid)
    }
}

struct Builder<'a> {
    merged: &'a MergedEdges,
    area_max: u16,
    lines: Vec<u32>,
    sets: Vec<u32>,
    /// The value of each set; `None` when it stands too far back for one.
    set_values: BTreeMap<Vec<u16>, Option<u16>>,
    /// Lists of edges by cell of a tile, kept between tiles so that they are allocated once a level.
    pools: Vec<Vec<Vec<u32>>>,
    /// Edges in the leaves of the present root cell, and how many they may become: bundles of lines a hair's breadth apart
    /// would else fill the memory with copies.
    leaf_edges: usize,
    leaf_edges_max: usize,
}

impl Square {
    /// The closed square, its far sides included.
    fn bbox(self) -> BBox {
        BBox { min: self.corner, max: self.beside(1, 1).corner }
    }

    fn cell(self, lon: u32, lat: u32) -> Self {
        Self { corner: self.corner, shift: self.shift - SIDE_LOG }.beside(lon, lat)
    }
}

impl Builder<'_> {
    /// The shift of the root's cells and its sides in tiles.
    fn all(&mut self, origin: Point, all: BBox) -> Result<(u32, u32, u32), GridError> {
        let sides = |shift: u32| (root_side(all.min.lon_e7, all.max.lon_e7, shift), root_side(all.min.lat_e7, all.max.lat_e7, shift));
        let fits = |shift: u32, cells: u64| sides(shift).0 * sides(shift).1 <= cells.clamp(64, ROOT_CELLS_MAX);
        let edge_count = self.merged.edges.len() as u64;
        let mut shift = (0..ROOT_SHIFT_MAX).find(|shift| fits(*shift, edge_count / 4)).unwrap_or(ROOT_SHIFT_MAX);
        let (lons, lats, starts, sorted) = loop {
            let (lons, lats) = sides(shift + SIDE_LOG);
            let (lons, lats) = (lons as u32, lats as u32);
            let (starts, sorted) = self.root_lists(Square { corner: origin, shift }, lons * SIDE, lats * SIDE);
            let crossed = starts.windows(2).filter(|bounds| bounds[0] != bounds[1]).count();
            let is_fine = sorted.len() <= crossed * ROOT_EDGES_MEAN;
            if is_fine || shift == 0 || !fits(shift - 1, 4 * edge_count) {
                break (lons, lats, starts, sorted);
            }
            shift -= 1;
        };
        self.lines = vec![0; (lons * lats) as usize * LINE_WORDS];

        let root = Square { corner: origin, shift: shift + SIDE_LOG };
        let mut set: Vec<u16> = Vec::new();
        for tile in 0..lons * lats {
            let (lon, lat) = (tile % lons, tile / lons);
            // The western side lies outside every area, so each row starts from nothing.
            if lon == 0 {
                set.clear();
            }
            let list = |cell: u32| {
                let (cell_lon, cell_lat) = (lon * SIDE + cell % SIDE, lat * SIDE + cell / SIDE);
                let at = (cell_lat * lons * SIDE + cell_lon) as usize;
                sorted.get(starts[at] as usize..starts[at + 1] as usize).unwrap_or_default()
            };
            let words = self.tile(root.beside(lon, lat), &list, &mut set, 0)?;
            self.lines[tile as usize * LINE_WORDS..][..LINE_WORDS].copy_from_slice(&words);
        }
        Ok((shift, lons, lats))
    }

    /// The edges of every root cell, as one list and where each cell's part of it starts.
    fn root_lists(&self, root: Square, lons: u32, lats: u32) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0u32; lons as usize * lats as usize + 1];
        for edge in &self.merged.edges {
            cells_met(root, lons, lats, edge.a, edge.b, |cell| starts[cell + 1] += 1);
        }
        for cell in 1..starts.len() {
            starts[cell] += starts[cell - 1];
        }
        let mut sorted = vec![0u32; starts.last().copied().unwrap_or(0) as usize];
        let mut next = starts.clone();
        for (index, edge) in self.merged.edges.iter().enumerate() {
            cells_met(root, lons, lats, edge.a, edge.b, |cell| {
                sorted[next[cell] as usize] = index as u32;
                next[cell] += 1;
            });
        }
        (starts, sorted)
    }

    /// The line of one tile; appends its blocks. `set` holds the areas of its corner, then those of its eastern neighbour's.
    fn tile<'l>(
        &mut self,
        square: Square,
        list: &dyn Fn(u32) -> &'l [u32],
        set: &mut Vec<u16>,
        level: usize,
    ) -> Result<[u32; LINE_WORDS], GridError> {
        let mut tile = TileBuilder::default();
        let mut blocks: Vec<u32> = Vec::new();
        let (mut west, mut here) = (set.clone(), Vec::new());
        for lat in 0..SIDE {
            tile.row(lat, blocks.len() / LINE_WORDS);
            here.clone_from(&west);
            for lon in 0..SIDE {
                let (cell, edges) = (square.cell(lon, lat), list(lat * SIDE + lon));
                if level == 0 {
                    (self.leaf_edges, self.leaf_edges_max) = (0, 32 * edges.len() + 2_048);
                }
                let value = if edges.is_empty() { self.value(&here) } else { None };
                if !value.is_some_and(|value| tile.set_value(lon, lat, value)) {
                    let first = blocks.len();
                    self.block(cell, edges, &here, level, &mut blocks)?;
                    blocks.resize(blocks.len().next_multiple_of(LINE_WORDS), 0);
                    tile.set_block(lon, lat, (blocks.len() - first) / LINE_WORDS);
                }
                self.walk_east(cell, edges, &mut here);
            }
            if lat == 0 {
                set.clone_from(&here);
            }
            self.walk_north(square.cell(0, lat), list(lat * SIDE), &mut west);
        }
        let first = self.lines.len() / LINE_WORDS;
        self.lines.extend_from_slice(&blocks);
        tile.finish(first).ok_or(GridError::TooLarge)
    }

    /// Appends what stands in one cell: a finer tile, or a leaf.
    fn block(&mut self, square: Square, edges: &[u32], set: &[u16], level: usize, blocks: &mut Vec<u32>) -> Result<(), GridError> {
        if edges.len() > LEAF_EDGES_MAX && square.shift >= SIDE_LOG {
            if self.pools.len() <= level {
                self.pools.push(Vec::new());
            }
            let mut lists = std::mem::take(&mut self.pools[level]);
            let total = self.sort_into(square, edges, &mut lists);
            // Edges that lie on each other at this scale, or all meet in one vertex, are not parted by more cells.
            let fine = square.shift <= FINE_SHIFT && total > edges.len() * SIDE as usize * 3 / 4;
            let in_vain = fine || self.leaf_edges + total > self.leaf_edges_max;
            let tile = (!in_vain).then(|| self.tile(square, &|cell| &lists[cell as usize], &mut set.to_vec(), level + 1));
            self.pools[level] = lists;
            if let Some(words) = tile {
                blocks.extend_from_slice(&words?);
                return Ok(());
            }
        }
        let mut leaf = self.leaf(square.corner, edges, set);
        if leaf.len() <= BLOCK_LINES_MAX * LINE_WORDS {
            blocks.append(&mut leaf);
            return Ok(());
        }
        blocks.push(elsewhere(self.lines.len() / LINE_WORDS).ok_or(GridError::TooLarge)?);
        self.lines.append(&mut leaf);
        self.lines.resize(self.lines.len().next_multiple_of(LINE_WORDS), 0);
        Ok(())
    }

    /// The edges of each cell of a tile, and how many there are in all of them.
    fn sort_into(&self, square: Square, edges: &[u32], lists: &mut Vec<Vec<u32>>) -> usize {
        lists.iter_mut().for_each(Vec::clear);
        lists.resize_with((SIDE * SIDE) as usize, Vec::new);
        let mut total = 0;
        for index in edges {
            let edge = self.merged.edges[*index as usize];
            cells_met(square.cell(0, 0), SIDE, SIDE, edge.a, edge.b, |cell| {
                lists[cell].push(*index);
                total += 1;
            });
        }
        total
    }

    /// Turns the areas of a cell's corner into those of its eastern neighbour's. The walk runs along the cell's southern side.
    fn walk_east(&self, square: Square, edges: &[u32], set: &mut Vec<u16>) {
        let next = square.beside(1, 0).corner;
        for edge in edges.iter().map(|index| &self.merged.edges[*index as usize]) {
            if ring::crosses_parallel(edge.a, edge.b, square.corner, next) {
                toggle(set, self.merged.areas(edge));
            }
        }
    }

    fn walk_north(&self, square: Square, edges: &[u32], set: &mut Vec<u16>) {
        let next = square.beside(0, 1).corner;
        for edge in edges.iter().map(|index| &self.merged.edges[*index as usize]) {
            if ring::crosses_meridian(edge.a, edge.b, square.corner, next) {
                toggle(set, self.merged.areas(edge));
            }
        }
    }

    /// The value of a cell without edges; `None` when there are too many sets for all of them to have one.
    fn value(&mut self, set: &[u16]) -> Option<u16> {
        match set {
            [] => Some(0),
            [area] => Some(area + 1),
            areas => match self.set_values.get(areas) {
                Some(value) => *value,
                None => {
                    let value = u16::try_from(self.sets.len() + usize::from(self.area_max) + 2).ok();
                    if value.is_some() {
                        self.sets.push(areas.len() as u32);
                        self.sets.extend(areas.iter().map(|area| u32::from(*area)));
                    }
                    self.set_values.insert(areas.to_vec(), value);
                    value
                }
            },
        }
    }

    /// The records of a leaf.
    fn leaf(&mut self, corner: Point, edges: &[u32], set: &[u16]) -> Vec<u32> {
        let mut out = Vec::new();
        self.leaf_edges += edges.len();
        let mut areas = set.to_vec();
        for index in edges {
            areas.extend_from_slice(self.merged.areas(&self.merged.edges[*index as usize]));
        }
        areas.sort_unstable();
        areas.dedup();
        let groups = areas.len().div_ceil(PALETTE_MAX);
        for (group, palette) in areas.chunks(PALETTE_MAX).enumerate() {
            let mask_of =
                |areas: &[u16]| areas.iter().filter_map(|area| palette.binary_search(area).ok()).fold(0u8, |mask, bit| mask | 1 << bit);
            let bounds: Vec<(Point, Point, u8)> = edges
                .iter()
                .map(|index| &self.merged.edges[*index as usize])
                .map(|edge| (edge.a, edge.b, mask_of(self.merged.areas(edge))))
                .filter(|(.., mask)| *mask != 0)
                .collect();
            let records = chained(bounds);
            for (at, (vertices, masks)) in records.iter().enumerate() {
                let same = at + 1 < records.len();
                let more = same || group + 1 < groups;
                let inside = if at == 0 { (palette, mask_of(set)) } else { (&palette[..0], 0) };
                write_record(&mut out, corner, inside, (more, same), vertices, masks);
            }
        }
        out
    }
}

fn toggle(set: &mut Vec<u16>, areas: &[u16]) {
    for area in areas {
        match set.binary_search(area) {
            Ok(at) => {
                set.remove(at);
            }
            Err(at) => set.insert(at, *area),
        }
    }
}

/// Every cell of a block that an edge meets, sides and corners included.
fn cells_met(block: Square, lons: u32, lats: u32, a: Point, b: Point, mut each: impl FnMut(usize)) {
    let span = |low: i32, high: i32, from: i32, count: u32| {
        let first = (i64::from(low) - i64::from(from) - 1) >> block.shift;
        let last = (i64::from(high) - i64::from(from)) >> block.shift;
        (first.max(0), last.min(i64::from(count) - 1))
    };
    let around = BBox::new(a, b);
    let (south, north) = span(around.min.lat_e7, around.max.lat_e7, block.corner.lat_e7, lats);
    let (west, east) = span(around.min.lon_e7, around.max.lon_e7, block.corner.lon_e7, lons);
    if south > north || west > east {
        return;
    }
    if south == north && west == east {
        // The usual case of a short edge: when it cannot leave the cell it needs no test.
        let cell = block.beside(west as u32, south as u32);
        if edge_meets_box(a, b, &cell.bbox()) {
            each(south as usize * lons as usize + west as usize);
        }
        return;
    }
    for lat in south..=north {
        // Where the edge is while it crosses this row, a cell to spare on either side for the rounding.
        let (mut first, mut last) = (west, east);
        if a.lat_e7 != b.lat_e7 && east - west > 2 {
            let row = block.beside(0, lat as u32).bbox();
            let lon_at = |lat: i32| {
                let lat = lat.clamp(around.min.lat_e7, around.max.lat_e7);
                let part = i128::from(i64::from(lat) - i64::from(a.lat_e7)) * i128::from(i64::from(b.lon_e7) - i64::from(a.lon_e7));
                let lon = i64::from(a.lon_e7) + (part / i128::from(i64::from(b.lat_e7) - i64::from(a.lat_e7))) as i64;
                (lon - i64::from(block.corner.lon_e7)) >> block.shift
            };
            let (one, other) = (lon_at(row.min.lat_e7), lon_at(row.max.lat_e7));
            first = first.max(one.min(other) - 1);
            last = last.min(one.max(other) + 1);
        }
        for lon in first..=last {
            if edge_meets_box(a, b, &block.beside(lon as u32, lat as u32).bbox()) {
                each(lat as usize * lons as usize + lon as usize);
            }
        }
    }
}

/// Joins edges to chains that share their vertices, in records of at most [`VERTICES_MAX`] vertices: for each record
/// the vertices, and the mask of the slot after each but the last (0 between chains). At least one record, perhaps empty.
fn chained(mut edges: Vec<(Point, Point, u8)>) -> Vec<(Vec<Point>, Vec<u8>)> {
    let mut records: Vec<(Vec<Point>, Vec<u8>)> = Vec::new();
    let (mut vertices, mut masks) = (Vec::with_capacity(VERTICES_MAX), Vec::with_capacity(VERTICES_MAX));
    while !edges.is_empty() {
        let (chain, chain_masks) = next_chain(&mut edges);
        let mut at = 0;
        while at < chain_masks.len() {
            // A chain needs two vertices at least.
            if vertices.len() + 2 > VERTICES_MAX {
                records.push((std::mem::take(&mut vertices), std::mem::take(&mut masks)));
            }
            if !vertices.is_empty() {
                masks.push(0);
            }
            let count = (VERTICES_MAX - vertices.len() - 1).min(chain_masks.len() - at);
            vertices.extend_from_slice(&chain[at..=at + count]);
            masks.extend_from_slice(&chain_masks[at..at + count]);
            at += count;
        }
    }
    records.push((vertices, masks));
    records
}

/// Takes one chain out of the edges: its vertices, and the mask of each of its edges.
fn next_chain(edges: &mut Vec<(Point, Point, u8)>) -> (Vec<Point>, Vec<u8>) {
    let Some((a, b, mask)) = edges.pop() else { return (Vec::new(), Vec::new()) };
    let (mut vertices, mut masks) = (vec![a, b], vec![mask]);
    for _ in 0..2 {
        while let Some(tail) = vertices.last().copied() {
            let Some(at) = edges.iter().position(|(a, b, _)| *a == tail || *b == tail) else { break };
            let (a, b, mask) = edges.swap_remove(at);
            vertices.push(if a == tail { b } else { a });
            masks.push(mask);
        }
        // The other end next; turned twice, the chain is as it was.
        vertices.reverse();
        masks.reverse();
    }
    (vertices, masks)
}
