//! Rules about the books the repository keeps: lock files, provenance of tables, reasons of dependencies, limits, lints, benches.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::rust::{RustFile, ident_after, words};
use crate::tree::{Tree, Violation};

/// Everything locked comes from the default public registry, and only one cryptography provider is in the tree.
pub fn lock_files(tree: &Tree) -> Vec<Violation> {
    const SOURCE: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let mut broken = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| is_called(path, "Cargo.lock")) {
        for (index, line) in text.lines().enumerate() {
            if line.starts_with("source = ") && line != SOURCE {
                broken.push(Violation::new(path, index + 1, format!("locked from elsewhere: {line}"), "depend on the published package"));
            }
            // Two providers in one process make rustls panic at the first handshake.
            if ["name = \"aws-lc", "name = \"openssl"].iter().any(|start| line.starts_with(start)) {
                let remedy = "find who brings it with cargo tree -i, and turn its feature off (ring is the provider)";
                broken.push(Violation::new(path, index + 1, line, remedy));
            }
        }
    }
    broken
}

/// Every file of a pack is listed with its sum, in the pack's PROVENANCE.toml or in the one above all packs.
pub fn provenance(tree: &Tree) -> Vec<Violation> {
    const FOLDER: &str = "routing-tables";
    const REMEDY: &str = "list it with its source, licence, date and sha256";
    let packs: BTreeSet<&str> = tree.paths().filter_map(|path| Some(path.strip_prefix("routing-tables/")?.split_once('/')?.0)).collect();
    let mut broken = Vec::new();
    for pack in packs {
        let root = format!("{FOLDER}/{pack}");
        let own = format!("{root}/PROVENANCE.toml");
        let (book, base) = if tree.holds(&own) { (own, root.clone()) } else { (format!("{FOLDER}/PROVENANCE.toml"), FOLDER.to_owned()) };
        let listed = match tree.text(&book).map(|text| text.parse::<Table>()) {
            Some(Ok(table)) => listed_sums(&table, &base),
            Some(Err(error)) => {
                broken.push(Violation::new(&book, 0, error.message(), "write it as TOML"));
                continue;
            }
            None => BTreeMap::new(),
        };
        for path in tree.paths().filter(|path| path.starts_with(&format!("{root}/")) && **path != book) {
            match listed.get(path) {
                None => broken.push(Violation::new(path, 0, format!("not listed in {book}"), REMEDY)),
                Some(sum) if *sum != sha256_hex(tree.bytes(path).unwrap_or_default()) => {
                    broken.push(Violation::new(path, 0, format!("its sum in {book} is another file's"), "refresh the sum and the date"));
                }
                Some(_) => {}
            }
        }
        for path in listed.keys().filter(|path| path.starts_with(&format!("{root}/")) && !tree.holds(path)) {
            broken.push(Violation::new(&book, 0, format!("lists {path}, which does not exist"), "take the row out"));
        }
    }
    broken
}

/// Path from the root and sum of every table in the book that has `file` and `sha256`.
fn listed_sums(book: &Table, base: &str) -> BTreeMap<String, String> {
    let rows = book.values().filter_map(Value::as_array).flatten().filter_map(Value::as_table);
    let text = |row: &Table, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    rows.filter_map(|row| Some((format!("{base}/{}", text(row, "file")?), text(row, "sha256")?))).collect()
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every dependency has a line in the manual that says why, and the manual names none that is gone.
pub fn dependencies(tree: &Tree) -> Vec<Violation> {
    const PAGE: &str = "src/manual/dependencies.md";
    let mut broken = Vec::new();
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in tree.texts() {
        let names = match path.rsplit('/').next() {
            Some("Cargo.toml") => text.parse::<Table>().map(|table| cargo_dependencies(&table)).unwrap_or_default(),
            Some("package.json") => npm_dependencies(text),
            _ => continue,
        };
        names.into_iter().for_each(|name| {
            used.entry(name).or_insert_with(|| path.to_owned());
        });
    }
    let listed = first_cells(tree.text(PAGE).unwrap_or_default());
    for (name, path) in used.iter().filter(|(name, _)| !listed.contains_key(name.as_str())) {
        let remedy = format!("add a row to {PAGE}: | `{name}` | why it was chosen |");
        broken.push(Violation::new(path, 0, format!("nobody says why `{name}` is needed"), remedy));
    }
    for (name, line) in listed.iter().filter(|(name, _)| !used.contains_key(**name)) {
        broken.push(Violation::new(PAGE, *line, format!("`{name}` is no dependency any more"), "take the row out"));
    }
    broken
}

/// Names in every dependency table of a manifest; a dependency with a path is our own crate.
fn cargo_dependencies(manifest: &Table) -> BTreeSet<String> {
    const TABLES: [&str; 3] = ["build-dependencies", "dependencies", "dev-dependencies"];
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let tables = std::iter::once(manifest).chain(targets).flat_map(|table| TABLES.iter().filter_map(|name| table.get(*name)?.as_table()));
    let foreign = tables.flatten().filter(|(_, value)| value.get("path").is_none());
    foreign.map(|(name, _)| name.clone()).collect()
}

fn npm_dependencies(text: &str) -> BTreeSet<String> {
    let package: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let tables = ["dependencies", "devDependencies"].into_iter().filter_map(|name| package.get(name)?.as_object().cloned());
    tables.flat_map(|table| table.into_iter().map(|(name, _)| name)).collect()
}

/// Rows `| `name` | ...` of a page: name and line.
fn first_cells(page: &str) -> BTreeMap<&str, usize> {
    page.lines().enumerate().filter_map(|(index, line)| Some((line.strip_prefix("| `")?.split_once('`')?.0, index + 1))).collect()
}

/// The manual lists every limit of the engine with its present value.
pub fn limits(tree: &Tree) -> Vec<Violation> {
    const SOURCE: &str = "src/limits.rs";
    const PAGE: &str = "src/manual/limits.md";
    let Some(source) = tree.rust_file(SOURCE) else { return Vec::new() };
    let page = tree.text(PAGE).unwrap_or_default();
    let listed = first_cells(page);
    let constants = constants(source);
    let mut broken = Vec::new();
    for Constant { name, line, value, reason } in &constants {
        let shown = value.map(with_commas).unwrap_or_default();
        let Some(row) = listed.get(name) else {
            let remedy = format!("add to {PAGE}: | `{name}` | {shown} | unit | {reason} |");
            broken.push(Violation::new(SOURCE, *line, format!("`{name}` is not in {PAGE}"), remedy));
            continue;
        };
        let cell = page.lines().nth(row - 1).and_then(|text| text.split('|').nth(2)).unwrap_or_default().trim();
        if value.is_some() && cell != shown {
            broken.push(Violation::new(PAGE, *row, format!("`{name}` is {shown}, the page says {cell}"), "write the present value"));
        }
    }
    let gone = |name: &str| !name.contains("::") && constants.iter().all(|constant| constant.name != name);
    for (name, line) in listed.iter().filter(|(name, _)| gone(name)) {
        broken.push(Violation::new(PAGE, *line, format!("`{name}` is no limit any more"), "take the row out"));
    }
    broken
}

struct Constant<'a> {
    name: &'a str,
    line: usize,
    /// `None` when the expression is more than numbers, other constants, `+`, `*` and `/`.
    value: Option<u128>,
    /// Its doc comment.
    reason: String,
}

fn constants(source: &RustFile) -> Vec<Constant<'_>> {
    let mut constants: Vec<Constant<'_>> = Vec::new();
    for at in words(&source.code, "const").filter(|at| source.code[..*at].ends_with("pub ")) {
        let Some(name) = ident_after(&source.code, at + "const".len()) else { continue };
        let statement = source.code[at..].split(';').next().unwrap_or_default();
        let expression = statement.split_once('=').map_or("", |(_, expression)| expression);
        let value = evaluate(expression, &constants);
        let line = source.line(at);
        let above: Vec<&str> = source.raw.lines().take(line - 1).collect();
        let docs: Vec<&str> = above.iter().rev().map_while(|text| text.trim().strip_prefix("///")).map(str::trim).collect();
        constants.push(Constant { name, line, value, reason: docs.into_iter().rev().collect::<Vec<_>>().join(" ") });
    }
    constants
}

/// A sum of products of numbers and constants already read.
fn evaluate(expression: &str, known: &[Constant<'_>]) -> Option<u128> {
    let number = |text: &str| {
        let text = text.trim();
        let digits: String = text.chars().filter(|c| *c != '_').collect();
        digits.parse().ok().or_else(|| known.iter().find(|constant| constant.name == text)?.value)
    };
    let product = |text: &str| text.split('*').try_fold(1_u128, |product, factor| product.checked_mul(quotient(factor, &number)?));
    expression.split('+').try_fold(0_u128, |sum, part| sum.checked_add(product(part)?))
}

fn quotient(text: &str, number: &impl Fn(&str) -> Option<u128>) -> Option<u128> {
    let mut parts = text.split('/');
    let first = number(parts.next()?)?;
    parts.try_fold(first, |quotient, part| quotient.checked_div(number(part)?))
}

fn with_commas(value: u128) -> String {
    let digits = value.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// Every row of the manual's page on messages names what shows it, and what it names is there: tests, files, and the words the page
/// itself explains.
pub fn messages(tree: &Tree) -> Vec<Violation> {
    const PAGE: &str = "src/manual/messages.md";
    let Some(page) = tree.text(PAGE) else { return Vec::new() };
    let explained = page.split("\n## ").next().unwrap_or_default();
    let is_test =
        |name: &str| tree.rust.iter().any(|file| words(&file.code, name).any(|at| file.code[..at].ends_with("fn ") && file.is_test(at)));
    let is_there = |name: &str| match name {
        name if name.ends_with(".rs") => tree.paths().any(|path| path == name || path.ends_with(&format!("/{name}"))),
        name if name.split('_').count() >= 3 => is_test(name),
        name => explained.contains(&format!("`{name}`")) || page.contains(&format!("`{name}` is")),
    };
    let mut broken = Vec::new();
    for (index, line) in page.lines().enumerate() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|')) else { continue };
        let shown = cells.rsplit('|').next().unwrap_or_default().trim();
        if shown == "test" || shown.starts_with("---") {
            continue;
        }
        if shown.is_empty() {
            broken.push(Violation::new(PAGE, index + 1, "a row without a test", "name the test that shows it"));
        }
        for name in shown.split('`').skip(1).step_by(2).filter(|name| !is_there(name)) {
            broken.push(Violation::new(PAGE, index + 1, format!("`{name}` shows nothing"), "name a test or a file that there is"));
        }
    }
    broken
}

/// Every crate of the workspace takes the workspace's lints, and those forbid `unsafe`.
pub fn lints(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| is_called(path, "Cargo.toml") && !path.starts_with("tests/fuzz/")) {
        let manifest = text.parse::<Table>().unwrap_or_default();
        let at = |keys: &[&str]| keys.iter().try_fold(&Value::Table(manifest.clone()), |value, key| value.get(*key)).cloned();
        if manifest.contains_key("package") && at(&["lints", "workspace"]) != Some(Value::Boolean(true)) {
            broken.push(Violation::new(path, 0, "a crate without the house's lints", "add [lints] workspace = true"));
        }
        if manifest.contains_key("workspace") && at(&["workspace", "lints", "rust", "unsafe_code"]) != Some(Value::String("forbid".into()))
        {
            broken.push(Violation::new(path, 0, "unsafe code is not forbidden", "set workspace.lints.rust.unsafe_code = \"forbid\""));
        }
    }
    broken
}

/// Every file of `benches/` is a target with criterion's own main: without an entry it would never be compiled.
pub fn benches(tree: &Tree) -> Vec<Violation> {
    let manifest = tree.text("Cargo.toml").unwrap_or_default().parse::<Table>().unwrap_or_default();
    let entries = manifest.get("bench").and_then(Value::as_array).cloned().unwrap_or_default();
    let harness_off = |name: &str| {
        let entry = entries.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name));
        entry.is_some_and(|entry| entry.get("harness").and_then(Value::as_bool) == Some(false))
    };
    let name = |path: &'_ str| Some(path.strip_prefix("benches/")?.strip_suffix(".rs")?.to_owned()).filter(|name| !name.contains('/'));
    let missing = tree.paths().filter(|path| name(path).is_some_and(|name| !harness_off(&name)));
    missing.map(|path| Violation::new(path, 0, "no [[bench]] entry with harness = false", "add one to Cargo.toml")).collect()
}

fn is_called(path: &str, name: &str) -> bool {
    path.rsplit('/').next() == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{fires, passes};

    #[test]
    fn a_package_locked_from_elsewhere_is_found() {
        let fine = "[[package]]\nname = \"ring\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        passes(lock_files, &[("Cargo.lock", fine)]);
        fires(lock_files, &[("Cargo.lock", "source = \"git+https://example.org/x\"\n")], &[("Cargo.lock", 1)]);
        fires(lock_files, &[("tests/fuzz/Cargo.lock", "\nname = \"aws-lc-rs\"\n")], &[("tests/fuzz/Cargo.lock", 2)]);
        fires(lock_files, &[("Cargo.lock", "name = \"openssl-sys\"\n")], &[("Cargo.lock", 1)]);
    }

    const SUM_OF_X: &str = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";

    #[test]
    fn a_table_without_provenance_is_found() {
        fires(provenance, &[("routing-tables/uae/lines.csv", "x")], &[("routing-tables/uae/lines.csv", 0)]);
        let book = format!("[[row]]\nfile = \"lines.csv\"\nsha256 = \"{SUM_OF_X}\"\n");
        let own = "routing-tables/uae/PROVENANCE.toml";
        passes(provenance, &[("routing-tables/uae/lines.csv", "x"), (own, &book), ("routing-tables/SCHEMA.md", "x")]);
        fires(provenance, &[("routing-tables/uae/lines.csv", "y"), (own, &book)], &[("routing-tables/uae/lines.csv", 0)]);
        fires(provenance, &[(own, &book)], &[(own, 0)]);
        fires(provenance, &[(own, "file = ")], &[(own, 0)]);
    }

    #[test]
    fn one_book_may_serve_every_pack() {
        let book = format!("[[file]]\nfile = \"uae/lines.csv\"\nsha256 = \"{SUM_OF_X}\"\n");
        passes(provenance, &[("routing-tables/uae/lines.csv", "x"), ("routing-tables/PROVENANCE.toml", &book)]);
        passes(provenance, &[("README.md", "no packs yet")]);
    }

    const DEPENDENCIES: &str = "src/manual/dependencies.md";

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let manifest = "[dependencies]\nring = \"1\"\nown = { path = \"..\" }\n[target.'cfg(unix)'.dependencies]\nnix = \"1\"\n";
        passes(dependencies, &[("Cargo.toml", manifest), (DEPENDENCIES, "| `ring` | why |\n| `nix` | why |\n")]);
        fires(dependencies, &[("Cargo.toml", manifest), (DEPENDENCIES, "| `ring` | why |\n")], &[("Cargo.toml", 0)]);
        fires(dependencies, &[("Cargo.toml", "[dev-dependencies]\ninsta = \"1\"")], &[("Cargo.toml", 0)]);
        fires(dependencies, &[("web/package.json", "{\"devDependencies\":{\"vite\":\"8\"}}")], &[("web/package.json", 0)]);
        fires(dependencies, &[("Cargo.toml", ""), (DEPENDENCIES, "\n| `gone` | why |\n")], &[(DEPENDENCIES, 2)]);
    }

    const LIMITS: &str = "src/manual/limits.md";

    #[test]
    fn a_limit_that_the_manual_does_not_know_is_found() {
        let source = "//! x\npub const A_MAX: usize = 64 * 1_024;\n/// Why.\npub const B_MAX: usize = A_MAX / 2 + 1;\n";
        let page = "| `A_MAX` | 65,536 | bytes | why |\n| `B_MAX` | 32,769 | bytes | why |\n";
        passes(limits, &[("src/limits.rs", source), (LIMITS, page)]);
        fires(limits, &[("src/limits.rs", source), (LIMITS, &page[..page.len() / 2])], &[("src/limits.rs", 4)]);
        fires(limits, &[("src/limits.rs", source), (LIMITS, &page.replace("65,536", "64"))], &[(LIMITS, 1)]);
        fires(limits, &[("src/limits.rs", ""), (LIMITS, "| `GONE` | 1 | x | y |\n| `Name::BYTES_MAX` | 32 |")], &[(LIMITS, 1)]);
    }

    #[test]
    fn a_row_about_a_message_whose_test_is_not_there_is_found() {
        const PAGE: &str = "src/manual/messages.md";
        let test = ("tests/behaviour/sip.rs", "#[test]\nfn a_call_is_answered() {}\n");
        let row = |shown: &str| format!("`own` is a folder.\n\n## Calls\n\n| standard | test |\n| --- | --- |\n| RFC 3261 | {shown} |\n");
        passes(messages, &[test, (PAGE, &row("`a_call_is_answered`, `own`, `sip.rs`, `tests/behaviour/sip.rs`; the same"))]);
        for shown in ["`a_call_is_lost`", "`lost.rs`", "`theirs`", ""] {
            fires(messages, &[test, (PAGE, &row(shown))], &[(PAGE, 7)]);
        }
        fires(messages, &[("src/sip.rs", "fn a_call_is_answered() {}\n"), (PAGE, &row("`a_call_is_answered`"))], &[(PAGE, 7)]);
    }

    #[test]
    fn a_limit_that_is_no_plain_number_is_only_named() {
        passes(limits, &[("src/limits.rs", "pub const A: Ppm = Ppm(5);"), (LIMITS, "| `A` | five | ppm | why |")]);
    }

    #[test]
    fn a_crate_without_lints_is_found() {
        fires(lints, &[("loadtest/Cargo.toml", "[package]\nname = \"x\"\n")], &[("loadtest/Cargo.toml", 0)]);
        fires(lints, &[("Cargo.toml", "[workspace]\n")], &[("Cargo.toml", 0)]);
        passes(
            lints,
            &[("Cargo.toml", "[workspace]\n[workspace.lints.rust]\nunsafe_code = \"forbid\"\n[package]\n[lints]\nworkspace = true\n")],
        );
    }

    #[test]
    fn a_bench_that_is_never_compiled_is_found() {
        fires(benches, &[("Cargo.toml", ""), ("benches/lookup.rs", "")], &[("benches/lookup.rs", 0)]);
        fires(benches, &[("Cargo.toml", "[[bench]]\nname = \"lookup\""), ("benches/lookup.rs", "")], &[("benches/lookup.rs", 0)]);
        passes(benches, &[("Cargo.toml", "[[bench]]\nname = \"lookup\"\nharness = false"), ("benches/lookup.rs", "")]);
    }
}
