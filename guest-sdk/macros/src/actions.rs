//! `#[actions]`: the methods become one dispatch by id.

use std::collections::BTreeMap;

use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemImpl, LitStr};

use crate::methods::{self, Method, Role, last_segment};

pub(crate) fn expand(mut block: ItemImpl) -> syn::Result<Tokens> {
    let plugin = methods::inherent(&block, "actions")?.clone();
    let mut names: BTreeMap<String, LitStr> = BTreeMap::new();
    let mut icons: BTreeMap<String, LitStr> = BTreeMap::new();
    let actions = methods::collect(&mut block, "action", "action", |ident, attribute| {
        let mut id = None;
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("id") {
                id = Some(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("name") {
                names.insert(ident.to_string(), meta.value()?.parse()?);
            } else if meta.path.is_ident("icon_url") {
                icons.insert(ident.to_string(), meta.value()?.parse()?);
            } else {
                return Err(meta.error("expected `id = \"…\"`, `name = \"…\"` or `icon_url = \"…\"`"));
            }
            Ok(())
        })?;
        Ok(id)
    })?;

    let mut descriptions = Vec::new();
    let mut arms = Vec::new();
    for action in &actions {
        let id = &action.name;
        let key = action.ident.to_string();
        let name = names.get(&key).map_or_else(|| action.docs.title(), LitStr::value);
        if name.is_empty() {
            let message = format!(
                "the action `{id}` needs a doc comment or `#[action(name = \"…\")]`: its button says it"
            );
            return Err(syn::Error::new(action.ident.span(), message));
        }
        let icon = match icons.get(&key) {
            Some(icon) => quote!(::core::option::Option::Some(::std::string::String::from(#icon))),
            None => quote!(::core::option::Option::None),
        };
        descriptions.push(quote! {
            ::innkeeper_sdk::__private::ActionDescription {
                id: ::std::string::String::from(#id),
                name: ::std::string::String::from(#name),
                icon_url: #icon,
            }
        });
        arms.push(arm(action)?);
    }

    let export = crate::export("action", "run", &plugin);
    Ok(quote! {
        #block

        impl ::innkeeper_sdk::Action for #plugin {
            fn actions() -> ::std::vec::Vec<::innkeeper_sdk::__private::ActionDescription> {
                ::std::vec![#(#descriptions),*]
            }

            async fn run(
                &self,
                invocation: ::innkeeper_sdk::Invocation,
                id: &str,
                messages: ::std::vec::Vec<::innkeeper_sdk::StoredMessage>,
            ) -> ::core::result::Result<::core::option::Option<::innkeeper_sdk::ActionResult>, ::innkeeper_sdk::PluginError> {
                let _ = (&invocation, &messages);
                match id {
                    #(#arms)*
                    _ => ::core::result::Result::Err(::innkeeper_sdk::__private::unknown("action", id)),
                }
            }
        }

        #export
    })
}

fn arm(action: &Method) -> syn::Result<Tokens> {
    let mut passed = Vec::new();
    for role in &action.roles {
        passed.push(match role {
            Role::Invocation { by_reference: true } => quote!(&invocation),
            Role::Invocation { by_reference: false } => quote!(invocation),
            Role::Other { ty, .. } if last_segment(ty).is_some_and(|last| last == "Vec") => quote!(messages),
            Role::Other { ty, .. } => {
                let message = "an action takes `&self` and, if it wants them, an `Invocation` and a `Vec<StoredMessage>`";
                return Err(syn::Error::new(ty.span(), message));
            }
        });
    }
    let id = &action.name;
    let invoke = action.invoke(&passed);
    let output = quote_spanned!(action.output=> ::innkeeper_sdk::ActionOutput::output(output));
    Ok(quote! {
        #id => {
            let output = #invoke;
            #output
        }
    })
}
