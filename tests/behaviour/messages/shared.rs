//! The samples that lie beside the repository, against their manifest. Skipped, and counted, where they are absent.

use std::fs;
use std::path::{Path, PathBuf};

use najda::units::Timestamp;
use najda::wire::reading::Kind;
use serde_json::{Map, Value};

use super::forge::{differences, read_at};

/// 2026-11-22 00:01:40 UTC: a minute after the samples say they were made.
const NOW: Timestamp = Timestamp::from_secs(1_795_305_700);

/// Values of the manifest that the bytes of their sample do not hold, each looked at by a person.
const NOT_IN_THE_BYTES: [(&str, &str); 3] = [
    // Its access header carries no `network-provided`.
    ("valid/100-compact-folded.sip", ".cell.provided_by"),
    // Its form carries no time of the fix.
    ("aml/002-els-minimal.http", ".location.fix_ms"),
    // Its place is an ellipse; the center is as the manifest says.
    ("hostile/h90-uom-swapped.sip", ".location.shape"),
];

/// What each hostile sample must become, reviewed against the manifest's `expect`: outcome, status, whether a place is read, and a
/// code that must be among the discrepancies.
const HOSTILE: &str = "
h01-truncated-header.sip 400 - headers_unterminated
h03-clen-small.sip routed cell bytes_after_body
h04-clen-negative.sip 400 - content_length_unreadable
h06-clen-huge.sip 400 - content_length_unreadable
h07-header-16k.sip routed place header_too_long
h09-2000-vias.sip 513 - headers_too_many
h10-bad-xml.sip routed cell xml_malformed
h12-external-entity.sip routed cell xml_doctype_refused
h13-deep-nesting.sip routed cell xml_too_deep
h15-lat-91.sip routed cell position_unreadable
h16-lon-181.sip routed cell position_unreadable
h18-inf.sip routed cell position_unreadable
h19-1e400.sip routed cell position_unreadable
h21-dms.sip routed cell position_unreadable
h22-empty.sip routed cell position_unreadable
h24-five-numbers.sip routed cell position_unreadable
h25-null-island.sip routed cell position_null_island
h27-hex.sip routed cell position_unreadable
h28-swapped.sip routed place -
h30-srs-3857.sip routed cell srs_unknown
h31-srs-missing.sip routed place srs_missing
h33-radius-negative.sip routed place radius_unreadable
h34-radius-1e9.sip routed cell radius_useless
h36-polygon-open.sip routed place polygon_open
h37-polygon-bowtie.sip routed place polygon_crosses_itself
h39-polygon-3000.sip routed place polygon_too_many_vertices
h40-antimeridian.sip routed place polygon_crosses_180
h42-geo-ssrf.sip routed cell reference_refused
h43-geo-no-brackets.sip routed place -
h45-georouting-twice.sip routed place -
h46-via-loop.sip routed place -
h48-maxfwd-missing.sip routed place max_forwards_missing
h49-maxfwd-bad.sip routed place max_forwards_unreadable
h50-missing-cseq.sip 400 - cseq_missing
h50-missing-from.sip 400 - from_missing
h50-missing-to.sip 400 - to_missing
h51-non-utf8.sip routed place -
h53-nul-in-uri.sip routed place number_unreadable
h54-ruri-space.sip 400 - uri_unreadable
h56-ruri-8k.sip 414 - uri_too_long
h57-lowercase-method.sip routed place method_case
h59-lf-only.sip routed place body_shorter_than_said
h60-cseq-mismatch.sip 400 - cseq_contradicts
h62-leading-crlf-stun.sip dropped - -
h63-tls-hello-on-udp.sip dropped - -
h65-response-stray.sip dropped - -
h66-via-reflect.sip routed place -
h68-multipart-unterminated.sip routed place multipart_unterminated
h69-multipart-5000-parts.sip routed cell parts_too_many
h71-dup-content-id.sip routed place content_id_repeated
h72-gzip-bomb.sip 415 - content_encoding
h74-pani-junk.sip routed nothing cell_unreadable
h75-pani-18-chars.sip routed nothing cell_unreadable
h77-identity-junk.sip routed place identity_unverified
h78-msd-truncated.sip routed place msd_truncated
h80-msd-version-9.sip routed place msd_version_unknown
h81-msd-extension-bits.sip routed place msd_truncated
h83-log-injection.sip routed place -
h84-merged-request.sip routed place -
h86-empty.sip dropped - -
h87-random.sip dropped - -
h89-point-without-pos.sip routed place position_without_pos
h90-uom-swapped.sip routed place uom_unlikely
h92-ellipse-200-digits.sip routed place -
009-findservice-path-loop.http loop place -
012-out-of-area.http routed place -
h01-billion-laughs.http badRequest - xml_doctype_refused
h03-profile-unrecognized.http locationProfileUnrecognized - -
h04-srs-invalid.http SRSInvalid - srs_unknown
053-held-error-200.xml dropped nothing -
005-els-stale.http routed place -
h01-dup-keys.http dropped nothing position_contradictory
h02-bad-percent.http dropped nothing position_unreadable
h04-json.http routed place json_instead_of_form
h05-huge.http 413 - body_too_long
h20-ml-wrong.sms routed place length_mismatch
h21-no-equals.sms routed place -
h23-cut.sms dropped nothing position_unreadable
h24-dup.sms dropped nothing position_contradictory
";

fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples");
    folder.join("MANIFEST.jsonl").is_file().then_some(folder)
}

/// Name, manifest row and what was read; nothing where the samples are absent.
fn samples() -> Vec<(String, Map<String, Value>, Value)> {
    let Some(folder) = folder() else {
        println!("samples beside the repository are absent: 1 test skipped");
        return Vec::new();
    };
    let manifest = fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let rows = manifest.lines().map(|line| serde_json::from_str::<Map<String, Value>>(line).unwrap());
    rows.map(|row| {
        let name = row["file"].as_str().unwrap().to_owned();
        let bytes = fs::read(folder.join(&name)).unwrap();
        let found = read_at(kind_of(&name), &bytes, NOW);
        (name, row, found)
    })
    .collect()
}

fn kind_of(name: &str) -> Kind {
    let (folder, file) = name.rsplit_once('/').unwrap();
    match file.rsplit_once('.').unwrap().1 {
        "sip" => Kind::Sip,
        "bin" => Kind::Msd,
        "sms" => Kind::AmlSms,
        _ if folder == "aml" => Kind::AmlHttp,
        // Fifties are the location server's.
        _ if file.starts_with("05") => Kind::Held,
        _ => Kind::Lost,
    }
}

#[test]
fn every_sample_yields_the_values_of_its_manifest() {
    const ABOUT: [&str; 6] = ["file", "kind", "bytes", "what", "expect", "district_of_location"];
    let (mut count, mut values, mut wrong) = (0, 0, Vec::new());
    for (name, mut row, found) in samples() {
        row.retain(|key, _| !ABOUT.contains(&key.as_str()));
        count += 1;
        values += row.len();
        for difference in differences(&Value::Object(row), &found, "") {
            let path = difference.split([':', ' ']).next().unwrap();
            if !NOT_IN_THE_BYTES.contains(&(name.as_str(), path)) {
                wrong.push(format!("{name}{difference}"));
            }
        }
    }
    println!("samples read: {count}, values compared: {values}, not in their bytes: {}, wrong: {}", NOT_IN_THE_BYTES.len(), wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_hostile_sample_becomes_what_its_expectation_allows() {
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, row, found) in samples() {
        if !row.contains_key("expect") {
            continue;
        }
        count += 1;
        let file = name.rsplit('/').next().unwrap();
        let Some(line) = HOSTILE.lines().find(|line| line.split(' ').next() == Some(file)) else {
            wrong.push(format!("{name} is not in the table"));
            continue;
        };
        let words: Vec<&str> = line.split(' ').collect();
        let outcome = found["outcome"].as_str().unwrap();
        let right = match words[1] {
            "routed" | "dropped" => outcome == words[1],
            error => {
                let status = found["status"].to_string();
                outcome == "rejected" && (status == error || (status == "200" && found["error"] == error))
            }
        };
        let place = !found["location"].is_null();
        let right = right
            && match words[2] {
                "place" => place,
                "cell" => !place && !found["cell"].is_null(),
                "nothing" => !place && found["cell"].is_null(),
                _ => true,
            };
        let codes = found["discrepancies"].as_array().unwrap();
        let right = right && (words[3] == "-" || codes.iter().any(|code| code == words[3]));
        if !right {
            wrong.push(format!("{line}: {found}"));
        }
    }
    println!("samples with an expectation: {count}, outside it: {}", wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}
