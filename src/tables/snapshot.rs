//! One consistent view for one decision: compiled tables, dispatcher states, and their number.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::dispatchers::Dispatchers;
use super::identities::Identities;
use super::plans::Plans;
use super::source::Hours;
use super::vocabulary::Vocabulary;
use crate::decision::{AreaIndex, DispatcherIndex, DispatcherState};
use crate::geo::edges::Borders;
use crate::geo::grid::Grid;
use crate::geo::point::{BBox, Point};
use crate::service::ServiceSet;
use crate::units::{AreaId, DispatcherId, Name, TablesVersion, Timestamp};

/// A compiled table set: immutable, shared by every decision until the next set is published.
///
/// # Invariants
/// Every index inside points into the set; `build` proved it. Every service has a fallback, every area an answering room.
#[derive(Clone, Debug)]
pub struct Tables {
    pub version: TablesVersion,
    pub name: Box<str>,
    pub title_en: Box<str>,
    pub title_ar: Box<str>,
    pub country: [u8; 2],
    pub settings: Settings,
    /// Sorted by id.
    pub areas: Vec<Area>,
    pub dispatchers: Dispatchers,
    pub identities: Identities,
    pub words: Vocabulary,
    pub plans: Plans,
    pub ground: Ground,
    /// Named places, for saying a position in words.
    pub places: Vec<NamedPlace>,
}

/// The pack's numbers, in the units of the code.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    pub utc_offset_minutes: i32,
    pub gap_cm: u32,
    pub coast_cm: u32,
    pub shore_cm: u32,
    pub accuracy_cm: u32,
    pub uncertainty_cm: u32,
    pub neighbour_ppm_min: u32,
    pub rough: bool,
}

#[derive(Clone, Debug)]
pub struct Area {
    pub id: AreaId,
    pub name_en: Box<str>,
    pub name_ar: Box<str>,
}

#[derive(Clone, Debug)]
pub struct NamedPlace {
    pub name_en: Box<str>,
    pub name_ar: Box<str>,
    pub area: AreaIndex,
    pub point: Point,
}

/// Whose ground it is: one index over overlays, land, water and the land of other countries.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Zones in the order of their strength: where several hold a point, the first decides.
    pub zones: Vec<Zone>,
    /// Point -> zones. The index's area number is the position in `zones`.
    pub grid: Grid,
    /// Borders and coasts with their accuracy. An edge's area number is an [`AreaIndex`], or [`Ground::foreign_number`].
    pub edges: Borders,
    /// True when the water is drawn; otherwise the sea belongs to the nearest coast.
    pub has_water: bool,
    /// Rooms and marks laid over the boundaries, strongest first.
    pub overlays: Vec<Overlay>,
    /// Point -> overlays.
    pub overlay_grid: Grid,
    /// Everything the tables speak of.
    pub bbox: BBox,
    /// Countries next door, in the order of their numbers.
    pub countries: Vec<[u8; 2]>,
    pub area_count: u16,
}

/// A piece of ground with one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    Foreign([u8; 2]),
    Land(AreaIndex),
    /// An overlay that patches the boundaries, with its id for the reasons.
    Patch {
        area: AreaIndex,
        overlay: Name,
        flag: Flag,
    },
    Water(AreaIndex),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flag {
    Disputed,
    NeutralZone,
    #[default]
    None,
}

/// A small area with a room of its own, or a mark that a person should see.
#[derive(Clone, Debug)]
pub struct Overlay {
    pub id: Name,
    pub services: ServiceSet,
    /// `None` for a mark.
    pub dispatcher: Option<DispatcherIndex>,
    pub hours: Hours,
    pub flag: Flag,
    pub told: ArrayVec<AreaIndex, 4>,
}

impl Ground {
    /// The number an edge carries for a country next door.
    pub fn foreign_number(&self, country: [u8; 2]) -> Option<u16> {
        self.countries.iter().position(|c| *c == country).map(|at| self.area_count + at as u16)
    }

    /// What an edge's number means.
    pub fn side(&self, number: u16) -> Side {
        if number < self.area_count {
            return Side::Own(AreaIndex(number));
        }
        self.countries.get(usize::from(number - self.area_count)).map_or(Side::Unknown, |country| Side::Foreign(*country))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Foreign([u8; 2]),
    Own(AreaIndex),
    Unknown,
}

impl Tables {
    pub fn area(&self, index: AreaIndex) -> Option<&Area> {
        self.areas.get(usize::from(index.0))
    }

    pub fn find_area(&self, id: &str) -> Option<AreaIndex> {
        self.areas.binary_search_by(|area| area.id.as_str().cmp(id)).ok().map(|at| AreaIndex(at as u16))
    }

    pub fn dispatcher_id(&self, index: DispatcherIndex) -> DispatcherId {
        self.dispatchers.get(index).map(|row| row.id).unwrap_or_default()
    }

    pub fn area_id(&self, index: AreaIndex) -> AreaId {
        self.area(index).map(|area| area.id).unwrap_or_default()
    }
}

/// The states of all dispatchers of one table set, by [`DispatcherIndex`].
#[derive(Clone, Debug, Default)]
pub struct States {
    pub by_index: Vec<DispatcherState>,
}

impl States {
    /// Everyone active but those named. States of dispatchers that the tables do not know are left out.
    pub fn of(tables: &Tables, named: &[(DispatcherId, DispatcherState)]) -> Self {
        let mut by_index = vec![DispatcherState::Active; tables.dispatchers.rows.len()];
        for (id, state) in named {
            if let Some(slot) = tables.dispatchers.find(id.as_str()).and_then(|index| by_index.get_mut(usize::from(index.0))) {
                *slot = *state;
            }
        }
        Self { by_index }
    }
}

/// Tables, states and their number: what one decision is made under.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub tables: Arc<Tables>,
    pub states: Arc<States>,
    /// Rises by one with every publication.
    pub number: u64,
}

impl Snapshot {
    /// The tables with every dispatcher active.
    pub fn of(tables: Arc<Tables>) -> Self {
        let states = Arc::new(States::of(&tables, &[]));
        Self { tables, states, number: 0 }
    }

    /// Whether these hours hold now, in the pack's wall clock.
    pub fn hold(&self, hours: &Hours, now: Timestamp) -> bool {
        hours.hold(now.unix_micros / 1_000_000, self.tables.settings.utc_offset_minutes)
    }
}
