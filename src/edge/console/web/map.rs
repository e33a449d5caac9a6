//! The borders as a page draws them: chains of edges, without the bends that no screen shows.

use std::collections::HashMap;

use geo::{LineString, Simplify};

use crate::geo::point::Point;
use crate::tables::snapshot::{Side, Tables};
use crate::wire::console_json::BorderLine;

/// About 110 m: below a pixel where a whole emirate is on the screen.
const TOLERANCE_DEGREES: f64 = 0.001;

/// A straight piece of a border.
type Edge = (Point, Point);

/// Every border and coast of the tables, as lines.
pub(super) fn lines(tables: &Tables) -> Vec<BorderLine> {
    let mut by_sides: HashMap<(u16, Option<u16>), Vec<Edge>> = HashMap::new();
    for edge in tables.ground.edges.edges() {
        by_sides.entry((edge.area, edge.other)).or_default().push((edge.a, edge.b));
    }
    let mut sides: Vec<_> = by_sides.into_iter().collect();
    sides.sort_unstable_by_key(|(sides, _)| *sides);
    let name = |number: u16| match tables.ground.side(number) {
        Side::Own(area) => Some(tables.area_id(area).to_string()),
        Side::Foreign(country) => Some(String::from_utf8_lossy(&country).into_owned()),
        Side::Unknown => None,
    };
    let mut lines = Vec::new();
    for ((area, other), edges) in sides {
        let of: Vec<String> = [Some(area), other].into_iter().flatten().filter_map(name).collect();
        lines.extend(chains(edges).into_iter().map(|chain| BorderLine { of: of.clone(), line: thinned(&chain) }));
    }
    lines
}

fn thinned(chain: &[Point]) -> Vec<[f64; 2]> {
    let line: LineString<f64> = chain.iter().map(|point| (point.lon_degrees(), point.lat_degrees())).collect();
    let round = |degrees: f64| (degrees * 1e5).round() / 1e5;
    line.simplify(TOLERANCE_DEGREES).into_iter().map(|at| [round(at.y), round(at.x)]).collect()
}

/// Joins edges end to end as far as that is without choice.
fn chains(edges: Vec<Edge>) -> Vec<Vec<Point>> {
    let mut at: HashMap<Point, Vec<usize>> = HashMap::new();
    for (index, (a, b)) in edges.iter().enumerate() {
        at.entry(*a).or_default().push(index);
        at.entry(*b).or_default().push(index);
    }
    let mut used = vec![false; edges.len()];
    let mut chains = Vec::new();
    // From ends and forks first, so that only closed rings begin anywhere.
    let ends = (0..edges.len()).filter(|index| edges.get(*index).is_some_and(|(a, b)| at[a].len() != 2 || at[b].len() != 2));
    let order: Vec<usize> = ends.chain(0..edges.len()).collect();
    for first in order {
        let Some((a, b)) = edges.get(first).copied().filter(|_| !used[first]) else { continue };
        used[first] = true;
        let (start, mut head) = if at[&a].len() == 2 && at[&b].len() != 2 { (b, a) } else { (a, b) };
        let mut chain = vec![start, head];
        while let Some(next) = at[&head].iter().copied().find(|next| !used[*next] && at[&head].len() == 2) {
            used[next] = true;
            let (a, b) = edges[next];
            head = if a == head { b } else { a };
            chain.push(head);
        }
        chains.push(chain);
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_in_any_order_become_one_line_and_a_fork_parts_them() {
        let point = |lat: i32, lon: i32| Point { lat_e7: lat, lon_e7: lon };
        let line = [point(0, 0), point(1, 0), point(2, 1), point(3, 1)];
        let edges = vec![(line[2], line[1]), (line[2], line[3]), (line[0], line[1])];
        let mut found = chains(edges.clone());
        assert_eq!(found.len(), 1);
        if found[0][0] != line[0] {
            found[0].reverse();
        }
        assert_eq!(found[0], line);
        let forked = edges.into_iter().chain([(line[1], point(9, 9))]).collect();
        assert_eq!(chains(forked).len(), 3);
    }

    #[test]
    fn the_shipped_borders_are_light_enough_for_any_line() {
        let tables = crate::edge::tables::load_or_shipped(None).unwrap().tables;
        let lines = lines(&tables);
        let points: usize = lines.iter().map(|line| line.line.len()).sum();
        assert!(lines.iter().any(|line| line.of.len() == 2) && (500..40_000).contains(&points), "{} lines, {points} points", lines.len());
    }
}
