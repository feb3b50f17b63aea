//! Doc comments as text: a description, and what is said of each argument.

use std::collections::BTreeMap;

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// A doc comment taken apart.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Docs {
    /// What is said of the whole.
    pub(crate) description: String,
    /// What lines such as ``* `name` — text`` say.
    pub(crate) arguments: BTreeMap<String, String>,
}

impl Docs {
    /// The first paragraph on one line, without its full stop.
    pub(crate) fn title(&self) -> String {
        let first = self.description.split("\n\n").next().unwrap_or_default();
        first.replace('\n', " ").trim_end_matches('.').to_owned()
    }
}

/// The doc comment among `attributes`, as it was written.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<String> =
        lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    lines.join("\n").trim().to_owned()
}

/// Takes a method's doc comment apart.
pub(crate) fn parse(attributes: &[Attribute]) -> Docs {
    let mut docs = Docs::default();
    let mut current: Option<String> = None;
    let mut description = Vec::new();
    for line in text(attributes).lines() {
        let trimmed = line.trim();
        if let Some((name, said)) = argument(trimmed) {
            docs.arguments.insert(name.to_owned(), said.to_owned());
            current = Some(name.to_owned());
        } else if let (Some(name), true) = (&current, line.starts_with(' ') && !trimmed.is_empty()) {
            let said = docs.arguments.entry(name.clone()).or_default();
            said.push(' ');
            said.push_str(trimmed);
        } else {
            current = None;
            if !matches!(trimmed, "# Arguments" | "# Parameters") {
                description.push(trimmed.to_owned());
            }
        }
    }
    docs.description = description.join("\n").trim().to_owned();
    docs
}

/// ``* `name` — text``, also with `-` in front and with `:`, `-` or `–` between.
fn argument(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("* ").or_else(|| line.strip_prefix("- "))?;
    let (name, said) = rest.strip_prefix('`')?.split_once('`')?;
    let said = said.trim_start();
    let said = ["—", "–", "-", ":"].iter().find_map(|mark| said.strip_prefix(mark))?;
    Some((name, said.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn lines_of_arguments_leave_the_description() {
        let method: syn::ItemFn = parse_quote! {
            /// Adds numbers.
            /// Use it for sums.
            ///
            /// * `left` — the one,
            ///   which may be long
            /// * `right`: the other
            fn add() {}
        };
        let docs = parse(&method.attrs);
        assert_eq!(docs.description, "Adds numbers.\nUse it for sums.");
        assert_eq!(docs.title(), "Adds numbers. Use it for sums");
        assert_eq!(docs.arguments.get("left").map(String::as_str), Some("the one, which may be long"));
        assert_eq!(docs.arguments.get("right").map(String::as_str), Some("the other"));
    }

    #[test]
    fn list_items_without_a_mark_stay_in_the_description() {
        let method: syn::ItemFn = parse_quote! {
            /// Knows
            /// * `+` and `-`
            fn add() {}
        };
        assert_eq!(parse(&method.attrs).description, "Knows\n* `+` and `-`");
    }
}
