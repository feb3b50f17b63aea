//! What the macros on `impl` blocks share: whose block it is, its methods, and what each parameter is for.

use proc_macro2::{Span, TokenStream as Tokens};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, Pat, ReturnType, Type};

use crate::docs::{self, Docs};

/// What a parameter gets.
pub(crate) enum Role {
    /// The invocation, by value or by reference.
    Invocation { by_reference: bool },
    /// Anything else: its name, type and attributes.
    Other { name: Ident, ty: Box<Type>, attributes: Vec<Attribute> },
}

/// A method of an `impl` block.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    /// Its name in the manifest.
    pub(crate) name: String,
    pub(crate) docs: Docs,
    pub(crate) roles: Vec<Role>,
    pub(crate) is_async: bool,
    /// Where to point at if its result does not fit.
    pub(crate) output: Span,
}

impl Method {
    /// The call of the method with these arguments, awaited where it must be.
    pub(crate) fn invoke(&self, arguments: &[Tokens]) -> Tokens {
        let ident = &self.ident;
        let awaited = self.is_async.then(|| quote!(.await));
        quote!(Self::#ident(self, #(#arguments),*) #awaited)
    }
}

/// Refuses `#[name(…)]` where nothing can be said.
pub(crate) fn no_arguments(attribute: Tokens, name: &str) -> syn::Result<()> {
    if attribute.is_empty() {
        return Ok(());
    }
    Err(syn::Error::new(attribute.span(), format!("`#[{name}]` takes nothing in parentheses")))
}

/// The struct of `impl Struct { … }`.
pub(crate) fn inherent<'a>(block: &'a ItemImpl, macro_name: &str) -> syn::Result<&'a Ident> {
    if let Some((_, path, _)) = &block.trait_ {
        let message =
            format!("`#[{macro_name}]` goes on `impl MyPlugin {{ … }}`, not on the `impl` of a trait");
        return Err(syn::Error::new(path.span(), message));
    }
    subject(block, macro_name)
}

/// The struct of `impl Trait for Struct { … }`.
pub(crate) fn of_trait<'a>(block: &'a ItemImpl, macro_name: &str, name: &str) -> syn::Result<&'a Ident> {
    let fits = block
        .trait_
        .as_ref()
        .is_some_and(|(_, path, _)| path.segments.last().is_some_and(|last| last.ident == name));
    if !fits {
        let message = format!("`#[{macro_name}]` goes on `impl {name} for MyPlugin {{ … }}`");
        return Err(syn::Error::new(block.impl_token.span(), message));
    }
    subject(block, macro_name)
}

fn subject<'a>(block: &'a ItemImpl, macro_name: &str) -> syn::Result<&'a Ident> {
    if !block.generics.params.is_empty() {
        let message = format!("`#[{macro_name}]` cannot export a generic type: a component is one plugin");
        return Err(syn::Error::new(block.generics.span(), message));
    }
    match &*block.self_ty {
        Type::Path(path) => path.path.get_ident(),
        _ => None,
    }
    .ok_or_else(|| {
        syn::Error::new(block.self_ty.span(), "name the plugin's struct here, without a path in front")
    })
}

/// Takes the methods out of a block, and from them what only this macro understands.
///
/// `configure` gets each `#[attribute(…)]` of a method and may rename it; `what` is the noun for messages.
pub(crate) fn collect(
    block: &mut ItemImpl,
    attribute: &str,
    what: &str,
    mut configure: impl FnMut(&Ident, &Attribute) -> syn::Result<Option<LitStr>>,
) -> syn::Result<Vec<Method>> {
    let mut methods: Vec<Method> = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(function) = item else { continue };
        let ident = function.sig.ident.clone();
        let mut name = (ident.to_string().trim_start_matches("r#").to_owned(), ident.span());
        for attribute in function.attrs.extract_if(.., |a| a.path().is_ident(attribute)) {
            if let Some(renamed) = configure(&ident, &attribute)? {
                name = (renamed.value(), renamed.span());
            }
        }
        check_name(&name.0, name.1, what)?;
        if methods.iter().any(|method| method.name == name.0) {
            return Err(syn::Error::new(
                name.1,
                format!("there is another {what} `{}`; names must differ", name.0),
            ));
        }
        methods.push(method(function, name.0, what)?);
    }
    if methods.is_empty() {
        let message = format!("there is no {what} in this block; remove the attribute or write a method");
        return Err(syn::Error::new(block.self_ty.span(), message));
    }
    Ok(methods)
}

fn method(function: &mut ImplItemFn, name: String, what: &str) -> syn::Result<Method> {
    let signature = &mut function.sig;
    if !signature.generics.params.is_empty() {
        return Err(syn::Error::new(
            signature.generics.span(),
            format!("the method of a {what} cannot be generic"),
        ));
    }
    match signature.inputs.first() {
        Some(FnArg::Receiver(receiver)) if receiver.reference.is_some() && receiver.mutability.is_none() => {}
        Some(FnArg::Receiver(receiver)) => {
            let message = "take `&self`: calls may overlap; keep what changes in a `Cell` or `RefCell`";
            return Err(syn::Error::new(receiver.span(), message));
        }
        _ => {
            let message = format!(
                "the method of a {what} takes `&self`; put other functions into another `impl` block"
            );
            return Err(syn::Error::new(signature.ident.span(), message));
        }
    }
    let mut roles = Vec::new();
    for input in signature.inputs.iter_mut().skip(1) {
        if let FnArg::Typed(input) = input {
            let attributes = std::mem::take(&mut input.attrs);
            roles.push(role(&input.pat, &input.ty, attributes, what)?);
        }
    }
    let output = match &signature.output {
        ReturnType::Type(_, ty) => ty.span(),
        ReturnType::Default => signature.ident.span(),
    };
    Ok(Method {
        ident: signature.ident.clone(),
        name,
        docs: docs::parse(&function.attrs),
        roles,
        is_async: signature.asyncness.is_some(),
        output,
    })
}

fn role(pattern: &Pat, ty: &Type, attributes: Vec<Attribute>, what: &str) -> syn::Result<Role> {
    let (inner, by_reference) = match ty {
        Type::Reference(reference) => (&*reference.elem, true),
        other => (other, false),
    };
    if last_segment(inner).is_some_and(|last| last == "Invocation") {
        return Ok(Role::Invocation { by_reference });
    }
    if by_reference {
        let message = format!(
            "a {what} owns its arguments: take `String` instead of `&str`, `Vec<T>` instead of `&[T]`"
        );
        return Err(syn::Error::new(ty.span(), message));
    }
    let Pat::Ident(name) = pattern else {
        return Err(syn::Error::new(pattern.span(), format!("give the argument of a {what} a plain name")));
    };
    Ok(Role::Other { name: name.ident.clone(), ty: Box::new(ty.clone()), attributes })
}

/// The last name of a path, without its generic arguments.
pub(crate) fn last_segment(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|last| &last.ident),
        _ => None,
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_-]*`, at most 64 bytes.
fn check_name(name: &str, span: Span, what: &str) -> syn::Result<()> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if first && rest && name.len() <= 64 {
        return Ok(());
    }
    let message = format!(
        "`{name}` cannot name a {what}: use letters, digits, `_` and `-`, not a digit in front, at most 64"
    );
    Err(syn::Error::new(span, message))
}
