//! A claimed place as a PIDF-LO document: what a location of an EIDO holds by value.
//!
//! # Source
//! RFC 4119 (the document), RFC 5491 (shapes, their order and units), RFC 7459 (confidence).

use std::fmt::Write as _;

use crate::contact::{ClaimSource, LocationClaim, Place, Whose};
use crate::geo::area::Shape;
use crate::geo::point::Point;
use crate::units::Ppm;

/// The document of one claim; `None` for a place that is no shape.
pub fn pidf_lo(entity: &str, claim: &LocationClaim, at: &str) -> Option<String> {
    let Place::Shape(shape) = &claim.place else { return None };
    let mut out = String::with_capacity(1_024);
    let _ = write!(
        out,
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:gp=\"urn:ietf:params:xml:ns:pidf:geopriv10\" \
         xmlns:gml=\"http://www.opengis.net/gml\" xmlns:gs=\"http://www.opengis.net/pidflo/1.0\" \
         xmlns:con=\"urn:ietf:params:xml:ns:geopriv:conf\" entity=\"{}\"><tuple id=\"place\"><status><gp:geopriv><gp:location-info>",
        escaped(entity)
    );
    write_shape(&mut out, shape);
    if claim.confidence != Ppm::ZERO {
        let percent = claim.confidence.0 / 10_000;
        let _ = write!(out, "<con:confidence pdf=\"unknown\">{percent}</con:confidence>");
    }
    out.push_str("</gp:location-info><gp:usage-rules/>");
    if let Some(method) = method(claim.source) {
        let _ = write!(out, "<gp:method>{method}</gp:method>");
    }
    let _ = write!(out, "</gp:geopriv></status><timestamp>{at}</timestamp></tuple></presence>");
    Some(out)
}

/// Whose place it is, in the words of the location types.
pub const fn kind_of(whose: Whose) -> &'static str {
    match whose {
        Whose::Caller => "Caller",
        Whose::Incident => "CurrentIncident",
    }
}

/// How it was found, where that is known and the registry of methods has a word for it (RFC 4119, 6.1).
const fn method(source: ClaimSource) -> Option<&'static str> {
    match source {
        ClaimSource::ServingCell => Some("Cell"),
        ClaimSource::Civic | ClaimSource::Makani => Some("Manual"),
        ClaimSource::ByReference | ClaimSource::DeviceFix | ClaimSource::ECall => None,
    }
}

const SRS: &str = "srsName=\"urn:ogc:def:crs:EPSG::4326\"";
const METRES: &str = "uom=\"urn:ogc:def:uom:EPSG::9001\"";
const DEGREES: &str = "uom=\"urn:ogc:def:uom:EPSG::9102\"";

fn write_shape(out: &mut String, shape: &Shape) {
    let _ = match shape {
        Shape::Point(point) => write!(out, "<gml:Point {SRS}><gml:pos>{}</gml:pos></gml:Point>", position(*point)),
        Shape::Circle { center, radius_cm } => write!(
            out,
            "<gs:Circle {SRS}><gml:pos>{}</gml:pos><gs:radius {METRES}>{}</gs:radius></gs:Circle>",
            position(*center),
            hundredths(*radius_cm)
        ),
        Shape::Ellipse { center, semi_major_cm, semi_minor_cm, orientation_mdeg } => write!(
            out,
            "<gs:Ellipse {SRS}><gml:pos>{}</gml:pos><gs:semiMajorAxis {METRES}>{}</gs:semiMajorAxis><gs:semiMinorAxis {METRES}>{}\
             </gs:semiMinorAxis><gs:orientation {DEGREES}>{}</gs:orientation></gs:Ellipse>",
            position(*center),
            hundredths(*semi_major_cm),
            hundredths(*semi_minor_cm),
            thousandths(*orientation_mdeg)
        ),
        Shape::ArcBand { center, inner_cm, outer_cm, start_mdeg, opening_mdeg } => write!(
            out,
            "<gs:ArcBand {SRS}><gml:pos>{}</gml:pos><gs:innerRadius {METRES}>{}</gs:innerRadius><gs:outerRadius {METRES}>{}\
             </gs:outerRadius><gs:startAngle {DEGREES}>{}</gs:startAngle><gs:openingAngle {DEGREES}>{}</gs:openingAngle></gs:ArcBand>",
            position(*center),
            hundredths(*inner_cm),
            hundredths(*outer_cm),
            thousandths(*start_mdeg),
            thousandths(*opening_mdeg)
        ),
        Shape::Polygon(ring) => {
            // The first corner again at the end closes it.
            let corners: Vec<String> = ring.iter().chain(ring.first()).map(|point| position(*point)).collect();
            write!(
                out,
                "<gml:Polygon {SRS}><gml:exterior><gml:LinearRing><gml:posList>{}</gml:posList></gml:LinearRing></gml:exterior>\
                 </gml:Polygon>",
                corners.join(" ")
            )
        }
    };
}

/// Latitude first, all seven digits.
fn position(point: Point) -> String {
    let degrees = |e7: i32| {
        let (sign, whole) = (if e7 < 0 { "-" } else { "" }, e7.unsigned_abs());
        format!("{sign}{}.{:07}", whole / 10_000_000, whole % 10_000_000)
    };
    format!("{} {}", degrees(point.lat_e7), degrees(point.lon_e7))
}

fn hundredths(cm: u32) -> String {
    format!("{}.{:02}", cm / 100, cm % 100)
}

fn thousandths(mdeg: u32) -> String {
    format!("{}.{:03}", mdeg / 1_000, mdeg % 1_000)
}

/// As text of XML and of HTML: a stranger's words are never markup.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::notes::Notes;
    use crate::wire::pidf_lo::read;

    fn claim(shape: Shape) -> LocationClaim {
        let source = ClaimSource::DeviceFix;
        LocationClaim { whose: Whose::Caller, place: Place::Shape(shape), source, age_secs: 0, confidence: Ppm(950_000) }
    }

    #[test]
    fn every_shape_comes_back_from_its_document_as_it_was() {
        let center = Point::from_degrees(25.2, 55.3).unwrap();
        let corner = |lat: f64, lon: f64| Point::from_degrees(lat, lon).unwrap();
        for shape in [
            Shape::Point(center),
            Shape::Circle { center, radius_cm: 15_050 },
            Shape::Ellipse { center, semi_major_cm: 20_000, semi_minor_cm: 7_525, orientation_mdeg: 43_500 },
            Shape::ArcBand { center, inner_cm: 50_000, outer_cm: 200_000, start_mdeg: 330_000, opening_mdeg: 120_000 },
            Shape::Polygon(vec![corner(25.0, 55.0), corner(25.0, 56.0), corner(26.0, 56.0)]),
        ] {
            let text = pidf_lo("tel:+971500000001", &claim(shape.clone()), "2026-01-01T00:00:00+00:00").unwrap();
            let mut notes = Notes::default();
            let found = read(text.as_bytes(), &mut notes);
            let stated = found.stated.unwrap_or_else(|| panic!("{shape:?}: {notes:?}\n{text}"));
            assert_eq!((&stated.shape, found.entity.as_deref()), (&shape, Some("tel:+971500000001")));
        }
    }

    #[test]
    fn what_a_stranger_wrote_is_no_markup() {
        assert_eq!(escaped("<script>\"a\" & b\u{0}</script>"), "&lt;script&gt;&quot;a&quot; &amp; b&lt;/script&gt;");
    }
}
