//! `najda tables import`: an authority's own layers in place of the shipped ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::edge::tables::{read_folder, write_folder};
use crate::tables::import::{ACCURACY_M, ImportReport, Imported, Layer, LayerReport, Request, import};
use crate::tables::source::Defect;

/// Bring official boundaries (GeoJSON, WGS 84) into a copy of a pack.
///
/// All rows of the base stay; its boundaries, and what was only true of them, are replaced. Example:
///
/// najda tables import --base routing-tables/uae --land emirates.geojson --id-property iso_3166_2 --out packs/official
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// The pack to copy.
    #[arg(long, value_name = "DIR")]
    pub base: PathBuf,
    /// The areas on land: polygons that tile the country.
    #[arg(long, value_name = "FILE")]
    pub land: PathBuf,
    /// The areas' waters. Without it the sea goes to the nearest coast.
    #[arg(long, value_name = "FILE")]
    pub water: Option<PathBuf>,
    /// Regions inside the areas.
    #[arg(long, value_name = "FILE")]
    pub region: Option<PathBuf>,
    /// The property of each feature that names its area.
    #[arg(long, value_name = "NAME")]
    pub id_property: String,
    /// The layer's ids in the pack's words.
    #[arg(long, value_name = "OLD=NEW", value_delimiter = ',', value_parser = pair)]
    pub map: Vec<(String, String)>,
    /// How far the layer's lines are from the true ones at most, in metres.
    #[arg(long, value_name = "N", default_value_t = ACCURACY_M, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub accuracy_m: u32,
    /// The date for the provenance [default: today].
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<jiff::civil::Date>,
    /// The folder to write; it must not exist yet, or be empty.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (old, new) = text.split_once('=').ok_or_else(|| format!("`{text}` is not OLD=NEW"))?;
    let (old, new) = (old.trim(), new.trim());
    if old.is_empty() || new.is_empty() { Err(format!("`{text}` is not OLD=NEW")) } else { Ok((old.to_owned(), new.to_owned())) }
}

/// Runs the command: 0 when the new pack may be published, 1 when the layers were refused or the pack has errors left.
///
/// # Errors
/// A file or folder cannot be read or written.
pub fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let base = read_folder(&args.base).context("reading the base pack")?;
    let request = Request {
        land: layer(&args.land)?,
        water: args.water.as_deref().map(layer).transpose()?,
        regions: args.region.as_deref().map(layer).transpose()?,
        id_property: args.id_property,
        map: args.map.into_iter().collect::<BTreeMap<_, _>>(),
        accuracy_m: args.accuracy_m,
        date: args.date.unwrap_or_else(|| jiff::Zoned::now().date()).to_string(),
    };
    let Imported { files, report } = match with_progress(|step| import(&base, &request, step)) {
        Ok(imported) => imported,
        Err(defects) => {
            print(&refused(&defects))?;
            return Ok(ExitCode::FAILURE);
        }
    };
    write_folder(&args.out, &files).context("writing the new pack")?;
    print(&text(&report, &args.out.display().to_string()))?;
    Ok(if report.checked.is_publishable() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn layer(path: &Path) -> anyhow::Result<Layer> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    Ok(Layer { name, bytes })
}

fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Does the work, and shows a bar once it has taken two seconds. A quick import stays quiet.
fn with_progress<T>(work: impl FnOnce(&mut dyn FnMut(&str)) -> T) -> T {
    const STEPS: u64 = 7;
    const QUIET: Duration = Duration::from_secs(2);
    let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::hidden());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:24} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    std::thread::scope(|scope| {
        let (done, waiting) = mpsc::sync_channel::<()>(1);
        let shown = bar.clone();
        scope.spawn(move || {
            if waiting.recv_timeout(QUIET) == Err(mpsc::RecvTimeoutError::Timeout) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(Duration::from_millis(200));
            }
        });
        let result = work(&mut |step| {
            bar.inc(1);
            bar.set_message(step.to_owned());
        });
        // The watcher ends at once when its channel closes.
        drop(done);
        bar.finish_and_clear();
        result
    })
}

fn refused(defects: &[Defect]) -> String {
    let mut out = String::from("The layers were refused; nothing was written.\n\n");
    for defect in defects {
        let row = if defect.row == 0 { String::new() } else { format!(" feature {}", defect.row) };
        let _ = writeln!(out, "{}{row}: [{}] {}\n    -> {}", defect.file, defect.code, defect.what, defect.remedy);
    }
    out
}

/// The report for people.
pub fn text(report: &ImportReport, out_dir: &str) -> String {
    let mut out = String::new();
    let layers = [("land", Some(&report.land)), ("water", report.water.as_ref()), ("regions", report.regions.as_ref())];
    for (name, layer) in layers.into_iter().filter_map(|(name, layer)| Some((name, layer?))) {
        layer_text(&mut out, name, layer);
    }
    if report.water_dropped {
        out.push_str("water: the base's was cut along the old coast and is gone; the sea goes to the nearest coast\n");
    }
    let _ = writeln!(out, "borders: {} rows of the old layer dropped, {} written", report.borders_dropped, report.borders_written);
    for (what, ids) in [("dropped as patches of the old layer", &report.overlays_dropped), ("now only marks", &report.overlays_marked)] {
        if !ids.is_empty() {
            let _ = writeln!(out, "overlays: {} {what}: {}", ids.len(), ids.join(" "));
        }
    }
    for defect in &report.warnings {
        let row = if defect.row == 0 { String::new() } else { format!(" feature {}", defect.row) };
        let _ = writeln!(out, "warning: {}{row}: [{}] {}\n    -> {}", defect.file, defect.code, defect.what, defect.remedy);
    }
    let _ = writeln!(out, "\nthe new pack, checked:\n");
    out.push_str(&super::tables_check::text(&report.checked, out_dir));
    out
}

fn layer_text(out: &mut String, name: &str, layer: &LayerReport) {
    let snapping = &layer.snapping;
    let _ = writeln!(out, "{name}: {} features, {} vertices read, {} written", layer.features, layer.vertices_read, layer.vertices_written);
    if *snapping != Default::default() {
        let _ = writeln!(
            out,
            "{name}: {} vertices snapped (none farther than {} cm), {} nodes added, {} rings collapsed",
            snapping.vertices_snapped, snapping.moved_cm_max, snapping.nodes_added, snapping.rings_collapsed
        );
    }
    if layer.closed > 0 || layer.slivers > 0 {
        let _ = writeln!(
            out,
            "{name}: {} gaps and overlaps closed ({} m2); {} slivers within the snap distance left ({} m2)",
            layer.closed, layer.closed_m2, layer.slivers, layer.slivers_m2
        );
    }
}
