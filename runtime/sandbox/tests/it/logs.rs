//! What guests write: each line carries the plugin's name, none is forged, and the last words before a trap arrive.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::world::World;

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn listen() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn every_line_of_a_guest_carries_its_name_and_its_calls_id() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let probe = world.load("probe").await;
    let (lines, _guard) = listen();
    for (how, amount) in [("logs", 5), ("print", 1), ("panic", 0), ("reach-out", 0)] {
        let _ = world.call(&misbehave).misbehave(how, amount).await;
    }
    let fields = json!([["a\nb", "c\u{1b}[31m"], ["x".repeat(10_000), "y".repeat(10_000)]]);
    let args = json!({"level": "Warn", "message": "forged\r\nERROR plugin: other", "fields": fields});
    world.call(&probe).probe("log.log", args).await;
    let text = lines.text();
    assert!(text.lines().count() > 100, "{text}");
    for line in text.lines() {
        assert!(
            line.contains(" call{plugin=guest call=\"call-") && line.contains("}: plugin: "),
            "{line:.300}"
        );
        assert!(line.len() < 20_000 && !line.contains('\u{1b}'), "{line:.300}");
    }
    assert!(text.contains("forged\\r\\nERROR plugin: other"), "{text:.3000}");
}

#[tokio::test]
async fn the_last_words_before_a_trap_are_logged_and_escaped() {
    let world = World::new().await;
    let misbehave = world.load("misbehave").await;
    let (lines, _guard) = listen();
    let _ = world.call(&misbehave).misbehave("panic", 0).await;
    let text = lines.text();
    assert!(text.contains("not red"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.lines().any(|line| line.starts_with("ERROR forged")), "{text}");
}
