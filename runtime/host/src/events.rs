//! `events`: what the plugin shows to the person and asks of them.
//! Which permission an event needs is decided in `innkeeper_model::event`, by the type on the wire.

use innkeeper_model::Permission;
use innkeeper_model::event::{Direction, WireEvent, check};
use wasmtime::component::Accessor;

use crate::bindings::innkeeper::plugin::events::{self as wit, HostWithStore};
use crate::call::{CallHandle, HostCall, Interface};
use crate::convert::event::{
    answer_from_wire, denied_event, event_bytes, question_bytes, question_to_wire, to_wire,
};
use crate::fault::{Fault, Settled, Stop, settle};
use crate::log;
use crate::state::{Host, State, handle};

async fn emit(call: CallHandle, event: wit::Event) -> Result<(), Fault> {
    let bytes = event_bytes(&event);
    let call = call.begin_unchecked(Interface::Events, bytes)?;
    call.check_event_bytes(bytes)?;
    let event = to_wire(event)?;
    admit(&call, &event, Direction::Emit, bytes)?;
    // A client that reads slowly is waited for like any other.
    let _waiting = call.clock().wait();
    call.turn().events.emit(event).await?;
    Ok(())
}

async fn ask(call: CallHandle, question: wit::Question) -> Result<wit::Answer, Fault> {
    let bytes = question_bytes(&question);
    let call = call.begin_unchecked(Interface::Events, bytes)?;
    call.check_event_bytes(bytes)?;
    let event = question_to_wire(question)?;
    admit(&call, &event, Direction::Call, bytes)?;
    call.user()?;
    let kind = event.kind.clone();
    let answer = {
        let _waiting = call.clock().wait();
        call.turn().events.call(event).await?
    };
    call.finish(answer.to_string())?;
    Ok(answer_from_wire(&kind, answer))
}

/// The one place where an event of a plugin is let through: grant, size and number.
fn admit(call: &HostCall, event: &WireEvent, direction: Direction, bytes: u64) -> Result<(), Fault> {
    check(event, direction, &call.effective_grants())
        .map_err(|permission| denied_event(call.plugin(), permission, &event.kind))?;
    call.admitted(match direction {
        Direction::Emit => Permission::EventsEmit,
        Direction::Call => Permission::EventsCall,
    })?;
    Ok(call.count_event(bytes)?)
}

/// Whether an event that came inside an answer may pass: the same checks as for `emit`, and counted like it.
/// What `emit` would tell the guest goes to the plugin's log, as one of its lines.
///
/// # Errors
/// The call has to end.
pub fn admit_streamed(call: &CallHandle, event: &WireEvent) -> Result<bool, Stop> {
    let bytes = event.kind.len() as u64 + event.data.to_string().len() as u64;
    let admitted =
        call.enter(Interface::Events, bytes).and_then(|begun| admit(&begun, event, Direction::Emit, bytes));
    match admitted {
        Ok(()) => Ok(true),
        Err(Fault::Guest(error)) => {
            let reason = [("reason".to_owned(), error.message)];
            log::write(call, log::Level::Warn, "an event inside an answer was dropped", &reason);
            Ok(false)
        }
        Err(Fault::Stop(stop)) => Err(stop),
    }
}

impl HostWithStore<State> for Host {
    async fn emit(accessor: &Accessor<State, Self>, event: wit::Event) -> Settled<()> {
        settle(emit(handle(accessor), event).await)
    }

    async fn call(accessor: &Accessor<State, Self>, question: wit::Question) -> Settled<wit::Answer> {
        settle(ask(handle(accessor), question).await)
    }
}

impl wit::Host for State {}
