//! Tilings of a few metres, drawn by hand, and random ones against counting.

use super::*;

/// Positions are given in units of about a metre (90 units of 1e-7 degree) near the equator.
const METRE: i32 = 90;

fn at(x_m: i32, y_m: i32) -> Point {
    Point { lat_e7: y_m * METRE, lon_e7: x_m * METRE }
}

fn ring(corners: &[(i32, i32)]) -> Vec<Point> {
    corners.iter().map(|&(x, y)| at(x, y)).collect()
}

fn rectangle(west: i32, south: i32, east: i32, north: i32) -> Vec<Point> {
    ring(&[(west, south), (east, south), (east, north), (west, north)])
}

fn outline(area: u32, polygons: &[&[Vec<Point>]]) -> Outline {
    Outline { area, polygons: polygons.iter().map(|rings| rings.to_vec()).collect() }
}

fn faults(outlines: &[Outline], tolerance_m: u32) -> Vec<(Fault, Vec<u32>)> {
    inspect(outlines, tolerance_m).findings.into_iter().map(|finding| (finding.fault, finding.outlines)).collect()
}

/// A generator with a seed, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.roll((high - low + 1) as u64) as i32
    }
}

#[test]
fn two_squares_side_by_side_tile() {
    let outlines = [outline(0, &[&[rectangle(0, 0, 1000, 1000)]]), outline(1, &[&[rectangle(1000, 0, 2000, 1000)]])];
    let inspection = inspect(&outlines, 1);
    assert!(inspection.findings.is_empty(), "{:?}", inspection.findings);
    assert!((inspection.owned_m2 as i64 - 2_000_000).abs() < 20_000, "{}", inspection.owned_m2);
}

#[test]
fn an_overlap_is_found_with_its_area() {
    let outlines = [outline(0, &[&[rectangle(0, 0, 1000, 1000)]]), outline(1, &[&[rectangle(900, 0, 2000, 1000)]])];
    let inspection = inspect(&outlines, 1);
    assert_eq!(inspection.findings.len(), 1);
    let found = &inspection.findings[0];
    assert_eq!((found.fault, found.outlines.as_slice()), (Fault::Overlap, [0, 1].as_slice()));
    assert!((found.area_m2 as i64 - 100_000).abs() < 1_000, "{}", found.area_m2);
    assert!((found.radius_cm as i64 - 5_000).abs() < 300, "{}", found.radius_cm);
    assert!(found.at.lon_e7 > 900 * METRE && found.at.lon_e7 < 1000 * METRE);
}

#[test]
fn an_enclosed_place_of_nobody_is_a_gap_and_an_open_bay_is_not() {
    let u = ring(&[(0, 0), (3000, 0), (3000, 1000), (2000, 1000), (2000, 500), (1000, 500), (1000, 1000), (0, 1000)]);
    let bay = [outline(0, &[core::slice::from_ref(&u)])];
    assert!(faults(&bay, 1).is_empty());
    let closed = [outline(0, &[&[u]]), outline(1, &[&[rectangle(0, 1000, 3000, 2000)]])];
    let inspection = inspect(&closed, 1);
    assert_eq!(inspection.findings.iter().map(|f| (f.fault, f.outlines.clone())).collect::<Vec<_>>(), [(Fault::Gap, vec![0, 1])]);
    assert!((inspection.findings[0].area_m2 as i64 - 500_000).abs() < 5_000);
}

#[test]
fn an_enclave_within_an_enclave_tiles_and_its_ring_of_nobody_is_measured_without_the_island() {
    let outer = rectangle(0, 0, 9000, 9000);
    let hole = rectangle(3000, 3000, 6000, 6000);
    let island = rectangle(4000, 4000, 5000, 5000);
    let filled =
        [outline(0, &[&[outer.clone(), hole.clone()], core::slice::from_ref(&island)]), outline(1, &[&[hole.clone(), island.clone()]])];
    assert!(faults(&filled, 1).is_empty());
    let missing = [outline(0, &[&[outer, hole], &[island]])];
    let inspection = inspect(&missing, 1);
    assert_eq!(inspection.findings.iter().map(|f| f.fault).collect::<Vec<_>>(), [Fault::Hole]);
    assert!((inspection.findings[0].area_m2 as i64 - 8_000_000).abs() < 80_000, "{}", inspection.findings[0].area_m2);
}

#[test]
fn an_area_without_a_hole_for_it_is_an_orphan() {
    let outlines = [outline(0, &[&[rectangle(0, 0, 9000, 9000)]]), outline(1, &[&[rectangle(3000, 3000, 4000, 4000)]])];
    assert_eq!(faults(&outlines, 1), [(Fault::Orphan, vec![1, 0])]);
}

#[test]
fn a_polygon_given_to_two_areas_is_a_duplicate() {
    let outlines = [outline(0, &[&[rectangle(0, 0, 900, 900)]]), outline(1, &[&[rectangle(0, 0, 900, 900)]])];
    assert_eq!(faults(&outlines, 1), [(Fault::Duplicate, vec![0, 1])]);
}

#[test]
fn holes_in_wrong_places_are_told_apart() {
    let outer = rectangle(0, 0, 9000, 9000);
    let outside = [outline(0, &[&[outer.clone(), rectangle(20_000, 0, 21_000, 1000)]])];
    assert!(faults(&outside, 1).contains(&(Fault::HoleOutside, vec![0])));
    let nested = [outline(0, &[&[outer, rectangle(1000, 1000, 5000, 5000), rectangle(2000, 2000, 3000, 3000)]])];
    assert!(faults(&nested, 1).contains(&(Fault::HoleInHole, vec![0])));
}

#[test]
fn a_bow_tie_crosses_itself() {
    let outlines = [outline(0, &[&[ring(&[(0, 0), (1000, 1000), (1000, 0), (0, 1000)])]])];
    let inspection = inspect(&outlines, 1);
    assert_eq!(inspection.findings.iter().map(|f| f.fault).collect::<Vec<_>>(), [Fault::SelfCrossing]);
    assert_eq!(inspection.findings[0].at, at(500, 500));
}

#[test]
fn polygons_of_one_area_that_overlap_are_found() {
    let outlines = [outline(0, &[&[rectangle(0, 0, 1000, 1000)], &[rectangle(500, 500, 1500, 1500)]])];
    assert_eq!(faults(&outlines, 1), [(Fault::SelfOverlap, vec![0])]);
}

#[test]
fn what_is_nowhere_deeper_than_the_tolerance_is_a_sliver() {
    let outlines = [outline(0, &[&[rectangle(0, 0, 1000, 1000)]]), outline(1, &[&[rectangle(998, 0, 2000, 1000)]])];
    let inspection = inspect(&outlines, 2);
    assert!(inspection.findings.is_empty());
    assert_eq!(inspection.slivers, 1);
    assert!((inspection.slivers_m2 as i64 - 2_000).abs() < 40, "{}", inspection.slivers_m2);
}

#[test]
fn vertices_closer_than_snap_become_one_and_the_overlap_is_gone() {
    let mut outlines = [outline(0, &[&[rectangle(0, 0, 1000, 1000)]]), outline(1, &[&[rectangle(999, 0, 2000, 1000)]])];
    let report = snap(&mut outlines, 2);
    assert_eq!((report.vertices_snapped, report.nodes_added), (2, 0));
    assert!(report.moved_cm_max <= 200);
    assert_eq!(inspect(&outlines, 0), Inspection { owned_m2: inspect(&outlines, 0).owned_m2, ..Inspection::default() });
    assert!(neighbours(&outlines).contains(&(0, Some(1))));
}

#[test]
fn a_vertex_on_anothers_edge_becomes_a_node_of_it() {
    let south = [rectangle(0, 0, 2000, 1000)];
    let mut outlines =
        [outline(0, &[&south]), outline(1, &[&[rectangle(0, 1001, 1000, 2000)]]), outline(2, &[&[rectangle(1000, 1001, 2000, 2000)]])];
    let report = snap(&mut outlines, 3);
    assert_eq!(report.nodes_added, 1);
    assert!(outlines[0].polygons[0][0].contains(&at(1000, 1001)));
    assert_eq!(inspect(&outlines, 0).slivers, 0);
    assert_eq!(neighbours(&outlines), [(0, None), (0, Some(1)), (0, Some(2)), (1, None), (1, Some(2)), (2, None)]);
}

#[test]
fn repeated_vertices_do_not_shift_where_a_node_goes() {
    let repeated = ring(&[(0, 0), (0, 0), (2000, 0), (2000, 1000), (2000, 1000), (0, 1000), (0, 0)]);
    let mut outlines =
        [outline(0, &[&[repeated]]), outline(1, &[&[rectangle(0, 1001, 1000, 2000)]]), outline(2, &[&[rectangle(1000, 1001, 2000, 2000)]])];
    assert_eq!(snap(&mut outlines, 3).nodes_added, 1);
    assert_eq!(outlines[0].polygons[0][0], ring(&[(0, 0), (2000, 0), (2000, 1000), (1000, 1001), (0, 1000)]));
    assert_eq!(inspect(&outlines, 0).slivers, 0);
}

#[test]
fn vertices_of_one_area_never_melt_into_each_other() {
    let detailed = ring(&[(0, 0), (1000, 0), (1000, 500), (1001, 501), (1000, 502), (1000, 1000), (0, 1000)]);
    let mut outlines = [outline(0, &[core::slice::from_ref(&detailed)])];
    assert_eq!(snap(&mut outlines, 10), Snapping::default());
    assert_eq!(outlines[0].polygons[0][0], detailed);
}

#[test]
fn layers_that_fit_are_left_as_they_are() {
    let mut outlines = [outline(0, &[&[rectangle(0, 0, 1000, 1000)]]), outline(1, &[&[rectangle(1000, 0, 2000, 1000)]])];
    let before = outlines.clone();
    assert_eq!(snap(&mut outlines, 5), Snapping::default());
    assert_eq!(outlines, before);
}

/// A wavy border drawn twice, each time with its own vertices and its own errors.
fn drawn_twice(dice: &mut Dice, lat_m: i32, error_m: i32) -> [Outline; 2] {
    let mut line = |step: (i32, i32)| {
        let (mut x, mut points) = (0_i32, Vec::new());
        while x < 20_000 {
            let y = lat_m + (x % 3_000 - 1_500).abs() + dice.between(-error_m, error_m);
            points.push((x, y));
            // Both draw the corners, or they would not mean the same line.
            x = (x + dice.between(step.0, step.1)).min((x / 1_500 + 1) * 1_500);
        }
        points.push((20_000, lat_m + (20_000 % 3_000 - 1_500_i32).abs()));
        points
    };
    let (mut south, mut north) = (line((50, 200)), line((70, 300)));
    south.extend([(20_000, lat_m - 9_000), (0, lat_m - 9_000)]);
    north.extend([(20_000, lat_m + 9_000), (0, lat_m + 9_000)]);
    [outline(0, &[&[ring(&south)]]), outline(1, &[&[ring(&north)]])]
}

#[test]
fn a_border_drawn_twice_coincides_after_snapping_and_no_owner_changes_away_from_it() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let lat_m = dice.between(-5_000_000, 5_000_000);
        let drawn = drawn_twice(&mut dice, lat_m, 1);
        let mut snapped = drawn.clone();
        let report = snap(&mut snapped, 5);
        assert!(report.moved_cm_max <= 500, "seed {seed}: {report:?}");
        assert!(report.nodes_added > 50, "seed {seed}: {report:?}");
        let inspection = inspect(&snapped, 5);
        assert!(inspection.findings.is_empty(), "seed {seed}: {:?}", inspection.findings);
        let mut changed = 0;
        for _ in 0..3_000 {
            let x: i32 = dice.between(0, 20_000);
            let p = at(x, lat_m + (x % 3_000 - 1_500).abs() + dice.between(-30, 30));
            for (before, after) in drawn.iter().zip(&snapped) {
                if contains(&before.polygons, p) != contains(&after.polygons, p) {
                    changed += 1;
                    let nearest = drawn.iter().filter_map(|outline| distance_cm(&outline.polygons, p)).min().unwrap();
                    assert!(nearest <= 500, "seed {seed}: {p:?} is {nearest} cm from every border and changed its owner");
                }
            }
        }
        assert!(changed > 0, "seed {seed}: the test saw nothing move");
    }
}

#[test]
fn inspection_agrees_with_counting_owners_of_random_points() {
    for seed in 0..8 {
        let mut dice = Dice(seed);
        let mut square = |area| {
            let (x, y) = (dice.between(0, 800), dice.between(0, 800));
            outline(area, &[&[rectangle(x, y, x + dice.between(100, 400), y + dice.between(100, 400))]])
        };
        let outlines: Vec<Outline> = (0..6).map(&mut square).collect();
        let inspection = inspect(&outlines, 0);
        assert!(!inspection.unsettled);
        // The map counts whole metres of rectangles, so sampling every metre's middle measures the same.
        let (mut once, mut nobody_or_two) = (0_i64, false);
        for x in 0..1_300 {
            for y in 0..1_300 {
                let p = Point { lat_e7: y * METRE + 45, lon_e7: x * METRE + 45 };
                let owners = outlines.iter().filter(|outline| contains(&outline.polygons, p)).count();
                once += i64::from(owners == 1);
                nobody_or_two |= owners > 1;
            }
        }
        let unit_m2 = 0.997_04;
        let expected = once as f64 * unit_m2;
        assert!(
            (inspection.owned_m2 as f64 - expected).abs() < expected * 0.002 + 5.0,
            "seed {seed}: {} and {expected}",
            inspection.owned_m2
        );
        let doubles = inspection.findings.iter().any(|f| !matches!(f.fault, Fault::Gap | Fault::Hole));
        assert_eq!(doubles, nobody_or_two, "seed {seed}");
    }
}

#[test]
fn layers_with_rubbish_in_them_never_panic() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let reach = [3, 50, 2_000_000][seed as usize % 3];
        let mut outlines = Vec::new();
        for area in 0..dice.roll(5) as u32 {
            let mut polygons = Vec::new();
            for _ in 0..dice.roll(4) {
                let rings = (0..dice.roll(4))
                    .map(|_| {
                        (0..dice.roll(9))
                            .map(|_| Point { lat_e7: dice.between(-reach, reach), lon_e7: dice.between(-reach, reach) })
                            .collect()
                    })
                    .collect();
                polygons.push(rings);
            }
            outlines.push(Outline { area, polygons });
        }
        let again = outlines.clone();
        snap(&mut outlines, 1 + seed as u32 % 7);
        let first = inspect(&outlines, 1);
        assert_eq!(first, inspect(&outlines, 1), "seed {seed}");
        inspect(&again, 0);
    }
}

#[test]
fn the_ends_of_the_world_do_not_overflow() {
    let whole = vec![
        Point { lat_e7: -Point::LAT_E7_MAX, lon_e7: -Point::LON_E7_MAX },
        Point { lat_e7: -Point::LAT_E7_MAX, lon_e7: Point::LON_E7_MAX },
        Point { lat_e7: Point::LAT_E7_MAX, lon_e7: Point::LON_E7_MAX },
        Point { lat_e7: Point::LAT_E7_MAX, lon_e7: -Point::LON_E7_MAX },
    ];
    let mut outlines = [outline(0, &[&[whole]]), outline(1, &[&[rectangle(0, 0, 1_000_000, 1_000_000)]])];
    snap(&mut outlines, 100);
    assert_eq!(faults(&outlines, 1), [(Fault::Orphan, vec![1, 0])]);
}
