//! The house rules that a reader would otherwise have to hold in the head, checked over every file of the checkout.
//!
//! Each rule is a function from a [`Tree`] to the places that break it, and each has a test of its own that plants a violation in
//! a made-up tree. `the_tree_keeps_every_rule` runs them all on the real one. The rules read text, not types: they can be fooled
//! by somebody who wants to, and are not written for that person.

#[path = "tidy/books.rs"]
mod books;
#[path = "tidy/path.rs"]
mod path;
#[path = "tidy/rust.rs"]
mod rust;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/text.rs"]
mod text;
#[path = "tidy/tree.rs"]
mod tree;

use std::path::Path;

use tree::{Rule, Tree};

/// Every rule, by name.
const RULES: &[(&str, Rule)] = &[
    ("import_order", shape::import_order),
    ("unreached_files", shape::unreached_files),
    ("module_docs", shape::module_docs),
    ("file_size", shape::file_size),
    ("names", shape::names),
    ("test_names", shape::test_names),
    ("behaviour_is_a_list", shape::behaviour_is_a_list),
    ("purity", path::purity),
    ("formats", path::formats),
    ("panics", path::panics),
    ("endless_queues", path::endless_queues),
    ("sleeps", path::sleeps),
    ("ignored_tests", path::ignored_tests),
    ("unfinished", text::unfinished),
    ("machine_paths", text::machine_paths),
    ("hosts", text::hosts),
    ("lines", text::lines),
    ("named_paths", text::named_paths),
    ("lock_files", books::lock_files),
    ("provenance", books::provenance),
    ("dependencies", books::dependencies),
    ("limits", books::limits),
    ("messages", books::messages),
    ("lints", books::lints),
    ("benches", books::benches),
];

#[test]
fn the_tree_keeps_every_rule() {
    let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(tree.rust.len() > 5, "only {} Rust files were found: the tree was not read", tree.rust.len());
    let broken: Vec<String> =
        RULES.iter().flat_map(|(name, rule)| rule(&tree).into_iter().map(move |violation| format!("[{name}] {violation}"))).collect();
    assert!(broken.is_empty(), "\n{}\n{} violations\n", broken.join("\n"), broken.len());
}

#[test]
fn every_rule_has_a_test_that_plants_a_violation() {
    let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    for (name, _) in RULES {
        let planted = tree.rust.iter().filter(|file| file.path.starts_with("tests/tidy/")).any(|file| {
            rust::words(&file.code, "fires").any(|at| file.code[at..].starts_with(&format!("fires({name},")) && file.is_test(at))
        });
        assert!(planted, "no test says fires({name}, ...)");
    }
}
