//! `context`: what the plugin was called with. Nothing waits and no grant is needed.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use innkeeper_model::Error;
use wasmtime::component::Access;

use crate::bindings::innkeeper::plugin::context::{Host, HostWithStore, Json, Message, TaskInfo};
use crate::call::Interface;
use crate::convert::all;
use crate::fault::{Settled, settle};
use crate::state::{Host as StateHost, State};
use crate::stream::{Bytestream, bytes_to_guest};
use crate::turn::Turn;
use crate::weigh::Weigh;

impl State {
    fn of_turn<T: Weigh>(&self, read: impl FnOnce(&Turn) -> T) -> wasmtime::Result<T> {
        self.read(Interface::Context, |call| read(call.turn()))
    }
}

impl Host for State {
    fn messages(&mut self) -> wasmtime::Result<Vec<Message>> {
        Ok(all(self.of_turn(|turn| turn.context.messages.to_vec())?))
    }

    fn model(&mut self) -> wasmtime::Result<Option<Json>> {
        self.of_turn(|turn| turn.context.model.clone())
    }

    fn files(&mut self) -> wasmtime::Result<Json> {
        self.of_turn(|turn| turn.context.files.clone())
    }

    fn features(&mut self) -> wasmtime::Result<Json> {
        self.of_turn(|turn| turn.context.features.clone())
    }

    fn variables(&mut self) -> wasmtime::Result<Json> {
        self.of_turn(|turn| turn.context.variables.clone())
    }

    fn locale(&mut self) -> wasmtime::Result<Option<String>> {
        self.of_turn(|turn| turn.locale.clone())
    }

    fn metadata(&mut self) -> wasmtime::Result<Json> {
        self.of_turn(|turn| turn.context.metadata.clone())
    }

    fn task(&mut self) -> wasmtime::Result<Option<TaskInfo>> {
        let task = self.of_turn(|turn| turn.context.task.clone())?;
        Ok(task.map(|(name, body)| TaskInfo { name, body, extra: None }))
    }
}

impl HostWithStore<State> for StateHost {
    fn read_blob(mut access: Access<'_, State, Self>, id: String) -> Settled<Bytestream> {
        let found = access.get().call.enter(Interface::Context, id.weigh()).and_then(|call| {
            let unknown = || Error::invalid("id", "there is no blob of this id in this turn");
            let uri = call.turn().blobs.get(&id).ok_or_else(unknown)?;
            call.charge(uri.len() as u64)?;
            Ok(uri)
        });
        match settle(found)? {
            Ok(uri) => {
                let bytes = Bytes::from_owner(Arc::<[u8]>::from(uri));
                bytes_to_guest(&mut access, futures::stream::iter([Ok(bytes)]).boxed()).map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }
}
