//! Rules about the contact's path: no machine in the pure part, formats caged, no panic, every channel bounded, tests that wait
//! for conditions.

use crate::rust::{RustFile, closing, ident_after, sign_after, words};
use crate::shape::is_macro;
use crate::tree::{Tree, Violation};

/// Where a machine may show: sockets, files, clocks, threads, entropy.
const EDGE: [&str; 4] = ["client", "edge", "cli", "manual"];
/// The one pure file that may hold an atomic: readers and the publisher meet there.
const PUBLISHED: &str = "src/tables/published.rs";
/// Modules a contact passes through between its bytes and its offer.
const PATH: [&str; 9] = ["classify", "contact", "decision", "deliver", "engine", "incident", "locate", "route", "wire"];

/// Crates that only the edge may name.
const MACHINE_CRATES: [&str; 6] = ["dashmap", "getrandom", "quinn", "rand", "rusqlite", "tokio"];

/// Paths that only the edge may name.
const MACHINE: [&str; 16] = [
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "std::os",
    "io::stdin",
    "io::stdout",
    "io::stderr",
    "Instant",
    "SystemTime",
    "Uuid::now_v7",
    "Uuid::new_v4",
    "Timestamp::now",
    "Zoned::now",
    "RandomState",
];

/// Locks and atomics: nothing in the pure part waits or is shared, except the published snapshot.
const SHARED_STATE: [&str; 7] =
    ["sync::atomic", "sync::Mutex", "sync::RwLock", "sync::Condvar", "arc_swap", "crossbeam::epoch", "crossbeam::atomic"];

/// Outside `src/client`, `src/edge` and `src/cli` there is no I/O, clock, thread, randomness or randomly seeded map.
pub fn purity(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in tree.rust.iter().filter(|file| file.module().is_some_and(|module| !EDGE.contains(&module))) {
        let mut found = |at: usize, what: String| {
            if !file.is_test(at) {
                let remedy = "take it as an argument, or move the code to src/edge/ (addresses: core::net)";
                broken.push(Violation::new(&file.path, file.line(at), format!("{what} in the pure part"), remedy));
            }
        };
        for named in file.named() {
            let machine = MACHINE.iter().find(|pattern| named.names(pattern));
            if let Some(pattern) = machine.or_else(|| MACHINE_CRATES.iter().find(|name| named.is_of(name))) {
                found(named.at, format!("`{pattern}`"));
            }
            if let Some(pattern) = SHARED_STATE.iter().find(|pattern| file.path != PUBLISHED && named.names(pattern)) {
                found(named.at, format!("`{pattern}`"));
            }
        }
        for name in ["print", "println", "eprint", "eprintln"] {
            words(&file.code, name).filter(|at| is_macro(&file.code, *at, name)).for_each(|at| found(at, format!("`{name}!`")));
        }
        for (name, hasher) in [("HashMap", 2), ("HashSet", 1)] {
            words(&file.code, name).filter(|at| is_seeded_by_chance(&file.code, *at + name.len(), hasher)).for_each(|at| {
                found(at, format!("`{name}` with a random seed"));
            });
        }
    }
    broken
}

/// What follows `HashMap`: a list of types without a hasher, or a constructor that only the random hasher has.
fn is_seeded_by_chance(code: &str, after: usize, hasher: usize) -> bool {
    const SEEDED: [&str; 4] = ["from", "from_iter", "new", "with_capacity"];
    let generics = code[after..].strip_prefix("::").map_or(after, |_| after + 2);
    if sign_after(code, generics) != Some(b'<') {
        return generics > after && ident_after(code, generics).is_some_and(|name| SEEDED.contains(&name));
    }
    let open = generics + code[generics..].find('<').unwrap_or_default();
    let (mut depth, mut commas) = (0_usize, 0);
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' if code.as_bytes()[at - 1] == b'-' => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            // A comma before the closing bracket adds no type.
            b',' if depth == 1 && sign_after(code, at + 1) != Some(b'>') => commas += 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    commas < hasher
}

/// Only `src/wire/` and the edge write formats; the tables may parse their own files; bincode lives in one file.
pub fn formats(tree: &Tree) -> Vec<Violation> {
    const FORMATS: [&str; 6] = ["csv", "geojson", "quick_xml", "serde", "serde_json", "toml"];
    // The bench that measures frames beside it.
    const BARE: &str = "benches/frame.rs";
    const MODULES: [&str; 5] = ["cli", "client", "edge", "manual", "wire"];
    const TABLES: [&str; 4] = ["src/tables/check", "src/tables/import", "src/tables/lexicon", "src/tables/source"];
    let may = |file: &RustFile| {
        file.module().is_none_or(|module| MODULES.contains(&module)) || TABLES.iter().any(|start| file.path.starts_with(start))
    };
    let mut broken = Vec::new();
    for file in &tree.rust {
        for named in file.named() {
            let line = file.line(named.at);
            if named.is_of("bincode") && file.path != "src/wire/frame.rs" && file.path != BARE {
                broken.push(Violation::new(
                    &file.path,
                    line,
                    "`bincode` outside src/wire/frame.rs",
                    "go through the functions of wire/frame.rs",
                ));
            }
            if let Some(name) = FORMATS.iter().find(|name| named.is_of(name) && !may(file) && !file.is_test(named.at)) {
                let remedy = "mirror the type in src/wire/ and convert";
                broken.push(Violation::new(&file.path, line, format!("`{name}`: a format in a domain module"), remedy));
            }
        }
    }
    broken
}

/// On a contact's path a broken invariant is counted and answered with the fallback dispatcher; it never panics.
pub fn panics(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in tree.rust.iter().filter(|file| file.module().is_some_and(|module| PATH.contains(&module))) {
        let mut found = |at: usize, what: &str| {
            if !file.is_test(at) {
                let remedy = "answer with the fallback and a Discrepancy; an `expect` needs its proof in a comment on or above its line";
                broken.push(Violation::new(&file.path, file.line(at), format!("{what} on the contact's path"), remedy));
            }
        };
        for name in ["panic", "todo", "unimplemented", "unreachable"] {
            words(&file.code, name).filter(|at| is_macro(&file.code, *at, name)).for_each(|at| found(at, &format!("`{name}!`")));
        }
        for name in ["expect", "unwrap"] {
            let calls = words(&file.code, name).filter(|at| file.code[..*at].trim_end().ends_with('.'));
            let unproven = calls.filter(|at| name == "unwrap" || !has_proof(file, *at));
            unproven.filter(|at| sign_after(&file.code, *at + name.len()) == Some(b'(')).for_each(|at| found(at, &format!("`.{name}(`")));
        }
    }
    broken
}

/// A comment on the line, or on the line above.
fn has_proof(file: &RustFile, at: usize) -> bool {
    let line = file.line(at);
    let comment = |number: usize| {
        let raw = number.checked_sub(1).and_then(|index| file.raw.lines().nth(index)).unwrap_or_default();
        let kept = number.checked_sub(1).and_then(|index| file.strings.lines().nth(index)).unwrap_or_default();
        raw.contains("//") && raw.trim_end().len() > kept.trim_end().len()
    };
    comment(line) || comment(line - 1) && file.strings.lines().nth(line - 2).is_some_and(|above| above.trim().is_empty())
}

/// Every queue has a capacity.
pub fn endless_queues(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in &tree.rust {
        let endless = ["unbounded", "unbounded_channel", "SegQueue", "Injector"].into_iter().flat_map(|name| words(&file.code, name));
        let of_std = words(&file.code, "channel")
            .filter(|at| takes_no_capacity(&file.code, *at + "channel".len()) && !file.code[..*at].ends_with("oneshot::"));
        for at in endless.chain(of_std) {
            let remedy = "give it a capacity from src/limits.rs and say what happens when it is full";
            broken.push(Violation::new(&file.path, file.line(at), "a queue without a bound", remedy));
        }
    }
    broken
}

/// `channel()` or `channel::<T>()`: only the standard library's endless channel is made without a capacity.
fn takes_no_capacity(code: &str, after: usize) -> bool {
    let generics = if code[after..].starts_with("::<") { angles_end(code, after + "::".len()) } else { after };
    code.as_bytes().get(generics) == Some(&b'(') && code[generics + 1..closing(code, generics)].trim().is_empty()
}

/// The offset after the angle brackets that open at this one.
fn angles_end(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'<' => depth += 1,
            b'>' if code.as_bytes()[at - 1] != b'-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// A test waits for a condition, never for a time.
pub fn sleeps(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in &tree.rust {
        let named = ["sleep", "sleep_ms", "sleep_until"].into_iter().flat_map(|name| words(&file.code, name));
        for at in named.filter(|at| file.is_test(*at)) {
            let remedy = "wait on a channel or a condition with a time-out, or use a clock that the test moves";
            broken.push(Violation::new(&file.path, file.line(at), "a sleep in a test", remedy));
        }
    }
    broken
}

/// A test is left out only when `tests/all` runs it, and its reason says so.
pub fn ignored_tests(tree: &Tree) -> Vec<Violation> {
    let mut broken = Vec::new();
    for file in &tree.rust {
        for (at, _) in file.code.match_indices("#[ignore") {
            if !file.strings[at..closing(&file.code, at + 1)].contains("tests/all") {
                let remedy = "assert today's wrong answer and say why it is wrong, or write #[ignore = \"needs sipp: run tests/all\"]";
                broken.push(Violation::new(&file.path, file.line(at), "a test that nothing runs", remedy));
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
    fn a_machine_in_the_pure_part_is_found() {
        for code in [
            "use std::{fmt, fs};",
            "let now = std::time::Instant::now();",
            "use std::time::{Duration, SystemTime};",
            "tokio::spawn(x);",
            "use std::collections::hash_map::RandomState;",
            "println!(\"x\");",
            "let map: HashMap<u32, Vec<(u8, u8)>> = x;",
            "let map = HashMap::new();",
            "let set = x.collect::<HashSet<u32>>();",
            "let set = HashSet::<u32>::new();",
            "use std::sync::atomic::AtomicU64;",
            "std::io::stdin();",
            "let id = uuid::Uuid::now_v7();",
        ] {
            fires(purity, &[("src/route.rs", code)], &[("src/route.rs", 1)]);
        }
    }

    #[test]
    fn the_edge_and_tests_may_touch_the_machine() {
        let code = "use std::fs;\nlet now = Instant::now();\nlet map: HashMap<u8, u8> = x;\n";
        passes(purity, &[("src/edge/clock.rs", code), ("src/cli/demo.rs", code), ("src/client/mod.rs", code), ("src/main.rs", code)]);
        passes(purity, &[("src/route.rs", "// std::fs\n#[cfg(test)]\nmod tests { use std::fs; }\n"), ("tests/x.rs", code)]);
        passes(purity, &[("src/tables/published.rs", "use std::sync::atomic::AtomicPtr;\nuse arc_swap::ArcSwap;")]);
    }

    #[test]
    fn a_map_with_a_fixed_hasher_is_pure() {
        passes(purity, &[("src/engine.rs", "use std::collections::HashMap;\ntype Map<K, V> = HashMap<K, V, Fixed>;\nHashMap::default();")]);
        passes(purity, &[("src/engine.rs", "let keys: HashSet<u32, Fixed> = HashSet::with_hasher(fixed);")]);
        fires(purity, &[("src/engine.rs", "let map: HashMap<\n    u32,\n    u32,\n> = x;")], &[("src/engine.rs", 1)]);
    }

    #[test]
    fn a_format_in_a_domain_module_is_found() {
        fires(formats, &[("src/contact.rs", "use serde::Deserialize;\n")], &[("src/contact.rs", 1)]);
        fires(formats, &[("src/contact.rs", "#[derive(Debug,\n    serde::Serialize)]\nstruct A;\n")], &[("src/contact.rs", 2)]);
        fires(formats, &[("src/tables/index.rs", "csv::Reader::x();")], &[("src/tables/index.rs", 1)]);
        fires(formats, &[("src/wire/http.rs", "use bincode::Encode;\n")], &[("src/wire/http.rs", 1)]);
        fires(formats, &[("tests/behaviour/frames.rs", "bincode::encode(x);\n")], &[("tests/behaviour/frames.rs", 1)]);
    }

    #[test]
    fn formats_live_in_the_wire_and_at_the_edge() {
        let code = "use serde::Serialize;\nuse toml::Table;\n";
        passes(formats, &[("src/wire/http.rs", code), ("src/edge/config.rs", code), ("src/tables/source.rs", code), ("tests/x.rs", code)]);
        passes(formats, &[("src/wire/frame.rs", "use bincode::Encode;\n"), ("src/contact.rs", "// serde\n")]);
    }

    #[test]
    fn a_panic_on_the_path_is_found() {
        for code in ["a.unwrap();", "a\n.unwrap();", "panic!();", "unreachable!(\"x\");", "todo!()", "a.expect(\"// no comment\");"] {
            let line = code.lines().count();
            fires(panics, &[("src/wire/sip.rs", code)], &[("src/wire/sip.rs", line)]);
        }
    }

    #[test]
    fn a_proof_a_test_or_another_module_may_panic() {
        passes(panics, &[("src/route.rs", "// The table holds at least one row.\nlet a = b.expect(\"a row\");\n")]);
        passes(panics, &[("src/route.rs", "let a = b.expect(\"a row\"); // The table holds at least one row.\n")]);
        passes(panics, &[("src/route.rs", "a.unwrap_or(b);\nfn expect() {}\n#[cfg(test)]\nmod tests { fn x() { a.unwrap(); } }\n")]);
        passes(panics, &[("src/tables/build.rs", "a.unwrap();"), ("src/main.rs", "a.unwrap();")]);
        fires(panics, &[("src/route.rs", "let c = 1; // Not about the next line.\nb.expect(\"a row\");\n")], &[("src/route.rs", 2)]);
    }

    #[test]
    fn a_queue_without_a_bound_is_found() {
        for code in ["crossbeam::channel::unbounded();", "mpsc::channel();", "mpsc::channel::<(u8, u8)>( );", "SegQueue::x"] {
            fires(endless_queues, &[("src/edge/run.rs", code)], &[("src/edge/run.rs", 1)]);
        }
        passes(
            endless_queues,
            &[(
                "src/edge/run.rs",
                "mpsc::channel(8);\noneshot::channel();\nmpsc::channel::<u8>(N);\nbounded(8);\nlet channel = x;\n// unbounded\n",
            )],
        );
    }

    #[test]
    fn a_sleep_in_a_test_is_found() {
        fires(sleeps, &[("tests/behaviour/life.rs", "thread::sleep(x);")], &[("tests/behaviour/life.rs", 1)]);
        fires(sleeps, &[("src/engine.rs", "#[cfg(test)]\nmod tests {\nuse tokio::time::sleep;\n}")], &[("src/engine.rs", 3)]);
        passes(sleeps, &[("src/edge/run.rs", "tokio::time::sleep(x);"), ("tests/x.rs", "// sleep\nlet sleeper = 1;\n")]);
    }

    #[test]
    fn an_ignored_test_that_nothing_runs_is_found() {
        fires(ignored_tests, &[("tests/peers/main.rs", "#[ignore]\nfn a() {}")], &[("tests/peers/main.rs", 1)]);
        fires(ignored_tests, &[("tests/peers/main.rs", "#[ignore = \"slow\"]\nfn a() {}")], &[("tests/peers/main.rs", 1)]);
        passes(ignored_tests, &[("tests/peers/main.rs", "#[ignore = \"needs sipp: run tests/all\"]\nfn a() {}")]);
    }
}
