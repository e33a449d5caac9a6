//! Text folded into words that can be compared: one spelling for what people type in many.
//!
//! The same folding is applied to the terms of a lexicon and to a caller's words, so only differences that carry meaning are left.
//! It works on the fly, one word at a time, into a buffer of [`WORD_BYTES_MAX`] bytes: no allocation, whatever arrives.
//!
//! What is folded away:
//! - Latin: case, accents, full-width and mathematical letters, apostrophes (`can't` is `cant`), doubled letters (`heellp` is `help`).
//! - Arabic and Urdu: diacritics, tatweel, presentation forms, hamza on its seat, teh marbuta, alef maqsura, Persian yeh and kaf, the
//!   several hehs, noon ghunna; drawn-out long vowels.
//! - Devanagari and Bengali: nukta, nasal dots, long and short i and u, letters that sound alike.
//! - Malayalam: chillus and split vowels.
//! - All: joiners, direction marks, variation selectors and control characters inside words; digits of every script; runs of three
//!   and more of one letter.
//!
//! What it deliberately does not do: it knows no language. Clitics and endings are the lexicon's.

use arrayvec::ArrayVec;

use crate::limits::WORD_BYTES_MAX;

/// The script of a word. A word has one script: `10طوابق` is two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Script {
    /// Latin letters and digits of every script: Arabic is also written `7areeq`.
    Latin = 0,
    Arabic = 1,
    Devanagari = 2,
    Bengali = 3,
    Malayalam = 4,
    Other = 5,
    /// A word of one pictograph.
    Symbol = 6,
}

impl Script {
    pub const COUNT: usize = 7;
}

/// One folded word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// UTF-8, at most [`WORD_BYTES_MAX`] bytes; what is longer is cut.
    pub bytes: &'a [u8],
    pub script: Script,
    /// Where it stands in the text, in bytes.
    pub from: usize,
    pub until: usize,
    /// A comma, stop or line end stands before it.
    pub clause: bool,
    /// Letters that Urdu has and Arabic has not.
    pub urdu_letters: u8,
}

/// Reads a text word by word.
pub struct Reader<'t> {
    text: &'t str,
    at: usize,
    clause: bool,
    buffer: ArrayVec<u8, WORD_BYTES_MAX>,
}

impl<'t> Reader<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0, clause: false, buffer: ArrayVec::new() }
    }

    /// The next word, or `None` at the end. Borrowed until the next call.
    pub fn next_word(&mut self) -> Option<Word<'_>> {
        self.buffer.clear();
        let mut word = Draft::default();
        while let Some(c) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            let until = self.at + c.len_utf8();
            let (script, first, second) = match fold(c) {
                Fold::Drop => {
                    self.at = until;
                    continue;
                }
                Fold::Space | Fold::Clause if word.script.is_some() => break,
                fold @ (Fold::Space | Fold::Clause) => {
                    self.clause |= matches!(fold, Fold::Clause);
                    self.at = until;
                    continue;
                }
                Fold::Letter(script, letter) => (script, letter, None),
                Fold::Pair(script, first, second) => (script, first, Some(second)),
            };
            match word.script {
                None => (word.script, word.from) = (Some(script), self.at),
                Some(Script::Symbol) => break,
                Some(before) if before != script => break,
                Some(_) => {}
            }
            self.at = until;
            word.until = until;
            word.urdu_letters = word.urdu_letters.saturating_add(u8::from(is_urdu(c)));
            word.push(&mut self.buffer, first);
            if let Some(second) = second {
                word.push(&mut self.buffer, second);
            }
        }
        let clause = core::mem::take(&mut self.clause);
        let script = word.script?;
        Some(Word { bytes: &self.buffer, script, from: word.from, until: word.until, clause, urdu_letters: word.urdu_letters })
    }
}

/// A word being put together.
#[derive(Default)]
struct Draft {
    script: Option<Script>,
    from: usize,
    until: usize,
    last: Option<char>,
    run: u8,
    urdu_letters: u8,
}

impl Draft {
    /// Adds a letter, or folds it into the run it continues.
    fn push(&mut self, buffer: &mut ArrayVec<u8, WORD_BYTES_MAX>, letter: char) {
        let mut utf8 = [0; 4];
        let bytes = letter.encode_utf8(&mut utf8).as_bytes();
        if self.last != Some(letter) {
            (self.last, self.run) = (Some(letter), 1);
            // A word too long for the buffer is compared by its beginning.
            let _ = buffer.try_extend_from_slice(bytes);
            return;
        }
        self.run = self.run.saturating_add(1);
        match self.run {
            2 if !is_single(letter) => {
                let _ = buffer.try_extend_from_slice(bytes);
            }
            // The third of a run takes the second back: three and more are one.
            3 if !is_single(letter) && !letter.is_ascii_digit() && buffer.ends_with(bytes) => {
                buffer.truncate(buffer.len() - bytes.len());
            }
            _ if letter.is_ascii_digit() => {
                let _ = buffer.try_extend_from_slice(bytes);
            }
            _ => {}
        }
    }
}

/// Letters of which two in a row are always one: people draw them out or forget to double them.
const fn is_single(letter: char) -> bool {
    matches!(letter, 'a'..='z' | 'ا' | 'و' | 'ي' | '\u{94d}' | '\u{9cd}' | '\u{d4d}')
}

const fn is_urdu(c: char) -> bool {
    matches!(c, 'ٹ' | 'ڈ' | 'ڑ' | 'ں' | 'ے' | 'ۓ' | 'ہ' | 'ھ' | 'ۂ' | 'گ' | 'چ' | 'پ' | 'ژ' | 'ک' | 'ی' | '۔')
}

/// What becomes of one character.
enum Fold {
    /// Invisible or a mark: the word goes on as if it were not there.
    Drop,
    Space,
    Clause,
    Letter(Script, char),
    Pair(Script, char, char),
}

fn fold(c: char) -> Fold {
    match c {
        'a'..='z' | '0'..='9' => Fold::Letter(Script::Latin, c),
        'A'..='Z' => Fold::Letter(Script::Latin, c.to_ascii_lowercase()),
        '\n' | '\r' | '.' | ',' | ';' | ':' | '!' | '?' => Fold::Clause,
        '\t' => Fold::Space,
        '\'' | '`' | '\0'..='\u{1f}' | '\u{7f}' => Fold::Drop,
        '\0'..='\u{7f}' => Fold::Space,
        '\u{80}'..='\u{24f}' => fold_latin(c),
        '\u{2b0}'..='\u{36f}' => Fold::Drop,
        // Cyrillic and other enclosing marks that are laid over letters of any script.
        '\u{483}'..='\u{489}' => Fold::Drop,
        '\u{600}'..='\u{6ff}' => fold_arabic(c),
        '\u{900}'..='\u{97f}' => fold_devanagari(c),
        '\u{980}'..='\u{9ff}' => fold_bengali(c),
        '\u{d00}'..='\u{d7f}' => fold_malayalam(c),
        '\u{1ab0}'..='\u{1aff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' => Fold::Drop,
        '\u{1e00}'..='\u{1eff}' => fold_latin_additional(c),
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => Fold::Drop,
        '‘' | '’' | '‛' | '′' => Fold::Drop,
        '\u{2026}' | '\u{2028}' | '\u{2029}' | '。' | '、' | '！' | '，' | '？' => Fold::Clause,
        '\u{2000}'..='\u{2bff}' if is_pictograph(c) => Fold::Letter(Script::Symbol, c),
        '\u{2000}'..='\u{2bff}' | '\u{3000}'..='\u{303f}' => Fold::Space,
        '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' => fold_presentation(c),
        // Full-width forms are ASCII moved by a fixed distance.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).map_or(Fold::Space, fold),
        '\u{1d400}'..='\u{1d7ff}' => fold_mathematical(c),
        '\u{e0000}'..='\u{e01ef}' => Fold::Drop,
        // Skin tones belong to the pictograph before them.
        '\u{1f3fb}'..='\u{1f3ff}' => Fold::Drop,
        _ if is_pictograph(c) => Fold::Letter(Script::Symbol, c),
        _ if c.is_alphanumeric() => {
            let mut lower = c.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(first), Some(second)) => Fold::Pair(Script::Other, first, second),
                (Some(first), None) => Fold::Letter(Script::Other, first),
                _ => Fold::Drop,
            }
        }
        // Marks of the scripts above stand between letters of one word.
        '\u{a00}'..='\u{dff}' => Fold::Drop,
        _ => Fold::Space,
    }
}

const fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{1f191}'..='\u{1f19a}' | '\u{1f300}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}')
}

/// The base letters of U+00C0 to U+017F, in order; `.` is no letter.
const LATIN_BASES: &[u8; 192] = b"aaaaaaaceeeeiiiidnooooo.ouuuuytsaaaaaaaceeeeiiiidnooooo.ouuuuyty\
aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllll\
nnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

fn fold_latin(c: char) -> Fold {
    let base = (c as usize).checked_sub(0xc0).and_then(|index| LATIN_BASES.get(index)).copied();
    match base {
        Some(b'.') => Fold::Space,
        Some(base) => Fold::Letter(Script::Latin, base as char),
        None if c == '\u{ad}' || c == '\u{b4}' => Fold::Drop,
        None if c == '\u{85}' => Fold::Clause,
        None if c < '\u{c0}' => Fold::Space,
        None => c.to_lowercase().next().map_or(Fold::Drop, |lower| Fold::Letter(Script::Latin, lower)),
    }
}

/// The dotted letters that scholars' transliterations of Arabic use.
fn fold_latin_additional(c: char) -> Fold {
    let base = match c {
        'Ḍ' | 'ḍ' => 'd',
        'Ḥ' | 'ḥ' => 'h',
        'Ṣ' | 'ṣ' => 's',
        'Ṭ' | 'ṭ' => 't',
        'Ẓ' | 'ẓ' => 'z',
        _ => return c.to_lowercase().next().map_or(Fold::Drop, |lower| Fold::Letter(Script::Latin, lower)),
    };
    Fold::Letter(Script::Latin, base)
}

/// Bold, italic, script and double-struck letters repeat the alphabet twice every 52 places.
fn fold_mathematical(c: char) -> Fold {
    let place = c as u32 - 0x1d400;
    let folded = match place {
        0..=0x2a3 => char::from_u32('a' as u32 + place % 26),
        0x3ce..=0x3ff => char::from_u32('0' as u32 + (place - 0x3ce) % 10),
        _ => None,
    };
    folded.map_or(Fold::Space, |letter| Fold::Letter(Script::Latin, letter))
}

fn fold_arabic(c: char) -> Fold {
    let letter = match c {
        '،' | '؛' | '؟' | '۔' | '\u{61e}' => return Fold::Clause,
        '\u{610}'..='\u{61a}' | '\u{61c}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' => return Fold::Drop,
        '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e8}' | '\u{6ea}'..='\u{6ed}' => return Fold::Drop,
        '٠'..='٩' => return digit(c, '٠'),
        '۰'..='۹' => return digit(c, '۰'),
        '\u{600}'..='\u{60f}' | '\u{66a}'..='\u{66d}' | '\u{6dd}' | '\u{6de}' | '\u{6e9}' => return Fold::Space,
        'أ' | 'إ' | 'آ' | 'ٱ' | 'ٲ' | 'ٳ' | 'ٵ' => 'ا',
        'ة' | 'ہ' | 'ھ' | 'ۀ' | 'ۂ' | 'ۃ' | 'ە' => 'ه',
        'ى' | 'ی' | 'ئ' | 'ې' | 'ۍ' | 'ێ' => 'ي',
        'ؤ' | 'ۇ' | 'ۆ' | 'ۋ' => 'و',
        'ک' | 'ڪ' => 'ك',
        'ں' => 'ن',
        'ۓ' => 'ے',
        'ڤ' => 'ف',
        other => other,
    };
    Fold::Letter(Script::Arabic, letter)
}

/// First code point of each letter's presentation forms, and the letter. Each entry reaches to the next one.
const PRESENTATION: [(char, char); 73] = [
    ('\u{fb50}', 'ا'),
    ('\u{fb52}', 'ٻ'),
    ('\u{fb56}', 'پ'),
    ('\u{fb5a}', 'ڀ'),
    ('\u{fb5e}', 'ٺ'),
    ('\u{fb62}', 'ٿ'),
    ('\u{fb66}', 'ٹ'),
    ('\u{fb6a}', 'ڤ'),
    ('\u{fb6e}', 'ڦ'),
    ('\u{fb72}', 'ڄ'),
    ('\u{fb76}', 'ڃ'),
    ('\u{fb7a}', 'چ'),
    ('\u{fb7e}', 'ڇ'),
    ('\u{fb82}', 'ڍ'),
    ('\u{fb84}', 'ڌ'),
    ('\u{fb86}', 'ڎ'),
    ('\u{fb88}', 'ڈ'),
    ('\u{fb8a}', 'ژ'),
    ('\u{fb8c}', 'ڑ'),
    ('\u{fb8e}', 'ک'),
    ('\u{fb92}', 'گ'),
    ('\u{fb96}', 'ڳ'),
    ('\u{fb9a}', 'ڱ'),
    ('\u{fb9e}', 'ں'),
    ('\u{fba0}', 'ڻ'),
    ('\u{fba4}', 'ۀ'),
    ('\u{fba6}', 'ہ'),
    ('\u{fbaa}', 'ھ'),
    ('\u{fbae}', 'ے'),
    ('\u{fbb0}', 'ۓ'),
    ('\u{fbb2}', ' '),
    ('\u{fbfc}', 'ی'),
    ('\u{fc00}', ' '),
    ('\u{fe70}', '\u{64b}'),
    ('\u{fe80}', 'ء'),
    ('\u{fe81}', 'آ'),
    ('\u{fe83}', 'أ'),
    ('\u{fe85}', 'ؤ'),
    ('\u{fe87}', 'إ'),
    ('\u{fe89}', 'ئ'),
    ('\u{fe8d}', 'ا'),
    ('\u{fe8f}', 'ب'),
    ('\u{fe93}', 'ة'),
    ('\u{fe95}', 'ت'),
    ('\u{fe99}', 'ث'),
    ('\u{fe9d}', 'ج'),
    ('\u{fea1}', 'ح'),
    ('\u{fea5}', 'خ'),
    ('\u{fea9}', 'د'),
    ('\u{feab}', 'ذ'),
    ('\u{fead}', 'ر'),
    ('\u{feaf}', 'ز'),
    ('\u{feb1}', 'س'),
    ('\u{feb5}', 'ش'),
    ('\u{feb9}', 'ص'),
    ('\u{febd}', 'ض'),
    ('\u{fec1}', 'ط'),
    ('\u{fec5}', 'ظ'),
    ('\u{fec9}', 'ع'),
    ('\u{fecd}', 'غ'),
    ('\u{fed1}', 'ف'),
    ('\u{fed5}', 'ق'),
    ('\u{fed9}', 'ك'),
    ('\u{fedd}', 'ل'),
    ('\u{fee1}', 'م'),
    ('\u{fee5}', 'ن'),
    ('\u{fee9}', 'ه'),
    ('\u{feed}', 'و'),
    ('\u{feef}', 'ى'),
    ('\u{fef1}', 'ي'),
    ('\u{fef5}', 'ﻻ'),
    ('\u{fefd}', ' '),
    ('\u{feff}', ' '),
];

fn fold_presentation(c: char) -> Fold {
    let upto = PRESENTATION.partition_point(|(first, _)| *first <= c);
    match upto.checked_sub(1).and_then(|index| PRESENTATION.get(index)) {
        Some((_, 'ﻻ')) => Fold::Pair(Script::Arabic, 'ل', 'ا'),
        Some((_, ' ')) | None => Fold::Space,
        Some((_, letter)) => fold_arabic(*letter),
    }
}

fn fold_devanagari(c: char) -> Fold {
    let letter = match c {
        '।' | '॥' => return Fold::Clause,
        // Nasal dots, visarga and nukta: most people leave them out.
        '\u{900}'..='\u{903}' | '\u{93c}' | '\u{951}'..='\u{954}' => return Fold::Drop,
        '०'..='९' => return digit(c, '०'),
        'ई' => 'इ',
        'ऊ' => 'उ',
        'ऐ' => 'ए',
        'औ' | 'ऑ' => 'ओ',
        'ी' => 'ि',
        'ू' => 'ु',
        'ै' | 'ॅ' => 'े',
        'ौ' | 'ॉ' => 'ो',
        'ण' => 'न',
        'ष' => 'श',
        '\u{958}' => 'क',
        '\u{959}' => 'ख',
        '\u{95a}' => 'ग',
        '\u{95b}' => 'ज',
        '\u{95c}' => 'ड',
        '\u{95d}' => 'ढ',
        '\u{95e}' => 'फ',
        '\u{95f}' => 'य',
        other => other,
    };
    Fold::Letter(Script::Devanagari, letter)
}

fn fold_bengali(c: char) -> Fold {
    let letter = match c {
        '\u{981}' | '\u{983}' | '\u{9bc}' => return Fold::Drop,
        '০'..='৯' => return digit(c, '০'),
        '\u{9cb}' => return Fold::Pair(Script::Bengali, '\u{9c7}', '\u{9be}'),
        '\u{9cc}' => return Fold::Pair(Script::Bengali, '\u{9c7}', '\u{9d7}'),
        'ঈ' => 'ই',
        'ঊ' => 'উ',
        'ী' => 'ি',
        'ূ' => 'ু',
        'ণ' => 'ন',
        'শ' | 'ষ' => 'স',
        'ৎ' => 'ত',
        'ৰ' => 'র',
        '\u{9dc}' => 'ড',
        '\u{9dd}' => 'ঢ',
        '\u{9df}' => 'য',
        other => other,
    };
    Fold::Letter(Script::Bengali, letter)
}

fn fold_malayalam(c: char) -> Fold {
    let base = match c {
        '\u{d66}'..='\u{d6f}' => return digit(c, '\u{d66}'),
        '\u{d4a}' => return Fold::Pair(Script::Malayalam, '\u{d46}', '\u{d3e}'),
        '\u{d4b}' => return Fold::Pair(Script::Malayalam, '\u{d47}', '\u{d3e}'),
        '\u{d4c}' => return Fold::Letter(Script::Malayalam, '\u{d57}'),
        // A chillu is a consonant without its vowel.
        '\u{d7a}' => 'ണ',
        '\u{d7b}' => 'ന',
        '\u{d7c}' => 'ര',
        '\u{d7d}' => 'ല',
        '\u{d7e}' => 'ള',
        '\u{d7f}' => 'ക',
        other => return Fold::Letter(Script::Malayalam, other),
    };
    Fold::Pair(Script::Malayalam, base, '\u{d4d}')
}

fn digit(c: char, zero: char) -> Fold {
    char::from_u32('0' as u32 + (c as u32 - zero as u32)).map_or(Fold::Space, |digit| Fold::Letter(Script::Latin, digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut reader = Reader::new(text);
        let mut out = String::new();
        while let Some(word) = reader.next_word() {
            if !out.is_empty() {
                out.push(if word.clause { '|' } else { ' ' });
            }
            out.push_str(core::str::from_utf8(word.bytes).expect("folded words are UTF-8"));
        }
        out
    }

    #[track_caller]
    fn check(same: &[&str]) {
        for spelling in same {
            assert_eq!(folded(spelling), folded(same[0]), "{spelling:?} and {:?}", same[0]);
            assert!(!folded(spelling).is_empty());
        }
    }

    #[test]
    fn spellings_of_one_arabic_word_fold_to_one() {
        check(&["حريق", "حَرِيق", "حـــريق", "حرييييق", "ﺣﺮﻳﻖ", "حر\u{200f}يق", "حر\u{200d}يق"]);
        check(&["رأس الخيمة", "راس الخيمه", "رٲس الخيمة"]);
        check(&["مستشفى", "مستشفي", "مستشفی"]);
        check(&["لا", "ﻻ"]);
        check(&["مسؤول", "مسوول"]);
    }

    #[test]
    fn spellings_of_one_urdu_word_fold_to_one() {
        check(&["آگ", "اگ", "آگ"]);
        check(&["ہسپتال", "ھسپتال", "ه\u{633}پتال"]);
        check(&["نہیں", "نہین", "نهيں"]);
    }

    #[test]
    fn spellings_of_one_devanagari_word_fold_to_one() {
        check(&["साँस", "सांस", "सास"]);
        check(&["ज़ख़्मी", "जख्मी", "ज\u{93c}ख\u{93c}्मी", "जख्मि"]);
        check(&["एम्बुलेंस", "एम्बुलेन\u{200d}स".replace("न\u{200d}", "ं").as_str()]);
    }

    #[test]
    fn spellings_of_one_bengali_or_malayalam_word_fold_to_one() {
        check(&["শ্বাস", "স্বাস"]);
        check(&["পুড়ে", "পুড\u{9bc}ে"]);
        check(&["ബോട്ട്", "ബ\u{d47}\u{d3e}ട്ട്"]);
        check(&["ഞങ്ങൾ", "ഞങ്ങള\u{d4d}\u{200d}"]);
        check(&["ൻറെ", "ന\u{d4d}റെ", "ൻ\u{d4d}റെ"]);
    }

    #[test]
    fn spellings_of_one_latin_word_fold_to_one() {
        check(&["help", "HELP", "Heeeelp!!", "hélp", "ｈｅｌｐ", "𝐡𝐞𝐥𝐩", "h\u{0}elp", "he\u{301}\u{327}lp", "h\u{489}e\u{20dd}lp"]);
        check(&["can't breathe", "cant breathe", "can’t  breathe"]);
        check(&["accident", "acident", "ACCIDENT"]);
    }

    #[test]
    fn digits_of_every_script_are_the_same_digits_and_are_never_collapsed() {
        check(&["999", "٩٩٩", "۹۹۹", "९९९", "৯৯৯", "൯൯൯", "９９９"]);
        assert_eq!(folded("٩٩٩"), "999");
    }

    #[test]
    fn a_word_ends_where_the_script_changes_and_a_pictograph_is_a_word() {
        assert_eq!(folded("10طوابق fireحريق🔥🔥"), "10 طوابق fire حريق 🔥 🔥");
    }

    #[test]
    fn commas_and_stops_begin_a_clause_and_other_marks_only_part_words() {
        assert_eq!(folded("no, fire-alarm. yes؟ نعم، آگ۔ نہیں"), "no|fire alarm|yes|نعم|اگ|نهين");
    }

    #[test]
    fn a_word_longer_than_the_buffer_is_cut_and_the_next_one_is_read() {
        let long = "ab".repeat(WORD_BYTES_MAX);
        let text = format!("{long} fire");
        let mut reader = Reader::new(&text);
        assert_eq!(reader.next_word().map(|word| word.bytes.len()), Some(WORD_BYTES_MAX));
        assert_eq!(reader.next_word().map(|word| word.bytes.to_vec()), Some(b"fire".to_vec()));
    }

    #[test]
    fn the_latin_bases_stand_at_their_code_points() {
        for (c, base) in [('Ñ', 'n'), ('ü', 'u'), ('ÿ', 'y'), ('ł', 'l'), ('Ő', 'o'), ('Š', 's'), ('ž', 'z'), ('ř', 'r'), ('ħ', 'h')]
        {
            assert_eq!(folded(&c.to_string()), base.to_string(), "{c}");
        }
    }
}
