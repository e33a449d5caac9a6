//! The lexicon: what the words of a caller say, in seven languages and the ways people type them.
//!
//! `lexicon/<name>.csv` holds terms; [`Lexicon::compile`] makes two automata of flat arrays from them: a trie of words over folded
//! bytes (see [`super::fold`]) and a trie of terms over words. [`Lexicon::read`] walks a text once, allocates nothing, and says
//! which incident types are spoken of and what was denied.
//!
//! How a term is written (column `term`):
//! - Words parted by spaces. `crash*` is every word that begins with `crash`. `_` is a gap of up to [`GAP_WORDS_MAX`] words, never
//!   of a `break` or a negation (`आग नहीं लगी` is not `आग लगी`).
//! - Filler words (`kind` `filler` or `intensifier`) may stand anywhere inside a term.
//! - An Arabic word is also found behind its clitics (و ف ب ل ك ال).
//!
//! What counts:
//! - A word belongs to the longest term around it: `fire drill` is not `fire`, and the `not` of `not breathing` denies nothing.
//! - A negation denies the next thing said (`note` `after`: `no fire`) or the one before (`before`: `आग नहीं`), across fillers and one
//!   other word, never across a comma, a stop or a `break` word; `or` carries it on. A term that holds a negation itself cannot be
//!   denied. In doubt evidence counts: a fire too many is a question asked, a fire too few is a house.
//! - A type weighs as much as its strongest term; each further term of the same type adds [`AGAIN_WEIGHT`].
//!
//! What it deliberately does not do: grammar, places, names.

use std::collections::BTreeMap;

use arrayvec::ArrayVec;
use serde::Deserialize;

use crate::decision::TypeIndex;
use crate::limits::{TERM_HITS_MAX, TERM_WORDS_MAX, TEXT_BYTES_MAX, TEXT_WORDS_MAX, TYPES_HEARD_MAX};
use crate::units::Name;

use super::fold::{Reader, Script, Word};
use super::source::{Defect, Row, read_csv};
use super::types::Types;

/// Words a `_` in a term may stand for.
pub const GAP_WORDS_MAX: u8 = 2;
/// Fillers that may stand inside one term.
const FILLERS_MAX: u8 = 4;
/// What each further term of a type adds to its weight, and how often.
const AGAIN_WEIGHT: u16 = 5;
const AGAIN_MAX: u8 = 3;
/// Words that are neither filler nor found between a negation and what it denies.
const DENIAL_GAP_MAX: u8 = 1;
/// Terms begun and not ended at one word of a text. Beyond it the shortest stay: their words still count.
const OPEN_MAX: usize = 64;
/// Patterns that one word of a text can match.
const MATCHES_MAX: usize = 16;
/// Languages of one lexicon, one bit each.
const LANGS_MAX: usize = 16;

/// One row of a lexicon file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LexiconRow {
    /// ISO 639-1 of the language the term belongs to.
    pub lang: String,
    pub term: String,
    /// See [`Kind`].
    pub kind: String,
    /// A type code, for kinds `type` and `person_hurt`.
    #[serde(default, rename = "type")]
    pub type_: String,
    /// 1 to 100: how sure one is of the type having heard this term alone.
    #[serde(default)]
    pub weight: Option<u16>,
    /// For negations `before` or `after`; otherwise what the term means, in English.
    #[serde(default)]
    pub note: String,
}

/// What a term does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Ends a clause: a denial does not reach across (`but`, `only`, Hindi `है`).
    Break,
    /// Stands inside terms without meaning anything (`the`, `is`, `my`).
    Filler,
    /// Says nothing of what its words say elsewhere (`fire drill`).
    Idiom,
    /// A filler that makes what is said stronger (`big`, `severe`).
    Intensifier,
    /// Several people, cars, floors.
    Many,
    /// Denies what stands before it.
    NegationBefore,
    /// Denies what stands after it.
    NegationAfter,
    /// Carries a denial on (`or`, `nor`).
    Or,
    /// Somebody is hurt: evidence for its type too, when it names one.
    PersonHurt,
    /// A kind of place. Read for the language only.
    PlaceKind,
    /// The caller hides or asks not to be called.
    Quiet,
    /// Words of the sea.
    Sea,
    /// Evidence for a type.
    Type,
}

impl Kind {
    fn parse(kind: &str, note: &str) -> Option<Self> {
        Some(match (kind, note) {
            ("break", _) => Self::Break,
            ("filler", _) => Self::Filler,
            ("idiom", _) => Self::Idiom,
            ("intensifier", _) => Self::Intensifier,
            ("many", _) => Self::Many,
            ("negation", "after") => Self::NegationAfter,
            ("negation", "before") => Self::NegationBefore,
            ("or", _) => Self::Or,
            ("person_hurt", _) => Self::PersonHurt,
            ("place_kind", _) => Self::PlaceKind,
            ("quiet", _) => Self::Quiet,
            ("sea", _) => Self::Sea,
            ("type", _) => Self::Type,
            _ => return None,
        })
    }

    const fn is_negation(self) -> bool {
        matches!(self, Self::NegationAfter | Self::NegationBefore)
    }

    /// Grammar: one word that is found whole or behind `و` and `ف` only, never behind other clitics.
    const fn is_function(self) -> bool {
        matches!(self, Self::Break | Self::Filler | Self::Intensifier | Self::NegationAfter | Self::NegationBefore | Self::Or)
    }

    /// What a longer term around it takes the meaning from.
    const fn yields(self) -> bool {
        matches!(self, Self::Type | Self::PersonHurt | Self::NegationAfter | Self::NegationBefore)
    }

    const fn deniable(self) -> bool {
        matches!(self, Self::Type | Self::PersonHurt | Self::Many)
    }
}

/// One term, compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Term {
    kind: Kind,
    type_: Option<TypeIndex>,
    weight: u16,
    /// Holds a negation of its own: cannot be denied.
    firm: bool,
    name: Name,
}

/// What a text says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The incident types spoken of, best first, at most [`TYPES_HEARD_MAX`].
    pub types: ArrayVec<TypeHeard, TYPES_HEARD_MAX>,
    /// Something was denied (`no fire`).
    pub denied: bool,
    /// Somebody is hurt.
    pub hurt: bool,
    /// It was said that nobody is hurt.
    pub unhurt: bool,
    pub many: bool,
    pub sea: bool,
    pub quiet: bool,
    /// ISO 639-1, by script and by the words found.
    pub lang: Option<[u8; 2]>,
    /// Words read, whatever they mean.
    pub count: u16,
    /// Not everything was read: the text was longer than [`TEXT_BYTES_MAX`].
    pub cut: bool,
}

/// One type spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeHeard {
    pub type_: TypeIndex,
    /// 1 to about 120.
    pub weight: u16,
    /// The strongest term: `lang:what-it-means`.
    pub term: Name,
    /// Where that term stands in the text, in bytes.
    pub from: u16,
    pub until: u16,
    again: u8,
    strongest: u16,
}

/// The compiled terms of every language of a pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lexicon {
    words: WordTrie,
    /// For each pattern: the languages it belongs to, one bit each.
    pattern_langs: Vec<u16>,
    pattern_flags: Vec<u8>,
    terms: Vec<Term>,
    nodes: TermTrie,
    langs: ArrayVec<[u8; 2], LANGS_MAX>,
    /// For each script: the languages written in it.
    script_langs: [u16; Script::COUNT],
}

const NONE: u32 = u32::MAX;

const FILLER: u8 = 1;
const BREAK: u8 = 2;
const OR: u8 = 4;
const FUNCTION: u8 = 8;
const INTENSE: u8 = 16;
/// On a word of a text: a comma or stop stands before it.
const CLAUSE: u8 = 32;
const DENIES: u8 = 64;

// --- compile ---

impl Lexicon {
    /// Compiles `lexicon/*.csv`. Rows with defects are left out; the others work.
    pub fn compile(files: &BTreeMap<String, Vec<u8>>, types: &Types) -> (Self, Vec<Defect>) {
        let mut defects = Vec::new();
        let mut draft = Draft::default();
        for (file, bytes) in files {
            let rows: Vec<Row<LexiconRow>> = read_csv(file, bytes, &mut defects);
            for row in &rows {
                if let Err(defect) = draft.add(row, types) {
                    defects.push(defect);
                }
            }
        }
        (draft.finish(), defects)
    }

    /// How many terms there are, of a language or of all.
    pub fn term_count(&self) -> usize {
        self.terms.len()
    }

    /// Bytes of the compiled arrays.
    pub fn size_bytes(&self) -> usize {
        self.words.size_bytes() + self.nodes.size_bytes() + size_of_val(&*self.terms) + self.pattern_flags.len() * 3
    }
}

/// One word of a term as it will be looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    bytes: Vec<u8>,
    prefix: bool,
}

/// A term taken apart: patterns, with `None` for a gap.
type Parts = Vec<Option<Pattern>>;

#[derive(Default)]
struct Draft {
    patterns: BTreeMap<Pattern, u16>,
    pattern_langs: Vec<u16>,
    pattern_flags: Vec<u8>,
    nodes: Vec<DraftNode>,
    terms: Vec<Term>,
    /// Terms whose words are known and whose firmness is not yet: the patterns of each.
    term_patterns: Vec<Vec<u16>>,
    langs: ArrayVec<[u8; 2], LANGS_MAX>,
    script_langs: [u16; Script::COUNT],
}

#[derive(Clone, Debug, Default)]
struct DraftNode {
    children: BTreeMap<u16, u32>,
    gap: bool,
    terms: Vec<u16>,
}

impl Draft {
    fn add(&mut self, row: &Row<LexiconRow>, types: &Types) -> Result<(), Defect> {
        let LexiconRow { lang, term, kind, type_, weight, note } = &row.value;
        let lang_bit = self.lang(lang).ok_or_else(|| {
            row.defect(
                "bad_language",
                format!("`{lang}` is no language code"),
                "write the two small letters of ISO 639-1; 16 languages at most",
            )
        })?;
        let kind = Kind::parse(kind, note).ok_or_else(|| {
            let what = format!("`{kind}` is no kind of term");
            row.defect("bad_kind", what, "see SCHEMA.md for the kinds; a negation has `before` or `after` in its note")
        })?;
        let type_ = match type_.as_str() {
            "" if kind == Kind::Type => return Err(row.defect("no_type", format!("`{term}` names no type"), "write a type code")),
            "" => None,
            code => {
                let what = || row.defect("unknown_type", format!("`{code}` is not in types.csv"), "correct the code");
                Some(types.index(code).ok_or_else(what)?)
            }
        };
        let weight = match (weight, type_) {
            (Some(weight @ 1..=100), _) => *weight,
            (None, None) => 0,
            _ => return Err(row.defect("bad_weight", format!("the weight of `{term}`"), "write 1 to 100")),
        };
        let (parts, scripts) = take_apart(term).map_err(|what| row.defect("bad_term", what, "see SCHEMA.md for how terms are written"))?;
        if kind.is_function() && parts.len() != 1 && !kind.is_negation() {
            return Err(row.defect("bad_term", format!("`{term}` is more than one word"), "words of this kind stand alone"));
        }
        let ids: Vec<Option<u16>> = parts.iter().map(|part| part.as_ref().map(|pattern| self.pattern(pattern, lang_bit))).collect();
        let node = self.node(&ids);
        let duplicate = self.nodes.get(node as usize).is_some_and(|node| {
            let same = |term: &Term| term.kind == kind && term.type_ == type_ && term.name.as_str().starts_with(lang.as_str());
            node.terms.iter().any(|id| self.terms.get(usize::from(*id)).is_some_and(same))
        });
        if duplicate {
            let what = format!("`{term}` stands twice, or folds to the same as another row");
            return Err(Defect { warning: true, ..row.defect("duplicate_term", what, "remove one of the rows") });
        }
        let id = u16::try_from(self.terms.len())
            .map_err(|_| row.defect("too_many", "there are more than 65,535 terms".to_owned(), "remove terms"))?;
        let name = term_name(lang, term, note, kind, type_.and_then(|index| types.code(index)));
        self.terms.push(Term { kind, type_, weight, firm: false, name });
        let patterns: Vec<u16> = ids.into_iter().flatten().collect();
        if let (true, [only]) = (kind.is_function(), patterns.as_slice()) {
            self.flag(*only, kind);
        }
        self.term_patterns.push(patterns);
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.terms.push(id);
        }
        for script in scripts {
            self.script_langs[script as usize] |= lang_bit;
        }
        Ok(())
    }

    /// The bit of a language, given to it when it is first met.
    fn lang(&mut self, lang: &str) -> Option<u16> {
        let &[a @ b'a'..=b'z', b @ b'a'..=b'z'] = lang.as_bytes() else { return None };
        let at = match self.langs.iter().position(|known| *known == [a, b]) {
            Some(at) => at,
            None => {
                self.langs.try_push([a, b]).ok()?;
                self.langs.len() - 1
            }
        };
        Some(1 << at)
    }

    fn pattern(&mut self, pattern: &Pattern, lang_bit: u16) -> u16 {
        let next = u16::try_from(self.patterns.len()).unwrap_or(u16::MAX - 1);
        let id = *self.patterns.entry(pattern.clone()).or_insert(next);
        let at = usize::from(id);
        if at >= self.pattern_langs.len() {
            self.pattern_langs.resize(at + 1, 0);
            self.pattern_flags.resize(at + 1, 0);
        }
        self.pattern_langs[at] |= lang_bit;
        id
    }

    fn flag(&mut self, pattern: u16, kind: Kind) {
        let flag = FUNCTION
            | match kind {
                Kind::Break => BREAK,
                Kind::Filler => FILLER,
                Kind::Intensifier => FILLER | INTENSE,
                Kind::NegationAfter | Kind::NegationBefore => DENIES,
                Kind::Or => OR,
                _ => 0,
            };
        self.pattern_flags[usize::from(pattern)] |= flag;
    }

    /// The node at the end of a path, made where it does not exist.
    fn node(&mut self, ids: &[Option<u16>]) -> u32 {
        if self.nodes.is_empty() {
            self.nodes.push(DraftNode::default());
        }
        let mut at = 0;
        for id in ids {
            let next = self.nodes.len() as u32;
            match id {
                None => self.nodes[at as usize].gap = true,
                Some(id) => {
                    let child = *self.nodes[at as usize].children.entry(*id).or_insert(next);
                    if child == next {
                        self.nodes.push(DraftNode::default());
                    }
                    at = child;
                }
            }
        }
        at
    }

    fn finish(mut self) -> Lexicon {
        let negations: Vec<u16> = self
            .terms
            .iter()
            .zip(&self.term_patterns)
            .filter_map(|(term, patterns)| match patterns.as_slice() {
                [only] if term.kind.is_negation() => Some(*only),
                _ => None,
            })
            .collect();
        for (term, patterns) in self.terms.iter_mut().zip(&self.term_patterns) {
            term.firm = !term.kind.is_negation() && patterns.iter().any(|pattern| negations.contains(pattern));
        }
        Lexicon {
            words: WordTrie::build(&self.patterns),
            pattern_langs: self.pattern_langs,
            pattern_flags: self.pattern_flags,
            terms: self.terms,
            nodes: TermTrie::build(&self.nodes, self.patterns.len()),
            langs: self.langs,
            script_langs: self.script_langs,
        }
    }
}

/// Takes a term apart and folds its words.
fn take_apart(term: &str) -> Result<(Parts, Vec<Script>), String> {
    let mut parts: Parts = Vec::new();
    let mut scripts = Vec::new();
    for piece in term.split_whitespace() {
        if piece == "_" {
            parts.push(None);
            continue;
        }
        let prefix = piece.ends_with('*');
        let mut reader = Reader::new(piece.trim_end_matches('*'));
        let before = parts.len();
        while let Some(word) = reader.next_word() {
            scripts.push(word.script);
            parts.push(Some(Pattern { bytes: word.bytes.to_vec(), prefix: false }));
        }
        match parts.last_mut().filter(|_| prefix) {
            Some(Some(last)) if last.bytes.len() < 3 => return Err(format!("`{piece}` begins too many words")),
            Some(Some(last)) => last.prefix = true,
            _ => {}
        }
        if parts.len() == before {
            return Err(format!("nothing is left of `{piece}` after folding"));
        }
    }
    let gap_at_an_end = matches!(parts.first(), None | Some(None)) || matches!(parts.last(), Some(None));
    let two_gaps = parts.windows(2).any(|pair| pair == [None, None]);
    if gap_at_an_end || two_gaps || parts.len() > TERM_WORDS_MAX {
        return Err(format!("`{term}` is empty, too long, or has a gap that is not between two words"));
    }
    Ok((parts, scripts))
}

/// How a decision names the term: ASCII, `lang:meaning`.
fn term_name(lang: &str, term: &str, note: &str, kind: Kind, code: Option<Name>) -> Name {
    let note = if kind.is_negation() { "" } else { note };
    let spelled = |text: &str| -> String {
        let plain = text.chars().map(|c| if c == ' ' { '-' } else { c }).filter(char::is_ascii_graphic).collect::<String>();
        if text.is_ascii() { plain } else { String::new() }
    };
    let meaning = [spelled(term), spelled(note)].into_iter().find(|text| !text.is_empty());
    let meaning = meaning.unwrap_or_else(|| code.map_or_else(|| format!("{kind:?}"), |code| code.to_string()));
    let mut name = format!("{lang}:{meaning}");
    name.truncate(Name::BYTES_MAX);
    Name::new(&name).unwrap_or_default()
}

// --- the two automata ---

/// A trie over the bytes of folded words. Children of a node stand together, sorted by byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct WordTrie {
    /// For each node, where its children begin in `labels` and `targets`; one entry more at the end.
    first: Vec<u32>,
    labels: Vec<u8>,
    targets: Vec<u32>,
    /// The pattern that ends exactly here, and the one that any longer word may end.
    exact: Vec<u32>,
    prefix: Vec<u32>,
}

impl WordTrie {
    fn build(patterns: &BTreeMap<Pattern, u16>) -> Self {
        let mut nodes: Vec<(BTreeMap<u8, u32>, u32, u32)> = vec![(BTreeMap::new(), NONE, NONE)];
        for (pattern, id) in patterns {
            let mut at = 0_usize;
            for byte in &pattern.bytes {
                let next = nodes.len() as u32;
                let child = *nodes[at].0.entry(*byte).or_insert(next);
                if child == next {
                    nodes.push((BTreeMap::new(), NONE, NONE));
                }
                at = child as usize;
            }
            let end = &mut nodes[at];
            if pattern.prefix { end.2 = u32::from(*id) } else { end.1 = u32::from(*id) }
        }
        let mut trie = Self::default();
        for (children, exact, prefix) in nodes {
            trie.first.push(trie.labels.len() as u32);
            trie.labels.extend(children.keys());
            trie.targets.extend(children.values());
            trie.exact.push(exact);
            trie.prefix.push(prefix);
        }
        trie.first.push(trie.labels.len() as u32);
        assert_eq!(trie.labels.len(), trie.targets.len());
        assert_eq!(trie.first.len(), trie.exact.len() + 1);
        trie
    }

    fn child(&self, node: u32, byte: u8) -> Option<u32> {
        let from = *self.first.get(node as usize)? as usize;
        let until = *self.first.get(node as usize + 1)? as usize;
        let at = self.labels.get(from..until)?.iter().position(|label| *label == byte)?;
        self.targets.get(from + at).copied()
    }

    /// Every pattern that the word matches. `found` decides itself what it keeps.
    fn matches(&self, word: &[u8], mut found: impl FnMut(u16)) {
        let mut give = |id: Option<&u32>| match id {
            Some(&id) if id != NONE => found(id as u16),
            _ => {}
        };
        let mut node = 0;
        for byte in word {
            match self.child(node, *byte) {
                Some(child) => node = child,
                None => return,
            }
            give(self.prefix.get(node as usize));
        }
        give(self.exact.get(node as usize));
    }

    fn size_bytes(&self) -> usize {
        self.labels.len() + 4 * (self.first.len() + self.targets.len() + self.exact.len() + self.prefix.len())
    }
}

/// A trie over patterns. Children of a node stand together, sorted by pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TermTrie {
    /// For each pattern, the node of terms that begin with it.
    root: Vec<u32>,
    first: Vec<u32>,
    keys: Vec<u16>,
    targets: Vec<u32>,
    gap: Vec<bool>,
    first_term: Vec<u32>,
    terms: Vec<u16>,
}

impl TermTrie {
    fn build(nodes: &[DraftNode], pattern_count: usize) -> Self {
        let mut trie = Self { root: vec![NONE; pattern_count], ..Self::default() };
        if let Some(root) = nodes.first() {
            for (pattern, node) in &root.children {
                trie.root[usize::from(*pattern)] = *node;
            }
        }
        for node in nodes {
            trie.first.push(trie.keys.len() as u32);
            trie.first_term.push(trie.terms.len() as u32);
            trie.keys.extend(node.children.keys());
            trie.targets.extend(node.children.values());
            trie.gap.push(node.gap);
            trie.terms.extend(&node.terms);
        }
        trie.first.push(trie.keys.len() as u32);
        trie.first_term.push(trie.terms.len() as u32);
        assert_eq!(trie.keys.len(), trie.targets.len());
        trie
    }

    fn begin(&self, pattern: u16) -> Option<u32> {
        self.root.get(usize::from(pattern)).copied().filter(|node| *node != NONE)
    }

    fn range(bounds: &[u32], node: u32) -> core::ops::Range<usize> {
        let from = bounds.get(node as usize).copied().unwrap_or(0) as usize;
        let until = bounds.get(node as usize + 1).copied().unwrap_or(0) as usize;
        from..until
    }

    fn child(&self, node: u32, pattern: u16) -> Option<u32> {
        let range = Self::range(&self.first, node);
        let from = range.start;
        let at = self.keys.get(range)?.binary_search(&pattern).ok()?;
        self.targets.get(from + at).copied()
    }

    fn goes_on(&self, node: u32) -> bool {
        !Self::range(&self.first, node).is_empty()
    }

    fn is_gap(&self, node: u32) -> bool {
        self.gap.get(node as usize).copied().unwrap_or(false)
    }

    fn terms(&self, node: u32) -> &[u16] {
        self.terms.get(Self::range(&self.first_term, node)).unwrap_or(&[])
    }

    fn size_bytes(&self) -> usize {
        4 * (self.root.len() + self.first.len() + self.targets.len() + self.first_term.len())
            + 2 * (self.keys.len() + self.terms.len())
            + self.gap.len()
    }
}

// --- read ---

impl Lexicon {
    /// Reads a text. Total: any string is read, what is beyond [`TEXT_BYTES_MAX`] is not.
    ///
    /// # Cost
    /// No allocation; some 16 KiB of stack. Linear in the text.
    pub fn read(&self, text: &str) -> Words {
        let cut = text.floor_char_boundary(TEXT_BYTES_MAX);
        let mut scan = Scan::new(self);
        let mut reader = Reader::new(text.get(..cut).unwrap_or_default());
        while let Some(word) = reader.next_word() {
            scan.word(&word);
        }
        let mut words = scan.finish();
        words.cut = cut < text.len();
        words
    }

    fn term(&self, id: u16) -> Option<&Term> {
        self.terms.get(usize::from(id))
    }

    /// The patterns a word matches, and the flags of its whole form.
    fn patterns(&self, word: &Word<'_>, ids: &mut ArrayVec<u16, MATCHES_MAX>) -> u8 {
        let mut flags = 0;
        let mut look = |bytes: &[u8], bare: bool| {
            self.words.matches(bytes, |id| {
                let of_id = self.pattern_flags.get(usize::from(id)).copied().unwrap_or(0);
                if (bare && of_id & FUNCTION != 0) || ids.contains(&id) {
                    return;
                }
                flags |= of_id;
                let _ = ids.try_push(id);
            });
        };
        look(word.bytes, false);
        if word.script == Script::Arabic {
            without_clitics(word.bytes, look);
        }
        flags
    }
}

/// The forms of an Arabic word without its conjunction and without its preposition and article. The flag is true for the latter.
fn without_clitics(word: &[u8], mut form: impl FnMut(&[u8], bool)) {
    // Two bytes a letter: what is left of a word must be a word.
    const STEM_BYTES_MIN: usize = 6;
    const ARTICLES: [&str; 7] = ["ال", "بال", "وال", "فال", "كال", "لل", "عال"];
    const PREPOSITIONS: [&str; 3] = ["ب", "ل", "ك"];
    let rest = |word: &[u8], clitic: &str, min: usize| -> Option<usize> {
        let rest = word.strip_prefix(clitic.as_bytes())?;
        (rest.len() >= min).then_some(word.len() - rest.len())
    };
    let mut bare = |word: &[u8]| {
        for article in ARTICLES {
            if let Some(at) = rest(word, article, 4) {
                form(word.get(at..).unwrap_or_default(), true);
            }
        }
        for preposition in PREPOSITIONS {
            if let Some(at) = rest(word, preposition, STEM_BYTES_MIN) {
                form(word.get(at..).unwrap_or_default(), true);
            }
        }
    };
    bare(word);
    let joined = ["و", "ف"].into_iter().find_map(|conjunction| rest(word, conjunction, 4));
    if let Some(without) = joined.and_then(|at| word.get(at..)) {
        bare(without);
        form(without, false);
    }
}

/// A term begun.
#[derive(Clone, Copy)]
struct Open {
    node: u32,
    /// The first word: its number and its byte.
    start: u16,
    from: u16,
    fillers: u8,
    gaps: u8,
    /// Which words belong to it, counted from `start`.
    mask: u32,
}

/// A term found.
#[derive(Clone, Copy)]
struct Hit {
    term: u16,
    start: u16,
    end: u16,
    from: u16,
    until: u16,
    mask: u32,
    /// A longer term took its words, or it was denied.
    void: bool,
}

/// The longest stretch a term can cover: its words, and a gap and fillers between them.
const SPAN_MAX: u16 = 32;

struct Scan<'l> {
    lexicon: &'l Lexicon,
    open: ArrayVec<Open, OPEN_MAX>,
    flags: ArrayVec<u8, TEXT_WORDS_MAX>,
    hits: ArrayVec<Hit, TERM_HITS_MAX>,
    words: Words,
    votes: [u16; LANGS_MAX],
    letters: [u16; Script::COUNT],
    urdu_letters: u16,
    intense: bool,
}

impl<'l> Scan<'l> {
    fn new(lexicon: &'l Lexicon) -> Self {
        Self {
            lexicon,
            open: ArrayVec::new(),
            flags: ArrayVec::new(),
            hits: ArrayVec::new(),
            words: Words::default(),
            votes: [0; LANGS_MAX],
            letters: [0; Script::COUNT],
            urdu_letters: 0,
            intense: false,
        }
    }

    fn word(&mut self, word: &Word<'_>) {
        let number = self.flags.len() as u16;
        let mut ids = ArrayVec::<u16, MATCHES_MAX>::new();
        let flags = self.lexicon.patterns(word, &mut ids);
        if self.flags.try_push(flags | if word.clause { CLAUSE } else { 0 }).is_err() {
            return;
        }
        self.words.count = self.words.count.saturating_add(1);
        self.intense |= flags & INTENSE != 0;
        self.vote(word, &ids);
        self.advance(word, number, flags, &ids);
    }

    /// Carries every open term one word on, and begins new ones.
    fn advance(&mut self, word: &Word<'_>, number: u16, flags: u8, ids: &[u16]) {
        let (from, until) = (word.from as u16, word.until as u16);
        let before = core::mem::take(&mut self.open);
        for id in ids {
            if let Some(node) = self.lexicon.nodes.begin(*id) {
                self.enter(Open { node, start: number, from, fillers: FILLERS_MAX, gaps: GAP_WORDS_MAX, mask: 1 }, number, until);
            }
        }
        for open in &before {
            let distance = number.saturating_sub(open.start);
            if distance >= SPAN_MAX {
                continue;
            }
            for id in ids {
                if let Some(node) = self.lexicon.nodes.child(open.node, *id) {
                    self.enter(Open { node, gaps: GAP_WORDS_MAX, mask: open.mask | 1 << distance, ..*open }, number, until);
                }
            }
            if flags & FILLER != 0 && open.fillers > 0 {
                let _ = self.open.try_push(Open { fillers: open.fillers - 1, ..*open });
            } else if open.gaps > 0 && flags & (BREAK | DENIES) == 0 && self.lexicon.nodes.is_gap(open.node) {
                let _ = self.open.try_push(Open { gaps: open.gaps - 1, ..*open });
            }
        }
    }

    fn enter(&mut self, open: Open, number: u16, until: u16) {
        for term in self.lexicon.nodes.terms(open.node) {
            if self.hits.is_full() {
                self.weigh();
            }
            let hit = Hit { term: *term, start: open.start, end: number, from: open.from, until, mask: open.mask, void: false };
            let _ = self.hits.try_push(hit);
        }
        if self.lexicon.nodes.goes_on(open.node) {
            let _ = self.open.try_push(open);
        }
    }

    fn vote(&mut self, word: &Word<'_>, ids: &[u16]) {
        let letters = (word.until - word.from).min(64) as u16;
        if let Some(count) = self.letters.get_mut(word.script as usize) {
            *count = count.saturating_add(letters);
        }
        self.urdu_letters = self.urdu_letters.saturating_add(u16::from(word.urdu_letters));
        let known = |id: &u16| self.lexicon.pattern_langs.get(usize::from(*id)).copied().unwrap_or(0);
        let langs = ids.iter().map(known).fold(0, |all, langs| all | langs);
        if langs == 0 {
            return;
        }
        // A word of one language says more than a word of three.
        let share = 12 / langs.count_ones() as u16;
        for (at, votes) in self.votes.iter_mut().enumerate() {
            if langs & 1 << at != 0 {
                *votes = votes.saturating_add(share);
            }
        }
    }

    fn finish(mut self) -> Words {
        self.weigh();
        self.words.lang = self.language();
        let intense = u16::from(self.intense) * AGAIN_WEIGHT;
        for heard in &mut self.words.types {
            heard.weight = heard.strongest + u16::from(heard.again) * AGAIN_WEIGHT + intense;
        }
        self.words.types.sort_unstable_by_key(|heard| (core::cmp::Reverse(heard.weight), heard.from, heard.type_));
        self.words
    }

    /// The language of the script most letters were in; of several, the one whose words were found most.
    fn language(&self) -> Option<[u8; 2]> {
        let real = [Script::Latin, Script::Arabic, Script::Devanagari, Script::Bengali, Script::Malayalam, Script::Other];
        let script = real.into_iter().max_by_key(|script| (self.letters[*script as usize], core::cmp::Reverse(*script)))?;
        let langs = self.lexicon.script_langs[script as usize];
        if self.letters[script as usize] == 0 || langs == 0 {
            return None;
        }
        let urdu = if script == Script::Arabic { self.urdu_letters } else { 0 };
        let votes = |at: usize, lang: [u8; 2]| self.votes[at].saturating_add(if lang == *b"ur" { urdu.saturating_mul(6) } else { 0 });
        let written_in_it = self.lexicon.langs.iter().enumerate().filter(|(at, _)| langs & 1 << at != 0);
        let best = written_in_it.max_by_key(|(at, lang)| (votes(*at, **lang), core::cmp::Reverse(*at)));
        let (at, lang) = best?;
        // Latin letters alone are no evidence of English; a script with one language is.
        let known = votes(at, *lang) > 0 || langs.count_ones() == 1 || script != Script::Latin;
        known.then_some(*lang)
    }
}

// --- weigh ---

impl Scan<'_> {
    /// Takes the meaning from terms inside longer ones and from what was denied, and adds up the rest.
    fn weigh(&mut self) {
        self.void_the_contained();
        self.void_the_denied();
        let hits = core::mem::take(&mut self.hits);
        for hit in hits.iter().filter(|hit| !hit.void) {
            if let Some(term) = self.lexicon.term(hit.term) {
                self.count(term, hit);
            }
        }
    }

    fn void_the_contained(&mut self) {
        for at in 0..self.hits.len() {
            let Some(inner) = self.hits.get(at).copied() else { continue };
            let Some(term) = self.lexicon.term(inner.term) else { continue };
            // Hits stand in the order of their last words: what contains this one is near.
            let near = |outer: &Hit| outer.end.saturating_sub(inner.end) < SPAN_MAX;
            let after = self.hits.iter().skip(at).take_while(|outer| near(outer));
            let same_end = self.hits.iter().take(at).rev().take_while(|outer| outer.end == inner.end);
            let contained = after.chain(same_end).any(|outer| self.contains(outer, &inner, term));
            if let (true, Some(hit)) = (contained, self.hits.get_mut(at)) {
                hit.void = true;
            }
        }
    }

    /// Whether `outer` takes the meaning from `inner`: it has all its words and more, or is an idiom of the same words.
    fn contains(&self, outer: &Hit, inner: &Hit, inner_term: &Term) -> bool {
        let Some(outer_term) = self.lexicon.term(outer.term) else { return false };
        let idiom = outer_term.kind == Kind::Idiom;
        let Some(distance) = inner.start.checked_sub(outer.start).filter(|distance| *distance < SPAN_MAX) else { return false };
        let shifted = u64::from(inner.mask) << distance;
        let inside = shifted & !u64::from(outer.mask) == 0;
        let larger = outer.mask.count_ones() > inner.mask.count_ones();
        let takes = matches!(outer_term.kind, Kind::Type | Kind::PersonHurt | Kind::Quiet | Kind::NegationAfter | Kind::NegationBefore);
        inside && ((idiom && inner_term.kind != Kind::Idiom) || (takes && larger && inner_term.kind.yields()))
    }

    fn void_the_denied(&mut self) {
        for at in 0..self.hits.len() {
            let Some(negation) = self.hits.get(at).copied().filter(|hit| !hit.void) else { continue };
            match self.lexicon.term(negation.term).map(|term| term.kind) {
                Some(Kind::NegationAfter) => self.deny_after(negation.end),
                Some(Kind::NegationBefore) => self.deny_before(negation.start),
                _ => {}
            }
        }
    }

    fn deny_after(&mut self, negation: u16) {
        let (mut at, mut others) = (negation + 1, 0);
        while let Some(flags) = self.flags.get(usize::from(at)).copied() {
            if flags & (BREAK | CLAUSE) != 0 {
                return;
            }
            if let Some(end) = self.deny(|hit| hit.start == at) {
                at = end + 1;
                let joined = self.flags.get(usize::from(at)).is_some_and(|flags| flags & OR != 0);
                if !joined {
                    return;
                }
                others = 0;
            } else if flags & (FILLER | OR) == 0 {
                others += 1;
                if others > DENIAL_GAP_MAX {
                    return;
                }
            }
            at += 1;
        }
    }

    fn deny_before(&mut self, negation: u16) {
        let (mut at, mut others) = (negation, 0);
        while let Some(before) = at.checked_sub(1) {
            let clause = self.flags.get(usize::from(at)).is_none_or(|flags| flags & CLAUSE != 0);
            let flags = self.flags.get(usize::from(before)).copied().unwrap_or(BREAK);
            if clause || flags & BREAK != 0 {
                return;
            }
            if self.deny(|hit| hit.end == before).is_some() {
                return;
            }
            if flags & (FILLER | OR) == 0 {
                others += 1;
                if others > DENIAL_GAP_MAX {
                    return;
                }
            }
            at = before;
        }
    }

    /// Voids the terms chosen and everything inside them; the last word of the longest, or `None` when there was nothing to deny.
    fn deny(&mut self, chosen: impl Fn(&Hit) -> bool) -> Option<u16> {
        let mut reach: Option<(u16, u16)> = None;
        for at in 0..self.hits.len() {
            let Some(hit) = self.hits.get(at).copied().filter(|hit| !hit.void && chosen(hit)) else { continue };
            let Some(term) = self.lexicon.term(hit.term).copied().filter(|term| term.kind.deniable() && !term.firm) else { continue };
            self.words.denied = true;
            self.words.unhurt |= term.kind == Kind::PersonHurt;
            let (start, end) = reach.unwrap_or((hit.start, hit.end));
            reach = Some((start.min(hit.start), end.max(hit.end)));
            if let Some(hit) = self.hits.get_mut(at) {
                hit.void = true;
            }
        }
        let (start, end) = reach?;
        for hit in &mut self.hits {
            let deniable = self.lexicon.terms.get(usize::from(hit.term)).is_some_and(|term| term.kind.deniable() && !term.firm);
            hit.void |= deniable && hit.start >= start && hit.end <= end;
        }
        Some(end)
    }

    fn count(&mut self, term: &Term, hit: &Hit) {
        match term.kind {
            Kind::Many => self.words.many = true,
            Kind::PersonHurt => self.words.hurt = true,
            Kind::Quiet => self.words.quiet = true,
            Kind::Sea => self.words.sea = true,
            _ => {}
        }
        let Some(type_) = term.type_ else { return };
        let heard =
            TypeHeard { type_, weight: term.weight, term: term.name, from: hit.from, until: hit.until, again: 0, strongest: term.weight };
        if let Some(known) = self.words.types.iter_mut().find(|known| known.type_ == type_) {
            let again = (known.again + 1).min(AGAIN_MAX);
            if term.weight > known.strongest {
                *known = heard;
            }
            known.again = again;
        } else if let Err(full) = self.words.types.try_push(heard) {
            let weakest = self.words.types.iter_mut().min_by_key(|known| known.strongest);
            if let Some(weakest) = weakest.filter(|weakest| weakest.strongest < term.weight) {
                *weakest = full.element();
            }
        }
    }
}
