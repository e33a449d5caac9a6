//! What `najda tables check` finds, and what it proves.

use std::collections::BTreeSet;
use std::path::Path;

use najda::cli::tables_check::{json, text};
use najda::edge::tables::{read_folder, write_folder};
use najda::tables::check::{Report, check, check_files, check_with};
use najda::tables::source::{Defect, Files, Source};

/// Four squares of about a kilometre beside each other: N and S are islands' halves, W has an enclave E inside it.
pub fn pack() -> Files {
    let texts = [
        (
            "pack.toml",
            "schema = 1\nname = \"quad\"\ntitle_en = \"Quad\"\ntitle_ar = \"كواد\"\ncountry = \"QD\"\ncalling_code = \"999\"\n\
             trunk_prefix = \"0\"\nhome_mcc = [\"901\"]\nutc_offset_minutes = 60\nsnap_m = 2\ngap_m = 20\ncoast_m = 20000\n\
             accuracy_m = 400 # rough\nneighbour_ppm_min = 10000\nuncertainty_m = 50\n\
             area_property = \"area\"\nrough = true # drawn by hand\n",
        ),
        ("areas.csv", "id,name_en,name_ar,note\nQ-E,East,شرق,\nQ-N,North,شمال,\nQ-S,South,جنوب,\nQ-W,West,غرب,\n"),
        (
            "numbers.csv",
            "number,kind,service,medium,note\n990,national,,any,\n998,hint,ambulance,any,\n999,hint,police,voice,\n999,hint,police,sms,\n",
        ),
        (
            "dispatchers.csv",
            "id,service,name_en,name_ar,room,site,areas,languages,text,capacity,uri,take_s,overflow,lat,lon,note\n\
             E-POL,police,East,شرق,E-POL,east,Q-E,ar en,yes,8,sip:e@quad.example,10,N-POL,10.005,40.005,\n\
             N-POL,police,North,شمال,N-POL,north,Q-N Q-S,ar en,yes,8,sip:n@quad.example,10,W-POL,10.015,40.025,\n\
             W-POL,police,West,غرب,W-POL,west,Q-W,ar,yes,8,sip:w@quad.example,10,HELP,10.005,40.001,\n\
             HELP,police,Help,عون,HELP,help,,ar,no,8,sip:h@quad.example,10,,,,\n\
             AMB,ambulance,Ambulance,إسعاف,AMB,north,*,ar en,yes,8,sip:a@quad.example,15,,10.015,40.025,\n",
        ),
        ("answering.csv", "area,dispatcher,note\n*,W-POL,\nQ-E,E-POL,\nQ-N,N-POL,\nQ-S,N-POL,\nQ-W,W-POL,\n"),
        ("types.csv", "code,description,priority,quiet,sea\nFIRE,Fire,1,,\nSICK,Illness,2,no,\nSINK,Sinking,1,,yes\n"),
        (
            "plans.csv",
            "type,area,services,note\n*,*,police,\nSICK,*,ambulance,\nSINK,sea,police ambulance,\n\
             SINK,sea:Q-N,police,\nservice:police,Q-S,police,\n",
        ),
        (
            "policies.csv",
            "id,order,service,area,when,then,dispatchers,note\nAMB-FULL,10,ambulance,*,state:full,append,AMB,\n\
             AMB-LAST,90,ambulance,*,always,fallback,AMB,\nPOL-NIGHT,10,police,Q-S,hours:Mo-Fr 22:00-06:00,overflow,HELP,\n\
             POL-LAST,90,police,*,always,fallback,W-POL N-POL,\n",
        ),
        ("area_codes.csv", "prefix,areas,class,note\n05,Q-N Q-S,fixed,\n06,,mobile,\n"),
        (
            "lines.csv",
            "line,class,area,from,until,note\n\
             +99905*,fixed,Q-N,,,\n+999050000,test,,2026-01-01T00:00:00+01:00,2026-01-02T00:00:00+01:00,\n",
        ),
        ("trunks.csv", "trunk,gateway,area,default,note\nnorth-1,gw-n,Q-N,N-POL,\nmobile-1,gw-m,,W-POL,\n"),
        (
            "cells.csv",
            "cell,lat,lon,azimuth_deg,opening_deg,inner_m,outer_m,kind,area,from,until,note\n\
             9010100010001,10.005,40.025,0,120,0,900,outdoor,,,,\n90101000200*,10.015,40.025,0,360,0,900,indoor,Q-N,,,\n",
        ),
        ("foreign.csv", "country,name_en,name_ar,peer,uri,mcc,note\nXX,Next,جار,XX-1,sip:x@peer.example,902,\n"),
        (
            "borders.csv",
            "area_a,area_b,accuracy_m,within,source\nQ-N,Q-S,100,,measured\nQ-N,XX,900,10.0 40.0 500,guessed\nQ-W,coast,300,,\n",
        ),
        (
            "overlays.csv",
            "id,kind,services,area,dispatcher,precedence,hours,shape,accuracy_m,flag,told,provenance,note\n\
             # Patches of the drawn layer.\n\
             ISLET,area,,Q-N,,10,,circle 10.05 40.05 300,50,,,drawn,\n\
             CLAIMED,area,,Q-S,,10,,circle 10.0051 40.0251 100,50,disputed,Q-N,drawn,\"claimed, by both\"\n\
             NEUTRAL,area,,Q-W,,20,,\"polygon 40.1 10.1, 40.11 10.1, 40.11 10.11\",50,neutral_zone,,drawn,\n\
             PORT,room,police,,HELP,30,Mo-Fr 07:00-15:00,circle 10.015 40.02 200,,,,drawn,\n",
        ),
        ("places.csv", "name_en,name_ar,area,lat,lon,note\nMiddle,وسط,Q-E,10.005,40.005,\n"),
        (
            "PROVENANCE.toml",
            "# Where it came from.\n[[row]]\nid = \"drawn\"\nfile = \"boundaries/land.geojson\"\nsource = \"own drawing\"\n\n\
             [[row]]\nid = \"rows\"\nfile = \"areas.csv\"\n",
        ),
    ];
    let mut files: Files = texts.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect();
    files.insert("boundaries/land.geojson".to_owned(), land(&LAND).into_bytes());
    files
}

/// Id, and polygons as rings of corners in thousandths of a degree east of 40 and north of 10.
type Drawn<'a> = (&'a str, &'a [&'a [&'a [(i32, i32)]]]);

const EAST: &[(i32, i32)] = &[(3, 3), (7, 3), (7, 7), (3, 7)];
const WEST: &[(i32, i32)] = &[(0, 0), (10, 0), (10, 10), (0, 10)];
const SOUTH: &[(i32, i32)] = &[(20, 0), (30, 0), (30, 10), (20, 10)];
const NORTH: &[(i32, i32)] = &[(20, 10), (30, 10), (30, 20), (20, 20)];
const LAND: [Drawn<'static>; 4] = [("Q-E", &[&[EAST]]), ("Q-N", &[&[NORTH]]), ("Q-S", &[&[SOUTH]]), ("Q-W", &[&[WEST, EAST]])];

fn land(areas: &[Drawn]) -> String {
    let features: Vec<serde_json::Value> = areas
        .iter()
        .map(|(id, polygons)| {
            let degrees = |&(x, y): &(i32, i32)| [40.0 + f64::from(x) / 1000.0, 10.0 + f64::from(y) / 1000.0];
            let ring = |ring: &&[(i32, i32)]| ring.iter().chain(ring.first()).map(degrees).collect::<Vec<_>>();
            let coordinates: Vec<Vec<_>> = polygons.iter().map(|rings| rings.iter().map(ring).collect()).collect();
            let geometry = serde_json::json!({ "type": "MultiPolygon", "coordinates": coordinates });
            serde_json::json!({ "type": "Feature", "properties": { "area": id }, "geometry": geometry })
        })
        .collect();
    serde_json::json!({ "type": "FeatureCollection", "features": features }).to_string()
}

fn edited(file: &str, from: &str, to: &str) -> Files {
    let mut files = pack();
    let text = String::from_utf8(files[file].clone()).unwrap();
    assert!(text.contains(from), "{file} has no `{from}`");
    files.insert(file.to_owned(), text.replacen(from, to, 1).into_bytes());
    files
}

fn drawn(areas: &[Drawn]) -> Files {
    let mut files = pack();
    files.insert("boundaries/land.geojson".to_owned(), land(areas).into_bytes());
    files
}

fn errors(report: &Report) -> BTreeSet<&'static str> {
    report.defects.iter().filter(|defect| !defect.warning).map(|defect| defect.code).collect()
}

fn warnings(report: &Report) -> BTreeSet<&'static str> {
    report.defects.iter().filter(|defect| defect.warning).map(|defect| defect.code).collect()
}

#[test]
fn a_sound_pack_is_clean_and_every_pair_of_place_and_service_is_proven() {
    let report = check_files(&pack());
    assert_eq!(report.defects, []);
    let s = report.summary;
    assert_eq!((s.areas, s.services, s.dispatchers, s.rooms), (4, 2, 5, 5));
    // Four areas on land and at sea and the unknown place, for police and ambulance.
    assert_eq!((s.pairs, s.pairs_unproven), (18, 0));
    // Only the ambulance is responsible for a place that is not known.
    assert_eq!((s.pairs_responsible, s.pairs_fallback), (17, 1));
    assert!((3..=4).contains(&s.owned_km2), "{s:?}");
}

#[test]
fn each_planted_error_is_found_by_its_code_in_its_file_and_row() {
    let cases: &[(&str, &str, &str, &str, u64)] = &[
        // file, text, becomes, code, row
        ("pack.toml", "schema = 1", "schema = 7", "bad_schema", 1),
        ("pack.toml", "snap_m = 2", "snap_m = 30", "bad_value", 0),
        ("pack.toml", "country = \"QD\"", "country = \"Quad\"", "bad_value", 0),
        ("areas.csv", "Q-N,North", "Q-E,North", "duplicate_id", 3),
        ("areas.csv", "Q-W,West", "coast,West", "bad_id", 5),
        ("areas.csv", "Q-W,West,غرب,\n", "Q-W,West,غرب,\nQ-X,Nowhere,لا,\n", "area_without_boundary", 6),
        ("numbers.csv", "998,hint,ambulance", "998,hint,ambulans", "unknown_service", 3),
        ("numbers.csv", "998,hint,ambulance", "998,hint,", "unknown_service", 3),
        ("numbers.csv", "999,hint,police,sms", "999,hint,police,voice", "duplicate_number", 5),
        ("numbers.csv", "999,hint,police,sms", "999,hint,police,any", "duplicate_number", 4),
        ("numbers.csv", "990,national", "990,hint", "no_national_number", 0),
        ("numbers.csv", "999,hint,police,sms", "9x9,hint,police,sms", "bad_value", 5),
        ("dispatchers.csv", "E-POL,police", "E-POL,polizei", "unknown_service", 2),
        ("dispatchers.csv", "east,Q-E,", "east,Q-EE,", "unknown_area", 2),
        ("dispatchers.csv", "10,N-POL,10.005", "10,N-POLL,10.005", "unknown_dispatcher", 2),
        ("dispatchers.csv", "10,HELP,10.005", "10,W-POL,10.005", "cyclic_overflow", 4),
        ("dispatchers.csv", "10,HELP,10.005", "10,E-POL,10.005", "cyclic_overflow", 2),
        ("dispatchers.csv", "10,HELP,10.005", "10,HELP HELP,10.005", "cyclic_overflow", 4),
        ("dispatchers.csv", "north,Q-N Q-S", "north,Q-N Q-S Q-W", "responsible_twice", 4),
        ("dispatchers.csv", "sip:e@", "http:e@", "bad_value", 2),
        ("dispatchers.csv", "10.005,40.005", "95,40.005", "out_of_range", 2),
        ("dispatchers.csv", "10.005,40.005", "40.005,10.005", "swapped_axes", 2),
        ("answering.csv", "Q-S,N-POL,\n", "", "area_without_answering", 0),
        ("answering.csv", "*,W-POL,\n", "", "area_without_answering", 0),
        ("answering.csv", "Q-S,N-POL", "Q-S,S-POL", "unknown_dispatcher", 5),
        ("answering.csv", "Q-S,N-POL", "Q-SS,N-POL", "unknown_area", 5),
        ("types.csv", "FIRE,Fire,1", "FIRE,Fire,4", "bad_value", 2),
        ("types.csv", "SINK,", "FIRE,", "duplicate_id", 4),
        ("types.csv", "SICK,Illness,2,no", "SICK,Illness,2,perhaps", "bad_value", 3),
        ("plans.csv", "SICK,*", "SICKK,*", "unknown_type", 3),
        ("plans.csv", "SICK,*,ambulance", "SICK,*,ambulance plumber", "unknown_service", 3),
        ("plans.csv", "SICK,*,ambulance", "SICK,*,ambulance ambulance", "bad_plan", 3),
        ("plans.csv", "SICK,*,ambulance", "SICK,*,coast_guard", "service_uncovered", 3),
        ("plans.csv", "sea:Q-N", "sea:Q-Z", "unknown_area", 5),
        ("plans.csv", "*,*,police,\n", "", "no_catch_all", 0),
        ("plans.csv", "service:police,Q-S", "SICK,*", "duplicate_id", 6),
        ("policies.csv", "AMB-LAST,90,ambulance,*,always,fallback,AMB,\n", "", "service_without_fallback", 0),
        ("policies.csv", "AMB-LAST,90,ambulance,*,always", "AMB-LAST,90,ambulance,*,state:full", "no_catch_all", 3),
        ("policies.csv", "AMB-LAST,90,ambulance,*,always", "AMB-LAST,90,ambulance,Q-N,always", "no_catch_all", 3),
        ("policies.csv", "AMB-FULL,10,ambulance,*,state:full", "AMB-FULL,10,ambulance,*,state:tired", "bad_condition", 2),
        ("policies.csv", "hours:Mo-Fr", "hours:Mo-Xx", "bad_hours", 4),
        ("policies.csv", "state:full,append,AMB", "state:full,append,", "empty_policy", 2),
        ("policies.csv", "state:full,append,AMB", "state:full,append,ABM", "unknown_dispatcher", 2),
        ("policies.csv", "state:full,append", "state:full,after", "bad_value", 2),
        ("policies.csv", "AMB-FULL,10", "AMB-LAST,10", "duplicate_id", 3),
        ("policies.csv", "POL-NIGHT,10,police,Q-S", "POL-NIGHT,10,police,Q-5", "unknown_area", 4),
        ("policies.csv", "POL-NIGHT,", "POL-ALL,5,police,*,always,overflow,HELP,\nPOL-NIGHT,", "unreachable_policy", 5),
        (
            "policies.csv",
            "POL-LAST,90,police,*,always,fallback,W-POL N-POL,\n",
            "POL-LAST,90,police,*,always,fallback,W-POL N-POL,\nPOL-LATER,95,police,Q-N,nothing,fallback,HELP,\n",
            "unreachable_policy",
            6,
        ),
        ("area_codes.csv", "05,Q-N", "05,Q-M", "unknown_area", 2),
        ("area_codes.csv", "06,,mobile", "05,,mobile", "duplicate_id", 3),
        ("area_codes.csv", "06,,mobile", "06,,cordless", "bad_value", 3),
        ("lines.csv", "2026-01-01T00:00:00+01:00,2026-01-02T00:00:00+01:00", ",", "bad_window", 3),
        ("lines.csv", "2026-01-02T00:00:00+01:00", "tomorrow", "bad_window", 3),
        ("lines.csv", "2026-01-02T00:00:00+01:00", "2025-01-02T00:00:00+01:00", "bad_window", 3),
        ("lines.csv", "+99905*", "99905*", "bad_line", 2),
        ("trunks.csv", "gw-n,Q-N,N-POL", "gw-n,Q-N,N-P", "unknown_dispatcher", 2),
        ("trunks.csv", "gw-n,Q-N,N-POL", "gw-n,Q-N,", "unknown_dispatcher", 2),
        ("trunks.csv", "mobile-1", "north-1", "duplicate_id", 3),
        ("cells.csv", "10.005,40.025", "10.005,400.025", "out_of_range", 2),
        ("cells.csv", "10.005,40.025", "40.025,10.005", "swapped_axes", 2),
        ("cells.csv", "0,120,0,900", "0,120,900,900", "out_of_range", 2),
        ("cells.csv", "0,120,0,900", "400,120,0,900", "out_of_range", 2),
        ("cells.csv", "9010100010001", "901-01-0001", "bad_cell", 2),
        ("cells.csv", "indoor,Q-N", "indoor,Q-M", "unknown_area", 3),
        ("foreign.csv", "XX,Next", "QD,Next", "bad_id", 2),
        ("foreign.csv", ",902,", ",901,", "bad_value", 2),
        ("borders.csv", "Q-N,Q-S", "Q-N,Q-N", "bad_border", 2),
        ("borders.csv", "Q-N,Q-S", "Q-N,Q-SS", "unknown_area", 2),
        ("borders.csv", "Q-N,XX", "Q-N,YY", "unknown_country", 3),
        ("borders.csv", "10.0 40.0 500", "here", "bad_border", 3),
        ("borders.csv", "Q-W,coast", "Q-S,Q-N", "duplicate_id", 4),
        ("overlays.csv", "ISLET,area,,Q-N", "ISLET,area,,", "bad_overlay", 3),
        ("overlays.csv", "ISLET,area", "ISLET,zone", "bad_value", 3),
        ("overlays.csv", "circle 10.05 40.05 300", "square 10.05", "bad_shape", 3),
        ("overlays.csv", "circle 10.05 40.05 300", "circle 40.05 10.05 300", "swapped_axes", 3),
        ("overlays.csv", "Mo-Fr 07:00-15:00", "weekdays", "bad_hours", 6),
        ("overlays.csv", "disputed,Q-N", "disputed,Q-M", "unknown_area", 4),
        ("overlays.csv", "police,,HELP", "police,,HALP", "unknown_dispatcher", 6),
        ("overlays.csv", "circle 10.05 40.05 300", "circle 10.0053 40.0253 300", "overlay_clash", 4),
        ("places.csv", "Q-E,10.005", "Q-F,10.005", "unknown_area", 2),
        ("places.csv", "10.005,40.005", "-91,40.005", "out_of_range", 2),
        ("places.csv", "Middle,وسط,Q-E,10.005,40.005,", "Middle", "bad_row", 2),
        ("PROVENANCE.toml", "[[row]]", "[row", "bad_row", 0),
    ];
    for &(file, from, to, code, row) in cases {
        let report = check_files(&edited(file, from, to));
        let found = report.defects.iter().any(|d| d.code == code && d.file == file && d.row == row && !d.warning);
        assert!(found, "{file}: `{from}` -> `{to}` should be {code} in row {row}, found {:#?}", report.defects);
        assert!(!report.is_publishable());
        assert!(report.defects.iter().all(|d| !d.remedy.is_empty() && !d.what.is_empty()));
    }
}

#[test]
fn each_planted_warning_is_found_and_does_not_stop_a_set() {
    let cases: &[(&str, &str, &str, &str)] = &[
        ("dispatchers.csv", "W-POL,west,", "W-POL,help,", "alternates_share_site"),
        ("overlays.csv", "300,50,,,drawn", "300,50,,,dreamt", "unknown_provenance"),
        ("overlays.csv", "PORT,room,police", "PORT,room,ambulance", "overlay_other_service"),
        ("PROVENANCE.toml", "file = \"areas.csv\"", "file = \"areas.csv\"\nsha256 = \"00\"", "file_changed"),
        ("PROVENANCE.toml", "file = \"areas.csv\"", "file = \"quad/areas.csv\"\nsha256 = \"00\"", "file_changed"),
    ];
    for &(file, from, to, code) in cases {
        let report = check_files(&edited(file, from, to));
        assert_eq!(warnings(&report), BTreeSet::from([code]), "{:#?}", report.defects);
        assert!(report.is_publishable());
    }
}

#[test]
fn each_fault_of_a_layer_is_found_and_measured() {
    let whole_west: &[(i32, i32)] = WEST;
    let wide_north: &[(i32, i32)] = &[(20, 9), (30, 9), (30, 20), (20, 20)];
    let bitten_north: &[(i32, i32)] = &[(20, 10), (22, 10), (23, 13), (27, 13), (28, 10), (30, 10), (30, 20), (20, 20)];
    let bow_tie: &[(i32, i32)] = &[(20, 10), (30, 20), (30, 10), (20, 20)];
    let cases: &[(&str, &[Drawn], &str)] = &[
        ("overlap", &[LAND[0], ("Q-N", &[&[wide_north]]), LAND[2], LAND[3]], "0.12 km2"),
        ("gap", &[LAND[0], ("Q-N", &[&[bitten_north]]), LAND[2], LAND[3]], "km2"),
        ("orphan", &[LAND[0], LAND[1], LAND[2], ("Q-W", &[&[whole_west]])], "`Q-E`"),
        ("duplicate_area", &[LAND[0], LAND[1], ("Q-S", &[&[NORTH]]), LAND[3]], "`Q-N` and `Q-S`"),
        ("hole_in_hole", &[LAND[0], LAND[1], LAND[2], ("Q-W", &[&[WEST, EAST, &[(4, 4), (5, 4), (5, 5)]]])], "hole inside a hole"),
        ("hole_outside", &[LAND[0], LAND[1], LAND[2], ("Q-W", &[&[WEST, EAST, &[(14, 4), (15, 4), (15, 5)]]])], "outside its outer ring"),
        ("self_overlap", &[LAND[0], LAND[1], LAND[2], ("Q-W", &[&[WEST, EAST], &[&[(9, 9), (12, 9), (12, 12), (9, 12)]]])], "overlap by"),
        ("boundary_without_area", &[LAND[0], LAND[1], LAND[2], LAND[3], ("Q-Z", &[&[&[(50, 0), (51, 0), (51, 1)]]])], "`Q-Z`"),
        ("area_without_boundary", &LAND[1..], "`Q-E`"),
        ("self_crossing", &[LAND[0], ("Q-N", &[&[bow_tie]]), LAND[2], LAND[3]], "crosses itself"),
    ];
    for &(code, areas, words) in cases {
        let report = check_files(&drawn(areas));
        let found = report.defects.iter().find(|defect| defect.code == code);
        let Some(found) = found else { panic!("{code} not found: {:#?}", report.defects) };
        assert!(words.split('|').any(|word| found.what.contains(word)), "{found}");
        assert_eq!(found.warning, code == "self_crossing", "{found}");
    }
}

#[test]
fn an_overlap_is_told_with_its_area() {
    let wide_north: &[(i32, i32)] = &[(20, 9), (30, 9), (30, 20), (20, 20)];
    let report = check_files(&drawn(&[LAND[0], ("Q-N", &[&[wide_north]]), LAND[2], LAND[3]]));
    let overlap = report.defects.iter().find(|defect| defect.code == "overlap").unwrap();
    // A thousandth of a degree of latitude by ten of longitude at 10 degrees north: 110.6 m by 1,096.4 m.
    assert!(overlap.what.contains("0.12 km2"), "{overlap}");
}

#[test]
fn a_gap_narrower_than_the_pack_allows_goes_to_the_nearest_and_is_counted() {
    let bitten: &[(i32, i32)] = &[(20, 10), (22, 10), (23, 13), (27, 13), (28, 10), (30, 10), (30, 20), (20, 20)];
    let mut files = drawn(&[LAND[0], ("Q-N", &[&[bitten]]), LAND[2], LAND[3]]);
    let text = String::from_utf8(files["pack.toml"].clone()).unwrap().replace("gap_m = 20", "gap_m = 400");
    files.insert("pack.toml".to_owned(), text.into_bytes());
    let report = check_files(&files);
    assert_eq!(report.defects, []);
    assert_eq!(report.summary.gaps_to_nearest, 1);
}

#[test]
fn a_gap_that_a_foreign_country_or_an_overlay_fills_is_declared() {
    let bitten: &[(i32, i32)] = &[(20, 10), (22, 10), (23, 13), (27, 13), (28, 10), (30, 10), (30, 20), (20, 20)];
    let foreign: &[(i32, i32)] = &[(22, 10), (28, 10), (27, 13), (23, 13)];
    let mut files = drawn(&[LAND[0], ("Q-N", &[&[bitten]]), LAND[2], LAND[3]]);
    assert_eq!(errors(&check_files(&files)), BTreeSet::from(["gap"]));
    files.insert("boundaries/foreign.geojson".to_owned(), land(&[("XX", &[&[foreign]])]).replace("area", "country").into_bytes());
    assert_eq!(check_files(&files).defects, []);
}

#[test]
fn two_owners_of_the_sea_are_an_error_only_beyond_the_width_of_a_small_gap() {
    let west: &[(i32, i32)] = &[(0, 20), (10, 20), (10, 30), (0, 30)];
    let [thin, wide]: [&[(i32, i32)]; 2] = [&[(-5, 29), (15, 29), (15, 40), (-5, 40)], &[(-5, 22), (15, 22), (15, 40), (-5, 40)]];
    let mut files = pack();
    let toml = String::from_utf8(files["pack.toml"].clone()).unwrap().replace("gap_m = 20", "gap_m = 100");
    files.insert("pack.toml".to_owned(), toml.into_bytes());
    let mut water = |north| {
        files.insert("boundaries/water.geojson".to_owned(), land(&[("Q-W", &[&[west]]), ("Q-N", &[&[north]])]).into_bytes());
        check_files(&files)
    };
    assert_eq!(warnings(&water(thin)), BTreeSet::from(["overlap"]));
    assert_eq!(errors(&water(wide)), BTreeSet::from(["overlap"]));
}

#[test]
fn a_hole_that_nobody_fills_is_a_warning() {
    let report = check_files(&drawn(&[("Q-E", &[&[&[(40, 0), (41, 0), (41, 1)]]]), LAND[1], LAND[2], LAND[3]]));
    assert_eq!(warnings(&report), BTreeSet::from(["hole"]));
    assert!(report.is_publishable());
}

#[test]
fn a_layer_drawn_the_wrong_way_round_is_told() {
    let mut files = pack();
    let swapped = land(&LAND).replace("[40.", "[T.").replace(",10.", ",40.").replace("[T.", "[10.");
    files.insert("boundaries/land.geojson".to_owned(), swapped.into_bytes());
    // Most positions of the pack are not in the layer, so that the layer is the odd one.
    let more: String = (0..9).map(|n| format!("P{n},م,Q-E,10.00{n},40.005,\n")).collect();
    files.get_mut("places.csv").unwrap().extend(more.bytes());
    assert!(errors(&check_files(&files)).contains("swapped_axes"));
}

#[test]
fn overlays_that_never_hold_together_do_not_clash() {
    let clash = edited("overlays.csv", "circle 10.05 40.05 300", "circle 10.0053 40.0253 300");
    assert_eq!(errors(&check_files(&clash)), BTreeSet::from(["overlay_clash"]));
    for (from, to) in [
        ("ISLET,area,,Q-N,,10", "ISLET,area,,Q-N,,11"),
        ("ISLET,area,,Q-N", "ISLET,area,,Q-S"),
        ("ISLET,area,,Q-N,,10,,", "ISLET,area,,Q-N,,10,Mo 01:00-02:00,"),
    ] {
        let mut files = clash.clone();
        let text = String::from_utf8(files["overlays.csv"].clone()).unwrap();
        let text = text.replace(from, to).replace("CLAIMED,area,,Q-S,,10,,", "CLAIMED,area,,Q-S,,10,Tu 01:00-02:00,");
        files.insert("overlays.csv".to_owned(), text.into_bytes());
        assert_eq!(errors(&check_files(&files)), BTreeSet::new(), "{to}");
    }
}

#[test]
fn a_room_that_nobody_overflows_to_needs_an_area() {
    let files = edited("dispatchers.csv", "10,HELP,10.005", "10,,10.005");
    assert!(errors(&check_files(&files)).is_empty(), "a policy still names it");
    let mut files = files;
    for (file, from) in [("policies.csv", "HELP"), ("overlays.csv", "police,,HELP")] {
        let text =
            String::from_utf8(files[file].clone()).unwrap().replace(from, if file == "policies.csv" { "W-POL" } else { "police,,W-POL" });
        files.insert(file.to_owned(), text.into_bytes());
    }
    assert_eq!(errors(&check_files(&files)), BTreeSet::from(["dispatcher_without_area_or_role"]));
}

#[test]
fn a_plan_that_sends_what_nobody_is_responsible_for_is_found_at_the_plan() {
    let report = check_files(&edited("dispatchers.csv", "W-POL,west,Q-W", "W-POL,west,"));
    let found = report.defects.iter().find(|defect| defect.code == "service_uncovered").unwrap();
    assert_eq!((found.file.as_str(), found.row), ("plans.csv", 2));
    assert!(found.what.contains("Q-W"), "{found}");
}

#[test]
fn a_missing_fallback_leaves_its_pairs_unproven() {
    let report = check_files(&edited("policies.csv", "AMB-LAST,90,ambulance,*,always,fallback,AMB,\n", ""));
    assert_eq!(report.summary.pairs_unproven, 9);
    assert!(text(&report, "quad").contains("9 of 18 pairs"));
}

#[test]
fn what_others_found_stands_in_the_report() {
    let (source, found) = Source::parse(&pack());
    assert!(found.is_empty());
    let word = Defect {
        file: "lexicon/en.csv".to_owned(),
        row: 7,
        code: "unknown_type",
        what: "`FYRE` is no type".to_owned(),
        remedy: "write `FIRE`".to_owned(),
        warning: false,
    };
    assert_eq!(check_with(&source, vec![word.clone()]).defects, [word]);
    assert_eq!(check(&source).defects, []);
}

#[test]
fn the_text_is_grouped_by_file_with_errors_first_and_counts_last() {
    let mut files = edited("dispatchers.csv", "W-POL,west,", "W-POL,help,");
    let text_of = |file: &str| String::from_utf8(pack()[file].clone()).unwrap();
    files.insert("answering.csv".to_owned(), text_of("answering.csv").replace("Q-S,N-POL", "Q-S,S-POL").into_bytes());
    let with_error = String::from_utf8(files["dispatchers.csv"].clone()).unwrap().replace("sip:h@", "fax:h@");
    files.insert("dispatchers.csv".to_owned(), with_error.into_bytes());
    let report = check_files(&files);
    let printed = text(&report, "quad");
    let at = |needle: &str| printed.find(needle).unwrap_or_else(|| panic!("{needle} not in {printed}"));
    assert!(at("answering.csv") < at("dispatchers.csv"));
    assert!(at("[bad_value]") < at("[alternates_share_site]"));
    assert!(printed.ends_with("2 errors, 1 warnings: must not be published\n"), "{printed}");
    let value: serde_json::Value = serde_json::from_str(&json(&report)).unwrap();
    assert_eq!(value["errors"], 2);
    assert_eq!(value["defects"][0]["code"], "unknown_dispatcher");
    assert_eq!(value["summary"]["pairs"], 18);
}

#[test]
fn random_corruptions_of_a_pack_never_panic() {
    let mut seed = 1_u64;
    let mut roll = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let whole = pack();
    let names: Vec<&String> = whole.keys().collect();
    for _ in 0..1_500 {
        let mut files = whole.clone();
        for _ in 0..1 + roll(3) {
            let name = names[roll(names.len())].as_str();
            let Some(bytes) = files.get_mut(name) else { continue };
            match roll(5) {
                0 => bytes.truncate(roll(bytes.len() + 1)),
                1 if !bytes.is_empty() => {
                    let at = roll(bytes.len());
                    bytes[at] = b"0,9-\n*\"x.\xff[]"[roll(12)];
                }
                2 if !bytes.is_empty() => {
                    let at = roll(bytes.len());
                    let until = (at + 1 + roll(40)).min(bytes.len());
                    bytes.drain(at..until);
                }
                3 if !bytes.is_empty() => {
                    let (at, to) = (roll(bytes.len()), roll(bytes.len()));
                    let piece = bytes[at..(at + 60).min(bytes.len())].to_vec();
                    bytes.splice(to..to, piece);
                }
                _ => drop(files.remove(name)),
            }
        }
        let report = check_files(&files);
        text(&report, "quad");
        json(&report);
    }
}

#[test]
fn a_folder_survives_being_written_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("quad");
    write_folder(&target, &pack()).unwrap();
    assert_eq!(read_folder(&target).unwrap(), pack());
    assert!(write_folder(&target, &pack()).unwrap_err().to_string().contains("exists already"));
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing half written stays");
    let outside = Files::from([("../escape.csv".to_owned(), Vec::new())]);
    assert!(write_folder(&dir.path().join("other"), &outside).unwrap_err().to_string().contains("outside"));
    assert!(read_folder(&dir.path().join("none")).unwrap_err().to_string().contains("not a folder"));
}

#[test]
fn a_pack_takes_the_provenance_that_stands_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = pack();
    let provenance = files.remove("PROVENANCE.toml").unwrap();
    write_folder(&dir.path().join("quad"), &files).unwrap();
    std::fs::write(dir.path().join("PROVENANCE.toml"), &provenance).unwrap();
    assert_eq!(read_folder(&dir.path().join("quad")).unwrap()["PROVENANCE.toml"], provenance);
}

#[test]
fn the_shipped_packs_are_clean() {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("routing-tables");
    let mut checked = 0;
    for entry in std::fs::read_dir(&packs).into_iter().flatten() {
        let dir = entry.unwrap().path();
        // A pack without incident types is not finished; `tables check` says so.
        if dir.join("pack.toml").is_file() && dir.join("types.csv").is_file() {
            let report = check_files(&read_folder(&dir).unwrap());
            assert!(report.is_publishable(), "{}", text(&report, &dir.display().to_string()));
            assert_eq!(report.summary.pairs_unproven, 0);
            checked += 1;
        }
    }
    println!("{checked} shipped packs checked");
}
