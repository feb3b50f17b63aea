//! The page about the contract: every interface, function and type, with its comment, from the WIT files themselves.

#![expect(clippy::indexing_slicing, reason = "an id that a contract gave leads into that contract")]

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use wit_parser::{
    Docs, Function, FunctionKind, Interface, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner,
    WorldId, WorldItem,
};

use super::shape;

/// Makes the page. Fails where an item of the contract says nothing of itself, and where the contract is out of shape.
pub(super) fn page(root: &Path) -> Result<String> {
    let mut resolve = Resolve::default();
    resolve.push_dir(root.join("wit")).context("the contract in `wit` does not parse")?;
    let contract = Contract { resolve };
    let bare = contract.undocumented();
    if !bare.is_empty() {
        bail!("items of `wit` without a comment: {}; write `///` above each", bare.join(", "));
    }
    let misshapen = shape::problems(&contract.resolve, shape::WITHOUT_EXTRA);
    if !misshapen.is_empty() {
        bail!("`wit` breaks rules of `wit/README.md`: {}", misshapen.join("; "));
    }
    contract.page()
}

struct Contract {
    resolve: Resolve,
}

impl Contract {
    fn page(&self) -> Result<String> {
        let mut page = String::from(
            "# The contract\n\n\
             <!-- Made by `cargo xtask docs` from `wit/`; change it there. -->\n\n\
             What a plugin exports and what it may import, item by item.\n\
             [wit/README.md](../wit/README.md) says how it is laid out and how it evolves, and lists permissions, limits and events.\n\
             A function marked `async` may wait; all others answer at once.\n\n",
        );
        let parts = [
            (
                "Exports",
                "What a plugin gives. Every plugin exports `plugin` and at least one of the others.",
                self.interfaces(self.world("everything")?, true),
            ),
            ("Imports", "What a plugin may call.", self.interfaces(self.world("imports")?, false)),
            (
                "Types",
                "Records and variants of the package `innkeeper:types`, shared by everything above.",
                self.types_package(),
            ),
        ];
        for (title, _, ids) in &parts {
            let links: Vec<String> = ids.iter().map(|&id| self.interface_link(id)).collect();
            let _ = writeln!(page, "- {title}: {}", links.join(", "));
        }
        page.push_str("- [Worlds](#worlds)\n");
        for (title, about, ids) in &parts {
            let _ = write!(page, "\n## {title}\n\n{about}\n");
            for &id in ids {
                self.interface(&mut page, id);
            }
        }
        self.worlds(&mut page);
        Ok(page)
    }

    /// Worlds, interfaces, functions, types, fields and cases without a comment. The grammar gives parameters none.
    fn undocumented(&self) -> Vec<String> {
        let worlds = self.resolve.worlds.iter().map(|(_, world)| (world.name.clone(), &world.docs));
        let interfaces = self.resolve.interfaces.iter().flat_map(|(id, _)| self.items(id));
        let bare = |docs: &Docs| docs.contents.as_deref().is_none_or(|text| text.trim().is_empty());
        worlds.chain(interfaces).filter(|(_, docs)| bare(docs)).map(|(name, _)| format!("`{name}`")).collect()
    }

    /// An interface and everything in it, by name.
    fn items(&self, id: InterfaceId) -> Vec<(String, &Docs)> {
        let (interface, anchor) = (&self.resolve.interfaces[id], self.anchor(id));
        let mut items = vec![(anchor.clone(), &interface.docs)];
        items.extend(
            interface
                .functions
                .values()
                .map(|function| (format!("{anchor}.{}", function.name), &function.docs)),
        );
        for (name, ty) in own_types(&self.resolve, interface, id) {
            let definition = &self.resolve.types[ty];
            let inner = |item: &str| format!("{anchor}.{name}.{item}");
            items.push((format!("{anchor}.{name}"), &definition.docs));
            match &definition.kind {
                TypeDefKind::Record(record) => {
                    items.extend(record.fields.iter().map(|field| (inner(&field.name), &field.docs)))
                }
                TypeDefKind::Variant(variant) => {
                    items.extend(variant.cases.iter().map(|case| (inner(&case.name), &case.docs)))
                }
                TypeDefKind::Enum(names) => {
                    items.extend(names.cases.iter().map(|case| (inner(&case.name), &case.docs)))
                }
                TypeDefKind::Flags(flags) => {
                    items.extend(flags.flags.iter().map(|flag| (inner(&flag.name), &flag.docs)))
                }
                _ => {}
            }
        }
        items
    }

    fn world(&self, name: &str) -> Result<WorldId> {
        let found = self.resolve.worlds.iter().find(|(_, world)| world.name == name);
        found.map(|(id, _)| id).with_context(|| format!("the contract has no world `{name}`"))
    }

    /// Interfaces of the plugin package that a world exports or imports, in its order.
    fn interfaces(&self, world: WorldId, exported: bool) -> Vec<InterfaceId> {
        let world = &self.resolve.worlds[world];
        let items = if exported { &world.exports } else { &world.imports };
        let interface =
            |item: &WorldItem| if let WorldItem::Interface { id, .. } = item { Some(*id) } else { None };
        items.values().filter_map(interface).filter(|&id| is_of_plugins(&self.resolve, id)).collect()
    }

    /// Interfaces of the package that holds nothing but types, by name.
    fn types_package(&self) -> Vec<InterfaceId> {
        let mut ids: Vec<InterfaceId> = self.resolve.interfaces.iter().map(|(id, _)| id).collect();
        ids.retain(|&id| !is_of_plugins(&self.resolve, id));
        ids.sort_by_key(|&id| self.name(id));
        ids
    }

    fn name(&self, id: InterfaceId) -> &str {
        self.resolve.interfaces[id].name.as_deref().unwrap_or_default()
    }

    /// Where links to an interface lead: `chats` for what a plugin calls, `types.chats` for the types of that name.
    fn anchor(&self, id: InterfaceId) -> String {
        let name = self.name(id);
        if is_of_plugins(&self.resolve, id) { name.to_owned() } else { format!("types.{name}") }
    }

    fn interface_link(&self, id: InterfaceId) -> String {
        format!("[`{}`](#{})", self.name(id), self.anchor(id))
    }

    fn interface(&self, page: &mut String, id: InterfaceId) {
        let interface = &self.resolve.interfaces[id];
        let anchor = self.anchor(id);
        let _ = write!(page, "\n<a id=\"{anchor}\"></a>\n### `{}`\n", self.name(id));
        paragraph(page, &interface.docs);
        for function in interface.functions.values() {
            self.function(page, &anchor, function);
        }
        for (name, ty) in own_types(&self.resolve, interface, id) {
            self.type_definition(page, &anchor, name, ty);
        }
    }

    fn function(&self, page: &mut String, anchor: &str, function: &Function) {
        let name = &function.name;
        let parameter = |param: &wit_parser::Param| format!("{}: {}", param.name, self.ty(&param.ty));
        let parameters: Vec<String> = function.params.iter().map(parameter).collect();
        let waits = if matches!(function.kind, FunctionKind::AsyncFreestanding) { "async " } else { "" };
        let result = function.result.as_ref().map(|ty| format!(" -&gt; {}", self.ty(ty))).unwrap_or_default();
        let _ = write!(
            page,
            "\n<a id=\"{anchor}.{name}\"></a>\n#### `{name}`\n\n<code>{name}: {waits}func({}){result}</code>\n",
            parameters.join(", ")
        );
        paragraph(page, &function.docs);
    }

    fn type_definition(&self, page: &mut String, anchor: &str, name: &str, id: TypeId) {
        let definition = &self.resolve.types[id];
        let (kind, rows) = match &definition.kind {
            TypeDefKind::Record(record) => {
                let row = |field: &wit_parser::Field| self.row(&field.name, Some(&field.ty), &field.docs);
                ("record".to_owned(), record.fields.iter().map(row).collect())
            }
            TypeDefKind::Variant(variant) => {
                let row = |case: &wit_parser::Case| self.row(&case.name, case.ty.as_ref(), &case.docs);
                ("variant".to_owned(), variant.cases.iter().map(row).collect())
            }
            TypeDefKind::Enum(names) => {
                let row = |case: &wit_parser::EnumCase| self.row(&case.name, None, &case.docs);
                ("enum".to_owned(), names.cases.iter().map(row).collect())
            }
            TypeDefKind::Flags(flags) => {
                let row = |flag: &wit_parser::Flag| self.row(&flag.name, None, &flag.docs);
                ("flags".to_owned(), flags.flags.iter().map(row).collect())
            }
            other => (format!("= <code>{}</code>", self.kind(other)), Vec::<String>::new()),
        };
        let _ = write!(page, "\n<a id=\"{anchor}.{name}\"></a>\n**`{name}`** {kind}\n");
        paragraph(page, &definition.docs);
        if !rows.is_empty() {
            let head = if kind == "record" { "field" } else { "case" };
            let _ = write!(page, "\n| {head} | type | |\n|---|---|---|\n{}\n", rows.join("\n"));
        }
    }

    fn row(&self, name: &str, ty: Option<&Type>, docs: &Docs) -> String {
        let ty = ty.map(|ty| format!("<code>{}</code>", self.ty(ty))).unwrap_or_default();
        let about = docs.contents.as_deref().unwrap_or_default();
        let about = about.lines().map(str::trim).collect::<Vec<_>>().join(" ").replace('|', "\\|");
        format!("| `{name}` | {ty} | {about} |")
    }

    /// A type as HTML, with links to the named ones in it.
    fn ty(&self, ty: &Type) -> String {
        let plain = match ty {
            Type::Bool => "bool",
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::S8 => "s8",
            Type::S16 => "s16",
            Type::S32 => "s32",
            Type::S64 => "s64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::ErrorContext => "error-context",
            Type::Id(id) => return self.named(*id),
        };
        plain.to_owned()
    }

    fn named(&self, id: TypeId) -> String {
        let id = defined(&self.resolve, id);
        let definition = &self.resolve.types[id];
        match (&definition.name, definition.owner) {
            (Some(name), TypeOwner::Interface(owner)) => {
                format!("<a href=\"#{}.{name}\">{name}</a>", self.anchor(owner))
            }
            (Some(name), _) => name.clone(),
            (None, _) => self.kind(&definition.kind),
        }
    }

    fn kind(&self, kind: &TypeDefKind) -> String {
        let of = |name: &str, ty: &Type| format!("{name}&lt;{}&gt;", self.ty(ty));
        let maybe =
            |name: &str, ty: &Option<Type>| ty.as_ref().map_or_else(|| name.to_owned(), |ty| of(name, ty));
        match kind {
            TypeDefKind::Option(ty) => of("option", ty),
            TypeDefKind::List(ty) => of("list", ty),
            TypeDefKind::Stream(ty) => maybe("stream", ty),
            TypeDefKind::Future(ty) => maybe("future", ty),
            TypeDefKind::Tuple(tuple) => {
                let types: Vec<String> = tuple.types.iter().map(|ty| self.ty(ty)).collect();
                format!("tuple&lt;{}&gt;", types.join(", "))
            }
            TypeDefKind::Result(result) => match (&result.ok, &result.err) {
                (None, None) => "result".to_owned(),
                (Some(ok), None) => of("result", ok),
                (ok, Some(err)) => {
                    let ok = ok.as_ref().map_or_else(|| "_".to_owned(), |ok| self.ty(ok));
                    format!("result&lt;{ok}, {}&gt;", self.ty(err))
                }
            },
            TypeDefKind::Type(ty) => self.ty(ty),
            // The contract has none of the others; a test says so where that changes.
            _ => "unknown".to_owned(),
        }
    }

    fn worlds(&self, page: &mut String) {
        page.push_str("\n<a id=\"worlds\"></a>\n## Worlds\n\n");
        page.push_str(
            "Bundles for authors; the host looks at what a component exports, not at a world's name.\n\n",
        );
        page.push_str("| world | exports | |\n|---|---|---|\n");
        for (id, world) in self.resolve.worlds.iter() {
            let exports: Vec<String> =
                self.interfaces(id, true).into_iter().map(|id| self.interface_link(id)).collect();
            let about = world.docs.contents.as_deref().unwrap_or_default().trim().replace('\n', " ");
            let _ = writeln!(page, "| `{}` | {} | {about} |", world.name, exports.join(", "));
        }
    }
}

/// Whether an interface is of the package that guests import and export, rather than of the one that holds nothing but types.
pub(super) fn is_of_plugins(resolve: &Resolve, id: InterfaceId) -> bool {
    let package = resolve.interfaces[id].package;
    package.is_some_and(|package| resolve.packages[package].name.name == "plugin")
}

/// Types that an interface defines, without those that it takes from others.
pub(super) fn own_types<'a>(
    resolve: &'a Resolve,
    interface: &'a Interface,
    id: InterfaceId,
) -> impl Iterator<Item = (&'a str, TypeId)> {
    let own = move |ty: TypeId| resolve.types[defined(resolve, ty)].owner == TypeOwner::Interface(id);
    interface.types.iter().map(|(name, &ty)| (name.as_str(), ty)).filter(move |&(_, ty)| own(ty))
}

/// Follows `use` to where a type is defined. A type that another name was given in its own interface stays what it is.
pub(super) fn defined(resolve: &Resolve, id: TypeId) -> TypeId {
    let definition = &resolve.types[id];
    match definition.kind {
        TypeDefKind::Type(Type::Id(other)) if resolve.types[other].owner != definition.owner => {
            defined(resolve, other)
        }
        _ => id,
    }
}

fn paragraph(page: &mut String, docs: &Docs) {
    if let Some(text) = docs.contents.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let _ = write!(page, "\n{}\n", lines.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::{Contract, page};
    use crate::workspace;
    use wit_parser::Resolve;

    #[test]
    fn page_names_every_function_with_its_types_and_comment() {
        let page = page(workspace::root()).unwrap();
        assert!(page.contains("<a id=\"chats.get\"></a>"));
        assert!(page.contains("<code>get: async func(id: <a href=\"#types.common.chat-id\">chat-id</a>)"));
        assert!(page.contains("<a id=\"types.common.error-code\"></a>"));
        assert!(page.contains("| `quota-exceeded` |"));
        assert!(!page.contains("unknown</code>"));
    }

    #[test]
    fn items_without_a_comment_are_named() {
        let contract = |text: &str| {
            let mut resolve = Resolve::default();
            resolve.push_str("a.wit", text).unwrap();
            Contract { resolve }.undocumented()
        };
        let bare = "package a:plugin@0.1.0;
            interface things {
                record r { f: u8 }
                variant v { c(u8) }
                enum e { n }
                flags b { on }
                type t = string;
                get: func(ignored: t) -> r;
            }
            world w { import things; }";
        let expected = [
            "`w`",
            "`things`",
            "`things.get`",
            "`things.r`",
            "`things.r.f`",
            "`things.v`",
            "`things.v.c`",
            "`things.e`",
            "`things.e.n`",
            "`things.b`",
            "`things.b.on`",
            "`things.t`",
        ];
        assert_eq!(contract(bare), expected);
        let told = "package a:plugin@0.1.0;
            /// Things.
            interface things {
                /// A number.
                type t = u8;
                ///
                type u = u8;
            }";
        assert_eq!(contract(told), ["`things.u`"]);
    }
}
