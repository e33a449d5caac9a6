//! An authority's own boundaries in place of the shipped ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use najda::geo::point::Point;
use najda::geo::tiling::{contains, distance_cm};
use najda::tables::check::check_files;
use najda::tables::import::{Imported, Layer, Request, import, write_features};
use najda::tables::source::{Defect, Feature, Files, Row, parse_features};

use super::tables_check::pack;

fn layer(name: &str, bytes: impl Into<Vec<u8>>) -> Layer {
    Layer { name: name.to_owned(), bytes: bytes.into() }
}

fn request(land: impl Into<Vec<u8>>) -> Request {
    Request {
        land: layer("official.geojson", land),
        id_property: "code".to_owned(),
        accuracy_m: 50,
        date: "2026-03-01".to_owned(),
        ..Request::default()
    }
}

fn run(base: &Files, request: &Request) -> Result<Imported, Vec<Defect>> {
    import(base, request, &mut |_| {})
}

fn feature(code: &str, coordinates: &str) -> String {
    format!(
        "{{\"type\":\"Feature\",\"properties\":{{\"code\":\"{code}\",\"name\":\"n\"}},\
         \"geometry\":{{\"type\":\"Polygon\",\"coordinates\":{coordinates}}}}}"
    )
}

fn collection(features: &[String]) -> String {
    format!("{{\"type\":\"FeatureCollection\",\"features\":[{}]}}", features.join(","))
}

const EAST: &str = "[[[40.003,10.003],[40.0071,10.003],[40.0071,10.007],[40.003,10.007],[40.003,10.003]]]";
const WEST: &str = "[[[40,10],[40.01,10],[40.01,10.01],[40,10.01],[40,10]],\
                    [[40.003,10.003],[40.003,10.007],[40.0071,10.007],[40.0071,10.003],[40.003,10.003]]]";
const NORTH: &str = "[[[40.02,10.01],[40.03,10.01],[40.03,10.02],[40.02,10.02],[40.02,10.01]]]";
/// Its northern edge was drawn about a metre too far south, and has a vertex of its own.
const SOUTH: &str = "[[[40.02,10],[40.03,10],[40.03,10.00999],[40.025,10.00999],[40.02,10.00999],[40.02,10]]]";

fn official() -> String {
    collection(&[feature("Q-E", EAST), feature("Q-N", NORTH), feature("Q-S", SOUTH), feature("Q-W", WEST)])
}

fn text(files: &Files, name: &str) -> String {
    String::from_utf8(files[name].clone()).unwrap()
}

#[test]
fn an_official_layer_replaces_the_shipped_one_and_the_pack_stays_sound() {
    let Imported { files, report } = run(&pack(), &request(official())).unwrap();
    assert_eq!(report.checked, check_files(&files));
    assert_eq!((report.checked.defects.as_slice(), report.warnings.as_slice()), ([].as_slice(), [].as_slice()));
    assert_eq!((report.land.features, report.land.vertices_read), (4, 21));
    assert_eq!((report.land.snapping.vertices_snapped, report.land.snapping.nodes_added), (2, 1));
    assert!(report.land.snapping.moved_cm_max <= 200);
    assert_eq!(report.land.slivers, 0);
    for name in ["areas.csv", "dispatchers.csv", "plans.csv", "policies.csv", "cells.csv"] {
        assert_eq!(files[name], pack()[name], "{name} is the base's");
    }
}

#[test]
fn what_was_true_of_the_old_layer_only_goes_with_it() {
    let mut base = pack();
    base.insert("boundaries/water.geojson".to_owned(), base["boundaries/land.geojson"].clone());
    let Imported { files, report } = run(&base, &request(official())).unwrap();
    assert!(report.water_dropped && !files.contains_key("boundaries/water.geojson"));

    let pack_toml = text(&files, "pack.toml");
    assert!(pack_toml.contains("accuracy_m = 50\n") && pack_toml.contains("rough = false\n"));
    assert!(pack_toml.contains("coast_m = 20000"), "other keys stay");

    let borders = text(&files, "borders.csv");
    assert!(borders.contains("Q-N,XX,50,"), "the national border is the new layer's line: {borders}");
    assert!(!borders.contains("guessed"), "{borders}");
    assert!(borders.contains("Q-N,Q-S,50,,\"official.geojson, imported 2026-03-01\""), "{borders}");
    assert!(borders.contains("Q-E,Q-W,50,") && borders.contains("Q-W,coast,50,") && !borders.contains("measured"));
    assert_eq!(report.borders_dropped, 3);

    let overlays = text(&files, "overlays.csv");
    assert_eq!(report.overlays_dropped, ["ISLET", "NEUTRAL"]);
    assert_eq!(report.overlays_marked, ["CLAIMED"]);
    assert!(
        overlays.contains("CLAIMED,mark,,Q-S,,10,,circle 10.0051 40.0251 100,50,disputed,Q-N,drawn,\"claimed, by both\""),
        "{overlays}"
    );
    assert!(overlays.contains("PORT,room,police") && overlays.contains("# Patches"));
}

#[test]
fn a_disputed_overlay_outside_the_new_layer_stays_what_it_was() {
    let mut base = pack();
    let moved = text(&base, "overlays.csv").replace("circle 10.0051 40.0251 100", "circle 10.5 40.5 100");
    base.insert("overlays.csv".to_owned(), moved.into_bytes());
    let Imported { files, report } = run(&base, &request(official())).unwrap();
    assert!(report.overlays_marked.is_empty());
    assert!(text(&files, "overlays.csv").contains("CLAIMED,area"));
}

#[test]
fn the_provenance_tells_of_the_new_files_and_no_longer_of_the_old() {
    let base = {
        let mut base = pack();
        let stated = text(&base, "PROVENANCE.toml") + "\n[[row]]\nid = \"pack\"\nfile = \"quad/pack.toml\"\nsha256 = \"abc123\" # stated\n";
        base.insert("PROVENANCE.toml".to_owned(), stated.into_bytes());
        base
    };
    let Imported { files, .. } = run(&base, &request(official())).unwrap();
    let provenance = text(&files, "PROVENANCE.toml");
    let own_drawing = provenance.split("[[row]]").find(|row| row.contains("own drawing")).unwrap();
    assert!(!own_drawing.contains("file ="), "overlays still name the source, but its file is gone: {provenance}");
    assert!(provenance.contains("id = \"imported-land\"") && provenance.contains("date = \"2026-03-01\""));
    assert!(provenance.contains("# stated") && !provenance.contains("abc123"), "a changed file has its new sum");
    toml::from_str::<toml::Table>(&provenance).unwrap();
    assert_eq!(check_files(&files).defects, []);
}

#[test]
fn ids_are_mapped_and_numbers_are_ids_too() {
    let land = official().replace("\"Q-N\"", "7").replace("\"Q-S\"", "\"South\"");
    let mut request = request(land);
    request.map = BTreeMap::from([("7".to_owned(), "Q-N".to_owned()), ("South".to_owned(), "Q-S".to_owned())]);
    let Imported { files, .. } = run(&pack(), &request).unwrap();
    assert!(text(&files, "boundaries/land.geojson").contains("\"area\":\"Q-N\""));
}

#[test]
fn water_and_regions_are_imported_when_given() {
    let mut request = request(official());
    request.water = Some(layer("sea.geojson", collection(&[feature("Q-W", "[[[39.99,10],[40,10],[40,10.01],[39.99,10.01],[39.99,10]]]")])));
    request.regions = Some(layer("regions.geojson", official()));
    let Imported { files, report } = run(&pack(), &request).unwrap();
    assert!(text(&files, "boundaries/water.geojson").contains("Q-W"));
    assert!(text(&files, "boundaries/regions.geojson").contains("\"region\":\"Q-E\""));
    assert_eq!(report.water.unwrap().features, 1);
    assert_eq!(check_files(&files).defects, []);
}

#[test]
fn the_command_writes_the_new_pack_and_says_what_it_did() {
    use clap::Parser;
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: najda::cli::tables_import::ImportArgs,
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    najda::edge::tables::write_folder(&dir.path().join("base"), &pack()).unwrap();
    std::fs::write(dir.path().join("official.geojson"), official().replace("Q-N", "7")).unwrap();
    let import = |out: &str, map: &str| {
        let (base, land, out) = (at("base"), at("official.geojson"), at(out));
        let line =
            ["import", "--base", &base, "--land", &land, "--id-property", "code", "--map", map, "--date", "2026-03-01", "--out", &out];
        najda::cli::tables_import::run(Line::try_parse_from(line).unwrap().args)
    };
    let code = |result: anyhow::Result<std::process::ExitCode>| format!("{:?}", result.unwrap());
    assert_eq!(code(import("new", "7=Q-N")), code(Ok(std::process::ExitCode::SUCCESS)));
    let mut expected = request(official().replace("Q-N", "7"));
    expected.map = BTreeMap::from([("7".to_owned(), "Q-N".to_owned())]);
    let Imported { files, report } = run(&pack(), &expected).unwrap();
    assert_eq!(najda::edge::tables::read_folder(&dir.path().join("new")).unwrap(), files);
    let printed = najda::cli::tables_import::text(&report, "new");
    for words in
        ["land: 4 features, 21 vertices read, 22 written", "2 vertices snapped", "1 nodes added", "2 dropped", "0 errors, 0 warnings"]
    {
        assert!(printed.contains(words), "`{words}` is not in {printed}");
    }
    assert_eq!(code(import("refused", "7=Q-X")), code(Ok(std::process::ExitCode::FAILURE)));
    assert!(!dir.path().join("refused").exists(), "nothing is written when the layers are refused");
    assert!(import("new", "7=Q-N").is_err(), "an existing pack is never overwritten");
}

#[test]
fn an_import_is_the_same_on_every_run() {
    let first = run(&pack(), &request(official())).unwrap();
    assert_eq!(first.files, run(&pack(), &request(official())).unwrap().files);
    // Importing what was exported moves nothing.
    let mut again = request(first.files["boundaries/land.geojson"].clone());
    again.id_property = "area".to_owned();
    let second = run(&first.files, &again).unwrap();
    assert_eq!(second.files["boundaries/land.geojson"], first.files["boundaries/land.geojson"]);
    assert_eq!(second.report.land.snapping, Default::default());
}

#[test]
fn each_bad_layer_is_refused_with_its_feature_and_a_remedy() {
    let with = |east: &str| collection(&[feature("Q-E", east), feature("Q-N", NORTH), feature("Q-S", SOUTH), feature("Q-W", WEST)]);
    let swapped = official().replace("[40", "[T").replace(",10", ",40").replace("[T", "[10").replace("[10]", "[10,40]");
    let cases: &[(&str, Vec<u8>, &str, u64, &str)] = &[
        ("a property that is not there", official().replace("\"code\"", "\"kod\"").into_bytes(), "no_id", 1, "kod, name"),
        ("an id that no area has", official().replace("Q-N", "NN").into_bytes(), "unknown_area", 0, "--map NN="),
        ("an area without a feature", collection(&[feature("Q-E", EAST)]).into_bytes(), "area_without_boundary", 0, "--map"),
        ("latitude first", swapped.into_bytes(), "swapped_axes", 0, "longitude first"),
        (
            "metres",
            with("[[[512000,2800000],[512100,2800000],[512100,2800100],[512000,2800000]]]").into_bytes(),
            "projected",
            1,
            "EPSG:4326",
        ),
        ("an open ring", with("[[[40.003,10.003],[40.007,10.003],[40.007,10.007],[40.003,10.007]]]").into_bytes(), "bad_ring", 1, "repeat"),
        (
            "a flat ring",
            with("[[[40.003,10.003],[40.007,10.003],[40.005,10.003],[40.003,10.003]]]").into_bytes(),
            "bad_ring",
            1,
            "draw the area",
        ),
        ("TopoJSON", b"{\"type\":\"Topology\",\"arcs\":[],\"objects\":{}}".to_vec(), "bad_geojson", 0, "topo2geo"),
        ("one feature alone", feature("Q-E", EAST).into_bytes(), "bad_geojson", 0, "FeatureCollection"),
        ("KML", b"<?xml version=\"1.0\"?><kml/>".to_vec(), "bad_geojson", 0, "ogr2ogr"),
        ("a zip", b"PK\x03\x04rest".to_vec(), "bad_geojson", 0, "unzip"),
        ("nothing", Vec::new(), "bad_geojson", 0, "export"),
        ("half a file", official().as_bytes()[..400].to_vec(), "bad_geojson", 0, "again"),
        ("no features", collection(&[]).into_bytes(), "bad_geojson", 0, "export"),
        (
            "points",
            official()
                .replace(
                    "\"Polygon\",\"coordinates\":[[[40.003,10.003],[40.0071,10.003],[40.0071,10.007],[40.003,10.007],[40.003,10.003]]]",
                    "\"Point\",\"coordinates\":[40,10]",
                )
                .into_bytes(),
            "bad_geometry",
            1,
            "areas",
        ),
        (
            "a projected reference system",
            official()
                .replacen('{', "{\"crs\":{\"type\":\"name\",\"properties\":{\"name\":\"urn:ogc:def:crs:EPSG::32640\"}},", 1)
                .into_bytes(),
            "bad_geojson",
            0,
            "EPSG:4326",
        ),
    ];
    for (name, bytes, code, row, remedy) in cases {
        let defects = match run(&pack(), &request(bytes.clone())) {
            Ok(_) => panic!("{name} was taken"),
            Err(defects) => defects,
        };
        let found = defects.iter().find(|d| d.code == *code && d.row == *row && d.file == "official.geojson");
        let Some(found) = found else { panic!("{name} should be {code} at {row}: {defects:#?}") };
        assert!(found.remedy.contains(remedy), "{name}: {found}");
    }
}

#[test]
fn a_layer_wrong_in_every_vertex_is_told_a_few_times_only() {
    let metres = "[[[512000,2800000],[512100,2800000],[512100,2800100],[512000,2800000]]]";
    let many = collection(&[format!(
        "{{\"type\":\"Feature\",\"properties\":{{\"code\":\"Q-E\"}},\"geometry\":{{\"type\":\"MultiPolygon\",\"coordinates\":[{}]}}}}",
        vec![metres; 500].join(",")
    )]);
    let defects = run(&pack(), &request(many)).unwrap_err();
    assert!(defects.len() < 10, "{}", defects.len());
}

#[test]
fn rings_without_an_inside_are_left_out_and_told() {
    let flat = SOUTH.replacen("]]]", "]],[[40.021,10.001],[40.022,10.001],[40.021,10.001]]]", 1);
    let land = collection(&[feature("Q-E", EAST), feature("Q-N", NORTH), feature("Q-S", &flat), feature("Q-W", WEST)]);
    let Imported { files, report } = run(&pack(), &request(land)).unwrap();
    assert_eq!(files["boundaries/land.geojson"], run(&pack(), &request(official())).unwrap().files["boundaries/land.geojson"]);
    assert!(report.warnings.iter().any(|d| d.code == "bad_ring" && d.row == 3), "{:?}", report.warnings);
}

#[test]
fn a_base_that_is_no_pack_is_told() {
    let defects = run(&Files::new(), &request(official())).unwrap_err();
    assert!(defects.iter().any(|defect| defect.file == "pack.toml" && defect.code == "missing_file"));
}

#[test]
fn random_damage_to_a_layer_never_panics() {
    let mut dice = Dice(7);
    let whole = official().into_bytes();
    for _ in 0..2_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + dice.roll(4) {
            let at = dice.roll(bytes.len() as u64) as usize;
            match dice.roll(3) {
                0 => bytes[at] = b"0123456789.,-[]{}\":eE"[dice.roll(21) as usize],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"0123456789.-"[dice.roll(12) as usize]),
            }
        }
        let _ = run(&pack(), &request(bytes));
    }
}

// --- layers of real size ---

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below.max(1)
    }
}

fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    if path.is_file() {
        return Some(path);
    }
    println!("1 skipped: {path} is absent", path = path.display());
    None
}

/// A pack for a layer: its areas, and rooms for all of them.
fn pack_for(ids: &BTreeSet<String>, snap_m: u32) -> Files {
    let mut files = pack();
    for gone in ["overlays.csv", "borders.csv", "cells.csv", "places.csv", "trunks.csv", "lines.csv", "area_codes.csv"] {
        files.remove(gone);
    }
    let mut put = |name: &str, text: String| files.insert(name.to_owned(), text.into_bytes());
    let rows = |line: &dyn Fn(&str) -> String| ids.iter().map(|id| line(id)).collect::<String>();
    put("areas.csv", format!("id,name_en,name_ar,note\n{}", rows(&|id| format!("{id},{id},{id},\n"))));
    put("answering.csv", format!("area,dispatcher,note\n*,POL,\n{}", rows(&|id| format!("{id},POL,\n"))));
    put(
        "dispatchers.csv",
        "id,service,name_en,name_ar,room,site,areas,languages,text,capacity,uri,take_s,overflow,lat,lon,note\n\
         POL,police,P,P,P,p,*,ar,yes,9,sip:p@x.example,10,HELP,,,\nHELP,police,H,H,H,h,,ar,yes,9,sip:h@x.example,10,,,,\n"
            .to_owned(),
    );
    put("plans.csv", "type,area,services,note\n*,*,police,\n".to_owned());
    put("numbers.csv", "number,kind,service,medium,note\n990,national,,any,\n".to_owned());
    put("policies.csv", "id,order,service,area,when,then,dispatchers,note\nLAST,90,police,*,always,fallback,HELP,\n".to_owned());
    let toml = text(&pack(), "pack.toml").replace("snap_m = 2", &format!("snap_m = {snap_m}")).replace("gap_m = 20", "gap_m = 300");
    files.insert("pack.toml".to_owned(), toml.into_bytes());
    files.remove("boundaries/land.geojson");
    files
}

fn read(name: &str, bytes: &[u8], property: &str) -> Vec<Row<Feature>> {
    let mut defects = Vec::new();
    let rows = parse_features(name, bytes, property, &mut defects);
    assert_eq!(defects, []);
    rows
}

fn owners(rows: &[Row<Feature>], p: Point) -> BTreeSet<&str> {
    rows.iter().filter(|row| contains(&row.value.polygons, p)).map(|row| row.value.id.as_str()).collect()
}

/// No vertex of the new layer is farther than `snap_m` from the old line, and no owner changes farther than that from a border.
fn assert_exact(old: &[Row<Feature>], new: &[Row<Feature>], snap_m: u32, points: u64) {
    let mut dice = Dice(42);
    let vertices: Vec<Point> = old.iter().flat_map(|row| row.value.polygons.iter().flatten().flatten().copied()).collect();
    for n in 0..points {
        let near = vertices[dice.roll(vertices.len() as u64) as usize];
        // Half of the points a few metres from a border, the others up to some kilometres.
        let reach = if n % 2 == 0 { 2_000 } else { 500_000 };
        let mut shift = |v: i32| v + dice.roll(2 * reach) as i32 - reach as i32;
        let p = Point { lat_e7: shift(near.lat_e7), lon_e7: shift(near.lon_e7) };
        if owners(old, p) != owners(new, p) {
            let nearest = old.iter().filter_map(|row| distance_cm(&row.value.polygons, p)).min().unwrap();
            assert!(nearest <= u64::from(snap_m) * 100, "{p:?} changed its owner {nearest} cm from every border");
        }
    }
    let known: BTreeSet<Point> = vertices.into_iter().collect();
    let of_new = new.iter().flat_map(|row| row.value.polygons.iter().flatten().flatten().map(move |p| (row, *p)));
    let mut new = of_new.filter(|(_, p)| !known.contains(p));
    if let Some((row, p)) = new.next() {
        panic!("{p:?} of `{}` stood in no feature of the layer", row.value.id);
    }
}

#[test]
fn the_official_emirates_are_imported_exactly_in_seconds() {
    let (Some(land), Some(water)) = (shared("uae/uae_emirates_cod_full.geojson"), shared("uae/uae_waters_derived_12nm.geojson")) else {
        return;
    };
    let (land, water) = (std::fs::read(land).unwrap(), std::fs::read(water).unwrap());
    let old = read("land", &land, "iso_3166_2");
    let ids = old.iter().map(|row| row.value.id.clone()).collect();
    let mut base = pack_for(&ids, 5);
    // Oman's enclave lies inside the union of the emirates; with its boundary declared it is no gap.
    let Some(madha) = shared("uae/oman_madha_enclave_from_cod_hole.geojson") else { return };
    base.insert("boundaries/foreign.geojson".to_owned(), std::fs::read(madha).unwrap());
    base.insert("foreign.csv".to_owned(), text(&pack(), "foreign.csv").replace("XX,", "OM,").into_bytes());
    let mut request = request(land);
    (request.id_property, request.water) = ("iso_3166_2".to_owned(), Some(layer("water.geojson", water)));
    let began = Instant::now();
    let Imported { files, report } = run(&base, &request).unwrap();
    println!("import of the emirates: {:?}; {:?}; {:?}", began.elapsed(), report.land, report.water);
    report.warnings.iter().chain(&report.checked.defects).for_each(|defect| println!("{defect}"));
    // Of the file's 46,478 positions, one in each ring closes it and a few repeat the one before.
    assert_eq!((report.land.features, report.land.vertices_read), (7, 46_093));
    assert!(began.elapsed().as_secs() < 30);
    assert!(report.checked.is_publishable());
    assert_exact(&old, &read("new", &files["boundaries/land.geojson"], "area"), 5, 3_000);
}

#[test]
fn the_departements_of_france_are_imported_exactly_in_seconds() {
    let Some(land) = shared("scale/fr_departements_ign2018.geojson") else { return };
    let land = std::fs::read(land).unwrap();
    let old = read("land", &land, "code");
    let base = pack_for(&old.iter().map(|row| row.value.id.clone()).collect(), 5);
    let began = Instant::now();
    let Imported { files, report } = run(&base, &request(land)).unwrap();
    println!("import of the departements: {:?}; {:?}", began.elapsed(), report.land);
    report.checked.defects.iter().for_each(|defect| println!("{defect}"));
    assert_eq!((report.land.features, report.checked.is_publishable()), (96, true));
    assert!(began.elapsed().as_secs() < 30);
    assert_exact(&old, &read("new", &files["boundaries/land.geojson"], "area"), 5, 1_500);
}

#[test]
fn a_layer_shaken_by_a_metre_is_put_together_again() {
    let Some(land) = shared("uae/uae_emirates_cod_simplified_30m.geojson") else { return };
    let mut rows = read("land", &std::fs::read(land).unwrap(), "iso_3166_2");
    let mut dice = Dice(3);
    // Each emirate draws every vertex up to half a metre off, so borders that were one are two.
    for row in &mut rows {
        for point in row.value.polygons.iter_mut().flatten().flatten() {
            point.lat_e7 += dice.roll(91) as i32 - 45;
            point.lon_e7 += dice.roll(91) as i32 - 45;
        }
    }
    let base = pack_for(&rows.iter().map(|row| row.value.id.clone()).collect(), 5);
    let mut request = request(write_features("iso_3166_2", &rows));
    request.id_property = "iso_3166_2".to_owned();
    let Imported { files, report } = run(&base, &request).unwrap();
    println!("shaken emirates: {:?}", report.land);
    assert!(report.land.snapping.vertices_snapped > 500);
    assert!(report.land.closed > 500);
    // What is left is Oman's enclave, which no foreign layer of this base declares.
    let left: Vec<&str> = report.checked.defects.iter().filter(|defect| !defect.warning).map(|defect| defect.code).collect();
    assert_eq!(left, ["gap"], "{:#?}", report.checked.defects);
    assert_exact(&rows, &read("new", &files["boundaries/land.geojson"], "area"), 5, 3_000);
}
