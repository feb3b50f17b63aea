//! Rules on the text of single files.

use super::Violation;

/// Names of package registries and mirrors: which one is used is the machine's business.
const REGISTRY_HOSTS: &[&str] = &[
    "index.crates.io",
    "static.crates.io",
    "pypi.org",
    "files.pythonhosted.org",
    "registry.npmjs.org",
    "proxy.golang.org",
    "deb.debian.org",
    "security.debian.org",
    "archive.ubuntu.com",
];

/// Folders that are somebody's or some machine's own.
const PRIVATE_FOLDERS: &[&str] = &["/home/", "/Users/", "/root/", "/work/", "/builds/", "/github/workspace"];

/// The lists above would be found in themselves.
const THIS_FILE: &str = "xtask/src/tidy/sources.rs";

/// The only registry that the lock file may name.
const DEFAULT_REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Applies each rule that is meant for a file of this name.
pub(super) fn check(file: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    if file.ends_with(".rs") {
        rust(file, text, &mut violations);
    }
    if file.ends_with("Cargo.lock") {
        lock(file, text, &mut violations);
    } else if file != THIS_FILE {
        places(file, text, &mut violations);
    }
    violations
}

fn rust(file: &str, text: &str, violations: &mut Vec<Violation>) {
    if file.ends_with("/mod.rs") {
        violations.push(Violation::new(
            file,
            1,
            "a `mod.rs`",
            "name it after its folder: `foo.rs` beside `foo/`",
        ));
    }
    // What trybuild compiles shows what a plugin author would write.
    let is_compile_test = file.contains("/tests/ui/");
    if !is_compile_test && !text.starts_with("//!") {
        let remedy = "open it with one to five `//!` lines: what it is for, what it leaves to others";
        violations.push(Violation::new(file, 1, "the file does not say what it is for", remedy));
    }
    for (line, content) in numbered(text) {
        if content.trim_start().starts_with("#[ignore") {
            let remedy = "a test that nobody runs proves nothing: make it pass, or delete it";
            violations.push(Violation::new(file, line, "an ignored test", remedy));
        }
    }
}

fn lock(file: &str, text: &str, violations: &mut Vec<Violation>) {
    for (line, content) in numbered(text) {
        let Some(source) = content.strip_prefix("source = ") else {
            continue;
        };
        if source.trim_matches('"') != DEFAULT_REGISTRY {
            let what = format!("the lock file names the source {source}");
            violations.push(Violation::new(file, line, what, "depend on a release in the default registry"));
        }
    }
}

fn places(file: &str, text: &str, violations: &mut Vec<Violation>) {
    for (line, content) in numbered(text) {
        for host in REGISTRY_HOSTS {
            if content.contains(host) {
                let what = format!("the registry host `{host}`");
                violations.push(Violation::new(
                    file,
                    line,
                    what,
                    "leave the choice of registry to the machine's own settings",
                ));
            }
        }
        for folder in PRIVATE_FOLDERS {
            if names_folder(content, folder) {
                let what = format!("a path of one machine, below `{folder}`");
                violations.push(Violation::new(
                    file,
                    line,
                    what,
                    "make it relative, or take it from the command line",
                ));
            }
        }
    }
}

/// Whether an absolute path below `folder` begins somewhere in this line.
fn names_folder(content: &str, folder: &str) -> bool {
    content.match_indices(folder).any(|(at, _)| {
        let before = content.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|before| before.is_alphanumeric() || "_-./}{>*~:$".contains(before))
    })
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::check;

    fn lines(file: &str, text: &str) -> Vec<usize> {
        check(file, text).into_iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn rust_file_must_say_what_it_is_for() {
        assert_eq!(lines("a/src/b.rs", "use std::fs;\n"), [1]);
        assert_eq!(lines("a/src/b.rs", "#![no_std]\n"), [1]);
        assert!(lines("a/src/b.rs", "//! Reads.\nuse std::fs;\n").is_empty());
        assert!(lines("a/tests/ui/wrong.rs", "fn main() {}\n").is_empty());
    }

    #[test]
    fn module_file_is_named_after_its_folder() {
        assert_eq!(lines("a/src/b/mod.rs", "//! Reads.\n"), [1]);
    }

    #[test]
    fn ignored_test_is_found_and_its_mention_is_not() {
        assert_eq!(lines("a/src/b.rs", "//! Reads.\n    #[ignore = \"slow\"]\n"), [2]);
        assert!(lines("a/src/b.rs", "//! No `#[ignore]` here.\n").is_empty());
    }

    #[test]
    fn path_of_one_machine_is_found_and_a_relative_one_is_not() {
        assert_eq!(lines("docs/a.md", "see `/home/ada/innkeeper`\n"), [1]);
        assert_eq!(lines("docs/a.md", "cd /root/x\n"), [1]);
        assert!(lines("docs/a.md", "see target/work/x and `$HOME/home/x`\n").is_empty());
    }

    #[test]
    fn registry_hosts_stay_out_of_files_and_lock() {
        assert_eq!(lines("docs/a.md", "x\nfrom static.crates.io\n"), [2]);
        assert_eq!(lines("Cargo.lock", "source = \"registry+https://mirror.example/index\"\n"), [1]);
        let default = format!("source = \"{}\"\n", super::DEFAULT_REGISTRY);
        assert!(lines("Cargo.lock", &default).is_empty());
    }
}
