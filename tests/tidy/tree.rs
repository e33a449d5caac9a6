//! The files of a checkout, read once, and what a rule says about them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::rust::RustFile;

pub type Rule = fn(&Tree) -> Vec<Violation>;

/// One place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub file: String,
    /// Counting from 1; zero when the whole file is meant.
    pub line: usize,
    pub what: String,
    pub remedy: String,
}

impl Violation {
    pub fn new(file: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    remedy: {}", self.file, self.line, self.what, self.remedy)
    }
}

/// Every file of a checkout, by its path from the root with `/`.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
    /// The Rust files, scanned.
    pub rust: Vec<RustFile>,
}

impl Tree {
    /// What git would commit from `root`, new files included; without git, every file outside build output and state.
    pub fn read(root: &Path) -> Self {
        let paths = listed_by_git(root).unwrap_or_else(|| walked(root));
        // A path that git still lists may have just been deleted.
        let files = paths.into_iter().filter_map(|path| std::fs::read(root.join(&path)).ok().map(|bytes| (path, bytes)));
        Self::of(files.collect())
    }

    /// A tree that exists only in a test.
    pub fn made_up(files: &[(&str, &str)]) -> Self {
        Self::of(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect())
    }

    fn of(files: BTreeMap<String, Vec<u8>>) -> Self {
        let mut tree = Self { files, rust: Vec::new() };
        let mut rust: Vec<RustFile> =
            tree.texts().filter(|(path, _)| path.ends_with(".rs")).map(|(path, text)| RustFile::scan(path, text)).collect();
        // `#[cfg(test)] mod tests;` makes a test of the file it names.
        let tests: BTreeSet<String> = rust.iter().flat_map(RustFile::test_files).collect();
        rust.iter_mut().filter(|file| tests.contains(&file.path)).for_each(|file| file.whole_test = true);
        tree.rust = rust;
        tree
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.bytes(path).and_then(as_text)
    }

    /// Every file that is text.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|(path, bytes)| as_text(bytes).map(|text| (path.as_str(), text)))
    }

    /// Whether `path` is a file or a folder of the tree.
    pub fn holds(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.contains_key(path) || self.paths().any(|file| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }

    pub fn rust_file(&self, path: &str) -> Option<&RustFile> {
        self.rust.iter().find(|file| file.path == path)
    }
}

fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// `None` without git or outside a checkout.
fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = git.output().ok().filter(|output| output.status.success())?;
    let paths: Vec<String> = listed.stdout.split(|byte| *byte == 0).filter_map(|path| String::from_utf8(path.to_vec()).ok()).collect();
    // A source archive unpacked inside another project's checkout: that project's git knows nothing of it.
    paths.iter().any(|path| path == "Cargo.toml").then_some(paths)
}

fn walked(root: &Path) -> Vec<String> {
    const SKIPPED: [&str; 4] = [".git", "node_modules", "state", "target"];
    let mut folders = vec![String::new()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder)).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !SKIPPED.contains(&name.as_str()) => folders.push(path),
                Ok(kind) if kind.is_file() && !name.ends_with(".tmp") => files.push(path),
                _ => {}
            }
        }
    }
    files
}

// --- what tests say of a rule ---

/// The rule finds exactly these places in this tree.
#[track_caller]
pub fn fires(rule: Rule, files: &[(&str, &str)], places: &[(&str, usize)]) {
    let found = rule(&Tree::made_up(files));
    let at: Vec<(&str, usize)> = found.iter().map(|violation| (violation.file.as_str(), violation.line)).collect();
    assert_eq!(at, places, "{found:#?}");
    assert!(found.iter().all(|violation| !violation.remedy.is_empty()), "a violation says what to do about it");
}

/// The rule finds nothing in this tree.
#[track_caller]
pub fn passes(rule: Rule, files: &[(&str, &str)]) {
    fires(rule, files, &[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_finds_what_git_lists_without_build_output() {
        let root = tempfile::tempdir().unwrap();
        for path in ["Cargo.toml", "src/lib.rs", "target/debug/x", "web/node_modules/y/z", "state/journal.db"] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let mut found = walked(root.path());
        found.sort();
        assert_eq!(found, ["Cargo.toml", "src/lib.rs"]);
    }

    #[test]
    fn a_file_with_a_nul_is_no_text() {
        assert_eq!(as_text(b"ab\0"), None);
        assert_eq!(as_text("نجدة".as_bytes()), Some("نجدة"));
    }

    #[test]
    fn a_folder_is_held_when_a_file_is_in_it() {
        let tree = Tree::made_up(&[("src/geo/point.rs", "")]);
        assert!(tree.holds("src/geo") && tree.holds("src/geo/") && tree.holds("src/geo/point.rs"));
        assert!(!tree.holds("src/ge") && !tree.holds("src/geo/ring.rs"));
    }
}
