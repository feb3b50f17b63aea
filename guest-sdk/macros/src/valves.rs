//! `#[valves]`: a struct of settings with defaults.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Fields, ItemStruct, Lit};

pub(crate) fn expand(mut item: ItemStruct) -> syn::Result<Tokens> {
    if !item.generics.params.is_empty() {
        return Err(syn::Error::new(item.generics.span(), "a struct of settings cannot be generic"));
    }
    let Fields::Named(fields) = &mut item.fields else {
        return Err(syn::Error::new(
            item.ident.span(),
            "settings have names: write a struct with named fields",
        ));
    };
    let mut defaults = Vec::new();
    for field in &mut fields.named {
        let mut default = quote!(::core::default::Default::default());
        for attribute in field.attrs.extract_if(.., |attribute| attribute.path().is_ident("valve")) {
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("default") {
                    return Err(meta.error("expected `default = …`"));
                }
                let value: Expr = meta.value()?.parse()?;
                default = match &value {
                    Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                        quote!(::core::convert::Into::into(#text))
                    }
                    other => quote!(#other),
                };
                Ok(())
            })?;
        }
        let name = &field.ident;
        defaults.push(quote!(#name: #default));
    }
    let ident = &item.ident;
    Ok(quote! {
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::innkeeper_sdk::serde::Serialize,
            ::innkeeper_sdk::serde::Deserialize,
            ::innkeeper_sdk::schemars::JsonSchema,
        )]
        #[serde(crate = "::innkeeper_sdk::serde", default)]
        #[schemars(crate = "::innkeeper_sdk::schemars")]
        #item

        impl ::core::default::Default for #ident {
            fn default() -> Self {
                Self { #(#defaults),* }
            }
        }
    })
}
