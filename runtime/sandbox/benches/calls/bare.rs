//! The same guest on bare wasmtime: the same pool without metering, a linker with trivial host functions, and nothing of Innkeeper around it.

use innkeeper_host::bindings::exports::innkeeper::plugin::tool;
use innkeeper_host::bindings::innkeeper::plugin::{chats, context, users};
use innkeeper_host::bindings::innkeeper::types;
use innkeeper_host::bindings::innkeeper::types::common::{Error, Page};
use innkeeper_host::bindings::innkeeper::types::invocation::Invocation;
use innkeeper_sandbox::EngineOptions;
use wasmtime::component::{
    Access, Accessor, Component, FutureReader, HasSelf, InstancePre, Linker, ResourceTable, StreamReader,
};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// What a store holds: the least that a host with WASI can do with.
#[derive(Default)]
pub(crate) struct Bare {
    wasi: Option<WasiCtx>,
    table: ResourceTable,
}

/// A component that is ready to be instantiated.
#[derive(Clone)]
pub(crate) struct BarePlugin {
    engine: Engine,
    pre: InstancePre<Bare>,
    tool: std::sync::Arc<tool::GuestIndices>,
}

impl BarePlugin {
    pub(crate) fn new(bytes: &[u8], options: &EngineOptions) -> Self {
        let engine = innkeeper_sandbox::bare_engine(options).unwrap();
        let mut linker = Linker::<Bare>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        macro_rules! add {
            ($($interface:path),* $(,)?) => {$({
                use $interface as interface;
                interface::add_to_linker::<Bare, HasSelf<Bare>>(&mut linker, |bare| bare).unwrap();
            })*};
        }
        add!(
            types::actions,
            types::chat_messages,
            types::chat_request,
            types::chats,
            types::common,
            types::files,
            types::invocation,
            types::kv,
            types::log,
            types::manifest,
            types::models,
            types::tools,
            types::users,
            chats,
            context,
            users,
        );
        let component = Component::new(&engine, bytes).unwrap();
        let pre = linker.instantiate_pre(&component).unwrap();
        let tool = std::sync::Arc::new(tool::GuestIndices::new(&pre).unwrap());
        Self { engine, pre, tool }
    }

    fn store(&self) -> Store<Bare> {
        Store::new(&self.engine, Bare::default())
    }

    /// A fresh instance and one call on it.
    pub(crate) async fn call(&self, name: &str) {
        let mut live = self.live().await;
        live.call(name).await;
    }

    /// An instance for many calls.
    pub(crate) async fn live(&self) -> BareInstance {
        let mut store = self.store();
        let instance = self.pre.instantiate_async(&mut store).await.unwrap();
        let guest = self.tool.load(&mut store, &instance).unwrap();
        BareInstance { store, guest }
    }
}

/// A live instance.
pub(crate) struct BareInstance {
    store: Store<Bare>,
    guest: tool::Guest,
}

impl BareInstance {
    pub(crate) async fn call(&mut self, name: &str) {
        let (guest, name) = (&self.guest, name.to_owned());
        let result = self
            .store
            .run_concurrent(async |accessor| {
                guest.call_call(accessor, invocation(), name, "{}".to_owned()).await
            })
            .await;
        assert!(result.unwrap().unwrap().is_ok());
    }
}

fn invocation() -> Invocation {
    Invocation {
        id: "call".into(),
        turn: "turn".into(),
        user: Some("user".into()),
        chat: None,
        message: None,
        locale: Some("en".into()),
        extra: None,
    }
}

impl WasiView for Bare {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| WasiCtx::builder().build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl types::actions::Host for Bare {}
impl types::chat_messages::Host for Bare {}
impl types::chat_request::Host for Bare {}
impl types::chats::Host for Bare {}
impl types::common::Host for Bare {}
impl types::files::Host for Bare {}
impl types::invocation::Host for Bare {}
impl types::kv::Host for Bare {}
impl types::log::Host for Bare {}
impl types::manifest::Host for Bare {}
impl types::models::Host for Bare {}
impl types::tools::Host for Bare {}
impl types::users::Host for Bare {}
impl chats::Host for Bare {}
impl users::Host for Bare {}

impl context::Host for Bare {
    fn messages(&mut self) -> wasmtime::Result<Vec<context::Message>> {
        Ok(Vec::new())
    }

    fn model(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }

    fn files(&mut self) -> wasmtime::Result<String> {
        Ok("[]".into())
    }

    fn features(&mut self) -> wasmtime::Result<String> {
        Ok("{}".into())
    }

    fn variables(&mut self) -> wasmtime::Result<String> {
        Ok("{}".into())
    }

    fn locale(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(Some("en".into()))
    }

    fn metadata(&mut self) -> wasmtime::Result<String> {
        Ok("{}".into())
    }

    fn task(&mut self) -> wasmtime::Result<Option<context::TaskInfo>> {
        Ok(None)
    }
}

type Bytestream = (StreamReader<u8>, FutureReader<Result<(), Error>>);

impl context::HostWithStore<Bare> for HasSelf<Bare> {
    fn read_blob(_: Access<'_, Bare, Self>, _: String) -> wasmtime::Result<Result<Bytestream, Error>> {
        Err(wasmtime::format_err!("not measured"))
    }
}

impl users::HostWithStore<Bare> for HasSelf<Bare> {
    async fn me(_: &Accessor<Bare, Self>) -> wasmtime::Result<Result<Option<users::User>, Error>> {
        Ok(Ok(None))
    }

    async fn get(
        _: &Accessor<Bare, Self>,
        _: String,
    ) -> wasmtime::Result<Result<Option<users::User>, Error>> {
        Ok(Ok(None))
    }

    async fn get_many(
        _: &Accessor<Bare, Self>,
        _: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<users::User>, Error>> {
        Ok(Ok(Vec::new()))
    }

    async fn list(
        _: &Accessor<Bare, Self>,
        _: Option<String>,
        _: Page,
    ) -> wasmtime::Result<Result<users::UserPage, Error>> {
        Ok(Ok(users::UserPage { items: Vec::new(), next: None }))
    }
}

impl chats::HostWithStore<Bare> for HasSelf<Bare> {
    async fn get(
        _: &Accessor<Bare, Self>,
        _: String,
    ) -> wasmtime::Result<Result<Option<chats::Chat>, Error>> {
        Ok(Ok(None))
    }

    async fn list(
        _: &Accessor<Bare, Self>,
        _: chats::ChatFilter,
        _: Page,
    ) -> wasmtime::Result<Result<chats::ChatPage, Error>> {
        Ok(Ok(chats::ChatPage { items: Vec::new(), next: None }))
    }

    async fn create(
        _: &Accessor<Bare, Self>,
        _: chats::NewChat,
    ) -> wasmtime::Result<Result<chats::Chat, Error>> {
        Err(wasmtime::format_err!("not measured"))
    }

    async fn update(
        _: &Accessor<Bare, Self>,
        _: String,
        _: chats::ChatUpdate,
        _: String,
    ) -> wasmtime::Result<Result<chats::Chat, Error>> {
        Err(wasmtime::format_err!("not measured"))
    }

    async fn delete(_: &Accessor<Bare, Self>, _: String) -> wasmtime::Result<Result<bool, Error>> {
        Ok(Ok(false))
    }
}
