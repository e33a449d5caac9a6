//! A Rust file as the rules see it: code without comments and string contents, which part of it is test, and the paths it names.
//!
//! This is a scanner, not a parser. It knows strings, characters, comments, braces and `use` trees; that is enough to tell a call
//! from a mention of it in prose.

use std::ops::Range;

#[derive(Debug)]
pub struct RustFile {
    pub path: String,
    pub raw: String,
    /// Comments and the insides of strings are blanks; offsets are those of `raw`.
    pub code: String,
    /// Only comments are blanks.
    pub strings: String,
    /// The whole file is compiled for tests only.
    pub whole_test: bool,
    tests: Vec<Range<usize>>,
    /// Bodies of modules written inline.
    inner_modules: Vec<Range<usize>>,
}

/// A path as it is named in code, one segment each; `use a::{b, c::d}` names `a::b` and `a::c::d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// Offset of the last segment.
    pub at: usize,
    pub segments: Vec<&'a str>,
}

impl Named<'_> {
    /// Whether the path begins with this crate; a lone name is a variable, not a path.
    pub fn is_of(&self, name: &str) -> bool {
        self.segments.len() > 1 && self.segments.first() == Some(&name)
    }

    /// Whether `pattern`, itself `a::b`, stands somewhere in the path.
    pub fn names(&self, pattern: &str) -> bool {
        let pattern: Vec<&str> = pattern.split("::").collect();
        self.segments.windows(pattern.len()).any(|window| window == pattern)
    }
}

impl RustFile {
    pub fn scan(path: &str, raw: &str) -> Self {
        let (code, strings) = masked(raw);
        let whole_test = path.starts_with("tests/") || path.contains("/tests/") || code.contains("#![cfg(test)]");
        let tests = test_spans(&code);
        let inner_modules = words(&code, "mod").filter_map(|at| body_after(&code, at)).collect();
        Self { path: path.to_owned(), raw: raw.to_owned(), code, strings, whole_test, tests, inner_modules }
    }

    pub fn is_test(&self, at: usize) -> bool {
        self.whole_test || self.tests.iter().any(|span| span.contains(&at))
    }

    /// Line of an offset, counting from 1.
    pub fn line(&self, at: usize) -> usize {
        self.raw.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// The module of `lib.rs` that the file belongs to: `tables` for `src/tables/source.rs`.
    pub fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split('/').next()?;
        let module = first.strip_suffix(".rs").unwrap_or(first);
        (module != "lib" && module != "main").then_some(module)
    }

    /// Every path named in code, in order.
    pub fn named(&self) -> Vec<Named<'_>> {
        let mut named = Vec::new();
        let mut at = 0;
        while at < self.code.len() {
            if ident_at(&self.code, at).is_some() {
                at = read_path(&self.code, at, &[], &mut named);
            } else {
                at += 1;
            }
        }
        named
    }

    /// The module of `lib.rs` that a path leads to, if it leads to the crate's root at all.
    pub fn target<'a>(&self, named: &Named<'a>) -> Option<&'a str> {
        let supers = named.segments.iter().take_while(|segment| **segment == "super").count();
        match *named.segments.first()? {
            "crate" => named.segments.get(1).copied(),
            "super" if supers >= self.depth(named.at) => named.segments.get(supers).copied(),
            _ => None,
        }
    }

    /// How many modules lie between the crate's root and an offset.
    fn depth(&self, at: usize) -> usize {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let folders = inside.split('/').count();
        let of_file = if inside.ends_with("/mod.rs") { folders - 1 } else { folders };
        of_file + self.inner_modules.iter().filter(|body| body.contains(&at)).count()
    }

    /// Where `mod name;` looks for its file, each with the offset of its `mod`.
    pub fn declared_files(&self) -> Vec<(usize, String)> {
        let children = self.child_folder();
        let declared = words(&self.code, "mod").filter_map(|at| Some((at, declared(&self.code, at)?)));
        let files = declared.flat_map(|(at, name)| match self.path_attribute(at) {
            Some(file) => vec![(at, file)],
            None => vec![(at, format!("{children}{name}.rs")), (at, format!("{children}{name}/mod.rs"))],
        });
        files.collect()
    }

    /// The file that `#[path = "..."]` before this `mod` names, from the root.
    fn path_attribute(&self, at: usize) -> Option<String> {
        let start = self.code[..at].rfind("#[path")?;
        let between = &self.code[closing(&self.code, start + 1)..at];
        let name = self.strings[start..at].split('"').nth(1)?;
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        (!between.contains([';', '{', '}'])).then(|| format!("{folder}/{name}"))
    }

    /// Files that `#[cfg(test)] mod name;` declares.
    pub fn test_files(&self) -> Vec<String> {
        let inside = |at: &usize| self.tests.iter().any(|span| span.contains(at));
        self.declared_files().into_iter().filter(|(at, _)| inside(at)).map(|(_, file)| file).collect()
    }

    /// Where the files of its child modules lie, with a slash at the end.
    fn child_folder(&self) -> String {
        let (folder, name) = self.path.rsplit_once('/').map_or(("", self.path.as_str()), |(folder, name)| (folder, name));
        match name {
            "lib.rs" | "main.rs" | "mod.rs" => format!("{folder}/"),
            _ => format!("{}/", self.path.trim_end_matches(".rs")),
        }
    }

    /// Names that `mod name;` declares.
    pub fn declared_modules(&self) -> Vec<&str> {
        words(&self.code, "mod").filter_map(|at| declared(&self.code, at)).collect()
    }
}

/// Offsets where `word` stands as a whole word.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |byte: Option<&u8>| byte.is_some_and(|byte| is_ident(*byte));
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| !part(at.checked_sub(1).and_then(|at| code.as_bytes().get(at))) && !part(code.as_bytes().get(at + word.len())))
}

/// The word that follows the offset, blanks skipped.
pub fn ident_after(code: &str, at: usize) -> Option<&str> {
    ident_at(code, skip_blanks(code, at))
}

/// The first byte after the offset that is no blank.
pub fn sign_after(code: &str, at: usize) -> Option<u8> {
    code.as_bytes().get(skip_blanks(code, at)).copied()
}

/// The offset of the bracket that closes the one at `open`; the end of the code when there is none.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    code.len()
}

fn is_ident(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn skip_blanks(code: &str, mut at: usize) -> usize {
    while code.as_bytes().get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

fn ident_at(code: &str, at: usize) -> Option<&str> {
    let bytes = code.as_bytes();
    let starts = bytes.get(at).is_some_and(|byte| is_ident(*byte) && !byte.is_ascii_digit());
    let fresh = at == 0 || !is_ident(bytes[at - 1]);
    let length = bytes.get(at..)?.iter().take_while(|byte| is_ident(**byte)).count();
    if starts && fresh { code.get(at..at + length) } else { None }
}

/// Reads `a::b::{c, d}` from an identifier on, and returns the offset after it.
fn read_path<'a>(code: &'a str, mut at: usize, prefix: &[&'a str], named: &mut Vec<Named<'a>>) -> usize {
    let mut segments = prefix.to_vec();
    let mut last = at;
    while let Some(ident) = ident_at(code, at) {
        segments.push(ident);
        last = at;
        at += ident.len();
        let colons = skip_blanks(code, at);
        if !code[colons..].starts_with("::") {
            break;
        }
        at = skip_blanks(code, colons + 2);
    }
    if code.as_bytes().get(at) == Some(&b'{') && code[..at].trim_end().ends_with("::") {
        let end = closing(code, at);
        at += 1;
        while at < end {
            at = match ident_at(code, at) {
                // The new name of `path as name` is no path.
                Some("as") => skip_blanks(code, at + "as".len()) + ident_after(code, at + "as".len()).map_or(0, str::len),
                Some(_) => read_path(code, at, &segments, named),
                None => at + 1,
            };
        }
        return end;
    }
    named.push(Named { at: last, segments });
    at
}

/// The name that `mod name;` at this offset declares.
fn declared(code: &str, at: usize) -> Option<&str> {
    let name = ident_after(code, at + "mod".len())?;
    let end = skip_blanks(code, at + "mod".len()) + name.len();
    (sign_after(code, end) == Some(b';')).then_some(name)
}

/// The braces after `mod name`.
fn body_after(code: &str, at: usize) -> Option<Range<usize>> {
    let name = ident_after(code, at + "mod".len())?;
    let open = skip_blanks(code, skip_blanks(code, at + "mod".len()) + name.len());
    (code.as_bytes().get(open) == Some(&b'{')).then(|| open..closing(code, open))
}

/// Items under `#[cfg(test)]`, attribute included.
fn test_spans(code: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    for (start, _) in code.match_indices("#[cfg(") {
        let end = closing(code, start + 1);
        let condition = &code[start..end];
        if words(condition, "test").next().is_none() || condition.contains("not(test)") {
            continue;
        }
        // The item ends at its body's brace or at its semicolon, whichever comes first outside parentheses.
        let mut at = end + 1;
        while let Some(byte) = code.as_bytes().get(at) {
            match byte {
                b'(' | b'[' => at = closing(code, at),
                b'{' => {
                    at = closing(code, at);
                    break;
                }
                b';' => break,
                _ => {}
            }
            at += 1;
        }
        spans.push(start..at + 1);
    }
    spans
}

/// (code without comments and string contents, code without comments).
fn masked(raw: &str) -> (String, String) {
    let bytes = raw.as_bytes();
    let (mut code, mut strings) = (bytes.to_vec(), bytes.to_vec());
    let blank = |text: &mut [u8]| text.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    let mut at = 0;
    while at < bytes.len() {
        if let Some(end) = comment_end(bytes, at) {
            blank(&mut code[at..end]);
            blank(&mut strings[at..end]);
            at = end;
        } else if let Some((inside, end)) = string_at(bytes, at) {
            blank(&mut code[inside]);
            at = end;
        } else {
            at += 1;
        }
    }
    let text = |bytes| String::from_utf8(bytes).expect("whole characters were blanked");
    (text(code), text(strings))
}

fn comment_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return Some(at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with(b"/*") {
        return None;
    }
    let (mut depth, mut end) = (0_usize, at);
    while end < bytes.len() {
        match &bytes[end..] {
            [b'/', b'*', ..] => (depth, end) = (depth + 1, end + 2),
            [b'*', b'/', ..] => (depth, end) = (depth - 1, end + 2),
            _ => end += 1,
        }
        if depth == 0 {
            return Some(end);
        }
    }
    Some(bytes.len())
}

/// A string or character that begins here: the range of its inside, and the offset after it.
fn string_at(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    match bytes[at] {
        b'"' => Some(quoted(bytes, at + 1, b'"')),
        b'\'' => character(bytes, at),
        b'r' | b'b' | b'c' if at == 0 || !is_ident(bytes[at - 1]) => raw_string(bytes, at),
        _ => None,
    }
}

fn quoted(bytes: &[u8], start: usize, quote: u8) -> (Range<usize>, usize) {
    let mut end = start;
    while end < bytes.len() && bytes[end] != quote {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    let end = end.min(bytes.len());
    (start..end, (end + 1).min(bytes.len()))
}

/// A character, not a lifetime: it is closed right after one character or begins with an escape.
fn character(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let first = *bytes.get(at + 1)?;
    let length = match first {
        b'\\' => return Some(quoted(bytes, at + 1, b'\'')),
        0x00..=0x7f => 1,
        _ => bytes[at + 2..].iter().take_while(|byte| **byte & 0xc0 == 0x80).count() + 1,
    };
    (bytes.get(at + 1 + length) == Some(&b'\'')).then_some((at + 1..at + 1 + length, at + 2 + length))
}

/// `r"..."`, `br#"..."#` and their kin.
fn raw_string(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let letters = bytes[at..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let raw = matches!(&bytes[at..at + letters], b"r" | b"br" | b"cr");
    let hashes = bytes[at + letters..].iter().take_while(|byte| **byte == b'#').count();
    let start = at + letters + hashes + 1;
    if !raw || bytes.get(start - 1) != Some(&b'"') {
        return None;
    }
    let mut end = start;
    while end < bytes.len() {
        let closed = bytes[end] == b'"' && bytes[end + 1..].iter().take(hashes).filter(|byte| **byte == b'#').count() == hashes;
        if closed {
            return Some((start..end, end + 1 + hashes));
        }
        end += 1;
    }
    Some((start..bytes.len(), bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_paths(code: &str, paths: &[&str]) {
        let file = RustFile::scan("src/geo/area.rs", code);
        let found: Vec<String> = file.named().iter().map(|named| named.segments.join("::")).filter(|path| path.contains("::")).collect();
        assert_eq!(found, paths);
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        let raw = "a(); // p()\n/* c /* d */ e */ f(\"g \\\" h\", r#\"i \" j\"#, b'k', '\\'', 'ن'); fn l<'m>() {}";
        let file = RustFile::scan("src/x.rs", raw);
        for gone in ["p", "c", "d", "e", "g", "h", "i", "j", "k", "ن"] {
            assert_eq!(words(&file.code, gone).count(), 0, "{gone} in {}", file.code);
        }
        for there in ["a", "f", "l", "m"] {
            assert_eq!(words(&file.code, there).count(), 1, "{there} in {}", file.code);
        }
        assert_eq!(file.code.len(), raw.len());
        assert!(file.strings.contains("g \\\" h") && !file.strings.contains("p()"));
    }

    #[test]
    fn a_use_tree_names_each_of_its_paths() {
        check_paths(
            "use crate::{limits::{self, A}, geo::point::Point as P};",
            &["crate::limits::self", "crate::limits::A", "crate::geo::point::Point"],
        );
        check_paths("let x = std::time::Instant::now();", &["std::time::Instant::now"]);
        check_paths("iter.collect::<Vec<crate::units::Name>>()", &["crate::units::Name"]);
        check_paths("use std::io::*;", &["std::io"]);
    }

    #[test]
    fn super_leads_to_the_root_only_from_the_top() {
        let raw = "use super::point; use super::super::limits; mod inner { use super::super::super::route; use super::helper; }";
        let file = RustFile::scan("src/geo/area.rs", raw);
        let targets: Vec<&str> = file.named().iter().filter_map(|named| file.target(named)).collect();
        assert_eq!(targets, ["limits", "route"]);
    }

    #[test]
    fn code_under_a_test_condition_ends_with_its_braces() {
        let raw = concat!(
            "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c() } }\nfn d() {}\n",
            "#[cfg(not(test))]\nfn e() {}\n#[cfg(test)]\nuse f;\nfn g() {}"
        );
        let file = RustFile::scan("src/x.rs", raw);
        for (word, test) in [("a", false), ("b", true), ("c", true), ("d", false), ("e", false), ("f", true), ("g", false)] {
            let at = words(&file.code, word).next().unwrap();
            assert_eq!(file.is_test(at), test, "{word}");
        }
    }

    #[test]
    fn a_test_module_in_its_own_file_is_found() {
        let found = RustFile::scan("src/geo/mod.rs", "#[cfg(test)]\nmod tests;\nmod point;").test_files();
        assert_eq!(found, ["src/geo/tests.rs", "src/geo/tests/mod.rs"]);
        let found = RustFile::scan("src/engine.rs", "#[cfg(test)] mod life;").test_files();
        assert_eq!(found, ["src/engine/life.rs", "src/engine/life/mod.rs"]);
        let found = RustFile::scan("src/geo/ring.rs", "#[cfg(test)]\n#[path = \"ring_tests.rs\"]\nmod tests;").test_files();
        assert_eq!(found, ["src/geo/ring_tests.rs"]);
    }
}
