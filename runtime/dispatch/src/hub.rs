//! Events on their way to people, and questions on their way back.
//!
//! Subscriptions are per person. A question waits for one answer, from the person who was asked, under an id that cannot be guessed;
//! it holds neither a database connection nor a thread. What a server has in mind here it could also hear from another: ids are global.
//!
//! What a person has waiting here is bounded in bytes of memory: clients may read slowly or not at all, and plugins choose what is sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use innkeeper_model::event::WireEvent;
use innkeeper_model::{ChatId, Error, ErrorCode, MessageId, UserId};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Bytes of memory that a subscriber may be behind before it is dropped. One event is let through whatever its size.
const BACKLOG: usize = 8 << 20;
/// Bytes of memory that the open questions of one person may take. Less than `BACKLOG`, so that a new subscriber gets all of them.
const QUESTIONS: usize = 4 << 20;
/// Subscriptions of one person.
const SUBSCRIPTIONS: usize = 32;
/// Bytes that an event takes besides its data.
const OVERHEAD: usize = 512;

/// Events for people, and the questions that are open.
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<HashMap<UserId, Person>>>);

struct Person {
    /// Those that are up to date.
    subscribers: Vec<Subscriber>,
    /// Subscriptions that are there, also of those who were too far behind and have not noticed yet.
    subscriptions: usize,
    present: watch::Sender<usize>,
    sequence: u64,
    next_subscriber: u64,
    questions: HashMap<String, Question>,
}

struct Subscriber {
    id: u64,
    sender: mpsc::UnboundedSender<Delivery>,
    /// Bytes that are on their way to it.
    behind: Arc<AtomicUsize>,
}

struct Question {
    delivery: Delivery,
    /// Until when it waits.
    until: Instant,
    reply: oneshot::Sender<Value>,
}

/// An event as a subscriber gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Ascending within a subscription.
    pub sequence: u64,
    /// Which chat it is about.
    pub chat: Option<ChatId>,
    /// Which message.
    pub message: Option<MessageId>,
    /// Which turn.
    pub turn: String,
    /// The event. All subscribers have the same one.
    pub event: Arc<WireEvent>,
    /// Where it is a question: the id to answer under.
    pub ask: Option<String>,
    /// Milliseconds for which an answer counts.
    pub expires_in_ms: Option<u64>,
    /// Bytes of memory that it takes.
    weight: usize,
}

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Which chat.
    pub chat: Option<ChatId>,
    /// Which message.
    pub message: Option<MessageId>,
    /// Which turn.
    pub turn: String,
}

/// Why an answer did not count: never asked, asked of somebody else, answered already, or no longer waited for. They look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no open question of this id for you; it may have been answered or have expired")]
pub struct AnswerError;

/// Why there is no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this person has {SUBSCRIPTIONS} connections for events open already; close one of them")]
pub struct TooManySubscriptions;

/// How long a question may wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the answer.
    pub answer: Duration,
    /// For a person who has left to come back.
    pub reconnect: Duration,
}

impl Hub {
    /// Subscribes to a person's events, open questions first. Dropping the subscription ends it.
    ///
    /// # Errors
    /// Where the person has as many subscriptions as one person may have.
    pub fn subscribe(&self, user: &UserId) -> Result<Subscription, TooManySubscriptions> {
        let mut people = self.lock();
        let person = people.entry(user.clone()).or_insert_with(Person::new);
        if person.subscriptions >= SUBSCRIPTIONS {
            return Err(TooManySubscriptions);
        }
        let (sender, events) = mpsc::unbounded_channel();
        let (id, behind) = (person.next_subscriber, Arc::default());
        let subscriber = Subscriber { id, sender, behind: Arc::clone(&behind) };
        let mut open: Vec<Delivery> = person.questions.values().map(Question::again).collect();
        open.sort_by_key(|question| question.sequence);
        // They fit, since all of them together are smaller than what a subscriber may be behind.
        for question in open {
            let _ = subscriber.send(&question);
        }
        person.next_subscriber += 1;
        person.subscriptions += 1;
        person.subscribers.push(subscriber);
        person.present.send_replace(person.subscribers.len());
        drop(people);
        Ok(Subscription { hub: self.clone(), user: user.clone(), id, events, behind })
    }

    /// Sends an event to a person's subscribers. Its place in their order is fixed when this returns.
    pub fn publish(&self, user: &UserId, about: &About, event: WireEvent) {
        let mut people = self.lock();
        let person = people.entry(user.clone()).or_insert_with(Person::new);
        let delivery = person.delivery(about, event, None, None);
        person.send(&delivery);
        tidy(&mut people, user);
    }

    /// Asks a person and waits for the answer.
    ///
    /// Errors: `unavailable` where nobody is there, nobody came back, or too much is asked of the person already; `timeout`;
    /// `cancelled` where `cancel` is.
    pub async fn ask(
        &self,
        user: &UserId,
        about: &About,
        event: WireEvent,
        patience: Patience,
        cancel: &CancellationToken,
    ) -> Result<Value, Error> {
        let (reply, answer) = oneshot::channel();
        let (id, present) = self.open(user, about, event, patience, reply)?;
        // Closes the question however this ends.
        let _open = Open { hub: self, user, id: &id };
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| Error::new(ErrorCode::Cancelled, "the question was withdrawn")),
            () = cancel.cancelled() => Err(Error::new(ErrorCode::Cancelled, "the turn was cancelled while the person was asked")),
            () = gone(present, patience.reconnect) => Err(Error::unavailable("the person has left and did not come back", None)),
            () = tokio::time::sleep(patience.answer) => Err(Error::new(ErrorCode::Timeout, "the person did not answer in time")),
        }
    }

    /// Answers a question. The first answer of the person who was asked counts.
    pub fn answer(&self, user: &UserId, ask: &str, answer: Value) -> Result<(), AnswerError> {
        let question = self.lock().get_mut(user).and_then(|person| person.questions.remove(ask));
        question.ok_or(AnswerError)?.reply.send(answer).map_err(|_| AnswerError)
    }

    /// Questions that are open, of all people.
    pub fn open_questions(&self) -> usize {
        self.lock().values().map(|person| person.questions.len()).sum()
    }

    fn open(
        &self,
        user: &UserId,
        about: &About,
        event: WireEvent,
        patience: Patience,
        reply: oneshot::Sender<Value>,
    ) -> Result<(String, watch::Receiver<usize>), Error> {
        let mut people = self.lock();
        let Some(person) = people.get_mut(user).filter(|person| !person.subscribers.is_empty()) else {
            return Err(Error::unavailable(
                "nobody is there to ask: the person has no open connection for events",
                None,
            ));
        };
        let id = uuid::Uuid::new_v4().simple().to_string();
        let asked: usize = person.questions.values().map(|question| question.delivery.weight).sum();
        if asked.saturating_add(weight(&event)) > QUESTIONS {
            return Err(Error::unavailable(
                "the questions that wait for this person are too many or too large",
                Some(1_000),
            ));
        }
        let delivery = person.delivery(about, event, Some(id.clone()), Some(millis(patience.answer)));
        person.send(&delivery);
        // A patience without end has no moment that could be named.
        let until = Instant::now().checked_add(patience.answer).unwrap_or_else(Instant::now);
        person.questions.insert(id.clone(), Question { delivery, until, reply });
        Ok((id, person.present.subscribe()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Person>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves when a person has been away for longer than `grace`.
async fn gone(mut present: watch::Receiver<usize>, grace: Duration) {
    loop {
        if present.wait_for(|count| *count == 0).await.is_err() {
            return;
        }
        if tokio::time::timeout(grace, present.wait_for(|count| *count > 0)).await.is_err() {
            return;
        }
    }
}

impl Person {
    fn new() -> Self {
        let (present, _) = watch::channel(0);
        Self {
            subscribers: Vec::new(),
            subscriptions: 0,
            present,
            sequence: 0,
            next_subscriber: 0,
            questions: HashMap::new(),
        }
    }

    fn delivery(
        &mut self,
        about: &About,
        event: WireEvent,
        ask: Option<String>,
        expires: Option<u64>,
    ) -> Delivery {
        self.sequence += 1;
        let About { chat, message, turn } = about.clone();
        let (weight, event) = (weight(&event), Arc::new(event));
        Delivery { sequence: self.sequence, chat, message, turn, event, ask, expires_in_ms: expires, weight }
    }

    /// Sends to all subscribers; one that is too far behind is dropped, and sees its channel end.
    fn send(&mut self, delivery: &Delivery) {
        self.subscribers.retain(|subscriber| subscriber.send(delivery));
        self.present.send_replace(self.subscribers.len());
    }
}

impl Question {
    /// The question for somebody who comes later, with the time that is left.
    fn again(&self) -> Delivery {
        let left = self.until.saturating_duration_since(Instant::now());
        Delivery { expires_in_ms: Some(millis(left)), ..self.delivery.clone() }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Subscriber {
    /// Sends, unless it is too far behind or gone. An event that comes alone is sent whatever its size.
    fn send(&self, delivery: &Delivery) -> bool {
        let behind = self.behind.load(Ordering::Relaxed);
        if behind > 0 && behind.saturating_add(delivery.weight) > BACKLOG {
            return false;
        }
        self.behind.fetch_add(delivery.weight, Ordering::Relaxed);
        self.sender.send(delivery.clone()).is_ok()
    }
}

/// Bytes of memory that an event takes, as guessed.
fn weight(event: &WireEvent) -> usize {
    /// Many small values take more than their text.
    fn of(value: &Value) -> usize {
        let inner: usize = match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(of).sum(),
            // A name, its place in the map, and its value.
            Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + 64 + of(value)).sum(),
        };
        size_of::<Value>() + inner
    }
    OVERHEAD + event.kind.len() + of(&event.data)
}

/// Forgets a person who has no subscriptions and no open questions.
fn tidy(people: &mut HashMap<UserId, Person>, user: &UserId) {
    if people.get(user).is_some_and(|person| person.subscriptions == 0 && person.questions.is_empty()) {
        people.remove(user);
    }
}

/// A person's events from now on.
pub struct Subscription {
    hub: Hub,
    user: UserId,
    id: u64,
    events: mpsc::UnboundedReceiver<Delivery>,
    behind: Arc<AtomicUsize>,
}

impl Subscription {
    /// The next event; `None` where this subscriber was too far behind and has to subscribe again.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|ctx| self.poll_next(ctx)).await
    }

    /// The next event, for whoever polls by hand.
    pub fn poll_next(&mut self, ctx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let next = self.events.poll_recv(ctx);
        if let Poll::Ready(Some(delivery)) = &next {
            self.behind.fetch_sub(delivery.weight, Ordering::Relaxed);
        }
        next
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut people = self.hub.lock();
        if let Some(person) = people.get_mut(&self.user) {
            person.subscribers.retain(|subscriber| subscriber.id != self.id);
            person.subscriptions = person.subscriptions.saturating_sub(1);
            person.present.send_replace(person.subscribers.len());
        }
        tidy(&mut people, &self.user);
    }
}

struct Open<'a> {
    hub: &'a Hub,
    user: &'a UserId,
    id: &'a str,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut people = self.hub.lock();
        if let Some(person) = people.get_mut(self.user) {
            person.questions.remove(self.id);
        }
        tidy(&mut people, self.user);
    }
}
