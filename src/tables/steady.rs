//! Around a place: how far the answer is certainly the same. For whoever is told a place's room and keeps it for a while.
//!
//! The box is smaller than the area on purpose: it ends where a border with its accuracy, an overlay, the shore or an assumed
//! uncertainty could change the answer. Whoever leaves it asks again; nobody is sent to the wrong room by a border drawn coarsely.

use super::dispatchers::{Policy, When};
use super::snapshot::{Tables, Zone};
use super::source::Hours;
use crate::geo::grid::Only;
use crate::geo::point::{BBox, Point, offset};
use crate::units::Timestamp;

/// Half a side at most: beyond it a box is no use to anybody who moves.
const HALF_CM_MAX: u32 = 5_000_000;
/// And at least: a smaller one is left before it is read.
const HALF_CM_MIN: u32 = 5_000;
/// Times it is halved until no overlay touches it.
const HALVINGS: u32 = 8;

/// A box around the point in which everything belongs to the point's owner, beyond doubt.
pub fn steady_box(tables: &Tables, point: Point) -> Option<BBox> {
    let ground = &tables.ground;
    let zone = ground.grid.owner(point).and_then(|zone| ground.zones.get(usize::from(zone)))?;
    let doubt_cm = match zone {
        Zone::Foreign(_) => return None,
        Zone::Land(_) | Zone::Patch { .. } => tables.settings.uncertainty_cm,
        // Near the shore a place at sea is judged otherwise.
        Zone::Water(_) => tables.settings.uncertainty_cm.max(tables.settings.shore_cm),
    };
    let clear_cm = ground.edges.clearance_cm(point).min(2 * HALF_CM_MAX).checked_sub(doubt_cm)?;
    // The corners of a square are farther than its sides.
    let mut half_cm = (clear_cm / 10 * 7).min(HALF_CM_MAX);
    for _ in 0..HALVINGS {
        if half_cm < HALF_CM_MIN {
            return None;
        }
        let side = i64::from(half_cm);
        let found = BBox::new(offset(point, -side, -side), offset(point, side, side));
        if is_steady(tables, found) {
            return Some(found);
        }
        half_cm /= 2;
    }
    None
}

/// Whether no hours of the tables begin or end within this time: then what is decided now is decided so until its end.
pub fn hours_stay(tables: &Tables, now: Timestamp, micros: u64) -> bool {
    let (secs, offset) = (now.unix_micros / 1_000_000, tables.settings.utc_offset_minutes);
    let change = |hours: &Hours| hours.change_within(micros / 1_000_000, secs, offset);
    let of_policy = |policy: &Policy| matches!(&policy.when, When::Hours(hours) if change(hours));
    !tables.ground.overlays.iter().any(|overlay| change(&overlay.hours)) && !tables.dispatchers.policies.iter().any(of_policy)
}

/// Whether one owner, and the same overlays, hold all of the box.
pub fn is_steady(tables: &Tables, found: BBox) -> bool {
    let ground = &tables.ground;
    let owner = ground.grid.only_candidate(found);
    matches!(owner, Only::Certain(Some(zone)) if !matches!(ground.zones.get(usize::from(zone)), None | Some(Zone::Foreign(_))))
        && ground.overlay_grid.only_candidate(found) != Only::Mixed
}
