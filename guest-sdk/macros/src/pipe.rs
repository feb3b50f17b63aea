//! `#[pipe]`: passes the `impl` on and exports it.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::ItemImpl;

use crate::methods;

pub(crate) fn expand(block: ItemImpl) -> syn::Result<Tokens> {
    let plugin = methods::of_trait(&block, "pipe", "Pipe")?;
    let export = crate::export("pipe", "run", plugin);
    Ok(quote!(#block #export))
}
