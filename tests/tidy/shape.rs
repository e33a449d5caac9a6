//! Rules about how the source is laid out: order of imports, reach, opening docs, size, names.

use std::collections::BTreeSet;

use crate::rust::{ident_after, sign_after, words};
use crate::tree::{Tree, Violation};

/// A module imports only modules listed above it in `src/lib.rs`; inside a folder, files import each other freely.
pub fn import_order(tree: &Tree) -> Vec<Violation> {
    let order = tree.rust_file("src/lib.rs").map(|file| file.declared_modules()).unwrap_or_default();
    let rank = |module: &str| order.iter().position(|listed| *listed == module);
    let mut broken = Vec::new();
    for file in &tree.rust {
        let Some((module, own)) = file.module().and_then(|module| Some((module, rank(module)?))) else { continue };
        for named in file.named() {
            let Some(target) = file.target(&named) else { continue };
            if rank(target).is_some_and(|rank| rank > own) {
                let what = format!("`{module}` imports `{target}`, which stands below it in src/lib.rs");
                let remedy = "move the shared part into a module above both, or pass it in as an argument";
                broken.push(Violation::new(&file.path, file.line(named.at), what, remedy));
            }
        }
    }
    broken
}

/// Every file is declared by the module above it: one that is not is never compiled, and its tests never run.
pub fn unreached_files(tree: &Tree) -> Vec<Violation> {
    let declared: BTreeSet<String> = tree.rust.iter().flat_map(|file| file.declared_files()).map(|(_, file)| file).collect();
    let lost = tree.rust.iter().filter(|file| !is_root(&file.path) && !declared.contains(&file.path));
    lost.map(|file| Violation::new(&file.path, 0, "no `mod` line leads to this file", "declare it in the module above it, or delete it"))
        .collect()
}

/// Whether cargo itself finds the file.
fn is_root(path: &str) -> bool {
    const FOLDERS: [&str; 5] = ["benches", "bin", "examples", "fuzz_targets", "tests"];
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let last = folder.rsplit('/').next().unwrap_or(folder);
    matches!(name, "build.rs" | "lib.rs" | "main.rs") || FOLDERS.contains(&last) && (last == "bin" || !path.contains("src/"))
}

/// Every source file opens with what it is for.
pub fn module_docs(tree: &Tree) -> Vec<Violation> {
    let sources = tree.rust.iter().filter(|file| file.path.starts_with("src/") || file.path.contains("/src/"));
    let silent = sources.filter(|file| !file.whole_test && !file.raw.starts_with("//!"));
    silent
        .map(|file| Violation::new(&file.path, 1, "no `//!` line opens this module", "say what it is for, and what it does not do"))
        .collect()
}

/// Lines of one Rust file.
const LINES_MAX: usize = 1_500;

/// A file that has grown past reading in one sitting is two ideas.
pub fn file_size(tree: &Tree) -> Vec<Violation> {
    let long = tree.rust.iter().filter(|file| file.raw.lines().count() > LINES_MAX);
    long.map(|file| {
        let what = format!("{} lines; {LINES_MAX} is the most", file.raw.lines().count());
        Violation::new(&file.path, LINES_MAX + 1, what, "split it by idea, or move its tests into a sibling file")
    })
    .collect()
}

/// No `get_` functions, no types that say nothing, no module that could hold anything.
pub fn names(tree: &Tree) -> Vec<Violation> {
    const EMPTY_ENDINGS: [&str; 6] = ["Helper", "Helpers", "Impl", "Manager", "Util", "Utils"];
    const EMPTY_MODULES: [&str; 7] = ["common", "helper", "helpers", "manager", "misc", "util", "utils"];
    let mut broken = Vec::new();
    for file in &tree.rust {
        for at in words(&file.code, "fn") {
            let name = ident_after(&file.code, at + "fn".len()).unwrap_or_default();
            if name.starts_with("get_") {
                broken.push(Violation::new(&file.path, file.line(at), format!("`fn {name}`"), "name it for what it gives, without `get_`"));
            }
        }
        for keyword in ["enum", "struct", "trait", "type", "union"] {
            for at in words(&file.code, keyword) {
                let name = ident_after(&file.code, at + keyword.len()).unwrap_or_default();
                if EMPTY_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                    let remedy = "name it for what it is in the world of a control room";
                    broken.push(Violation::new(&file.path, file.line(at), format!("`{keyword} {name}`"), remedy));
                }
            }
        }
        let stem = file.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).unwrap_or_default();
        if EMPTY_MODULES.contains(&stem) {
            broken.push(Violation::new(&file.path, 0, format!("a module called `{stem}`"), "name it for the idea it holds"));
        }
    }
    broken
}

/// A test's name is a sentence about behaviour: three words at least.
pub fn test_names(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in &tree.rust {
        let attributes = file.code.match_indices("#[test]").chain(file.code.match_indices("#[tokio::test"));
        for (attribute, _) in attributes {
            let Some(at) = words(&file.code, "fn").find(|at| *at > attribute) else { continue };
            let name = ident_after(&file.code, at + "fn".len()).unwrap_or_default();
            if name.starts_with("test_") || name.split('_').count() < 3 {
                let remedy = "say what holds: `contact_in_a_gap_goes_to_the_fallback_dispatcher`";
                broken.push(Violation::new(&file.path, file.line(at), format!("`{name}` is no sentence"), remedy));
            }
        }
    }
    broken
}

/// `tests/behaviour/main.rs` lists its topics and holds nothing else.
pub fn behaviour_is_a_list(tree: &Tree) -> Vec<Violation> {
    const LIST: &str = "tests/behaviour/main.rs";
    let Some(file) = tree.rust_file(LIST) else { return Vec::new() };
    // An empty `main` is what the first checkout begins with.
    let fine = |line: &str| {
        line.is_empty() || line.starts_with("mod ") && line.ends_with(';') || line.starts_with("#![") || line == "fn main() {}"
    };
    let other = file.code.lines().enumerate().filter(|(_, line)| !fine(line.trim()));
    other.map(|(index, _)| Violation::new(LIST, index + 1, "more than a `mod` line", "move it into a topic's file")).collect()
}

/// Whether a macro's name at this offset is called: the sign after it is `!`.
pub fn is_macro(code: &str, at: usize, name: &str) -> bool {
    sign_after(code, at + name.len()) == Some(b'!')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{fires, passes};

    const LIB: (&str, &str) = ("src/lib.rs", "pub mod units;\npub mod geo;\npub mod route;\npub mod edge;\n");

    #[test]
    fn a_module_that_imports_one_below_it_is_found() {
        fires(import_order, &[LIB, ("src/units.rs", "//! x\nuse crate::route::Decision;\n")], &[("src/units.rs", 2)]);
        fires(import_order, &[LIB, ("src/units.rs", "use crate::{\n    geo::Point,\n};\n")], &[("src/units.rs", 2)]);
        fires(import_order, &[LIB, ("src/geo/ring.rs", "fn a() {\n    super::super::edge::clock();\n}\n")], &[("src/geo/ring.rs", 2)]);
        fires(import_order, &[LIB, ("src/geo.rs", "use super::edge;\n")], &[("src/geo.rs", 1)]);
    }

    #[test]
    fn a_module_may_import_what_is_above_it_and_beside_it() {
        passes(import_order, &[LIB, ("src/route.rs", "use crate::{geo::point::Point, units};\n")]);
        passes(import_order, &[LIB, ("src/geo/mod.rs", "use super::units;\nmod a { use super::ring; }\n")]);
        passes(import_order, &[LIB, ("src/geo/area.rs", "use super::ring;\nuse crate::geo::grid;\n// crate::edge\n")]);
        passes(import_order, &[LIB, ("src/main.rs", "use najda::edge;\n")]);
    }

    #[test]
    fn a_file_that_no_module_declares_is_found() {
        fires(unreached_files, &[LIB, ("src/lost.rs", "")], &[("src/lost.rs", 0)]);
        fires(
            unreached_files,
            &[("src/geo/mod.rs", "mod area;"), ("src/lib.rs", "mod geo;"), ("src/geo/ring.rs", "")],
            &[("src/geo/ring.rs", 0)],
        );
        fires(
            unreached_files,
            &[("tests/behaviour/main.rs", "mod life;"), ("tests/behaviour/doors.rs", "")],
            &[("tests/behaviour/doors.rs", 0)],
        );
        fires(unreached_files, &[("src/bare/lost.rs", "")], &[("src/bare/lost.rs", 0)]);
        fires(unreached_files, &[LIB, ("src/units.rs", ""), ("src/units/mod.rs", ""), ("src/mod.rs", "")], &[("src/mod.rs", 0)]);
    }

    #[test]
    fn a_declared_file_and_the_root_of_a_crate_are_reached() {
        passes(unreached_files, &[LIB, ("src/units.rs", ""), ("src/geo/mod.rs", "pub mod point;"), ("src/geo/point.rs", "")]);
        passes(unreached_files, &[LIB, ("src/route.rs", "mod policy;"), ("src/route/policy.rs", "")]);
        passes(unreached_files, &[("src/main.rs", ""), ("benches/lookup.rs", ""), ("tests/life.rs", ""), ("build.rs", "")]);
        passes(unreached_files, &[LIB, ("src/units.rs", "#[path = \"units_tests.rs\"]\nmod tests;"), ("src/units_tests.rs", "")]);
    }

    #[test]
    fn a_module_without_an_opening_line_is_found() {
        fires(module_docs, &[("src/units.rs", "use core::fmt;\n")], &[("src/units.rs", 1)]);
        fires(module_docs, &[("loadtest/src/main.rs", "fn main() {}\n")], &[("loadtest/src/main.rs", 1)]);
        passes(module_docs, &[("src/units.rs", "//! Newtypes.\n"), ("tests/tidy.rs", ""), ("benches/lookup.rs", "")]);
        passes(module_docs, &[("src/geo/mod.rs", "//! x\n#[cfg(test)]\nmod tests;\n"), ("src/geo/tests.rs", "use super::*;\n")]);
    }

    #[test]
    fn a_file_past_the_cap_is_found() {
        fires(file_size, &[("src/units.rs", &"\n".repeat(LINES_MAX + 1))], &[("src/units.rs", LINES_MAX + 1)]);
        passes(file_size, &[("src/units.rs", &"\n".repeat(LINES_MAX))]);
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        fires(names, &[("src/units.rs", "pub fn get_state() {}\n")], &[("src/units.rs", 1)]);
        fires(names, &[("src/units.rs", "\nstruct SessionManager;\nenum CallUtil {}\n")], &[("src/units.rs", 3), ("src/units.rs", 2)]);
        fires(names, &[("src/edge/utils.rs", "")], &[("src/edge/utils.rs", 0)]);
        passes(names, &[("src/units.rs", "// fn get_state\nfn get() {}\nfn target_() {}\nstruct Implement;\nimpl Manager {}\n")]);
    }

    #[test]
    fn a_test_that_is_no_sentence_is_found() {
        fires(test_names, &[("src/units.rs", "#[test]\nfn parses() {}\n")], &[("src/units.rs", 2)]);
        fires(test_names, &[("src/units.rs", "#[tokio::test]\nasync fn test_one_two_three() {}\n")], &[("src/units.rs", 2)]);
        passes(test_names, &[("src/units.rs", "#[test]\nfn a_point_has_one_owner() {}\nfn helper() {}\n")]);
    }

    #[test]
    fn a_test_in_the_list_of_topics_is_found() {
        let list = "//! Topics.\nmod life;\n#[test]\nfn x() {}\n";
        fires(behaviour_is_a_list, &[("tests/behaviour/main.rs", list)], &[("tests/behaviour/main.rs", 3), ("tests/behaviour/main.rs", 4)]);
        passes(behaviour_is_a_list, &[("tests/behaviour/main.rs", "//! Topics.\n#![allow(x)]\nmod doors;\nmod life;\n")]);
    }
}
