//! `#[derive(Plugin)]`: the manifest's fixed part and the plugin's one instance.

use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Ident, LitInt, LitStr, Token, Type, parenthesized};

use crate::docs;

/// What a plugin may ask for.
const PERMISSIONS: [&str; 21] = [
    "users.read",
    "email.read",
    "chats.read",
    "chats.write",
    "chat-messages.read",
    "chat-messages.write",
    "files.read",
    "files.write",
    "memories.read",
    "memories.write",
    "config.read",
    "kv",
    "kv.shared",
    "events.emit",
    "events.call",
    "events.html",
    "events.script",
    "events.other",
    "completions",
    "toolbox",
    "act-as-admin",
];

/// `chats.read = "why"`, with `optional` in front where the plugin can do without.
struct Permission {
    name: String,
    reason: LitStr,
    optional: bool,
}

/// `fuel = 1_000`.
struct Limit {
    name: String,
    value: LitInt,
}

#[derive(Default)]
struct Options {
    id: Option<LitStr>,
    name: Option<LitStr>,
    description: Option<LitStr>,
    license: Option<LitStr>,
    homepage: Option<LitStr>,
    permissions: Vec<Permission>,
    limits: Vec<Limit>,
    valves: Option<Type>,
    user_valves: Option<Type>,
}

impl Parse for Permission {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let first: Ident = input.parse()?;
        let optional = first == "optional" && input.peek(Ident);
        let first = if optional { input.parse()? } else { first };
        let mut name = first.to_string();
        while !input.peek(Token![=]) {
            let mark = if input.parse::<Option<Token![.]>>()?.is_some() {
                '.'
            } else {
                input.parse::<Token![-]>()?;
                '-'
            };
            name.push(mark);
            name.push_str(&input.parse::<Ident>()?.to_string());
        }
        let name = name.replace('_', "-");
        if !PERMISSIONS.contains(&name.as_str()) {
            let message = format!(
                "unknown permission `{name}`; there are {}",
                PERMISSIONS.map(|name| format!("`{name}`")).join(", ")
            );
            return Err(syn::Error::new(first.span(), message));
        }
        input.parse::<Token![=]>()?;
        let reason: LitStr = input.parse()?;
        if reason.value().trim().is_empty() {
            return Err(syn::Error::new(
                reason.span(),
                "say why: the operator reads it before granting the permission",
            ));
        }
        Ok(Self { name, reason, optional })
    }
}

impl Parse for Limit {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name: Ident = input.parse()?;
        input.parse::<Token![=]>()?;
        let value: LitInt = input.parse()?;
        value.base10_parse::<u64>()?;
        Ok(Self { name: name.to_string().replace('_', "-"), value })
    }
}

pub(crate) fn expand(input: DeriveInput) -> syn::Result<Tokens> {
    let plugin = &input.ident;
    if !input.generics.params.is_empty() {
        return Err(syn::Error::new(
            input.generics.span(),
            "a plugin cannot be generic: a component is one plugin",
        ));
    }
    let options = options(&input)?;
    let Some(id) = &options.id else {
        let message = "a plugin needs an id: add `#[plugin(id = \"my-plugin\")]`";
        return Err(syn::Error::new(plugin.span(), message));
    };
    check_id(id)?;
    let name = options.name.as_ref().map_or_else(|| title(&id.value()), LitStr::value);
    let description = options.description.as_ref().map_or_else(|| docs::text(&input.attrs), LitStr::value);
    let description = if description.is_empty() {
        quote!(::core::env!("CARGO_PKG_DESCRIPTION"))
    } else {
        quote!(#description)
    };
    let license = or_variable(options.license.as_ref(), "CARGO_PKG_LICENSE");
    let homepage = or_variable(options.homepage.as_ref(), "CARGO_PKG_HOMEPAGE");
    let permissions = options.permissions.iter().map(|Permission { name, reason, optional }| {
        quote! {
            ::innkeeper_sdk::__private::PermissionRequest {
                name: ::std::string::String::from(#name),
                reason: ::std::string::String::from(#reason),
                optional: #optional,
            }
        }
    });
    let limits = options.limits.iter().map(|Limit { name, value }| {
        quote! {
            ::innkeeper_sdk::__private::LimitRequest { name: ::std::string::String::from(#name), value: #value }
        }
    });
    let valves = schema(options.valves.as_ref());
    let user_valves = schema(options.user_valves.as_ref());
    let instance = instance(&input)?;
    let export = crate::export("plugin", "describe", plugin);

    Ok(quote! {
        impl ::innkeeper_sdk::Plugin for #plugin {
            const ID: &'static str = #id;
            const NAME: &'static str = #name;

            fn instance() -> &'static Self {
                #instance
            }

            fn manifest() -> ::innkeeper_sdk::Manifest {
                #[allow(unused_imports, reason = "which of them is used depends on the kinds that the plugin is")]
                use ::innkeeper_sdk::__private::{
                    WithActions, WithFilter, WithJobs, WithTools, WithoutActions, WithoutFilter, WithoutJobs, WithoutTools,
                };
                let describe = &::innkeeper_sdk::__private::Describe::<#plugin>::new();
                ::innkeeper_sdk::Manifest {
                    id: ::std::string::String::from(#id),
                    name: ::std::string::String::from(#name),
                    version: ::std::string::String::from(::core::env!("CARGO_PKG_VERSION")),
                    description: ::std::string::String::from(#description),
                    authors: ::innkeeper_sdk::__private::authors(::core::env!("CARGO_PKG_AUTHORS")),
                    license: #license,
                    homepage: #homepage,
                    permissions: ::std::vec![#(#permissions),*],
                    limits: ::std::vec![#(#limits),*],
                    valves: #valves,
                    user_valves: #user_valves,
                    tools: describe.tools(),
                    actions: describe.actions(),
                    jobs: describe.jobs(),
                    filter: describe.filter(),
                    extra: ::core::option::Option::None,
                }
            }
        }

        #export
    })
}

fn options(input: &DeriveInput) -> syn::Result<Options> {
    let mut options = Options::default();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("plugin")) {
        attribute.parse_nested_meta(|meta| {
            let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
            match name.as_str() {
                "id" => options.id = Some(meta.value()?.parse()?),
                "name" => options.name = Some(meta.value()?.parse()?),
                "description" => options.description = Some(meta.value()?.parse()?),
                "license" => options.license = Some(meta.value()?.parse()?),
                "homepage" => options.homepage = Some(meta.value()?.parse()?),
                "valves" => options.valves = Some(meta.value()?.parse()?),
                "user_valves" => options.user_valves = Some(meta.value()?.parse()?),
                "permissions" => {
                    let content;
                    parenthesized!(content in meta.input);
                    for permission in Punctuated::<Permission, Token![,]>::parse_terminated(&content)? {
                        if options.permissions.iter().any(|other| other.name == permission.name) {
                            let message = format!("the permission `{}` is asked for twice", permission.name);
                            return Err(syn::Error::new(permission.reason.span(), message));
                        }
                        options.permissions.push(permission);
                    }
                }
                "limits" => {
                    let content;
                    parenthesized!(content in meta.input);
                    options.limits.extend(Punctuated::<Limit, Token![,]>::parse_terminated(&content)?);
                }
                _ => {
                    return Err(meta.error(
                        "expected `id`, `name`, `description`, `license`, `homepage`, `permissions(…)`, `limits(…)`, `valves` or `user_valves`",
                    ));
                }
            }
            Ok(())
        })?;
    }
    Ok(options)
}

/// One value for all calls of a component instance, made when it is first needed: instances are made often and live shortly.
fn instance(input: &DeriveInput) -> syn::Result<Tokens> {
    let plugin = &input.ident;
    match &input.data {
        Data::Struct(data) if matches!(data.fields, Fields::Unit) => Ok(quote!(&Self)),
        Data::Struct(_) => {
            // Spanned, so that a struct without `Default` is what the compiler points at.
            let begin = quote_spanned!(plugin.span()=> <#plugin as ::core::default::Default>::default());
            Ok(quote! {
                ::std::thread_local! {
                    static INSTANCE: &'static #plugin = ::std::boxed::Box::leak(::std::boxed::Box::new(#begin));
                }
                INSTANCE.with(|instance| *instance)
            })
        }
        _ => Err(syn::Error::new(plugin.span(), "a plugin is a struct")),
    }
}

fn schema(of: Option<&Type>) -> Tokens {
    match of {
        Some(ty) => quote!(::core::option::Option::Some(::innkeeper_sdk::__private::schema::<#ty>())),
        None => quote!(::core::option::Option::None),
    }
}

fn or_variable(value: Option<&LitStr>, variable: &str) -> Tokens {
    match value {
        Some(value) => quote!(::core::option::Option::Some(::std::string::String::from(#value))),
        None => quote!(::innkeeper_sdk::__private::present(::core::env!(#variable))),
    }
}

/// `[a-z][a-z0-9]*([-_][a-z0-9]+)*`, at most 64 bytes.
fn check_id(id: &LitStr) -> syn::Result<()> {
    let value = id.value();
    let mut parts = value.split(['-', '_']);
    let fits = value.len() <= 64
        && value.starts_with(|c: char| c.is_ascii_lowercase())
        && parts.all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
    if fits {
        return Ok(());
    }
    let message = format!(
        "`{value}` cannot be a plugin's id: use lower-case words of letters and digits, joined by `-` or `_`, at most 64 bytes"
    );
    Err(syn::Error::new(id.span(), message))
}

/// `context-clip` → `Context clip`.
fn title(id: &str) -> String {
    let words = id.replace(['-', '_'], " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
