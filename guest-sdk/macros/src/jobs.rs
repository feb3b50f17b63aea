//! `#[jobs]`: the methods become one dispatch by id, each with its schedule.

use std::collections::BTreeMap;

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::spanned::Spanned;
use syn::{ItemImpl, LitStr};

use crate::methods::{self, Role};

pub(crate) fn expand(mut block: ItemImpl) -> syn::Result<Tokens> {
    let plugin = methods::inherent(&block, "jobs")?.clone();
    let mut schedules: BTreeMap<String, LitStr> = BTreeMap::new();
    let mut names: BTreeMap<String, LitStr> = BTreeMap::new();
    let jobs = methods::collect(&mut block, "job", "job", |ident, attribute| {
        let mut id = None;
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("id") {
                id = Some(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("name") {
                names.insert(ident.to_string(), meta.value()?.parse()?);
            } else if meta.path.is_ident("schedule") {
                schedules.insert(ident.to_string(), schedule(meta.value()?.parse()?)?);
            } else {
                return Err(meta.error("expected `schedule = \"…\"`, `id = \"…\"` or `name = \"…\"`"));
            }
            Ok(())
        })?;
        Ok(id)
    })?;

    let mut descriptions = Vec::new();
    let mut arms = Vec::new();
    for job in &jobs {
        let id = &job.name;
        let key = job.ident.to_string();
        let Some(schedule) = schedules.get(&key) else {
            let message = format!(
                "the job `{id}` needs `#[job(schedule = \"0 3 * * *\")]`: five fields of cron, in UTC"
            );
            return Err(syn::Error::new(job.ident.span(), message));
        };
        let title = job.docs.title();
        let name =
            names.get(&key).map_or_else(|| if title.is_empty() { id.clone() } else { title }, LitStr::value);
        descriptions.push(quote! {
            ::innkeeper_sdk::__private::JobDescription {
                id: ::std::string::String::from(#id),
                name: ::std::string::String::from(#name),
                schedule: ::std::string::String::from(#schedule),
            }
        });
        let mut passed = Vec::new();
        for role in &job.roles {
            passed.push(match role {
                Role::Invocation { by_reference: true } => quote!(&invocation),
                Role::Invocation { by_reference: false } => quote!(invocation),
                Role::Other { ty, .. } => {
                    return Err(syn::Error::new(
                        ty.span(),
                        "a job takes `&self` and, if it wants it, an `Invocation`",
                    ));
                }
            });
        }
        let invoke = job.invoke(&passed);
        arms.push(quote!(#id => #invoke.map_err(::core::convert::Into::into),));
    }

    let export = crate::export("job", "run", &plugin);
    Ok(quote! {
        #block

        impl ::innkeeper_sdk::Job for #plugin {
            fn jobs() -> ::std::vec::Vec<::innkeeper_sdk::__private::JobDescription> {
                ::std::vec![#(#descriptions),*]
            }

            async fn run(
                &self,
                invocation: ::innkeeper_sdk::Invocation,
                id: &str,
            ) -> ::core::result::Result<(), ::innkeeper_sdk::PluginError> {
                let _ = &invocation;
                match id {
                    #(#arms)*
                    _ => ::core::result::Result::Err(::innkeeper_sdk::__private::unknown("job", id)),
                }
            }
        }

        #export
    })
}

fn schedule(text: LitStr) -> syn::Result<LitStr> {
    match text.value().split_whitespace().count() {
        5 => Ok(text),
        count => {
            Err(syn::Error::new(text.span(), format!("a schedule has five fields of cron; this has {count}")))
        }
    }
}
