//! The packs that tests decide with, built once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use najda::decision::DecisionRecord;
use najda::edge::tables::{load_files, load_or_shipped, read_folder};
use najda::route::{record, route};
use najda::tables::import::{Layer, Request, import};
use najda::tables::snapshot::{Snapshot, Tables};
use najda::units::{ContactId, Name, Timestamp};
use najda::wire::contact_json::read_contact;

/// `../shared`, which users do not have. Prints a counted skip where it is absent.
pub fn shared(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(file);
    if !path.exists() {
        println!("skipped 1: {file} of the shared material is not here");
        return None;
    }
    Some(path)
}

/// A folder of this repository.
pub fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn uae() -> &'static Snapshot {
    static UAE: OnceLock<Snapshot> = OnceLock::new();
    UAE.get_or_init(|| Snapshot::of(load_or_shipped(None).unwrap().tables))
}

pub fn testland() -> &'static Snapshot {
    static TESTLAND: OnceLock<Snapshot> = OnceLock::new();
    TESTLAND.get_or_init(|| Snapshot::of(load_or_shipped(Some(&folder("routing-tables/testland"))).unwrap().tables))
}

/// The shipped pack with the official boundaries brought in, as `najda tables import` does it.
pub fn official() -> Option<&'static Snapshot> {
    static OFFICIAL: OnceLock<Option<Snapshot>> = OnceLock::new();
    OFFICIAL.get_or_init(|| Some(Snapshot::of(import_official()?))).as_ref()
}

fn import_official() -> Option<Arc<Tables>> {
    let layer = |file: &str| Some(Layer { name: file.to_owned(), bytes: std::fs::read(shared(&format!("data/uae/{file}"))?).unwrap() });
    let request = Request {
        land: layer("uae_emirates_cod_full.geojson")?,
        water: Some(layer("uae_waters_derived_12nm.geojson")?),
        id_property: "iso_3166_2".to_owned(),
        accuracy_m: najda::tables::import::ACCURACY_M,
        date: "2026-01-01".to_owned(),
        ..Request::default()
    };
    let base = read_folder(&folder("routing-tables/uae")).unwrap();
    let imported = import(&base, &request, &mut |_| {}).unwrap_or_else(|defects| panic!("{defects:#?}"));
    Some(load_files(&imported.files).unwrap_or_else(|error| panic!("{error}")).tables)
}

/// Decides one contact written as JSON.
pub fn decide(snapshot: &Snapshot, json: &str) -> DecisionRecord {
    let noon = Timestamp::from_secs(1_780_308_000);
    let read =
        read_contact(json.as_bytes(), Name::new("test").unwrap(), ContactId(1), noon).unwrap_or_else(|error| panic!("{json}: {error}"));
    record(&snapshot.tables, &route(snapshot, &read.contact, read.contact.received))
}

/// `police TL-CAP-POL, ambulance TL-CAP-AMB`, the lead first.
pub fn services(record: &DecisionRecord) -> String {
    record.services.iter().map(|one| format!("{} {}", one.service, one.dispatcher)).collect::<Vec<_>>().join(", ")
}

pub fn told(record: &DecisionRecord) -> String {
    record.neighbours.iter().map(|one| format!("{} {}", one.dispatcher, one.why)).collect::<Vec<_>>().join(", ")
}

pub fn odd(record: &DecisionRecord) -> String {
    record.discrepancies.iter().map(|code| code.to_string()).collect::<Vec<_>>().join(" ")
}
