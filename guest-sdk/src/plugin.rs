//! What every plugin is: an id, one instance, a manifest put together from the parts that its macros described.

use std::marker::PhantomData;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};

use crate::bindings::innkeeper::types::manifest::{
    ActionDescription, FilterDescription, JobDescription, Manifest, ToolDescription,
};
use crate::filter::DescribedFilter;
use crate::{Action, Job, Tool};

/// A plugin. Made by `#[derive(Plugin)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plugin",
    note = "put `#[derive(Plugin)]` and `#[plugin(id = \"…\")]` on it"
)]
pub trait Plugin: Sized + 'static {
    /// Its id.
    const ID: &'static str;
    /// Its name, for people.
    const NAME: &'static str;

    /// The one value that serves all calls of this component instance. It begins as `Default` says.
    fn instance() -> &'static Self;

    /// What the plugin says of itself.
    fn manifest() -> Manifest;
}

impl<T: Plugin> crate::bindings::plugin::Guest for T {
    fn describe() -> Manifest {
        T::manifest()
    }
}

/// The JSON Schema of `T`, as one object without references where it can be.
pub fn schema<T: JsonSchema>() -> String {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    WithoutTitles.transform(&mut schema);
    schema.insert("type".to_owned(), "object".into());
    schema.as_value().to_string()
}

/// Rust's names of types say nothing to a model and cost tokens.
struct WithoutTitles;

impl Transform for WithoutTitles {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        schema.remove("title");
        transform_subschemas(self, schema);
    }
}

/// `CARGO_PKG_AUTHORS` as a list.
pub fn authors(joined: &str) -> Vec<String> {
    joined.split(':').filter(|author| !author.is_empty()).map(str::to_owned).collect()
}

/// Cargo's variables are empty where the manifest says nothing.
pub fn present(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// Asks the compiler which kinds a plugin is: `(&Describe::<T>::new()).tools()` finds [`WithTools`] if `T` has tools, else [`WithoutTools`].
#[derive(Debug)]
pub struct Describe<T>(PhantomData<T>);

impl<T> Describe<T> {
    #[expect(clippy::new_without_default, reason = "only generated code calls it")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

macro_rules! parts {
    ($($with:ident / $without:ident: $method:ident -> $output:ty, $of:ident => $described:expr;)*) => {$(
        pub trait $with {
            fn $method(&self) -> $output;
        }

        impl<T: $of> $with for Describe<T> {
            fn $method(&self) -> $output {
                $described
            }
        }

        pub trait $without {
            fn $method(&self) -> $output {
                <$output>::default()
            }
        }

        impl<T> $without for &Describe<T> {}
    )*};
}

parts! {
    WithTools / WithoutTools: tools -> Vec<ToolDescription>, Tool => T::tools();
    WithActions / WithoutActions: actions -> Vec<ActionDescription>, Action => T::actions();
    WithJobs / WithoutJobs: jobs -> Vec<JobDescription>, Job => T::jobs();
    WithFilter / WithoutFilter: filter -> Option<FilterDescription>, DescribedFilter => Some(T::filter());
}
