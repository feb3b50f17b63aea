//! What surrounds a call in these tests: who sees its events, and who runs what it asks of others.

use std::sync::Mutex;
use std::time::Duration;

use futures::future::BoxFuture;
use innkeeper_host::turn::{ChildRequest, Children, Events};
use innkeeper_model::Error;
use innkeeper_model::event::WireEvent;
use serde_json::Value;

/// Remembers events and answers questions, all in the same way; without an answer it lets them wait.
#[derive(Default)]
pub(crate) struct Audience {
    pub(crate) shown: Mutex<Vec<WireEvent>>,
    pub(crate) asked: Mutex<Vec<WireEvent>>,
    pub(crate) answer: Mutex<Option<Value>>,
    /// How long an event takes to reach it.
    pub(crate) pace: Mutex<Duration>,
}

impl Events for Audience {
    fn emit(&self, event: WireEvent) -> BoxFuture<'_, Result<(), Error>> {
        self.shown.lock().unwrap().push(event);
        let pace = *self.pace.lock().unwrap();
        if pace.is_zero() {
            return Box::pin(std::future::ready(Ok(())));
        }
        Box::pin(async move {
            tokio::time::sleep(pace).await;
            Ok(())
        })
    }

    fn call(&self, event: WireEvent) -> BoxFuture<'_, Result<Value, Error>> {
        self.asked.lock().unwrap().push(event);
        match self.answer.lock().unwrap().clone() {
            Some(answer) => Box::pin(std::future::ready(Ok(answer))),
            None => Box::pin(std::future::pending()),
        }
    }
}

type Handler = Box<dyn FnMut(ChildRequest) + Send>;

/// Does with requests for children what a test says; without a word it refuses them.
#[derive(Default)]
pub(crate) struct Script(Mutex<Option<Handler>>);

impl Script {
    pub(crate) fn on_request(&self, handler: impl FnMut(ChildRequest) + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(handler));
    }
}

impl Children for Script {
    fn submit(&self, request: ChildRequest) -> Result<(), Error> {
        match self.0.lock().unwrap().as_mut() {
            Some(handler) => {
                handler(request);
                Ok(())
            }
            None => Err(Error::unavailable("there is nobody to call", None)),
        }
    }
}
