//! Which crate may name which: a request walks downhill.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::Violation;
use crate::workspace;

/// The levels, top first. A crate names only crates below it.
const LEVELS: &[&str] = &[
    "innkeeper-cli",
    "innkeeper-server",
    "innkeeper-dispatch",
    "innkeeper-registry",
    "innkeeper-sandbox",
    "innkeeper-host",
    "innkeeper-store",
    "innkeeper-model",
];

/// What a level must not see, and whom it asks instead.
const WITHHELD: &[(&str, &[&str], &str)] = &[
    ("innkeeper-server", &["wasmtime", "wasmtime-wasi"], "ask `innkeeper-dispatch` or `innkeeper-registry`"),
    (
        "innkeeper-dispatch",
        &["axum", "hyper", "tower-http"],
        "a turn does not know which protocol asked for it",
    ),
    ("innkeeper-host", &["axum", "hyper"], "an import does not know which protocol asked for it"),
    ("innkeeper-store", &["wasmtime", "wasmtime-wasi", "axum", "hyper"], "the store does not know who asks"),
    ("innkeeper-model", &["wasmtime", "wasmtime-wasi", "tokio", "axum", "hyper"], "the model does no I/O"),
];

/// What only the store may see.
const SQL: &[&str] = &["sqlx", "sea-query", "sea-query-sqlx"];
const STORE: &str = "innkeeper-store";

/// The test environment.
const TESTING: &str = "innkeeper-testing";

/// Crates that stand beside the levels and may use the test environment to run servers.
const TASKS: &str = "xtask";

/// The part of `cargo metadata` that the rules read.
#[derive(Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or nothing for a normal one.
    kind: Option<String>,
}

impl Metadata {
    pub(super) fn read() -> Result<Self> {
        let mut command = workspace::cargo();
        let text = workspace::read(command.args(["metadata", "--no-deps", "--format-version", "1"]))?;
        serde_json::from_str(&text).context("`cargo metadata` has another form than expected")
    }
}

/// Applies the rules to every crate of the workspace.
pub(super) fn check(metadata: &Metadata) -> Vec<Violation> {
    metadata.packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut report = |dependency: &Dependency, what: String, remedy: &'static str| {
        let (file, line) = place(package, &dependency.name);
        violations.push(Violation::new(&file, line, what, remedy));
    };
    let level = LEVELS.iter().position(|level| *level == package.name);
    for dependency in &package.dependencies {
        let is_dev = dependency.kind.as_deref() == Some("dev");
        if dependency.name == TESTING && !is_dev && package.name != TASKS {
            report(dependency, format!("`{TESTING}` outside of tests"), "move it to `[dev-dependencies]`");
        }
        if let Some(other) = LEVELS.iter().position(|level| *level == dependency.name) {
            let is_own_business = package.name == TASKS;
            match level {
                Some(own) if other <= own => {
                    let what = format!("`{}` names `{}`, which is above it", package.name, dependency.name);
                    report(
                        dependency,
                        what,
                        "a level names only levels below it: move the code down, or pass a trait in",
                    );
                }
                None if !is_own_business => {
                    let what = format!("`{}` names `{}`", package.name, dependency.name);
                    report(dependency, what, "what stands beside the levels names none of them");
                }
                _ => {}
            }
        }
        if SQL.contains(&dependency.name.as_str())
            && !is_dev
            && ![STORE, TESTING].contains(&package.name.as_str())
        {
            let what = format!("`{}` must not see `{}`", package.name, dependency.name);
            report(dependency, what, "SQL is the store's alone: ask `innkeeper-store`");
        }
        let withheld = WITHHELD.iter().find(|(name, ..)| *name == package.name && !is_dev);
        if let Some((_, names, remedy)) = withheld
            && names.contains(&dependency.name.as_str())
        {
            report(dependency, format!("`{}` must not see `{}`", package.name, dependency.name), remedy);
        }
    }
    violations
}

/// The manifest's path from the root, and the line that names the dependency.
fn place(package: &Package, dependency: &str) -> (String, usize) {
    let root = workspace::root().to_string_lossy();
    let file =
        package.manifest_path.strip_prefix(&*root).unwrap_or(&package.manifest_path).trim_start_matches('/');
    let text = std::fs::read_to_string(&package.manifest_path).unwrap_or_default();
    let line =
        text.lines().position(|line| line.trim_start().starts_with(dependency)).map_or(1, |index| index + 1);
    (file.to_owned(), line)
}

#[cfg(test)]
mod tests {
    use super::{LEVELS, Metadata, STORE, check};

    /// How many violations one dependency makes.
    fn count(package: &str, dependency: &str, kind: Option<&str>) -> usize {
        let metadata = serde_json::json!({"packages": [{
            "name": package,
            "manifest_path": "/nowhere/Cargo.toml",
            "dependencies": [{"name": dependency, "kind": kind}],
        }]});
        check(&serde_json::from_value::<Metadata>(metadata).unwrap()).len()
    }

    #[test]
    fn level_names_only_levels_below() {
        assert_eq!(count("innkeeper-server", "innkeeper-dispatch", None), 0);
        assert_eq!(count("innkeeper-store", "innkeeper-host", None), 1);
        assert_eq!(count("innkeeper-store", "innkeeper-host", Some("dev")), 1);
        assert_eq!(count("innkeeper-sdk", "innkeeper-model", None), 1);
    }

    #[test]
    fn database_driver_is_for_the_store_alone() {
        for package in LEVELS.iter().filter(|level| **level != STORE) {
            assert_eq!(count(package, "sqlx", None), 1, "{package}");
            assert_eq!(count(package, "sqlx", Some("dev")), 0, "{package}");
        }
        assert_eq!(count("innkeeper-registry", "sea-query", None), 1);
        assert_eq!(count("innkeeper-sdk", "sqlx", None), 1);
        assert_eq!(count(STORE, "sqlx", None), 0);
    }

    #[test]
    fn levels_do_not_see_what_is_not_their_business() {
        assert_eq!(count("innkeeper-store", "wasmtime", None), 1);
        assert_eq!(count("innkeeper-server", "wasmtime", None), 1);
        assert_eq!(count("innkeeper-sandbox", "wasmtime", None), 0);
    }

    #[test]
    fn test_environment_is_for_tests() {
        assert_eq!(count("innkeeper-store", "innkeeper-testing", Some("dev")), 0);
        assert_eq!(count("innkeeper-store", "innkeeper-testing", None), 1);
        assert_eq!(count("xtask", "innkeeper-testing", None), 0);
    }
}
