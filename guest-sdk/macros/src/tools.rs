//! `#[tools]`: each method's arguments become a struct with a JSON Schema, the methods one dispatch by name.

use std::collections::BTreeMap;

use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote, quote_spanned};
use syn::{ItemImpl, LitStr};

use crate::methods::{self, Method, Role};

pub(crate) fn expand(mut block: ItemImpl) -> syn::Result<Tokens> {
    let plugin = methods::inherent(&block, "tools")?.clone();
    let mut read_only: BTreeMap<String, bool> = BTreeMap::new();
    let tools = methods::collect(&mut block, "tool", "tool", |ident, attribute| {
        let mut name = None;
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("read_only") {
                read_only.insert(ident.to_string(), true);
            } else {
                return Err(meta.error("expected `name = \"…\"` or `read_only`"));
            }
            Ok(())
        })?;
        Ok(name)
    })?;

    let mut structs = Vec::new();
    let mut descriptions = Vec::new();
    let mut arms = Vec::new();
    for tool in &tools {
        check_docs(tool)?;
        let (name, description) = (&tool.name, &tool.docs.description);
        let arguments = format_ident!("Arguments{}", structs.len());
        let reads = read_only.contains_key(&tool.ident.to_string());
        let function = format_ident!("arguments{}", structs.len());
        structs.push(arguments_struct(tool, &arguments, &function));
        let types = tool.roles.iter().filter_map(|role| match role {
            Role::Other { ty, .. } => Some(ty),
            Role::Invocation { .. } => None,
        });
        let arguments = quote!(#function::<#(#types),*>());
        descriptions.push(quote! {
            ::innkeeper_sdk::__private::ToolDescription {
                name: ::std::string::String::from(#name),
                description: ::std::string::String::from(#description),
                parameters: (#arguments.schema)(),
                read_only: #reads,
            }
        });
        arms.push(arm(tool, &arguments));
    }

    let export = crate::export("tool", "call", &plugin);
    Ok(quote! {
        #block

        const _: () = {
            #(#structs)*

            impl ::innkeeper_sdk::Tool for #plugin {
                fn tools() -> ::std::vec::Vec<::innkeeper_sdk::__private::ToolDescription> {
                    ::std::vec![#(#descriptions),*]
                }

                async fn call(
                    &self,
                    invocation: ::innkeeper_sdk::Invocation,
                    name: &str,
                    arguments: &str,
                ) -> ::core::result::Result<::innkeeper_sdk::ToolResult, ::innkeeper_sdk::PluginError> {
                    let _ = &invocation;
                    match name {
                        #(#arms)*
                        _ => ::core::result::Result::Err(::innkeeper_sdk::__private::unknown("tool", name)),
                    }
                }
            }
        };

        #export
    })
}

/// The model decides by the description alone whether to call a tool.
fn check_docs(tool: &Method) -> syn::Result<()> {
    if tool.docs.description.is_empty() {
        let message = format!(
            "the tool `{}` needs a doc comment: it tells the model what it does and when to use it",
            tool.name
        );
        return Err(syn::Error::new(tool.ident.span(), message));
    }
    let known = |described: &str| {
        tool.roles.iter().any(|role| matches!(role, Role::Other { name, .. } if name == described))
    };
    match tool.docs.arguments.keys().find(|described| !known(described)) {
        Some(unknown) => {
            let message = format!(
                "the doc comment describes `{unknown}`, which is not an argument of `{}`",
                tool.ident
            );
            Err(syn::Error::new(tool.ident.span(), message))
        }
        None => Ok(()),
    }
}

/// The arguments as a struct that is generic over their types, and a function that says how to describe and read them. Its bounds are the only
/// place where a type that does not fit is refused, which the compiler then says once, and where the type stands.
fn arguments_struct(tool: &Method, ident: &syn::Ident, function: &syn::Ident) -> Tokens {
    let mut parameters = Vec::new();
    let mut fields = Vec::new();
    for role in &tool.roles {
        let Role::Other { name, attributes, .. } = role else { continue };
        let parameter = format_ident!("Argument{}", parameters.len());
        let doc = tool.docs.arguments.get(&name.to_string()).map(|said| quote!(#[doc = #said]));
        fields.push(quote!(#doc #(#attributes)* #name: #parameter));
        parameters.push(parameter);
    }
    quote! {
        #[derive(::innkeeper_sdk::serde::Deserialize, ::innkeeper_sdk::schemars::JsonSchema)]
        #[serde(crate = "::innkeeper_sdk::serde")]
        #[schemars(crate = "::innkeeper_sdk::schemars")]
        struct #ident<#(#parameters),*> { #(#fields),* }

        fn #function<#(#parameters: ::innkeeper_sdk::__private::Argument),*>()
            -> ::innkeeper_sdk::__private::Arguments<#ident<#(#parameters),*>>
        {
            ::innkeeper_sdk::__private::Arguments::new()
        }
    }
}

fn arm(tool: &Method, arguments: &Tokens) -> Tokens {
    let name = &tool.name;
    let passed: Vec<Tokens> = tool
        .roles
        .iter()
        .map(|role| match role {
            Role::Invocation { by_reference: true } => quote!(&invocation),
            Role::Invocation { by_reference: false } => quote!(invocation),
            Role::Other { name, .. } => quote!(arguments.#name),
        })
        .collect();
    let invoke = tool.invoke(&passed);
    let output = quote_spanned!(tool.output=> ::innkeeper_sdk::ToolOutput::output(output));
    quote! {
        #name => {
            let arguments = (#arguments.read)(#name, arguments)?;
            let _ = &arguments;
            let output = #invoke;
            #output
        }
    }
}
