//! Our own messages, each beside what must be read of it.

use std::fs;
use std::path::Path;

use najda::wire::dialog_info;
use najda::wire::notes::Notes;
use najda::wire::reading::Kind;
use serde_json::Value;

use super::forge::{differences, read};

#[test]
fn every_message_of_our_own_yields_its_values() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let list = fs::read_to_string(folder.join("EXPECT.jsonl")).unwrap();
    let mut count = 0;
    let mut wrong = Vec::new();
    for line in list.lines() {
        let mut row: Value = serde_json::from_str(line).unwrap();
        let fields = row.as_object_mut().unwrap();
        let name = fields.remove("file").unwrap();
        let kind = Kind::from_word(fields.remove("as").unwrap().as_str().unwrap()).unwrap();
        let bytes = fs::read(folder.join(name.as_str().unwrap())).unwrap();
        let found = read(kind, &bytes);
        wrong.extend(differences(&row, &found, name.as_str().unwrap()));
        count += 1;
    }
    println!("messages of our own: {count}");
    assert!(count >= 12 && wrong.is_empty(), "{wrong:#?}");
}

/// Goal: what once broke a reader, or might have, never does again. Method: every seed of the fuzz targets, as every kind of message.
#[test]
fn every_seed_of_the_fuzz_targets_is_read_by_every_reader() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
    let mut count = 0;
    for folder in fs::read_dir(seeds).unwrap().flatten() {
        for seed in fs::read_dir(folder.path()).unwrap().flatten() {
            let bytes = fs::read(seed.path()).unwrap();
            for kind in Kind::ALL {
                assert!(read(kind, &bytes)["outcome"].is_string(), "{} as {}", seed.path().display(), kind.word());
            }
            drop(dialog_info::read(&bytes, &mut Notes::default()));
            drop(najda::wire::frame::decode_fact(&bytes));
            count += 1;
        }
    }
    println!("seeds of the fuzz targets: {count}");
    assert!(count >= 6);
}
