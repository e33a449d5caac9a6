//! Labelled places: the official boundaries are never wrong, the shipped rough ones never silently wrong.

use najda::tables::snapshot::Snapshot;

use crate::packs::{decide, official, shared, uae};

#[derive(serde::Deserialize)]
struct Place {
    id: String,
    lat: f64,
    lon: f64,
    coord_unc_m: f64,
    true_country: String,
    true_emirate: String,
    decisive: u8,
}

#[derive(Debug, Default)]
struct Counts {
    places: usize,
    wrong: Vec<String>,
    silently_wrong: Vec<String>,
    unsure: usize,
    told_max: usize,
}

fn decisive() -> Option<Vec<Place>> {
    let path = shared("data/uae/places.csv")?;
    let rows: Vec<Place> = csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect();
    Some(rows.into_iter().filter(|place| place.decisive == 1).collect())
}

fn count(snapshot: &Snapshot, places: &[Place]) -> Counts {
    let mut counts = Counts { places: places.len(), ..Counts::default() };
    for place in places {
        let radius = if place.coord_unc_m > 0.0 { format!(",\"uncertainty_m\":{}", place.coord_unc_m) } else { String::new() };
        let record = decide(snapshot, &format!("{{\"id\":{:?},\"lat\":{},\"lon\":{}{radius}}}", place.id, place.lat, place.lon));
        let ours = matches!(place.true_country.as_str(), "AE" | "AE-WATER" | "DISPUTED");
        let truth = ours.then_some(place.true_emirate.as_str());
        let got = record.area.as_ref().map(|area| area.as_str());
        let named = |emirate: &str| record.neighbours.iter().any(|told| told.area.is_some_and(|area| area.as_str() == emirate));
        let says = |code: &str| record.discrepancies.iter().any(|known| known.as_str() == code);
        let unsure = says("border_uncertain") || !record.neighbours.is_empty();
        counts.unsure += usize::from(unsure);
        counts.told_max = counts.told_max.max(record.neighbours.len());
        if got == truth {
            continue;
        }
        counts.wrong.push(place.id.clone());
        // An emirate that is not named must at least be looked for: outside, or a border abroad that is said to be unsure.
        let said = truth.map_or(says("border_uncertain"), |truth| named(truth) || says("outside_country"));
        if !said {
            counts.silently_wrong.push(format!("{} is {truth:?}, got {got:?}", place.id));
        }
    }
    counts
}

#[test]
fn the_official_boundaries_put_every_decisive_place_where_it_is() {
    let (Some(snapshot), Some(places)) = (official(), decisive()) else { return };
    let counts = count(snapshot, &places);
    println!("official pack: {} places, {} wrong, {} unsure", counts.places, counts.wrong.len(), counts.unsure);
    assert_eq!(counts.wrong, Vec::<String>::new());
}

#[test]
fn the_shipped_boundaries_are_never_silently_wrong() {
    let Some(places) = decisive() else { return };
    let counts = count(uae(), &places);
    let share = 100 * counts.unsure / counts.places;
    println!(
        "shipped pack: {} places, {} wrong of which {} silently, {} unsure ({share} %), at most {} told",
        counts.places,
        counts.wrong.len(),
        counts.silently_wrong.len(),
        counts.unsure,
        counts.told_max
    );
    assert_eq!(counts.silently_wrong, Vec::<String>::new());
    assert!(counts.unsure * 100 <= counts.places * 30, "{counts:?}");
    assert!(counts.told_max <= 3, "{counts:?}");
}
