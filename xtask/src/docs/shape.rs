//! Whether the contract has the shape in which it can grow: what the host hands to guests has room for more, and what both twins can share is where they share it.

#![expect(clippy::indexing_slicing, reason = "an id that a contract gave leads into that contract")]

use std::collections::BTreeSet;

use wit_parser::{Function, Resolve, Type, TypeDefKind, TypeId, TypeOwner, World, WorldItem};

use super::contract::{defined, is_of_plugins, own_types};

/// Records that the host hands out without a field `extra`, by interface and name.
pub(super) const WITHOUT_EXTRA: &[&str] = &[
    // A list and where it goes on; what grows are the items.
    "chat-messages.message-page",
    "chats.chat-page",
    "files.file-page",
    "kv.key-page",
    "memories.memory-page",
    "users.user-page",
    // Its `details` is that field.
    "common.error",
];

/// What of a contract is out of shape, a sentence each. `without_extra` names the records that need no `extra`.
pub(super) fn problems(resolve: &Resolve, without_extra: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut exempt = BTreeSet::new();
    for id in handed_to_guests(resolve) {
        let name = name(resolve, id);
        match &resolve.types[id].kind {
            TypeDefKind::Record(record) => {
                let extra = record.fields.iter().find(|field| field.name == "extra");
                match extra {
                    Some(extra) if is_optional_json(resolve, &extra.ty) => {}
                    Some(_) => problems.push(format!("`extra` of `{name}` is no `option<json>`")),
                    None if without_extra.contains(&name.as_str()) => {
                        exempt.insert(name);
                    }
                    None => problems.push(format!(
                        "the host hands out `{name}`, a record without `extra: option<json>`: give it one"
                    )),
                }
            }
            TypeDefKind::Variant(variant) if !variant.cases.iter().any(|case| case.name == "other") => {
                problems.push(format!(
                    "the host hands out `{name}`, a variant without a case `other`: give it one"
                ))
            }
            TypeDefKind::Enum(_) | TypeDefKind::Flags(_) => {
                problems.push(format!("the host hands out `{name}`, a closed set: use a string"));
            }
            _ => {}
        }
    }
    let stale = without_extra.iter().filter(|name| !exempt.contains(**name));
    problems
        .extend(stale.map(|name| format!("`{name}` needs no exception for `extra`: take it off the list")));
    problems.extend(misplaced(resolve));
    problems
}

/// Types of which a value can come from the host: results of imports, arguments of exports, and all that is in them.
fn handed_to_guests(resolve: &Resolve) -> BTreeSet<TypeId> {
    let mut reached = BTreeSet::new();
    for (_, world) in resolve.worlds.iter() {
        let results = functions(resolve, world, false).filter_map(|function| function.result);
        let arguments = functions(resolve, world, true).flat_map(|function| &function.params);
        for ty in results.chain(arguments.map(|param| param.ty)) {
            reach(resolve, &ty, &mut reached);
        }
    }
    reached
}

fn functions<'a>(
    resolve: &'a Resolve,
    world: &'a World,
    exported: bool,
) -> impl Iterator<Item = &'a Function> {
    let items = if exported { &world.exports } else { &world.imports };
    items.values().flat_map(|item| match item {
        WorldItem::Interface { id, .. } => resolve.interfaces[*id].functions.values().collect(),
        WorldItem::Function(function) => vec![function],
        WorldItem::Type { .. } => Vec::new(),
    })
}

fn reach(resolve: &Resolve, ty: &Type, reached: &mut BTreeSet<TypeId>) {
    if let Type::Id(id) = ty
        && reached.insert(*id)
    {
        parts(&resolve.types[*id].kind).iter().for_each(|part| reach(resolve, part, reached));
    }
}

/// The types that a type is made of.
fn parts(kind: &TypeDefKind) -> Vec<Type> {
    match kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| field.ty).collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().filter_map(|case| case.ty).collect(),
        TypeDefKind::Tuple(tuple) => tuple.types.clone(),
        TypeDefKind::Option(ty)
        | TypeDefKind::List(ty)
        | TypeDefKind::FixedLengthList(ty, _)
        | TypeDefKind::Type(ty) => vec![*ty],
        TypeDefKind::Map(key, value) => vec![*key, *value],
        TypeDefKind::Result(result) => result.ok.into_iter().chain(result.err).collect(),
        TypeDefKind::Stream(ty) | TypeDefKind::Future(ty) => ty.iter().copied().collect(),
        TypeDefKind::Resource
        | TypeDefKind::Handle(_)
        | TypeDefKind::Flags(_)
        | TypeDefKind::Enum(_)
        | TypeDefKind::Unknown => Vec::new(),
    }
}

fn is_optional_json(resolve: &Resolve, ty: &Type) -> bool {
    let Type::Id(id) = ty else { return false };
    let TypeDefKind::Option(Type::Id(inner)) = resolve.types[*id].kind else { return false };
    resolve.types[defined(resolve, inner)].name.as_deref() == Some("json")
}

/// Types of the plugin package that its twin could share, and what in the package of types it could not.
fn misplaced(resolve: &Resolve) -> Vec<String> {
    let mut problems = Vec::new();
    for (id, interface) in resolve.interfaces.iter() {
        let is_shared = !is_of_plugins(resolve, id);
        if is_shared && !interface.functions.is_empty() {
            let name = interface.name.as_deref().unwrap_or_default();
            problems
                .push(format!("`{name}` of the package of types has functions: only types can be shared"));
        }
        for (_, ty) in own_types(resolve, interface, id) {
            let name = name(resolve, ty);
            match (is_shared, is_live(resolve, ty)) {
                (true, true) => problems.push(format!(
                    "`{name}` of the package of types holds a stream, a future or a resource, which twins do not share"
                )),
                (false, false) => {
                    problems.push(format!("`{name}` can be shared by both twins: define it in the package of types"))
                }
                (true, false) | (false, true) => {}
            }
        }
    }
    problems
}

/// Whether a type has a lifetime, or holds something that has one.
fn is_live(resolve: &Resolve, id: TypeId) -> bool {
    let mut reached = BTreeSet::new();
    reach(resolve, &Type::Id(id), &mut reached);
    reached.iter().any(|id| {
        matches!(
            resolve.types[*id].kind,
            TypeDefKind::Stream(_) | TypeDefKind::Future(_) | TypeDefKind::Handle(_) | TypeDefKind::Resource
        )
    })
}

/// A type's interface and name.
fn name(resolve: &Resolve, id: TypeId) -> String {
    let definition = &resolve.types[id];
    let owner = match definition.owner {
        TypeOwner::Interface(owner) => resolve.interfaces[owner].name.as_deref(),
        TypeOwner::World(_) | TypeOwner::None => None,
    };
    format!("{}.{}", owner.unwrap_or_default(), definition.name.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use wit_parser::Resolve;

    use super::problems;

    /// Problems of a contract with these types, functions that guests import, and functions that they export.
    fn of(types: &str, imported: &str, exported: &str, without_extra: &[&str]) -> Vec<String> {
        let mut resolve = Resolve::default();
        let text = format!(
            "package a:plugin@0.1.0;
            interface calls {{
                use a:types/things@0.1.0.{{thing}};
                {imported}
            }}
            interface hooks {{
                use a:types/things@0.1.0.{{thing}};
                {exported}
            }}
            world w {{ import calls; export hooks; }}
            package a:types@0.1.0 {{
                interface things {{
                    type json = string;
                    {types}
                }}
            }}"
        );
        resolve.push_str("a.wit", &text).unwrap();
        problems(&resolve, without_extra)
    }

    const OPEN: &str = "record thing { extra: option<json> }";
    const CLOSED: &str = "record thing { f: u8 }";

    fn check(problems: &[String], expected: &[&str]) {
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn record_from_the_host_without_extra_is_found_wherever_it_is() {
        for result in [
            "thing",
            "option<thing>",
            "list<thing>",
            "tuple<u8, thing>",
            "result<thing>",
            "result<_, thing>",
            "stream<thing>",
            "future<result<option<thing>>>",
        ] {
            let import = format!("get: func() -> {result};");
            check(&of(CLOSED, &import, "", &[]), &["`things.thing`, a record without `extra"]);
            check(&of(CLOSED, &import, "", &["things.thing"]), &[]);
            check(&of(OPEN, &import, "", &[]), &[]);
        }
        let inside = "record inner { f: u8 } variant thing { one(inner), other(json) }";
        check(&of(inside, "get: async func() -> thing;", "", &[]), &["`things.inner`"]);
        check(&of(CLOSED, "", "call: async func(a: list<thing>);", &[]), &["`things.thing`"]);
    }

    #[test]
    fn record_that_only_guests_make_needs_no_extra() {
        check(&of(CLOSED, "put: func(a: thing);", "call: func() -> thing;", &[]), &[]);
    }

    #[test]
    fn extra_of_another_type_is_none() {
        for ty in ["json", "option<u8>", "option<string>"] {
            let thing = format!("record thing {{ extra: {ty} }}");
            check(&of(&thing, "get: func() -> thing;", "", &[]), &["`extra` of `things.thing` is no"]);
        }
    }

    #[test]
    fn sets_from_the_host_are_open() {
        for (thing, expected) in [
            ("variant thing { one(u8) }", "a case `other`"),
            ("enum thing { one }", "a closed set"),
            ("flags thing { one }", "a closed set"),
        ] {
            check(&of(thing, "get: func() -> thing;", "", &[]), &[expected]);
            check(&of(thing, "put: func(a: thing);", "", &[]), &[]);
        }
        check(&of("variant thing { one(u8), other(json) }", "get: func() -> thing;", "", &[]), &[]);
    }

    #[test]
    fn exception_that_nothing_needs_is_named() {
        for thing in [OPEN, CLOSED] {
            check(&of(thing, "put: func(a: thing);", "", &["things.thing"]), &["needs no exception"]);
        }
        check(&of(OPEN, "get: func() -> thing;", "", &["things.thing"]), &["needs no exception"]);
    }

    #[test]
    fn what_twins_can_share_is_in_the_package_of_types() {
        for mine in [
            "record mine { f: u8 }",
            "variant mine { a }",
            "enum mine { a }",
            "flags mine { a }",
            "type mine = u8;",
        ] {
            check(&of(OPEN, mine, "", &[]), &["`calls.mine` can be shared"]);
        }
        for mine in
            ["variant mine { a(stream<thing>) }", "record mine { f: option<future<u8>> }", "resource mine {}"]
        {
            check(&of(OPEN, mine, "", &[]), &[]);
        }
        let live = format!("{OPEN} variant reply {{ a(stream<u8>) }}");
        check(&of(&live, "", "", &[]), &["`things.reply` of the package of types holds"]);
        let function = format!("{OPEN} get: func();");
        check(&of(&function, "", "", &[]), &["`things` of the package of types has functions"]);
    }
}
