//! Words in lines of 64 bytes, as the processor fetches them, and the two things that a line may begin: a tile or a record.
//!
//! # Invariants
//! - Line 0 begins where a line of the cache begins, so one line of ours is one line of its. Answers do not depend on it.

/// Words of one line.
pub(super) const LINE_WORDS: usize = 16;
const LINE_BYTES: usize = LINE_WORDS * size_of::<u32>();
#[cfg(target_os = "linux")]
const LARGE_PAGE_BYTES: usize = 2 << 20;
/// A tile has 8 x 8 cells.
pub(super) const SIDE_LOG: u32 = 3;
pub(super) const SIDE: u32 = 1 << SIDE_LOG;
/// Values that a tile can name beside "outside".
pub(super) const VALUES_MAX: usize = 6;
/// Lines of the largest block; what is longer stands elsewhere.
pub(super) const BLOCK_LINES_MAX: usize = 8;

/// What the two lowest bits of the first word of a block say; a record has an even one.
const KIND: u32 = 3;
const TILE: u32 = 1;
const ELSEWHERE: u32 = 3;

const STARTS: usize = 1;
const CODES: usize = 5;
const VALUES: usize = 13;
/// A code from here on is a block.
const BLOCK: u32 = 8;

/// Every line of a grid, where it is kept.
#[derive(Debug)]
pub(super) struct Lines(Kept);

#[derive(Debug)]
enum Kept {
    /// Up to 15 words of no meaning before the first line.
    Vec { words: Vec<u32>, first: usize },
    /// Memory of its own in large pages: half of a look-up in a large map is waiting for the addresses of small ones.
    #[cfg(target_os = "linux")]
    LargePages { map: memmap2::MmapMut, first: usize, words: usize, held: usize },
}

/// Every line of a grid, to be read.
#[derive(Clone, Copy)]
pub(super) struct View<'a>(pub &'a [u32]);

/// What a tile says of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// No border in it: see [`super::Grid`] on values.
    Final(u16),
    /// A tile or a leaf, and how many lines it takes.
    Block { line: usize, count: usize },
}

/// What a block begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Record,
    Tile,
    /// A record that begins at this line.
    Elsewhere(usize),
}

/// One line that says what is in 64 cells.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a>(pub &'a [u32; LINE_WORDS]);

impl Lines {
    pub fn of(words: &[u32]) -> Self {
        #[cfg(target_os = "linux")]
        if let Some(kept) = in_large_pages(words) {
            return Self(kept);
        }
        let mut all: Vec<u32> = Vec::with_capacity(words.len() + LINE_WORDS);
        let first = all.as_ptr().align_offset(LINE_BYTES).min(LINE_WORDS);
        all.resize(first, 0);
        all.extend_from_slice(words);
        Self(Kept::Vec { words: all, first })
    }

    #[inline]
    pub fn view(&self) -> View<'_> {
        match &self.0 {
            Kept::Vec { words, first } => View(words.get(*first..).unwrap_or_default()),
            #[cfg(target_os = "linux")]
            Kept::LargePages { map, first, words, .. } => {
                let all = bytemuck::try_cast_slice::<u8, u32>(map).unwrap_or_default();
                View(all.get(*first..*first + *words).unwrap_or_default())
            }
        }
    }

    pub fn memory_bytes(&self) -> usize {
        match &self.0 {
            Kept::Vec { words, .. } => words.len() * size_of::<u32>(),
            #[cfg(target_os = "linux")]
            Kept::LargePages { held, .. } => *held,
        }
    }
}

/// A copy of the words in large pages, where the machine has them and there is enough for one.
#[cfg(target_os = "linux")]
fn in_large_pages(words: &[u32]) -> Option<Kept> {
    let bytes: &[u8] = bytemuck::cast_slice(words);
    // A last page that is mostly empty is not worth its memory: small ones then.
    let whole = bytes.len() / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
    let rest = bytes.len() - whole;
    let large = if rest > LARGE_PAGE_BYTES / 4 * 3 { whole + LARGE_PAGE_BYTES } else { whole };
    if large == 0 {
        return None;
    }
    // Room to begin at the first large page; what is never written takes no memory.
    let mut map = memmap2::MmapMut::map_anon(bytes.len().max(large) + LARGE_PAGE_BYTES).ok()?;
    let first = map.as_ptr().align_offset(LARGE_PAGE_BYTES);
    // Where it is refused the pages are small ones, and the answers are the same.
    let _ = map.advise_range(memmap2::Advice::HugePage, first, large);
    map.get_mut(first..first.checked_add(bytes.len())?)?.copy_from_slice(bytes);
    Some(Kept::LargePages { map, first: first / size_of::<u32>(), words: words.len(), held: bytes.len().max(large) })
}

impl<'a> View<'a> {
    /// The words from a line on; none when there is no such line.
    #[inline]
    pub fn from(self, line: usize) -> &'a [u32] {
        self.0.get(line * LINE_WORDS..).unwrap_or_default()
    }

    #[inline]
    pub fn tile(self, line: usize) -> Option<Tile<'a>> {
        self.from(line).first_chunk().map(Tile)
    }

    #[inline]
    pub fn kind(self, line: usize) -> Option<Kind> {
        self.from(line).first().map(|head| kind_of(*head))
    }
}

#[inline]
pub(super) fn kind_of(head: u32) -> Kind {
    match head & KIND {
        TILE => Kind::Tile,
        ELSEWHERE => Kind::Elsewhere((head >> 2) as usize),
        _ => Kind::Record,
    }
}

/// The first word of a block that stands elsewhere.
pub(super) fn elsewhere(line: usize) -> Option<u32> {
    line_in_word(line).map(|line| line | ELSEWHERE)
}

fn line_in_word(line: usize) -> Option<u32> {
    u32::try_from(line).ok().filter(|line| *line < 1 << 30).map(|line| line << 2)
}

impl Tile<'_> {
    #[inline]
    pub fn cell(&self, lon: u32, lat: u32) -> Cell {
        let (lon, lat) = (lon & (SIDE - 1), (lat & (SIDE - 1)) as usize);
        let row = self.0[CODES + lat];
        let code = (row >> (4 * lon)) & 0xf;
        if code < BLOCK {
            return Cell::Final(self.value(code));
        }
        // The lengths of the blocks before it in its row, added up four bits a cell.
        let before = row & ((1 << (4 * lon)) - 1);
        let blocks = (before >> 3) & 0x1111_1111;
        let lengths = (before & (blocks * 7)) + blocks;
        let pairs = (lengths & 0x0f0f_0f0f) + ((lengths >> 4) & 0x0f0f_0f0f);
        let lines = pairs.wrapping_mul(0x0101_0101) >> 24;
        Cell::Block { line: self.first_line() + self.start(lat) + lines as usize, count: (code & 7) as usize + 1 }
    }

    /// The line at which the blocks of this tile begin.
    #[inline]
    pub fn first_line(&self) -> usize {
        (self.0[0] >> 2) as usize
    }

    /// Lines from there to the first block of a row.
    #[inline]
    pub fn start(&self, lat: usize) -> usize {
        half(self.0[STARTS + lat / 2], lat)
    }

    /// What code `code` stands for: 0 the outside, then the values named.
    #[inline]
    fn value(&self, code: u32) -> u16 {
        let code = code as usize;
        if code == 0 || code > VALUES_MAX { 0 } else { half(self.0[VALUES + (code - 1) / 2], code - 1) as u16 }
    }

    /// Whether all cells are one final value.
    #[inline]
    pub fn only_value(&self) -> Option<u16> {
        let rows = self.0.get(CODES..VALUES)?;
        let code = rows.first()? & 0xf;
        (code < BLOCK && rows.iter().all(|row| *row == code * 0x1111_1111)).then(|| self.value(code))
    }

    /// The values named, the unused places at the end as 0.
    pub fn values(&self) -> impl Iterator<Item = u16> {
        (1..=VALUES_MAX as u32).map(|code| self.value(code))
    }

    /// The greatest code of a final cell.
    pub fn code_max(&self) -> u32 {
        let codes = self.0.iter().skip(CODES).take(SIDE as usize).flat_map(|row| (0..SIDE).map(move |lon| (row >> (4 * lon)) & 0xf));
        codes.filter(|code| *code < BLOCK).max().unwrap_or(0)
    }
}

#[inline]
fn half(word: u32, index: usize) -> usize {
    ((word >> (16 * (index & 1))) & 0xffff) as usize
}

/// A tile while it is being built, row by row from the south-west.
#[derive(Default)]
pub(super) struct TileBuilder {
    words: [u32; LINE_WORDS],
    values: Vec<u16>,
}

impl TileBuilder {
    /// Begins a row whose first block stands that many lines after the tile's first.
    pub fn row(&mut self, lat: u32, start_lines: usize) {
        self.words[STARTS + lat as usize / 2] |= (start_lines as u32) << (16 * (lat & 1));
    }

    /// False when the tile has no code left for the value.
    pub fn set_value(&mut self, lon: u32, lat: u32, value: u16) -> bool {
        let code = match (value, self.values.iter().position(|known| *known == value)) {
            (0, _) => 0,
            (_, Some(at)) => at + 1,
            (_, None) if self.values.len() < VALUES_MAX => {
                self.values.push(value);
                self.values.len()
            }
            _ => return false,
        };
        self.words[CODES + lat as usize] |= (code as u32) << (4 * lon);
        true
    }

    pub fn set_block(&mut self, lon: u32, lat: u32, lines: usize) {
        debug_assert!((1..=BLOCK_LINES_MAX).contains(&lines));
        self.words[CODES + lat as usize] |= (BLOCK | (lines as u32 - 1)) << (4 * lon);
    }

    /// The finished tile, its blocks beginning at `first_line`; `None` when that is too far.
    pub fn finish(mut self, first_line: usize) -> Option<[u32; LINE_WORDS]> {
        self.words[0] = line_in_word(first_line)? | TILE;
        for (at, value) in self.values.iter().enumerate() {
            self.words[VALUES + at / 2] |= u32::from(*value) << (16 * (at & 1));
        }
        Some(self.words)
    }
}

// --- impl Lines ---

impl Clone for Lines {
    fn clone(&self) -> Self {
        Self::of(self.view().0)
    }
}

impl PartialEq for Lines {
    fn eq(&self, other: &Self) -> bool {
        self.view().0 == other.view().0
    }
}

impl Eq for Lines {}
