//! Macros of `innkeeper-sdk`: they turn a struct and its `impl` blocks into a manifest and a component's exports.
//!
//! Nothing here knows the contract's records: the output names items of the SDK, which does.

mod actions;
mod docs;
mod filter;
mod jobs;
mod methods;
mod pipe;
mod plugin;
mod tools;
mod valves;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{DeriveInput, ItemImpl, ItemStruct, parse_macro_input};

/// Makes a struct a plugin.
///
/// ```text
/// /// What it does, for people.
/// #[derive(Plugin)]
/// #[plugin(
///     id = "notes",
///     permissions(memories.read = "finds notes", optional events.emit = "shows what it does"),
///     limits(fuel = 50_000_000),
///     valves = Settings,
///     user_valves = MySettings,
/// )]
/// struct Notes;
/// ```
///
/// Only `id` is required.
/// `name`, `description`, `license` and `homepage` may be given as well; they, the version and the authors come from the crate otherwise.
#[proc_macro_derive(Plugin, attributes(plugin))]
pub fn derive_plugin(input: TokenStream) -> TokenStream {
    finish(plugin::expand(parse_macro_input!(input as DeriveInput)))
}

/// Makes each method of an `impl` block a tool.
///
/// The doc comment is what the model reads; a line ``* `argument` — …`` describes an argument.
/// A parameter of type `Invocation` gets the call instead of an argument.
/// `#[tool(name = "…", read_only)]` renames a tool, or says that it only reads.
#[proc_macro_attribute]
pub fn tools(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let block = parse_macro_input!(item as ItemImpl);
    finish(methods::no_arguments(attribute.into(), "tools").and_then(|()| tools::expand(block)))
}

/// Makes an `impl Pipe for …` the plugin's pipe.
#[proc_macro_attribute]
pub fn pipe(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let block = parse_macro_input!(item as ItemImpl);
    finish(methods::no_arguments(attribute.into(), "pipe").and_then(|()| pipe::expand(block)))
}

/// Makes an `impl Filter for …` the plugin's filter; the manifest names the hooks that it has.
///
/// `#[filter(priority = 10, toggle, guard, keep_instance)]`, each of which may be left out.
#[proc_macro_attribute]
pub fn filter(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let block = parse_macro_input!(item as ItemImpl);
    finish(filter::expand(attribute.into(), block))
}

/// Makes each method of an `impl` block an action.
///
/// The first line of the doc comment is what the button says, unless `#[action(name = "…", icon_url = "…")]` does.
/// A method may take an `Invocation` and a `Vec<StoredMessage>`.
#[proc_macro_attribute]
pub fn actions(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let block = parse_macro_input!(item as ItemImpl);
    finish(methods::no_arguments(attribute.into(), "actions").and_then(|()| actions::expand(block)))
}

/// Makes each method of an `impl` block a job; each needs `#[job(schedule = "0 3 * * *")]`, five fields of cron in UTC.
#[proc_macro_attribute]
pub fn jobs(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let block = parse_macro_input!(item as ItemImpl);
    finish(methods::no_arguments(attribute.into(), "jobs").and_then(|()| jobs::expand(block)))
}

/// Makes a struct a set of settings: readable and writable as JSON, with a JSON Schema, and with the defaults that `#[valve(default = …)]` gives.
#[proc_macro_attribute]
pub fn valves(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemStruct);
    finish(methods::no_arguments(attribute.into(), "valves").and_then(|()| valves::expand(item)))
}

fn finish(output: syn::Result<Tokens>) -> TokenStream {
    output.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// The call of the SDK's macro that exports one kind.
/// On a machine that is no guest, where tests run, nothing is exported; naming the function keeps the plugin from looking unused.
fn export(kind: &str, function: &str, plugin: &syn::Ident) -> Tokens {
    let (kind, function) = (quote::format_ident!("{kind}"), quote::format_ident!("{function}"));
    quote! {
        #[cfg(target_family = "wasm")]
        const _: () = {
            ::innkeeper_sdk::bindings::#kind::export!(#plugin with_types_in ::innkeeper_sdk::bindings::#kind);
        };

        #[cfg(not(target_family = "wasm"))]
        const _: fn() = || {
            let _ = <#plugin as ::innkeeper_sdk::bindings::#kind::Guest>::#function;
        };
    }
}
