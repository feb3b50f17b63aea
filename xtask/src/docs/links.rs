//! Links between documents: each relative one must lead to a file that is there, and to an anchor in it.
//! A path of this repository in a code span must be there as well.
//!
//! Addresses of other sites are not asked.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace;

/// What a path of this repository begins with.
const TREES: &[&str] =
    &["docs/", "guest-sdk/", "migrations/", "runtime/", "sample-plugins/", "wit/", "xtask/", ".ci/"];

/// Every link that leads nowhere, as `file:line: …`.
pub(super) fn broken(root: &Path) -> Result<Vec<String>> {
    let mut documents = HashMap::new();
    for path in workspace::files(root)?.into_iter().filter(|path| path.ends_with(".md")).map(PathBuf::from) {
        let text = fs::read_to_string(root.join(&path))
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        documents.insert(path, text);
    }
    let mut problems = Vec::new();
    for (path, text) in &documents {
        for (line, named) in paths(text).filter(|(_, named)| !root.join(named).exists()) {
            problems.push(format!("{}:{line}: there is no `{named}`", path.display()));
        }
        for (line, target) in links(text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = path.parent().unwrap_or(Path::new(""));
            let to = if file.is_empty() { path.clone() } else { plain(&folder.join(file)) };
            if !root.join(&to).exists() {
                problems.push(format!("{}:{line}: the link `{target}` leads to no file", path.display()));
            } else if let Some(there) = documents.get(&to)
                && !anchor.is_empty()
                && !has_anchor(there, anchor)
            {
                problems.push(format!("{}:{line}: the link `{target}` leads to no heading", path.display()));
            }
        }
    }
    problems.sort();
    Ok(problems)
}

/// Lines of a Markdown text, from 1, without blocks of code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        (!in_code && !fence).then_some((index + 1, line))
    })
}

/// Paths in code spans that begin with a folder of this repository, each with its line; patterns are none.
fn paths(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_path = |span: &&str| {
        TREES.iter().any(|tree| span.starts_with(tree)) && !span.contains(['<', '*', '{', '$', ' ', '…'])
    };
    prose(text).flat_map(move |(line, content)| {
        content.split('`').skip(1).step_by(2).filter(is_path).map(move |span| (line, span))
    })
}

/// Targets of the relative links in a Markdown text, each with its line; what stands in a block of code is no link.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let markdown = line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
        let html = line.split("href=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
        let relative = markdown.chain(html).filter(|target| !target.contains(':'));
        found.extend(relative.map(|target| (number, target)));
    }
    found
}

/// Whether a document has a heading, or an anchor of its own, of this name.
fn has_anchor(text: &str, anchor: &str) -> bool {
    let own = format!("<a id=\"{anchor}\"></a>");
    text.lines().any(|line| line == own || (line.starts_with('#') && slug(line) == anchor))
}

/// The anchor that a heading gets where Markdown is shown.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|&letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{has_anchor, links, paths, plain, slug};
    use std::path::{Path, PathBuf};

    #[test]
    fn relative_links_are_found_and_others_are_not() {
        let text =
            "see [a](b.md#c) and <a href=\"#d\">d</a>\n```\n[x](y.md)\n```\n[z](https://example.org/)\n";
        assert_eq!(links(text), [(1, "b.md#c"), (1, "#d")]);
    }

    #[test]
    fn paths_of_this_repository_are_found_and_patterns_are_not() {
        let text = "`runtime/a.rs` and `wit/<x>.wit`, `a/b`\n```\n`docs/x`\n```\n`docs/y`\n";
        assert_eq!(paths(text).collect::<Vec<_>>(), [(1, "runtime/a.rs"), (5, "docs/y")]);
    }

    #[test]
    fn headings_and_own_anchors_are_anchors() {
        assert_eq!(slug("## To add a table, or two"), "to-add-a-table-or-two");
        assert!(has_anchor("# A b\n", "a-b"));
        assert!(has_anchor("<a id=\"chats.get\"></a>\n", "chats.get"));
        assert!(!has_anchor("# A b\n", "a"));
    }

    #[test]
    fn paths_are_made_plain() {
        assert_eq!(plain(Path::new("docs/../wit/./README.md")), PathBuf::from("wit/README.md"));
    }
}
