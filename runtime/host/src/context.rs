//! `context`: what the plugin was called with. Nothing waits and no grant is needed.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use innkeeper_model::Error;
use wasmtime::component::Access;

use crate::bindings::innkeeper::plugin::context::{Host, HostWithStore, Json, Message, TaskInfo};
use crate::call::Interface;
use crate::convert::all;
use crate::fault::{Fault, Settled, settle};
use crate::state::{Host as StateHost, State};
use crate::stream::{Bytestream, bytes_to_guest};
use crate::turn::Turn;
use crate::weigh::Weigh;

impl State {
    /// Counts the call and reads from the turn. While the plugin describes itself there is no turn to read from.
    fn read<T: Weigh + Default>(&self, read: impl FnOnce(&Turn) -> T) -> wasmtime::Result<T> {
        let call = match self.call.enter(Interface::Context, 0) {
            Ok(call) => call,
            Err(Fault::Stop(stop)) => return Err(wasmtime::Error::new(stop)),
            Err(Fault::Guest(_)) => return Ok(T::default()),
        };
        let value = read(call.turn());
        // There is no error to hand out here: what would not fit ends the call.
        call.finish(value).map_err(|fault| match fault {
            Fault::Stop(stop) => wasmtime::Error::new(stop),
            Fault::Guest(_) => wasmtime::Error::new(crate::fault::Stop::Limit("transfer")),
        })
    }
}

impl Host for State {
    fn messages(&mut self) -> wasmtime::Result<Vec<Message>> {
        Ok(all(self.read(|turn| turn.context.messages.to_vec())?))
    }

    fn model(&mut self) -> wasmtime::Result<Option<Json>> {
        self.read(|turn| turn.context.model.clone())
    }

    fn files(&mut self) -> wasmtime::Result<Json> {
        self.read(|turn| turn.context.files.clone())
    }

    fn features(&mut self) -> wasmtime::Result<Json> {
        self.read(|turn| turn.context.features.clone())
    }

    fn variables(&mut self) -> wasmtime::Result<Json> {
        self.read(|turn| turn.context.variables.clone())
    }

    fn locale(&mut self) -> wasmtime::Result<Option<String>> {
        self.read(|turn| turn.locale.clone())
    }

    fn metadata(&mut self) -> wasmtime::Result<Json> {
        self.read(|turn| turn.context.metadata.clone())
    }

    fn task(&mut self) -> wasmtime::Result<Option<TaskInfo>> {
        let task = self.read(|turn| turn.context.task.clone())?;
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
