//! The rows of README's guarantees table that a load test can fill. The same report always gives the same text.

use crate::report::{Alone, Report, micros};

/// The head of the table, so that the fragment stands alone.
const HEAD: &str = "| id | promise | floor | measured | ratio | command |\n| --- | --- | --- | --- | --- | --- |\n";

/// One row for each promise that the report has figures for.
pub fn rows(report: &Report) -> String {
    let mut text = HEAD.to_owned();
    let command = format!("`{}`", report.command);
    let mut row = |id: &str, promise: &str, floor: &str, measured: &str, ratio: &str| {
        text.push_str(&format!("| {id} | {promise} | {floor} | {measured} | {ratio} | {command} |\n"));
    };
    let word = report.verdict.word();
    let carried = format!("{:.0}/s, lost {}, duplicates {}, {word}", report.contacts_a_second, report.lost, report.duplicates);
    let rate = format!("{} contacts/s through their whole life, lost 0, duplicates 0", report.asked.rate);
    row("load/whole_life", &rate, "-", &carried, &share(report.contacts_a_second, report.sent_a_second));
    let floor = |of: fn(&Alone) -> f64| report.alone.as_ref().map(of);
    let hops = floor(|alone| alone.two_hops_apart_p50_us);
    let commit = floor(|alone| alone.bare_commit_p50_us);
    let named = |value: Option<f64>, what: &str| value.map_or("-".to_owned(), |value| format!("{} {what}", micros(value)));
    let over = |value: f64, floor: Option<f64>| floor.map_or("-".to_owned(), |floor| share(value, floor));
    let console = &report.latency.console;
    let values = format!("{} / {} / {}", micros(console.p50_us), micros(console.p99_us), micros(console.p999_us));
    row(
        "load/console",
        "send to console at that rate, p50 / p99 / p99.9",
        &named(hops, "two bare QUIC hops"),
        &values,
        &over(console.p50_us, hops),
    );
    let durable = &report.latency.durable;
    let values = format!("{} / {} / {}", micros(durable.p50_us), micros(durable.p99_us), micros(durable.p999_us));
    let both = hops.zip(commit).map(|(hops, commit)| hops + commit);
    row(
        "load/durable",
        "send to Durable at that rate, p50 / p99 / p99.9",
        &named(both, "two hops and a bare commit"),
        &values,
        &over(durable.p50_us, both),
    );
    let overdue = format!("{} of {} ({:.3} %)", report.counts.overdue, report.counts.sent, report.overdue_percent());
    row("load/overdue", "told Overdue instead of Durable, at most 0.1 %", "-", &overdue, "-");
    if let Some(alone) = &report.alone {
        let Alone { console_p50_us, durable_p50_us, console_to_two_hops_apart, durable_to_hops_and_commit, .. } = alone;
        let ratio = |value: &f64| format!("{value:.2}");
        row(
            "alone/console",
            "send to console, 1 in flight, at most 1.5 x",
            &named(hops, "two bare QUIC hops"),
            &micros(*console_p50_us),
            &ratio(console_to_two_hops_apart),
        );
        row(
            "alone/durable",
            "send to Durable, 1 in flight, at most 1.3 x",
            &named(both, "two hops and a bare commit"),
            &micros(*durable_p50_us),
            &ratio(durable_to_hops_and_commit),
        );
    }
    text
}

fn share(value: f64, floor: f64) -> String {
    if floor > 0.0 { format!("{:.2}", value / floor) } else { "-".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Latency;

    fn report() -> Report {
        let mut report =
            Report { contacts_a_second: 4_990.0, sent_a_second: 5_000.0, command: "najda-loadtest".into(), ..Report::default() };
        report.asked.rate = 5_000.0;
        (report.counts.sent, report.counts.overdue) = (300_000, 30);
        report.latency.console = Latency { p50_us: 300.0, p99_us: 9_000.0, p999_us: 20_000.0, ..Latency::default() };
        report.alone = Some(Alone { two_hops_apart_p50_us: 150.0, console_to_two_hops_apart: 1.25, ..Alone::default() });
        report
    }

    #[test]
    fn the_same_report_gives_the_same_rows_with_floor_measured_and_ratio() {
        let text = rows(&report());
        assert_eq!(text, rows(&report()));
        let console = text.lines().find(|line| line.contains("load/console")).unwrap();
        assert!(console.contains("150 us two bare QUIC hops | 300 us / 9.00 ms / 20.00 ms | 2.00 | `najda-loadtest` |"), "{console}");
        assert!(text.contains("30 of 300000 (0.010 %)") && text.contains("| 1.25 |"), "{text}");
        assert!(text.lines().all(|line| line.matches('|').count() == 7), "every row has six cells");
    }

    #[test]
    fn a_report_without_floors_has_no_row_that_needs_them() {
        let text = rows(&Report { alone: None, ..report() });
        assert!(
            !text.contains("alone/") && text.contains("| load/console | send to console at that rate, p50 / p99 / p99.9 | - |"),
            "{text}"
        );
    }
}
