//! Contacts with the outcome an operations head expects, on the official boundaries.

use serde_json::Value;

use crate::packs::{decide, official, shared};

/// A probability written with two decimals.
const NEAR: f64 = 0.02;

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    value[key].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

#[test]
fn every_acceptance_contact_comes_out_as_written() {
    let (Some(snapshot), Some(path)) = (official(), shared("data/uae/acceptance.jsonl")) else { return };
    let lines = std::fs::read_to_string(path).unwrap();
    let mut count = 0;
    for line in lines.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let id = row["id"].as_str().unwrap();
        let mut input = row["in"].clone();
        input["id"] = id.into();
        let record = decide(snapshot, &input.to_string());
        let want = &row["out"];
        let extra = texts(want, "allowed_extra");

        let wanted = want["services"].as_array().unwrap();
        let got: Vec<_> = record.services.iter().map(|one| (one.service.word(), one.dispatcher.as_str(), one.lead)).collect();
        for one in wanted {
            let lead = one["lead"].as_bool().unwrap_or(false);
            let key = (text(one, "service").unwrap(), text(one, "dispatcher").unwrap(), lead);
            assert!(got.contains(&key), "{id}: {key:?} is missing in {got:?}");
        }
        for (service, ..) in &got {
            let known = wanted.iter().any(|one| text(one, "service") == Some(service)) || extra.iter().any(|word| word == service);
            assert!(known, "{id}: {service} is too much");
        }
        assert_eq!(record.area.as_ref().map(|area| area.as_str()), text(want, "area"), "{id}");
        assert_eq!(record.priority.map(u64::from), want["priority"].as_u64(), "{id}");

        let mut told: Vec<_> =
            record.neighbours.iter().map(|one| (one.dispatcher.to_string(), one.why.to_string(), one.probability)).collect();
        told.sort_by(|a, b| a.0.cmp(&b.0));
        let mut expected: Vec<_> = want["neighbours"].as_array().unwrap().iter().collect();
        expected.sort_by_key(|one| text(one, "dispatcher"));
        assert_eq!(told.len(), expected.len(), "{id}: {told:?}");
        for ((dispatcher, why, probability), one) in told.iter().zip(expected) {
            assert_eq!((Some(dispatcher.as_str()), Some(why.as_str())), (text(one, "dispatcher"), text(one, "why")), "{id}");
            match (probability, one["probability"].as_f64()) {
                (Some(got), Some(want)) => assert!((got.as_f64() - want).abs() <= NEAR, "{id}: {got:?} is not {want}"),
                (got, want) => assert_eq!(got.is_some(), want.is_some(), "{id}"),
            }
        }
        let (mut codes, mut wanted) =
            (record.discrepancies.iter().map(ToString::to_string).collect::<Vec<_>>(), texts(want, "discrepancies"));
        codes.sort();
        wanted.sort();
        assert_eq!(codes, wanted, "{id}");
        count += 1;
    }
    println!("{count} acceptance contacts as written");
    assert!(count >= 12);
}
