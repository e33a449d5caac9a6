//! Rules about text: nothing unfinished, nothing of one machine, lines that fit, paths that exist.

use crate::rust::words;
use crate::shape::is_macro;
use crate::tree::{Tree, Violation};

/// Work that is not done is an issue, not a word in the source.
pub fn unfinished(tree: &Tree) -> Vec<Violation> {
    // Spelled in halves, so that this file keeps its own rule.
    const WORDS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut broken = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| is_written_by_hand(path)) {
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = WORDS.iter().find(|word| words(line, word).next().is_some()) {
                broken.push(Violation::new(
                    path,
                    index + 1,
                    format!("`{word}`"),
                    "finish it, or say what is missing and what happens meanwhile",
                ));
            }
        }
    }
    for file in &tree.rust {
        for name in ["todo", "unimplemented"] {
            for at in words(&file.code, name).filter(|at| is_macro(&file.code, *at, name)) {
                broken.push(Violation::new(&file.path, file.line(at), format!("`{name}!`"), "write it"));
            }
        }
    }
    broken
}

/// Prose and programs; not rows of data, licences or lock files.
fn is_written_by_hand(path: &str) -> bool {
    const ENDINGS: [&str; 13] = ["css", "html", "js", "md", "mjs", "py", "rs", "sh", "sipp", "svelte", "toml", "ts", "yml"];
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((_, ending)) => ENDINGS.contains(&ending),
        None => !name.starts_with("LICENSE"),
    }
}

/// No path of the machine it was written on: a clone lies anywhere.
pub fn machine_paths(tree: &Tree) -> Vec<Violation> {
    const PLACES: [&str; 6] = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/fa", "rm/"),
        concat!("/Us", "ers/"),
        concat!("/tmp/w", "t/"),
    ];
    // `$HOME/x/`, `a.b/x/` and `crate/x/` are no paths from the root.
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_.$}-)".contains(&byte);
    let mut broken = Vec::new();
    for (path, text) in tree.texts() {
        for (index, line) in text.lines().enumerate() {
            let from_root = |at: usize| at == 0 || !inside(line.as_bytes()[at - 1]);
            if let Some(place) = PLACES.iter().find(|place| line.match_indices(**place).any(|(at, _)| from_root(at))) {
                let remedy = "go from the checkout's own root (CARGO_MANIFEST_DIR, or the script's folder)";
                broken.push(Violation::new(path, index + 1, format!("a path below `{place}`"), remedy));
            }
        }
    }
    broken
}

/// No package server is named: which one serves is the machine's business.
pub fn hosts(tree: &Tree) -> Vec<Violation> {
    const LABELS: [&str; 7] = ["artifactory", "index", "mirror", "mirrors", "nexus", "proxy", "registry"];
    const NAMES: [&str; 6] = ["crates.io", "deb.debian.org", "npmjs.com", "npmjs.org", "pypi.org", "pythonhosted.org"];
    let serves = |host: &str| {
        host.split(['.', '-']).any(|label| LABELS.contains(&label))
            || NAMES.iter().any(|name| host == *name || host.ends_with(&format!(".{name}")))
    };
    let mut broken = Vec::new();
    for (path, text) in tree.texts() {
        for (index, line) in text.lines().enumerate() {
            let mut named = line.match_indices("://").map(|(at, _)| host_of(&line[at + "://".len()..]));
            if let Some(host) = named.find(|host| serves(host)) {
                broken.push(Violation::new(
                    path,
                    index + 1,
                    format!("the package server `{host}`"),
                    "name the package, not the place it comes from",
                ));
            }
            let configured = path.ends_with(".npmrc") && line.trim_start().starts_with("registry");
            if configured || path.ends_with(".cargo/config.toml") && line.contains("replace-with") {
                broken.push(Violation::new(
                    path,
                    index + 1,
                    "a package server is chosen",
                    "leave the choice to the machine's own settings",
                ));
            }
        }
    }
    broken
}

/// The host that a URL's authority begins with, without user and port.
fn host_of(authority: &str) -> &str {
    let end = authority.find(|c: char| !(c.is_ascii_alphanumeric() || ".-_@".contains(c))).unwrap_or(authority.len());
    let host = &authority[..end];
    host.rsplit('@').next().unwrap_or(host)
}

/// Characters of one line of Rust; `rustfmt` cannot break a long string or comment.
const LINE_CHARS_MAX: usize = 140;

/// Lines that fit, without tabs or trailing blanks.
pub fn lines(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| is_written_by_hand(path)) {
        for (index, line) in text.lines().enumerate() {
            let what = if path.ends_with(".rs") && line.chars().count() > LINE_CHARS_MAX {
                "a line over 140 characters"
            } else if line.contains('\t') {
                "a tab"
            } else if line.ends_with(' ') {
                "blanks at the end of a line"
            } else {
                continue;
            };
            broken.push(Violation::new(path, index + 1, what, "run cargo fmt --all; break long strings and comments by hand"));
        }
    }
    broken
}

/// A path that the manual, the README or the changelog names exists, unless the line says that it is not built yet.
pub fn named_paths(tree: &Tree) -> Vec<Violation> {
    const ROOTS: [&str; 6] = ["benches/", "loadtest/", "routing-tables/", "src/", "tests/", ".ci/"];
    let prose = |path: &str| path == "README.md" || path == "CHANGELOG.md" || path.starts_with("src/manual/") && path.ends_with(".md");
    let mut broken = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| prose(path)) {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.contains("not built yet")) {
            let named = line.split('`').skip(1).step_by(2);
            let plain = |name: &str| ROOTS.iter().any(|root| name.starts_with(root)) && !name.contains(['*', '<', '{', ' ']);
            for name in named.filter(|name| plain(name) && !tree.holds(name)) {
                let remedy = "name the file as it is called now, or say on the same line that it is not built yet";
                broken.push(Violation::new(path, index + 1, format!("`{name}` does not exist"), remedy));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{fires, passes};

    #[test]
    fn unfinished_work_is_found() {
        fires(unfinished, &[("src/a.rs", concat!("// TO", "DO later"))], &[("src/a.rs", 1)]);
        fires(unfinished, &[("README.md", concat!("\nFIX", "ME\n"))], &[("README.md", 2)]);
        fires(unfinished, &[("tests/all", concat!("# XX", "X"))], &[("tests/all", 1)]);
        fires(unfinished, &[("src/a.rs", "fn a() { todo!() }")], &[("src/a.rs", 1)]);
        passes(unfinished, &[("src/a.rs", "let method = 1;"), ("routing-tables/uae/lexicon/es.csv", concat!("TO", "DO"))]);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        for place in [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/fa", "rm/")] {
            fires(machine_paths, &[("README.md", &format!("\nsee {place}x"))], &[("README.md", 2)]);
            passes(machine_paths, &[("README.md", &format!("$HOME{place}x and net{place}y and ./..{place}"))]);
        }
    }

    #[test]
    fn a_package_server_is_found() {
        for host in ["registry.npmjs.org", "index.crates.io", "mirror.example:8081", "user@proxy-2.example", "pypi.org"] {
            fires(hosts, &[("web/package-lock.json", &format!("x https{}{host}/y", "://"))], &[("web/package-lock.json", 1)]);
        }
        fires(hosts, &[("web/.npmrc", "registry=x")], &[("web/.npmrc", 1)]);
        fires(hosts, &[(".cargo/config.toml", "[source.a]\nreplace-with = \"b\"")], &[(".cargo/config.toml", 2)]);
        passes(hosts, &[("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"")]);
        passes(hosts, &[("README.md", "https://docs.rs/registry and https://example.org/index.html"), ("web/.npmrc", "audit=false")]);
    }

    #[test]
    fn a_line_that_does_not_fit_is_found() {
        fires(lines, &[("src/a.rs", &"ن".repeat(LINE_CHARS_MAX + 1))], &[("src/a.rs", 1)]);
        fires(lines, &[("src/a.rs", "fn a() {}\n\tlet b;\n")], &[("src/a.rs", 2)]);
        fires(lines, &[("README.md", "a \nb\n")], &[("README.md", 1)]);
        passes(lines, &[("src/a.rs", &"ن".repeat(LINE_CHARS_MAX)), ("README.md", &"a".repeat(300)), ("x.csv", "a\tb \n")]);
    }

    #[test]
    fn a_path_in_the_manual_that_does_not_exist_is_found() {
        let page = "src/manual/path.md";
        fires(named_paths, &[(page, "see `src/route.rs` and `src/manual`\n`cargo test`")], &[(page, 1)]);
        fires(named_paths, &[("README.md", "\n`tests/all`")], &[("README.md", 2)]);
        passes(named_paths, &[(page, "see `src/route.rs`; `src/manual/*.md`"), ("src/route.rs", "")]);
        passes(named_paths, &[(page, "`src/edge/cluster.rs` is not built yet"), ("src/a.rs", "// `src/b.rs`")]);
    }
}
