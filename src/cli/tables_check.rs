//! `najda tables check`: every defect of a pack with its file, row and remedy, and the proof that nobody is without a route.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::edge::tables::read_folder;
use crate::tables::check::{Report, check_files};

/// Check a pack: every defect with its file, row and remedy.
///
/// Ends with 0 when the pack may be published (warnings do not stop it), with 1 when it has errors, with 2 when it cannot be read.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// The folder of the pack.
    #[arg(default_value = "routing-tables/uae")]
    pub dir: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// The folder cannot be read, or the output cannot be written.
pub fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let files = read_folder(&args.dir)?;
    let report = check_files(&files);
    let text = if args.json { json(&report) } else { text(&report, &args.dir.display().to_string()) };
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    // A reader that has seen enough (`| head`) is no failure of the check.
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(if report.is_publishable() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The report for people: grouped by file, errors first, counts at the end.
pub fn text(report: &Report, pack: &str) -> String {
    let mut out = String::new();
    let mut file = None;
    for defect in &report.defects {
        if file != Some(&defect.file) {
            let _ = writeln!(out, "{}{}", if file.is_some() { "\n" } else { "" }, defect.file);
            file = Some(&defect.file);
        }
        let kind = if defect.warning { "warning" } else { "ERROR" };
        let unit = if defect.file.ends_with(".geojson") { "feature" } else { "line" };
        let row = if defect.row == 0 { "whole file".to_owned() } else { format!("{unit} {}", defect.row) };
        let _ = writeln!(out, "  {kind:<7}  {row:<11}  [{}] {}", defect.code, defect.what);
        let _ = writeln!(out, "                        -> {}", defect.remedy);
    }
    if !report.defects.is_empty() {
        out.push('\n');
    }
    let s = &report.summary;
    let _ = writeln!(
        out,
        "{pack}: {} areas ({} km2), {} services, {} dispatchers in {} rooms",
        s.areas, s.owned_km2, s.services, s.dispatchers, s.rooms
    );
    let _ = writeln!(
        out,
        "proof: {} of {} pairs of place and service have a route and a fallback ({} with a room of their own, {} by fallback)",
        s.pairs - s.pairs_unproven,
        s.pairs,
        s.pairs_responsible,
        s.pairs_fallback
    );
    if s.gaps_to_nearest > 0 || s.slivers > 0 {
        let _ = writeln!(out, "small gaps: {} go to the nearest area, {} slivers within the snap distance", s.gaps_to_nearest, s.slivers);
    }
    let (errors, warnings) = (report.error_count(), report.warning_count());
    let verdict = if report.is_publishable() { "may be published" } else { "must not be published" };
    let _ = writeln!(out, "{errors} errors, {warnings} warnings: {verdict}");
    out
}

/// The report for scripts.
pub fn json(report: &Report) -> String {
    let defects: Vec<serde_json::Value> = report
        .defects
        .iter()
        .map(|d| {
            let severity = if d.warning { "warning" } else { "error" };
            serde_json::json!({
                "file": d.file, "row": d.row, "code": d.code, "severity": severity, "what": d.what, "remedy": d.remedy,
            })
        })
        .collect();
    let s = &report.summary;
    let value = serde_json::json!({
        "publishable": report.is_publishable(),
        "errors": report.error_count(),
        "warnings": report.warning_count(),
        "summary": {
            "areas": s.areas,
            "owned_km2": s.owned_km2,
            "services": s.services,
            "dispatchers": s.dispatchers,
            "rooms": s.rooms,
            "pairs": s.pairs,
            "pairs_responsible": s.pairs_responsible,
            "pairs_fallback": s.pairs_fallback,
            "pairs_unproven": s.pairs_unproven,
            "gaps_to_nearest": s.gaps_to_nearest,
            "slivers": s.slivers,
        },
        "defects": defects,
    });
    format!("{value:#}\n")
}
