//! For benches that are not criterion's: which questions to answer, and where the figures go.

use serde_json::json;

/// Whether the command line asks for this question: an argument that is no option is a part of the wanted questions' names.
#[must_use]
pub fn is_wanted(question: &str) -> bool {
    let mut parts = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).peekable();
    parts.peek().is_none() || parts.any(|part| question.contains(&part))
}

/// Prints what a bench has found out, and keeps it as `<question>.json` in the folder that `INNKEEPER_BENCH_RESULTS` names, if it does.
/// The answer `bare` is what the others are compared with.
///
/// # Panics
///
/// Where the file cannot be written.
#[expect(clippy::print_stdout, reason = "whoever runs one bench alone reads it here")]
pub fn keep(question: &str, unit: &str, answers: &[(&str, f64)]) {
    for (answer, value) in answers {
        println!("{question}: {answer}: {value:.1} {unit}");
    }
    let Some(folder) = std::env::var_os("INNKEEPER_BENCH_RESULTS") else { return };
    let answers: serde_json::Map<_, _> =
        answers.iter().map(|(answer, value)| ((*answer).to_owned(), json!(value))).collect();
    let file = std::path::Path::new(&folder).join(question).with_extension("json");
    if let Err(error) = std::fs::write(&file, json!({"unit": unit, "answers": answers}).to_string()) {
        panic!("cannot write `{}`: {error}", file.display());
    }
}

/// The middle one, for an odd number of figures.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
