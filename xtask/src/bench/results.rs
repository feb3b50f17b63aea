//! Collects what the benches have measured.
//!
//! A question is one comparison. Criterion's groups are questions and its functions answers, by their median time;
//! a bench of another kind writes `<question>.json` into [`folder`]: `{"unit": …, "answers": {"bare": 1.0, …}}`.
//! The answer `bare` is what the others of its question are compared with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::workspace;

/// Tells a bench where the folder is.
pub(super) const FOLDER_VARIABLE: &str = "INNKEEPER_BENCH_RESULTS";

/// Tells criterion where its folder is.
pub(super) const CRITERION_VARIABLE: &str = "CRITERION_HOME";

/// The answer that stands for doing the same without Innkeeper.
const BARE: &str = "bare";

/// Where benches that are not criterion's leave their figures.
pub(super) fn folder() -> PathBuf {
    workspace::target_dir().join("bench")
}

/// Where criterion leaves its estimates.
pub(super) fn criterion_folder() -> PathBuf {
    workspace::target_dir().join("criterion")
}

/// All questions that were answered in one run.
#[derive(Serialize, Default)]
pub(super) struct Results {
    questions: BTreeMap<String, Question>,
}

#[derive(Serialize, Deserialize)]
struct Question {
    /// `ns`, `requests/s`, `KiB` …
    unit: String,
    answers: BTreeMap<String, f64>,
}

/// The part of criterion's `benchmark.json` that says what was measured.
#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
}

/// The part of criterion's `estimates.json` with the result, in nanoseconds.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

impl Results {
    /// What was written after `begun`; results of earlier runs stay out.
    pub(super) fn since(begun: SystemTime) -> Result<Self> {
        let mut results = Self::default();
        results.read_criterion(&criterion_folder(), begun)?;
        for file in entries(&folder()) {
            let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if name != "results"
                && file.extension().is_some_and(|kind| kind == "json")
                && is_newer(&file, begun)
            {
                results.questions.insert(name.to_owned(), read(&file)?);
            }
        }
        Ok(results)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// As Markdown: each answer, and its ratio to the bare one.
    pub(super) fn table(&self) -> String {
        let mut table = "| question | what | measured | × bare |\n|---|---|---:|---:|\n".to_owned();
        for (name, question) in &self.questions {
            let bare = question.answers.get(BARE);
            for (what, value) in &question.answers {
                let ratio = bare.filter(|_| what != BARE).map(|bare| format!("{:.2}", value / bare));
                let measured = shown(*value, &question.unit);
                table
                    .push_str(&format!("| {name} | {what} | {measured} | {} |\n", ratio.unwrap_or_default()));
            }
        }
        table
    }

    pub(super) fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).context("cannot write the results as JSON")
    }

    /// Looks for `new/benchmark.json`, at whatever depth criterion puts it.
    fn read_criterion(&mut self, dir: &Path, begun: SystemTime) -> Result<()> {
        for entry in entries(dir) {
            let benchmark = entry.join("benchmark.json");
            if entry.ends_with("new") && is_newer(&benchmark, begun) {
                let what: Benchmark = read(&benchmark)?;
                let estimates: Estimates = read(&entry.join("estimates.json"))?;
                let parts = [what.function_id, what.value_str].into_iter().flatten();
                let answer = parts.collect::<Vec<_>>().join(" ");
                let question = self.questions.entry(what.group_id);
                let question =
                    question.or_insert(Question { unit: "ns".to_owned(), answers: BTreeMap::new() });
                question.answers.insert(answer, estimates.median.point_estimate);
            } else if entry.is_dir() {
                self.read_criterion(&entry, begun)?;
            }
        }
        Ok(())
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn is_newer(file: &Path, begun: SystemTime) -> bool {
    fs::metadata(file).and_then(|metadata| metadata.modified()).is_ok_and(|written| written >= begun)
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("`{}` has another form than expected", file.display()))
}

/// Times in the unit that a person would choose, other figures as they are.
fn shown(value: f64, unit: &str) -> String {
    match unit {
        "ns" if value >= 1e6 => format!("{:.2} ms", value / 1e6),
        "ns" if value >= 1e3 => format!("{:.2} µs", value / 1e3),
        "ns" => format!("{value:.0} ns"),
        _ if value >= 100.0 => format!("{value:.0} {unit}"),
        _ => format!("{value:.2} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Question, Results};

    #[test]
    fn answers_are_compared_with_the_bare_one_of_their_question() {
        let mut results = Results::default();
        let answers = [("bare".to_owned(), 2_000.0), ("innkeeper".to_owned(), 2_500.0)].into();
        results.questions.insert("fresh call".to_owned(), Question { unit: "ns".to_owned(), answers });
        let answers = [("innkeeper".to_owned(), 96.5)].into();
        results.questions.insert("waiting".to_owned(), Question { unit: "KiB".to_owned(), answers });
        let table = results.table();
        assert!(table.contains("| fresh call | innkeeper | 2.50 µs | 1.25 |"), "{table}");
        assert!(table.contains("| waiting | innkeeper | 96.50 KiB |  |"), "{table}");
    }
}
