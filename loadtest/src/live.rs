//! What a run shows while it goes on: one line drawn again and again at a terminal, a line every few seconds elsewhere.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::micros;
use crate::scene::Show;

/// How often a line is written where no line can be drawn again.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What is known at one moment.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    pub elapsed: Duration,
    pub whole: Duration,
    /// Contacts a second, asked for now and reached in the last second.
    pub asked: f64,
    pub reached: f64,
    /// Send to console of the last second: p50 and p99, in nanoseconds.
    pub console: Option<[u64; 2]>,
    /// Contacts that have not ended.
    pub alive: u64,
    /// Contacts on screens that nobody has taken.
    pub waiting: u64,
    /// What would make the run fail or say nothing, so far.
    pub so_far: String,
}

/// Shows the moments of one run.
#[derive(Debug)]
pub struct Live {
    show: Show,
    bar: ProgressBar,
    written: Option<Instant>,
}

impl Live {
    pub fn new(show: Show) -> Self {
        let target = if show == Show::Live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(1_000), target);
        if let Ok(style) = ProgressStyle::with_template("[{bar:24}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { show, bar, written: None }
    }

    /// A step that is not the load itself.
    pub fn step(&mut self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.tick();
        self.line(what, true);
    }

    pub fn moment(&mut self, moment: &Moment) {
        let share = moment.elapsed.as_secs_f64() / moment.whole.as_secs_f64().max(1e-9);
        self.bar.set_position((share.min(1.0) * 1e3) as u64);
        let text = moment.line();
        self.bar.set_message(text.clone());
        self.line(&text, false);
    }

    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// A step is worth a line at once; a moment only if the last is some seconds old.
    fn line(&mut self, text: &str, at_once: bool) {
        let old = self.written.is_none_or(|at| at.elapsed() >= LINE_EVERY);
        if self.show == Show::Lines && (at_once || old) {
            self.written = Some(Instant::now());
            // Who does not read the progress still gets the result.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
}

impl Moment {
    fn line(&self) -> String {
        let Self { elapsed, whole, asked, reached, console, alive, waiting, so_far } = self;
        let left = whole.saturating_sub(*elapsed).as_secs_f64().ceil();
        let console = console
            .map_or("none shown".to_owned(), |[p50, p99]| format!("p50 {} p99 {}", micros(p50 as f64 / 1e3), micros(p99 as f64 / 1e3)));
        format!("{left:.0} s left, {reached:.0} of {asked:.0}/s, console {console}, alive {alive}, waiting {waiting}, {so_far}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_time_left_rate_asked_and_reached_latency_and_the_verdict_so_far() {
        let moment = Moment {
            elapsed: Duration::from_millis(12_300),
            whole: Duration::from_secs(60),
            asked: 1_000.0,
            reached: 998.0,
            console: Some([1_200_000, 8_000_000]),
            alive: 31,
            waiting: 2,
            so_far: "PASS so far".into(),
        };
        let expected = "48 s left, 998 of 1000/s, console p50 1.20 ms p99 8.00 ms, alive 31, waiting 2, PASS so far";
        assert_eq!(moment.line(), expected);
    }
}
