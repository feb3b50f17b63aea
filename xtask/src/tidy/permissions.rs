//! The permissions that the SDK's macros know by name are those of the model, which the SDK cannot name.

use std::path::Path;

use innkeeper_model::Permission;

use super::Violation;

/// Where the macros' list is, and how it begins.
const FILE: &str = "guest-sdk/macros/src/plugin.rs";
const LIST: &str = "const PERMISSIONS: [";

/// Compares the list in the macros' source with the model's. A source that is not there has no list.
pub(super) fn check(root: &Path) -> Vec<Violation> {
    compared(&std::fs::read_to_string(root.join(FILE)).unwrap_or_default())
}

fn compared(source: &str) -> Vec<Violation> {
    let Some((before, rest)) = source.split_once(LIST) else {
        let remedy = "let this rule know where and under which name the list is kept now";
        return vec![Violation::new(FILE, 1, format!("no list that begins with `{LIST}`"), remedy)];
    };
    let line = before.lines().count() + 1;
    let list = rest.split_once("];").map_or(rest, |(list, _)| list);
    // Every other part between quotes is a name.
    let names: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    let missing =
        Permission::ALL.iter().map(|permission| permission.as_str()).filter(|name| !names.contains(name));
    let unknown = names.iter().filter(|name| Permission::parse(name).is_none());
    let missing = missing.map(|name| {
        let what = format!("the macros do not know the permission `{name}`");
        Violation::new(FILE, line, what, "add it to the list, so that plugins can ask for it")
    });
    let unknown = unknown.map(|name| {
        let what = format!("the macros know a permission `{name}`, which there is none of");
        Violation::new(
            FILE,
            line,
            what,
            "take it off the list, or add it to `runtime/model/src/permission.rs`",
        )
    });
    missing.chain(unknown).collect()
}

#[cfg(test)]
mod tests {
    use innkeeper_model::Permission;

    use super::{LIST, check, compared};
    use crate::workspace;

    fn source(names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
        format!(
            "use x;\n\n{LIST}&str; {}] = [\n{}];\nconst OTHER: &str = \"other\";\n",
            names.len(),
            names.concat()
        )
    }

    fn said(names: &[&str]) -> Vec<String> {
        compared(&source(names))
            .into_iter()
            .map(|violation| format!("{} {}", violation.line, violation.what))
            .collect()
    }

    #[test]
    fn lists_must_be_the_same() {
        let mut names: Vec<&str> = Permission::ALL.iter().map(|permission| permission.as_str()).collect();
        assert!(said(&names).is_empty());
        names.push("fly");
        assert_eq!(said(&names), ["3 the macros know a permission `fly`, which there is none of"]);
        names.pop();
        let last = names.pop().unwrap_or_default();
        assert_eq!(said(&names), [format!("3 the macros do not know the permission `{last}`")]);
    }

    #[test]
    fn list_must_be_found() {
        assert_eq!(compared("nothing").len(), 1);
        assert_eq!(check(&workspace::root().join("docs")).len(), 1);
    }
}
