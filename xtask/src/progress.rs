//! Shows what a task is doing: a spinner on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where a task reports its steps.
pub(crate) struct Progress {
    target_is_terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { target_is_terminal: !ProgressDrawTarget::stderr().is_hidden() }
    }

    /// Runs a quiet step, with a spinner where there is a terminal, and says how long it took.
    pub(crate) fn step<T>(&self, title: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
        let begun = Instant::now();
        let spinner = self.spinner(title);
        let result = body();
        if let Some(spinner) = spinner {
            spinner.finish_and_clear();
        }
        let outcome = if result.is_ok() { "done" } else { "failed" };
        self.note(&format!("{title}: {outcome} ({})", elapsed(begun)));
        result
    }

    /// One line for the reader.
    pub(crate) fn note(&self, line: &str) {
        eprintln!("xtask: {line}");
    }

    fn spinner(&self, title: &str) -> Option<ProgressBar> {
        if !self.target_is_terminal {
            self.note(&format!("{title} …"));
            return None;
        }
        let spinner = ProgressBar::new_spinner().with_message(title.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            spinner.set_style(style);
        }
        spinner.enable_steady_tick(Duration::from_millis(120));
        Some(spinner)
    }
}

/// The time since `begun`, as a person would say it.
pub(crate) fn elapsed(begun: Instant) -> String {
    let took = begun.elapsed();
    if took.as_secs() >= 60 {
        format!("{} min {} s", took.as_secs() / 60, took.as_secs() % 60)
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}
