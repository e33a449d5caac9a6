//! A bar for what takes more than two seconds; what is quicker stays quiet.

use std::time::Duration;

use crossbeam::channel::{RecvTimeoutError, bounded};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const QUIET: Duration = Duration::from_secs(2);

/// Does the work, and shows a bar on standard error once it has taken two seconds: of `total` steps, or a spinner when that is not
/// known.
pub fn with_bar<T>(what: &'static str, total: Option<u64>, work: impl FnOnce(&ProgressBar) -> T) -> T {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
    let template = match total {
        Some(_) => "{msg} {bar:32} {human_pos}/{human_len} {per_sec} (about {eta} left)",
        None => "{spinner} {msg} ({elapsed})",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    std::thread::scope(|scope| {
        let (done, waiting) = bounded::<()>(0);
        let shown = bar.clone();
        scope.spawn(move || {
            if waiting.recv_timeout(QUIET) == Err(RecvTimeoutError::Timeout) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(Duration::from_millis(200));
            }
        });
        let result = work(&bar);
        // The watcher ends at once when its channel closes.
        drop(done);
        bar.finish_and_clear();
        result
    })
}
