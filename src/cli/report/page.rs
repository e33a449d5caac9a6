//! The report as one HTML file: figures, plots as SVG, a table of rooms. It asks nobody for anything.

use std::fmt::Write as _;

use super::{Counted, figures, percent, seconds};
use crate::tables::snapshot::Tables;
use crate::units::Timestamp;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:68rem;padding:0 1rem;color:#14181f;background:#fff}\
    h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
    th,td{text-align:end;padding:.25rem .5rem;border-bottom:1px solid #d5dae1;font-variant-numeric:tabular-nums}\
    th:first-child,td:first-child{text-align:start}.bad{font-weight:700;color:#9b1c1c}svg{width:100%;height:auto}\
    text{font:12px system-ui,sans-serif;fill:#414a57}.bar{fill:#2b5fa8}.line{stroke:#8a93a0;stroke-dasharray:4 3}\
    @media print{body{margin:0;max-width:none}}";

pub(super) fn page(counted: &Counted, tables: &Tables) -> String {
    let report = &counted.report;
    let from = report.by_hour.keys().next().map(|secs| Timestamp::from_secs(*secs));
    let to = report.by_hour.keys().next_back().map(|secs| Timestamp::from_secs(*secs + 3_600));
    let offset = i64::from(tables.settings.utc_offset_minutes) * 60;
    let between = match (counted.since.or(from), counted.until.or(to)) {
        (Some(from), Some(to)) => format!("{} to {}", wall(from, offset), wall(to, offset)),
        _ => "no contacts".to_owned(),
    };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Najda report, {between}</title>\
         <style>{STYLE}</style></head>\
         <body>\n<h1>{}: emergency contacts, {between}</h1>\n<table>\n",
        escaped(&tables.title_en)
    );
    for (name, value) in figures(counted) {
        let _ = writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(&value));
    }
    out.push_str("</table>\n<h2>Contacts an hour</h2>\n");
    out.push_str(&hours(counted, offset));
    out.push_str("<h2>Time until taken, 95 of 100, by room</h2>\n");
    out.push_str(&waits(counted));
    out.push_str(
        "<h2>Rooms</h2>\n<table>\n<tr><th>room</th><th>own</th><th>taken</th><th>others'</th><th>declined</th><th>handed over</th>\
         <th>take p50</th><th>take p95</th><th>in 15 s</th><th>promise</th><th>kept</th><th>help in 45 s</th></tr>\n",
    );
    for row in &counted.rows {
        let room = tables.dispatchers.find(&row.room).and_then(|index| tables.dispatchers.get(index));
        let name = room.map_or(String::new(), |room| format!(" {}", room.name_en));
        let late = if row.within_15_s.is_some_and(|share| share < 0.9) { " class=\"bad\"" } else { "" };
        let _ = writeln!(
            out,
            "<tr><td><b>{}</b>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td{late}>{}</td>\
             <td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&row.room),
            escaped(&name),
            row.own,
            row.taken,
            row.for_others,
            row.declined,
            row.handed_over,
            seconds(row.take_p50_s),
            seconds(row.take_p95_s),
            percent(row.within_15_s),
            row.promise_s.map_or("-".to_owned(), |promise| format!("{promise} s")),
            percent(row.within_promise),
            percent(row.within_45_s),
        );
    }
    out.push_str("</table>\n</body></html>\n");
    out
}

/// The rooms' wall clock.
fn wall(at: Timestamp, offset_secs: i64) -> String {
    let secs = i64::try_from(at.unix_micros / 1_000_000).unwrap_or(i64::MAX).saturating_add(offset_secs);
    jiff::Timestamp::from_second(secs).map_or("-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string())
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 180.0;
/// Hours and rooms that a plot can show apart; more are cut from the old end.
const BARS_MAX: usize = 168;

fn hours(counted: &Counted, offset: i64) -> String {
    let hours: Vec<(u64, u64)> = counted.report.by_hour.iter().map(|(hour, count)| (*hour, *count)).collect();
    let hours = hours.get(hours.len().saturating_sub(BARS_MAX)..).unwrap_or_default();
    let (Some((first, _)), Some((last, _))) = (hours.first(), hours.last()) else { return "<p>none</p>\n".to_owned() };
    let slots = ((last - first) / 3_600 + 1).max(1);
    let most = hours.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let wide = WIDTH / slots as f64;
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"contacts an hour, at most {most}\">", HEIGHT + 24.0);
    for (hour, count) in hours {
        let (at, high) = (((hour - first) / 3_600) as f64 * wide, *count as f64 / most as f64 * HEIGHT);
        let _ = write!(
            out,
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{high:.1}\"><title>{}: {count}</title></rect>",
            at + wide * 0.08,
            HEIGHT - high,
            (wide * 0.84).min(60.0),
            wall(Timestamp::from_secs(*hour), offset)
        );
    }
    let _ = write!(out, "<text x=\"0\" y=\"{}\">{}</text>", HEIGHT + 18.0, wall(Timestamp::from_secs(*first), offset));
    let _ = writeln!(
        out,
        "<text x=\"{WIDTH}\" y=\"{}\" text-anchor=\"end\">{}, most {most}</text></svg>",
        HEIGHT + 18.0,
        wall(Timestamp::from_secs(*last), offset)
    );
    out
}

/// A bar for each room, and the fifteen seconds as a line.
fn waits(counted: &Counted) -> String {
    const ROW: f64 = 22.0;
    const NAMES: f64 = 150.0;
    let rows: Vec<(&str, f64)> = counted.rows.iter().filter_map(|row| Some((row.room.as_str(), row.take_p95_s?))).collect();
    if rows.is_empty() {
        return "<p>none</p>\n".to_owned();
    }
    let most = rows.iter().map(|(_, p95)| *p95).fold(20.0, f64::max);
    let scale = (WIDTH - NAMES - 80.0) / most;
    let high = rows.len() as f64 * ROW;
    let mut out = format!("<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"time until taken by room\">", high + 8.0);
    for (at, (room, p95)) in rows.iter().enumerate() {
        let y = at as f64 * ROW;
        let _ = write!(
            out,
            "<text x=\"0\" y=\"{:.1}\">{}</text><rect class=\"bar\" x=\"{NAMES}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{p95:.1} s</text>",
            y + 15.0,
            escaped(room),
            y + 3.0,
            p95 * scale,
            ROW - 6.0,
            NAMES + p95 * scale + 6.0,
            y + 15.0
        );
    }
    let at = NAMES + 15.0 * scale;
    let _ = writeln!(out, "<line class=\"line\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{high:.1}\"/></svg>");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
