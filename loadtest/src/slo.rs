//! What a run must meet, as text: `p99<20ms,lost=0`.

use std::fmt;
use std::str::FromStr;

use crate::report::{Latency, Report, micros};

/// Conditions on a run, all of which must hold. None holds always.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slo(Vec<Term>);

#[derive(Clone, Debug, PartialEq)]
struct Term {
    figure: Figure,
    /// At most, or strictly below.
    inclusive: bool,
    /// Microseconds, a count, or a percentage.
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    Lost,
    Duplicates,
    /// In percent of the contacts sent.
    Overdue,
    Of(Step, Quantile),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Targets,
    Console,
    Durable,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantile {
    P50,
    P90,
    P99,
    P999,
    Max,
}

const HELP: &str = "conditions are joined by commas: `p99<20ms` (also p50, p90, p99.9, max; send to console), `durable.p99<=100ms` (also \
    targets, ended), `lost=0`, `duplicates=0`, `overdue<=0.1%`";

const STEPS: [(&str, Step); 4] =
    [("console", Step::Console), ("durable", Step::Durable), ("ended", Step::Ended), ("targets", Step::Targets)];
const QUANTILES: [(&str, Quantile); 5] =
    [("max", Quantile::Max), ("p50", Quantile::P50), ("p90", Quantile::P90), ("p99", Quantile::P99), ("p99.9", Quantile::P999)];

impl Slo {
    /// What a report breaks, in words.
    pub fn broken(&self, report: &Report) -> Vec<String> {
        let broken = self.0.iter().filter(|term| !term.holds(term.figure.of(report)));
        broken.map(|term| format!("{term} was asked, {} came", term.figure.show(term.figure.of(report)))).collect()
    }
}

impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let terms = text.split(',').map(str::trim).filter(|term| !term.is_empty()).map(term).collect::<Result<Vec<_>, _>>()?;
        if terms.is_empty() { Err(HELP.to_owned()) } else { Ok(Self(terms)) }
    }
}

fn term(text: &str) -> Result<Term, String> {
    let bad = |what: &str| format!("{text:?}: {what}; {HELP}");
    let at = text.find(['<', '=']).ok_or_else(|| bad("has no `<`, `<=` or `=`"))?;
    let (name, rest) = text.split_at(at);
    let (inclusive, value) = match (rest.strip_prefix("<="), rest.strip_prefix('<'), rest.strip_prefix('=')) {
        (Some(value), ..) => (true, value),
        (None, Some(value), _) => (false, value),
        (None, None, value) => (true, value.unwrap_or_default()),
    };
    let figure = figure(name.trim()).ok_or_else(|| bad("is about nothing that is measured"))?;
    let bound = bound(figure, value.trim()).ok_or_else(|| bad("has a value or unit that does not fit"))?;
    Ok(Term { figure, inclusive, bound })
}

fn figure(name: &str) -> Option<Figure> {
    let quantile = |name: &str| QUANTILES.iter().find(|(word, _)| *word == name).map(|(_, quantile)| *quantile);
    match name {
        "lost" => Some(Figure::Lost),
        "duplicates" => Some(Figure::Duplicates),
        "overdue" => Some(Figure::Overdue),
        _ => match quantile(name) {
            Some(found) => Some(Figure::Of(Step::Console, found)),
            None => {
                let (step, name) = name.split_once('.')?;
                let step = STEPS.iter().find(|(word, _)| *word == step).map(|(_, step)| *step)?;
                Some(Figure::Of(step, quantile(name)?))
            }
        },
    }
}

fn bound(figure: Figure, value: &str) -> Option<f64> {
    let number = |text: &str, times: f64| text.trim().parse::<f64>().ok().filter(|number| *number >= 0.0).map(|number| number * times);
    match figure {
        Figure::Lost | Figure::Duplicates => number(value, 1.0),
        Figure::Overdue => number(value.strip_suffix('%')?, 1.0),
        Figure::Of(..) => match (value.strip_suffix("us"), value.strip_suffix("ms"), value.strip_suffix('s')) {
            (Some(micros), ..) => number(micros, 1.0),
            (None, Some(millis), _) => number(millis, 1e3),
            (None, None, Some(secs)) => number(secs, 1e6),
            _ => None,
        },
    }
}

impl Term {
    fn holds(&self, value: f64) -> bool {
        if self.inclusive { value <= self.bound } else { value < self.bound }
    }
}

impl Figure {
    fn of(self, report: &Report) -> f64 {
        match self {
            Self::Lost => report.lost as f64,
            Self::Duplicates => report.duplicates as f64,
            Self::Overdue => report.overdue_percent(),
            Self::Of(step, quantile) => {
                let latency: &Latency = match step {
                    Step::Targets => &report.latency.targets,
                    Step::Console => &report.latency.console,
                    Step::Durable => &report.latency.durable,
                    Step::Ended => &report.latency.ended,
                };
                match quantile {
                    Quantile::P50 => latency.p50_us,
                    Quantile::P90 => latency.p90_us,
                    Quantile::P99 => latency.p99_us,
                    Quantile::P999 => latency.p999_us,
                    Quantile::Max => latency.max_us,
                }
            }
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Lost | Self::Duplicates => format!("{value:.0}"),
            Self::Overdue => format!("{value:.3}%"),
            Self::Of(..) => micros(value),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.figure {
            Figure::Lost => "lost".to_owned(),
            Figure::Duplicates => "duplicates".to_owned(),
            Figure::Overdue => "overdue".to_owned(),
            Figure::Of(step, quantile) => {
                let step = STEPS.iter().find(|(_, known)| *known == step).map_or("", |(word, _)| word);
                let quantile = QUANTILES.iter().find(|(_, known)| *known == quantile).map_or("", |(word, _)| word);
                format!("{step}.{quantile}")
            }
        };
        write!(out, "{name}{}{}", if self.inclusive { "<=" } else { "<" }, self.figure.show(self.bound))
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms: Vec<String> = self.0.iter().map(Term::to_string).collect();
        out.write_str(&terms.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(p99_us: f64, lost: u64, overdue: u64) -> Report {
        let mut report = Report::default();
        (report.latency.console.p99_us, report.lost) = (p99_us, lost);
        (report.counts.sent, report.counts.overdue) = (1_000, overdue);
        report
    }

    #[test]
    fn what_a_run_breaks_is_named_with_what_came() {
        let slo: Slo = "p99<20ms, lost=0,overdue<=0.1%".parse().unwrap();
        assert_eq!(slo.broken(&report(19_999.0, 0, 1)), Vec::<String>::new());
        let broken = slo.broken(&report(20_000.0, 2, 2)).join("; ");
        assert_eq!(
            broken,
            "console.p99<20.00 ms was asked, 20.00 ms came; lost<=0 was asked, 2 came; overdue<=0.100% was asked, 0.200% came"
        );
    }

    #[test]
    fn every_step_and_unit_can_be_asked_for_and_nonsense_is_refused_with_help() {
        for text in ["p50<=900us", "max<1.5s", "durable.p99.9<100ms", "targets.p90<2ms", "ended.max<10s", "duplicates=0"] {
            assert!(text.parse::<Slo>().is_ok(), "{text}");
        }
        for text in ["", "p99", "p98<20ms", "p99<20", "lost=-1", "overdue<1", "sent.p99<1ms", "p99<xms"] {
            let why = text.parse::<Slo>().unwrap_err();
            assert!(why.contains("p99<20ms"), "{text}: {why}");
        }
    }
}
