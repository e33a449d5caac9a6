//! Whatever the bytes: no panic, the same answer twice, and strangers' additions change nothing.

use najda::wire::reading::Kind;
use proptest::prelude::*;
use serde_json::json;

use super::forge::{Car, differences, invite, packed, pidf, point, read, seeds};

/// Reading twice gives one answer; that it returns at all is the point.
fn reads_the_same(kind: Kind, bytes: &[u8]) -> Result<(), TestCaseError> {
    prop_assert_eq!(read(kind, bytes), read(kind, bytes));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_message_cut_anywhere_is_read_without_panic(pick in any::<prop::sample::Index>(), share in 0.0..1.0_f64) {
        let seeds = seeds();
        let (_, kind, bytes) = &seeds[pick.index(seeds.len())];
        let cut = (bytes.len() as f64 * share) as usize;
        reads_the_same(*kind, &bytes[..cut])?;
    }

    #[test]
    fn a_message_with_flipped_bits_is_read_without_panic(
        pick in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..24),
    ) {
        let seeds = seeds();
        let (_, kind, bytes) = &seeds[pick.index(seeds.len())];
        let mut bytes = bytes.clone();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        reads_the_same(*kind, &bytes)?;
    }

    #[test]
    fn a_message_with_a_piece_of_another_is_read_without_panic(
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
    ) {
        let seeds = seeds();
        let (_, kind, bytes) = &seeds[one.index(seeds.len())];
        let (_, _, piece) = &seeds[other.index(seeds.len())];
        let at = at.index(bytes.len());
        let joined = [&bytes[..at], &piece[from.index(piece.len())..], &bytes[at..]].concat();
        reads_the_same(*kind, &joined)?;
    }

    #[test]
    fn any_bytes_are_read_as_any_kind(bytes in prop::collection::vec(any::<u8>(), 0..600), kind in 0..Kind::ALL.len()) {
        reads_the_same(Kind::ALL[kind], &bytes)?;
    }

    #[test]
    fn unknown_headers_anywhere_change_nothing(
        name in "X-[A-Za-z]{1,12}",
        value in "[ -~]{0,60}",
        line in 0..11_usize,
        folded in any::<bool>(),
    ) {
        let plain = invite("", &point(25.1, 55.2));
        let text = String::from_utf8(plain.clone()).unwrap();
        let at = text.match_indices("\r\n").nth(line).unwrap().0 + 2;
        let fold = if folded { "\r\n  more" } else { "" };
        let more = format!("{}{name}: {value}{fold}\r\n{}", &text[..at], &text[at..]);
        prop_assert_eq!(read(Kind::Sip, &plain), read(Kind::Sip, more.as_bytes()));
    }

    #[test]
    fn elements_of_a_strangers_namespace_change_nothing(place in 0..5_usize, name in "[a-zA-Z]{1,8}", inside in "[a-z0-9 ]{0,20}") {
        let plain = pidf(&point(25.1, 55.2));
        let stranger = format!(
            r#"<z:{name} xmlns:z="urn:example:stranger" a="b"><z:pos>1 2</z:pos><z:Point>{inside}</z:Point><z:location-info/></z:{name}>"#
        );
        let marks = ["<g:Point", "</location-info>", "</geopriv>", "</tuple>", "</presence>"];
        let at = plain.find(marks[place]).unwrap();
        let more = format!("{}{stranger}{}", &plain[..at], &plain[at..]);
        prop_assert_eq!(read(Kind::Pidf, plain.as_bytes()), read(Kind::Pidf, more.as_bytes()));
    }

    #[test]
    fn a_place_comes_back_from_every_format(
        lat_e5 in -8_900_000..8_900_000_i32,
        lon_e5 in -17_900_000..17_900_000_i32,
        radius in 1..5_000_u32,
    ) {
        prop_assume!(lat_e5 != 0 || lon_e5 != 0);
        let (lat, lon) = (f64::from(lat_e5) / 1e5, f64::from(lon_e5) / 1e5);
        let near = json!({"location": {"lat": lat, "lon": lon, "radius_m": radius}});
        let circle = format!(
            r#"<s:Circle srsName="urn:ogc:def:crs:EPSG::4326"><g:pos>{lat} {lon}</g:pos>
            <s:radius uom="urn:ogc:def:uom:EPSG::9001">{radius}</s:radius></s:Circle>"#
        );
        let lost = format!(
            r#"<findService xmlns="urn:ietf:params:xml:ns:lost1"><location profile="geodetic-2d">
            <s:Circle xmlns:s="http://www.opengis.net/pidflo/1.0" xmlns:g="http://www.opengis.net/gml" srsName="EPSG:4326">
            <g:pos>{lat} {lon}</g:pos><s:radius>{radius}</s:radius></s:Circle></location><service>urn:service:sos</service>
            </findService>"#
        );
        let cap = format!(
            r#"<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><info><area><circle>{lat},{lon} {}</circle></area></info></alert>"#,
            f64::from(radius) / 1e3
        );
        let sms = format!("A\"ML=1;lt={lat:+};lg={lon:+};rd={radius};lc=68;pm=G");
        let form = format!("location_latitude={lat}&location_longitude={lon}&location_accuracy={radius}");
        for (kind, bytes) in [
            (Kind::Sip, invite("", &circle)),
            (Kind::Pidf, pidf(&circle).into_bytes()),
            (Kind::Lost, lost.into_bytes()),
            (Kind::Cap, cap.into_bytes()),
            (Kind::AmlSms, packed(&sms)),
            (Kind::AmlSms, format!("A\"ML=2;en=999;et=1769932800;lo={lat},{lon},{radius};lt=-3").into_bytes()),
            (Kind::AmlSms, sms.into_bytes()),
            (Kind::AmlHttp, form.into_bytes()),
        ] {
            let found = read(kind, &bytes);
            let wrong = differences(&near, &found, kind.word());
            prop_assert!(wrong.is_empty(), "{:?}", wrong);
        }
    }

    #[test]
    fn a_car_comes_back_from_its_bits(
        version in 1..4_u8,
        flags in any::<[bool; 3]>(),
        vehicle in 0..13_u32,
        vin in "[0-9A-HJ-NPR-Z]{17}",
        storage in 0..64_u32,
        lat_mas in -320_000_000..320_000_000_i32,
        lon_mas in 1..640_000_000_i32,
        direction in 0..180_u32,
        n1 in prop::option::of((-512..512_i32, -512..512_i32)),
        people in prop::option::of(0..255_u32),
        extensions in prop::option::of(prop::collection::vec(any::<u8>(), 1..9)),
    ) {
        let [automatic, test, trusted] = flags;
        let has_extensions = extensions.is_some();
        let about = Car { version, automatic, test, trusted, vehicle, vin: vin.clone(), storage, ..Car::default() };
        let car = Car { lat_mas, lon_mas, direction, n1, n2: None, people, extensions, ..about };
        let found = read(Kind::Msd, &car.bytes());
        let mut expected = json!({"msd": {
            "version": version, "automatic": u8::from(automatic), "test": u8::from(test), "trusted": u8::from(trusted), "vin": vin,
            "lat_mas": lat_mas, "lon_mas": lon_mas, "direction": direction * 2, "timestamp": 1_769_932_800,
            "sext": u8::from(has_extensions),
        }});
        if let Some(people) = people {
            expected["msd"]["passengers"] = json!(people);
        }
        if let Some((lat, lon)) = n1 {
            expected["msd"]["n1"] = json!([lat, lon]);
        }
        let wrong = differences(&expected, &found, "");
        prop_assert!(wrong.is_empty(), "{:?} of {:?}", wrong, car);
        prop_assert_eq!(found["msd"]["propulsion"].as_array().unwrap().len(), storage.count_ones() as usize);
    }
}
