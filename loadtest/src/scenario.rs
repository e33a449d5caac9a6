//! Scenarios: who calls, from where, how often and when, and who is there to answer. TOML, with a seed; see loadtest/README.md.
//!
//! Six are part of the program; any other is a file. A file that cannot be used is refused with its line and what to write instead.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use najda::contact::Door;
use serde::Deserialize;

/// The scenarios inside the program, the canonical one first.
pub const BUILT_IN: [(&str, &str); 6] = [
    ("everyday-uae", include_str!("../scenarios/everyday-uae.toml")),
    ("new-year-burj-khalifa", include_str!("../scenarios/new-year-burj-khalifa.toml")),
    ("storm-2024-04-16", include_str!("../scenarios/storm-2024-04-16.toml")),
    ("ghantoot-fog", include_str!("../scenarios/ghantoot-fog.toml")),
    ("tower-fire-border", include_str!("../scenarios/tower-fire-border.toml")),
    ("operator-down", include_str!("../scenarios/operator-down.toml")),
];
pub const CANONICAL: &str = BUILT_IN[0].0;

/// Groups of callers in one file.
const GROUPS_MAX: usize = 64;
/// Corners of a rate curve, and of a road.
const CORNERS_MAX: usize = 256;
/// Bytes of a scenario file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Milliseconds of any pause in a scenario.
const PAUSE_MS_MAX: u64 = 600_000;

/// One scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One line for people.
    pub title: String,
    #[serde(default = "one")]
    pub seed: u64,
    /// Contacts a second, on average over the run.
    pub rate: f64,
    pub seconds: f64,
    /// How the rate moves: pairs of a share of the run and a factor, straight lines in between. Only their proportions count.
    #[serde(default)]
    pub curve: Vec<[f64; 2]>,
    pub callers: Vec<Group>,
    #[serde(default)]
    pub seats: Seats,
    /// How it is called: a built-in's name, or the file.
    #[serde(skip)]
    pub name: String,
    /// Of the factors over the run.
    #[serde(skip)]
    mean: f64,
}

/// People who call from the same places about the same things.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Group {
    pub name: String,
    /// Against the other groups that call at the same moment.
    pub weight: u32,
    /// The share of the run at which they begin and stop to call.
    pub from: f64,
    pub until: f64,
    /// Named places of the tables, areas of the tables, or `*` for all; rooms with more seats have more callers.
    pub places: Vec<String>,
    /// A point, WGS 84, latitude first.
    pub around: Option<[f64; 2]>,
    /// A road: corners in order.
    pub along: Vec<[f64; 2]>,
    /// How far from those points they are, at most.
    pub spread_m: u32,
    /// By door, in shares.
    pub doors: BTreeMap<String, u32>,
    /// By number dialled, in shares.
    pub dialled: BTreeMap<String, u32>,
    pub located: Located,
    /// Radius of a fix: small ones are far more frequent than large ones.
    pub uncertainty_m: [u32; 2],
    /// Serving cells that phones without a fix name.
    pub cells: Vec<String>,
    /// Voice calls that show their number.
    pub lines_percent: u32,
    /// Voice calls of which words are known; texts always have words.
    pub words_percent: u32,
    /// Language (ISO 639-1) and text.
    pub words: Vec<[String; 2]>,
    /// Contacts that their gateway sends once more, the same in every byte.
    pub duplicates_percent: u32,
    pub hang_ups_percent: u32,
    pub hang_up_after_ms: [u64; 2],
    /// Calls from a line that has called just before.
    pub repeats_percent: u32,
    /// Phones whose fix comes after the call.
    pub late_fixes_percent: u32,
    pub late_fix_after_ms: [u64; 2],
}

/// What a phone tells of its place, in shares.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Located {
    /// A circle from the device.
    #[serde(default)]
    pub fix: u32,
    /// The identity of its serving cell and no more.
    #[serde(default)]
    pub cell: u32,
    /// A circle from the network around its mast.
    #[serde(default)]
    pub circle: u32,
    #[serde(default)]
    pub nothing: u32,
}

/// Who answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seats {
    pub in_every_room: u32,
    /// From taking a contact to closing it.
    pub handle_ms: [u64; 2],
    /// Contacts one seat holds at a time; what is above waits on the screen.
    pub at_once: u32,
    /// Rooms where nobody is signed in.
    pub unstaffed: Vec<String>,
}

const fn one() -> u64 {
    1
}

impl Default for Group {
    fn default() -> Self {
        let shares = |of: &[(&str, u32)]| of.iter().map(|(word, share)| ((*word).to_owned(), *share)).collect();
        Self {
            name: String::new(),
            weight: 100,
            from: 0.0,
            until: 1.0,
            places: Vec::new(),
            around: None,
            along: Vec::new(),
            spread_m: 4_000,
            doors: shares(&[("sip-voice", 100)]),
            dialled: shares(&[("999", 60), ("998", 25), ("997", 15)]),
            located: Located { fix: 80, cell: 0, circle: 15, nothing: 5 },
            uncertainty_m: [5, 1_500],
            cells: Vec::new(),
            lines_percent: 95,
            words_percent: 0,
            words: vec![["en".to_owned(), "please help".to_owned()]],
            duplicates_percent: 0,
            hang_ups_percent: 0,
            hang_up_after_ms: [50, 5_000],
            repeats_percent: 0,
            late_fixes_percent: 0,
            late_fix_after_ms: [100, 5_000],
        }
    }
}

impl Default for Seats {
    fn default() -> Self {
        Self { in_every_room: 1, handle_ms: [0, 0], at_once: 4_096, unstaffed: Vec::new() }
    }
}

impl Scenario {
    /// By a built-in's name or a file's path.
    ///
    /// # Errors
    /// The file, the line and the remedy.
    pub fn load(name_or_file: &str) -> Result<Self> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_file) {
            return Self::parse(name, text);
        }
        let path = Path::new(name_or_file);
        let names = BUILT_IN.map(|(name, _)| name).join(", ");
        let size = std::fs::metadata(path)
            .with_context(|| format!("there is no scenario and no file {name_or_file:?}; the program's own are {names}"))?
            .len();
        if size > FILE_BYTES_MAX {
            bail!("{name_or_file}: {size} bytes are no scenario; at most {FILE_BYTES_MAX}");
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {name_or_file}"))?;
        Self::parse(name_or_file, &text)
    }

    /// # Errors
    /// As [`Self::load`].
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut scenario: Self = toml::from_str(text).map_err(|why| {
            let line = why.span().map_or(1, |span| line_at(text, span.start));
            anyhow!("{name}:{line}: {}; the fields and their units are in loadtest/README.md", why.message())
        })?;
        name.clone_into(&mut scenario.name);
        scenario.mean = scenario.mean();
        match scenario.defect() {
            Some(Defect { group, key, what }) => bail!("{name}:{}: {what}", line_of(text, group, key)),
            None => Ok(scenario),
        }
    }

    fn defect(&self) -> Option<Defect> {
        let top = |key, what: &str| Some(Defect { group: None, key, what: what.to_owned() });
        if !(self.rate > 0.0 && self.rate <= 1e6) {
            return top("rate", "`rate` is contacts a second: above 0, at most 1000000");
        }
        if !(self.seconds > 0.0 && self.seconds <= 86_400.0) {
            return top("seconds", "`seconds` is above 0 and at most a day, 86400");
        }
        if self.callers.is_empty() || self.callers.len() > GROUPS_MAX {
            return top("callers", "1 to 64 groups of [[callers]] are needed");
        }
        let in_order = self.curve.is_sorted_by(|a, b| a[0] <= b[0]);
        let in_run = self.curve.iter().all(|[at, times]| (0.0..=1.0).contains(at) && (0.0..=1_000.0).contains(times));
        if !in_order || !in_run || self.curve.len() > CORNERS_MAX {
            return top("curve", "`curve` is pairs [share of the run 0 to 1, factor 0 to 1000], shares rising, at most 256");
        }
        if !self.curve.is_empty() && self.curve.iter().all(|[_, times]| *times <= 0.0) {
            return top("curve", "`curve` is 0 everywhere: nobody would call; raise a factor");
        }
        let shares = self.callers.iter();
        let covered = |at: f64| shares.clone().any(|group| group.weight > 0 && group.from <= at && at < group.until);
        let edges = self.callers.iter().flat_map(|group| [group.from, group.until]).filter(|at| *at < 1.0);
        if let Some(at) = edges.chain([0.0]).find(|at| !covered(*at)) {
            return top("callers", &format!("nobody calls at share {at} of the run: let a group begin `from` there or earlier"));
        }
        let groups = self.callers.iter().enumerate();
        groups
            .map(|(index, group)| (index, group.defect()))
            .find_map(|(index, found)| {
                let (key, what) = found?;
                Some(Defect { group: Some(index), key, what })
            })
            .or_else(|| self.seats.defect())
    }

    /// The factor of the rate at a share of the run, so that its mean over the run is 1.
    pub fn factor(&self, share: f64) -> f64 {
        if self.curve.is_empty() { 1.0 } else { self.raw_factor(share.clamp(0.0, 1.0)) / self.mean }
    }

    fn raw_factor(&self, share: f64) -> f64 {
        let after = self.curve.partition_point(|[at, _]| *at <= share);
        match (after.checked_sub(1).and_then(|before| self.curve.get(before)), self.curve.get(after)) {
            (Some([from, low]), Some([to, high])) => low + (high - low) * (share - from) / (to - from).max(f64::MIN_POSITIVE),
            (Some([_, only]), None) | (None, Some([_, only])) => *only,
            (None, None) => 1.0,
        }
    }

    fn mean(&self) -> f64 {
        let edge = |share: f64| [share, self.raw_factor(share)];
        let corners: Vec<[f64; 2]> = [edge(0.0)].into_iter().chain(self.curve.iter().copied()).chain([edge(1.0)]).collect();
        corners
            .windows(2)
            .map(|pair| match pair {
                [[from, low], [to, high]] => (to - from) * (low + high) / 2.0,
                _ => 0.0,
            })
            .sum::<f64>()
            .max(1e-9)
    }

    /// The highest factor.
    pub fn peak(&self) -> f64 {
        self.curve.iter().map(|[_, times]| times / self.mean).fold(1.0, f64::max)
    }
}

struct Defect {
    group: Option<usize>,
    key: &'static str,
    what: String,
}

impl Group {
    /// The field that cannot be used, and what to write instead.
    fn defect(&self) -> Option<(&'static str, String)> {
        let no = |key: &'static str, what: &str| Some((key, what.to_owned()));
        let on_globe = |[lat, lon]: &[f64; 2]| (-90.0..=90.0).contains(lat) && (-180.0..=180.0).contains(lon);
        if !(0.0 <= self.from && self.from < self.until && self.until <= 1.0) {
            return no("from", "`from` and `until` are shares of the run, 0 to 1, `from` below `until`");
        }
        let ways = usize::from(!self.places.is_empty()) + usize::from(self.around.is_some()) + usize::from(!self.along.is_empty());
        if ways != 1 {
            return no("name", "a group calls from exactly one of `places`, `around` and `along`");
        }
        if !self.around.iter().chain(&self.along).all(on_globe) || self.along.len() == 1 || self.along.len() > CORNERS_MAX {
            return no(
                if self.around.is_some() { "around" } else { "along" },
                "points are [latitude, longitude] in degrees; a road has 2 to 256",
            );
        }
        if self.spread_m > 500_000 {
            return no("spread_m", "`spread_m` is in metres, at most 500000");
        }
        if let Some(word) = self.doors.keys().find(|word| Door::from_word(word).is_none()) {
            let known = Door::ALL.map(Door::word).join(", ");
            return Some(("doors", format!("there is no door {word:?}; the doors are {known}")));
        }
        let empty = |shares: &BTreeMap<String, u32>| shares.values().all(|share| *share == 0);
        if empty(&self.doors) || empty(&self.dialled) {
            return no(if empty(&self.doors) { "doors" } else { "dialled" }, "at least one share must be above 0");
        }
        let Located { fix, cell, circle, nothing } = self.located;
        if [fix, cell, circle, nothing].iter().all(|share| *share == 0) {
            return no("located", "at least one of `fix`, `cell`, `circle` and `nothing` must be above 0");
        }
        if cell > 0 && self.cells.is_empty() {
            return no("located", "phones that name a cell need `cells` to name");
        }
        let [least, most] = self.uncertainty_m;
        if !(1 <= least && least <= most && most <= 100_000) {
            return no("uncertainty_m", "`uncertainty_m` is [least, most] in metres, 1 to 100000");
        }
        if self.words.is_empty() || self.words.iter().any(|[lang, _]| lang.len() != 2) {
            return no("words", "`words` are pairs [\"en\", \"text\"], at least one, the language in two letters");
        }
        let percents = [
            ("lines_percent", self.lines_percent),
            ("words_percent", self.words_percent),
            ("duplicates_percent", self.duplicates_percent),
            ("hang_ups_percent", self.hang_ups_percent),
            ("repeats_percent", self.repeats_percent),
            ("late_fixes_percent", self.late_fixes_percent),
        ];
        if let Some((key, _)) = percents.into_iter().find(|(_, percent)| *percent > 100) {
            return Some((key, format!("`{key}` is 0 to 100")));
        }
        let pauses = [("hang_up_after_ms", self.hang_up_after_ms), ("late_fix_after_ms", self.late_fix_after_ms)];
        let wrong = pauses.into_iter().find(|(_, [least, most])| least > most || *most > PAUSE_MS_MAX);
        wrong.map(|(key, _)| (key, format!("`{key}` is [least, most] in milliseconds, at most {PAUSE_MS_MAX}")))
    }
}

impl Seats {
    fn defect(&self) -> Option<Defect> {
        let no = |key, what: &str| Some(Defect { group: None, key, what: what.to_owned() });
        if !(1..=100).contains(&self.in_every_room) {
            return no("in_every_room", "`in_every_room` is 1 to 100 seats");
        }
        if !(1..=4_096).contains(&self.at_once) {
            return no("at_once", "`at_once` is 1 to 4096 contacts");
        }
        let [least, most] = self.handle_ms;
        if least > most || most > PAUSE_MS_MAX {
            return no("handle_ms", "`handle_ms` is [least, most] in milliseconds, at most 600000");
        }
        None
    }
}

fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

/// The line of a key: in the group with this number, or anywhere. The line of the table where the key is not written.
fn line_of(text: &str, group: Option<usize>, key: &str) -> usize {
    let mut groups = 0;
    let mut table = 1;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with('[') {
            groups += usize::from(line.starts_with("[[callers]]"));
            table = if group.is_none_or(|group| groups == group + 1) { index + 1 } else { table };
        }
        let here = group.is_none_or(|group| groups == group + 1);
        if here && line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            return index + 1;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_is_sound_and_says_what_it_is() {
        for (name, text) in BUILT_IN {
            let scenario = Scenario::parse(name, text).unwrap_or_else(|why| panic!("{why:#}"));
            assert!(scenario.title.len() > 20 && scenario.peak() >= 1.0, "{name}");
        }
    }

    #[test]
    fn the_rate_is_the_mean_of_its_curve() {
        let text = "title = 't'\nrate = 10\nseconds = 1\ncurve = [[0.0, 1], [0.5, 3], [1.0, 1]]\n[[callers]]\nplaces = ['*']\n";
        let scenario = Scenario::parse("x", text).unwrap();
        let mean = (0..1_000).map(|step| scenario.factor((f64::from(step) + 0.5) / 1_000.0)).sum::<f64>() / 1_000.0;
        assert!((mean - 1.0).abs() < 0.001, "{mean}");
        assert!((scenario.peak() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_bad_file_is_refused_with_its_line_and_the_remedy() {
        let head = "title = 't'\nrate = 10\nseconds = 1\n[[callers]]\nplaces = ['*']\n";
        let cases = [
            (head.replace("rate = 10", "rate = -1"), 2, "above 0"),
            (head.replace("seconds = 1", "secnods = 1"), 3, "unknown field"),
            (format!("{head}doors = {{ telex = 1 }}\n"), 6, "sip-voice"),
            (format!("{head}lines_percent = 101\n"), 6, "0 to 100"),
            (format!("{head}located = {{ cell = 1 }}\n"), 6, "`cells`"),
            (format!("{head}uncertainty_m = [9, 3]\n"), 6, "[least, most]"),
            (format!("{head}around = [25.0, 55.0]\n"), 4, "exactly one"),
            (format!("{head}from = 0.5\n"), 4, "nobody calls"),
            (format!("{head}[seats]\nat_once = 0\n"), 7, "1 to 4096"),
            (format!("{head}[[callers]]\naround = [95.0, 55.0]\n"), 7, "[latitude, longitude]"),
            ("title = 't\n".to_owned(), 1, "README"),
        ];
        for (text, line, remedy) in cases {
            let error = Scenario::parse("bad.toml", &text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("bad.toml:{line}: ")) && error.contains(remedy), "{error}\nexpected line {line}: {remedy}");
        }
    }

    #[test]
    fn a_name_that_is_none_lists_those_that_are() {
        assert!(Scenario::load("no-such").unwrap_err().to_string().contains("ghantoot-fog"));
    }
}
