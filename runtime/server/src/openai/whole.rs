//! A turn as one answer. Events have no place in it: subscribers get them.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use innkeeper_dispatch::Frame;
use innkeeper_model::chunk::{Chunk, Collector};

use super::turn::{Next, Running};
use crate::failure::Failure;

/// Waits for the turn's end and puts the answer together.
pub(super) async fn answer(mut running: Running) -> Result<Response, Failure> {
    let mut collector = Collector::default();
    let mut size = 0_usize;
    loop {
        match running.next().await {
            Next::Cut(failure) => return Err(failure),
            Next::Frame(Frame::Chunk(chunk)) => {
                size = size.saturating_add(weight(&chunk));
                if size > running.app.options().answer_max {
                    let max = running.app.options().answer_max;
                    return Err(broken(format!("the answer is longer than {max} bytes; ask for a stream")));
                }
                collector
                    .add(&chunk)
                    .map_err(|error| broken(innkeeper_host::log::escape(&error.to_string())))?;
            }
            Next::Frame(Frame::End(end)) => match end.error {
                Some(error) => return Err(error.into()),
                None => break,
            },
        }
    }
    let json = collector.completion_json(&running.id, running.created, &running.model);
    let json = json.map_err(|error| broken(innkeeper_host::log::escape(&error.to_string())))?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], json).into_response())
}

fn broken(message: String) -> Failure {
    Failure::new(StatusCode::BAD_GATEWAY, "plugin-failed", message)
}

/// Bytes that a chunk adds to the answer, about.
fn weight(chunk: &Chunk) -> usize {
    match chunk {
        Chunk::Text(text) | Chunk::Raw(text) | Chunk::Failed(text) => text.len(),
        Chunk::Delta(delta) => {
            let text = [&delta.role, &delta.content, &delta.reasoning, &delta.extra];
            let calls =
                delta.tool_calls.iter().flat_map(|call| [&call.id, &call.name, &call.arguments, &call.extra]);
            text.into_iter().chain(calls).flatten().map(String::len).sum::<usize>() + 64
        }
        Chunk::Usage(_) => 64,
        Chunk::Finish { extra, .. } => extra.as_ref().map_or(0, String::len) + 64,
        Chunk::Event(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_fields_of_an_end_count_against_the_longest_answer() {
        let extra = Some("x".repeat(1_000));
        assert!(weight(&Chunk::Finish { choice: 0, reason: String::new(), usage: None, extra }) >= 1_000);
    }
}
