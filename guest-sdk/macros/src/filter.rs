//! `#[filter]`: passes the `impl` on, describes which hooks it has, and exports it.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::parse::Parser;
use syn::{ImplItem, ItemImpl, LitInt, Token};

use crate::methods;

const HOOKS: [&str; 4] = ["inlet", "request", "stream", "outlet"];

#[derive(Default)]
struct Options {
    priority: i32,
    toggle: bool,
    guard: bool,
    keep_instance: bool,
}

pub(crate) fn expand(attribute: Tokens, block: ItemImpl) -> syn::Result<Tokens> {
    let plugin = methods::of_trait(&block, "filter", "Filter")?;
    let Options { priority, toggle, guard, keep_instance } = options(attribute)?;
    let has = |hook: &str| {
        block.items.iter().any(|item| matches!(item, ImplItem::Fn(function) if function.sig.ident == hook))
    };
    if !HOOKS.iter().any(|hook| has(hook)) {
        let message = "a filter without hooks does nothing: write `inlet`, `request`, `stream` or `outlet`";
        return Err(syn::Error::new(plugin.span(), message));
    }
    let hooks = [("INLET", "inlet"), ("REQUEST", "request"), ("STREAM", "stream"), ("OUTLET", "outlet")];
    let hooks = hooks.iter().filter(|(_, hook)| has(hook)).map(|(flag, _)| {
        let flag = quote::format_ident!("{flag}");
        quote!(::innkeeper_sdk::__private::FilterHooks::#flag)
    });
    let export = crate::export("filter", "inlet", plugin);
    Ok(quote! {
        #block

        impl ::innkeeper_sdk::__private::DescribedFilter for #plugin {
            fn filter() -> ::innkeeper_sdk::__private::FilterDescription {
                ::innkeeper_sdk::__private::FilterDescription {
                    hooks: ::innkeeper_sdk::__private::FilterHooks::empty() #(| #hooks)*,
                    priority: #priority,
                    toggle: #toggle,
                    guard: #guard,
                    keep_instance: #keep_instance,
                }
            }
        }

        #export
    })
}

fn options(attribute: Tokens) -> syn::Result<Options> {
    let mut options = Options::default();
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("priority") {
            let value = meta.value()?;
            let minus = value.parse::<Option<Token![-]>>()?.is_some();
            let number: i32 = value.parse::<LitInt>()?.base10_parse()?;
            options.priority = if minus { -number } else { number };
        } else if meta.path.is_ident("toggle") {
            options.toggle = true;
        } else if meta.path.is_ident("guard") {
            options.guard = true;
        } else if meta.path.is_ident("keep_instance") {
            options.keep_instance = true;
        } else {
            return Err(meta.error("expected `priority = …`, `toggle`, `guard` or `keep_instance`"));
        }
        Ok(())
    });
    parser.parse2(attribute)?;
    Ok(options)
}
