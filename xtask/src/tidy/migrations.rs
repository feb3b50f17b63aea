//! Rules on migrations: a way back, the same steps on each backend, and no change to what has been applied somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Violation;

const FOLDER: &str = "migrations/";
const BACKENDS: [&str; 3] = ["sqlite", "postgres", "mysql"];
const CHECKSUMS: &str = "migrations/checksums.txt";

/// Checks names against each other and contents against the recorded checksums.
pub(super) fn check(root: &Path, files: &[String]) -> Result<Vec<Violation>> {
    let steps: Vec<&str> = steps(files).collect();
    let mut violations = names(&steps);
    let recorded = read_checksums(root)?;
    let actual = steps.iter().map(|step| Ok(((*step).to_owned(), checksum(root, step)?)));
    violations.extend(contents(&recorded, &actual.collect::<Result<_>>()?));
    Ok(violations)
}

/// Appends what is new; a recorded step has run on somebody's database and stays as it is.
pub(super) fn add_checksums(root: &Path, files: &[String]) -> Result<()> {
    let mut recorded = read_checksums(root)?;
    for step in steps(files) {
        if !recorded.contains_key(step) {
            recorded.insert(step.to_owned(), checksum(root, step)?);
        }
    }
    let text: String = recorded.iter().map(|(step, sum)| format!("{sum}  {step}\n")).collect();
    std::fs::write(root.join(CHECKSUMS), text).with_context(|| format!("cannot write `{CHECKSUMS}`"))
}

/// Paths of SQL files below the folder, such as `sqlite/0001_users.up.sql`.
fn steps(files: &[String]) -> impl Iterator<Item = &str> {
    files.iter().filter_map(|file| file.strip_prefix(FOLDER)).filter(|file| file.ends_with(".sql"))
}

fn names(steps: &[&str]) -> Vec<Violation> {
    let all: BTreeSet<&str> = steps.iter().copied().collect();
    let mut violations = Vec::new();
    for step in steps {
        let file = format!("{FOLDER}{step}");
        let Some((backend, name)) = step.split_once('/').filter(|(backend, _)| BACKENDS.contains(backend))
        else {
            violations.push(Violation::new(
                &file,
                1,
                "a step of no backend",
                "put it below `sqlite`, `postgres` or `mysql`",
            ));
            continue;
        };
        let (stem, twin) = match (name.strip_suffix(".up.sql"), name.strip_suffix(".down.sql")) {
            (Some(stem), _) => (stem, format!("{backend}/{stem}.down.sql")),
            (_, Some(stem)) => (stem, format!("{backend}/{stem}.up.sql")),
            (None, None) => {
                violations.push(Violation::new(
                    &file,
                    1,
                    "a step without a direction",
                    "name it `<version>_<name>.up.sql` or `.down.sql`",
                ));
                continue;
            }
        };
        let base = stem.rsplit('/').next().unwrap_or(stem);
        if !base
            .split_once('_')
            .is_some_and(|(version, rest)| version.parse::<u64>().is_ok() && !rest.is_empty())
        {
            violations.push(Violation::new(
                &file,
                1,
                "a step without a version",
                "name it `<version>_<name>.up.sql` or `.down.sql`",
            ));
        }
        if !all.contains(twin.as_str()) {
            violations.push(Violation::new(
                &file,
                1,
                format!("`{twin}` is missing"),
                "every step has a way up and a way down",
            ));
        }
        for other in BACKENDS.iter().filter(|other| **other != backend) {
            if !all.contains(format!("{other}/{name}").as_str()) {
                let what = format!("`{other}/{name}` is missing");
                violations.push(Violation::new(
                    &file,
                    1,
                    what,
                    "every backend takes the same steps, even where one is empty",
                ));
            }
        }
    }
    violations
}

fn contents(recorded: &BTreeMap<String, String>, actual: &BTreeMap<String, String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (step, sum) in actual {
        match recorded.get(step) {
            None => violations.push(Violation::new(
                CHECKSUMS,
                1,
                format!("`{step}` is not recorded"),
                "record it with `cargo xtask tidy --add-checksums`",
            )),
            Some(recorded) if recorded != sum => violations.push(Violation::new(
                &format!("{FOLDER}{step}"),
                1,
                "the file is not what its checksum says",
                "restore it and write a new step: this one has run on somebody's database",
            )),
            Some(_) => {}
        }
    }
    for step in recorded.keys().filter(|step| !actual.contains_key(*step)) {
        let what = format!("`{step}` is recorded and missing");
        violations.push(Violation::new(
            CHECKSUMS,
            1,
            what,
            "restore the file: it has run on somebody's database",
        ));
    }
    violations
}

fn read_checksums(root: &Path) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(root.join(CHECKSUMS)).with_context(|| {
        format!("cannot read `{CHECKSUMS}`; restore it: it says which steps may not change")
    })?;
    text.lines()
        .map(|line| {
            let (sum, step) = line
                .split_once("  ")
                .with_context(|| format!("`{CHECKSUMS}`: `{line}` is not `<checksum>  <path>`"))?;
            Ok((step.to_owned(), sum.to_owned()))
        })
        .collect()
}

fn checksum(root: &Path, step: &str) -> Result<String> {
    let file = root.join(FOLDER).join(step);
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{BACKENDS, add_checksums, check, contents, names};
    use crate::workspace;

    #[test]
    fn step_needs_a_way_down_and_every_backend() {
        let complete: Vec<String> = BACKENDS
            .iter()
            .flat_map(|backend| ["up", "down"].map(|way| format!("{backend}/own/0001_users.{way}.sql")))
            .collect();
        let mut steps: Vec<&str> = complete.iter().map(String::as_str).collect();
        assert_eq!(names(&steps), []);
        // Its twin and the same step of the two other backends miss it.
        steps.pop();
        assert_eq!(names(&steps).len(), 3);
        assert_eq!(names(&["sqlite/users.sql"]).len(), 1);
        assert_eq!(names(&["oracle/0001_users.up.sql"]).len(), 1);
    }

    #[test]
    fn changed_new_and_vanished_steps_are_found() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(step, sum)| ((*step).to_owned(), (*sum).to_owned())).collect()
        };
        let recorded = map(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let actual = map(&[("a", "1"), ("b", "changed"), ("d", "4")]);
        assert_eq!(contents(&recorded, &actual).len(), 3);
        assert_eq!(contents(&recorded, &recorded), []);
    }

    #[test]
    fn checksums_cannot_be_missing() {
        let elsewhere = workspace::root().join("docs");
        assert!(check(&elsewhere, &[]).is_err());
        assert!(add_checksums(&elsewhere, &[]).is_err());
    }
}
