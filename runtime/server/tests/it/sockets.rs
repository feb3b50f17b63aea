//! `/api/events/ws`.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::world::{Listening, Person, client, world_with};
use innkeeper_server::ServerOptions;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(listening: &Listening, who: &Person, origin: Option<&str>) -> Result<Socket, u16> {
    let mut request = format!("ws://{}/api/events/ws", listening.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {}", who.key).parse().unwrap());
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn next(socket: &mut Socket) -> Value {
    loop {
        let message =
            tokio::time::timeout(Duration::from_secs(10), socket.next()).await.unwrap().unwrap().unwrap();
        if let Message::Text(text) = message {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn say(socket: &mut Socket, text: &str) -> Value {
    socket.send(Message::text(text)).await.unwrap();
    next(socket).await
}

#[tokio::test]
async fn events_and_answers_go_over_one_socket() {
    let world = world_with(ServerOptions::default()).await;
    world.install("ask-user", &[]).await;
    let listening = world.listen().await;
    let mut socket = open(&listening, &world.user, None).await.unwrap();
    assert_eq!(next(&mut socket).await, json!({"type": "ready"}));
    let post = client()
        .post(listening.url("/api/tools/ask-user/ask"))
        .bearer_auth(&world.user.key)
        .json(&json!({"question": "Your name?"}));
    let call = tokio::spawn(async move { post.send().await.unwrap().json::<Value>().await.unwrap() });
    let question = next(&mut socket).await;
    assert_eq!(question["type"], json!("event"));
    assert_eq!(question["event"]["type"], json!("input"));
    let ask = question["ask"].as_str().unwrap();

    assert_eq!(say(&mut socket, "{").await["error"]["code"], json!("invalid-message"));
    assert_eq!(say(&mut socket, r#"{"type":"dance"}"#).await["error"]["code"], json!("invalid-message"));
    let wrong = say(&mut socket, r#"{"type":"answer","ask":"x","answer":1}"#).await;
    assert_eq!((&wrong["ask"], &wrong["error"]["code"]), (&json!("x"), &json!("unknown-ask")));
    let answer = json!({"type": "answer", "ask": ask, "answer": "Ugo"}).to_string();
    assert_eq!(say(&mut socket, &answer).await, json!({"type": "answered", "ask": ask}));
    assert_eq!(say(&mut socket, &answer).await["error"]["code"], json!("unknown-ask"));
    assert_eq!(call.await.unwrap()["result"]["content"][0]["text"], json!("Ugo"));
}

#[tokio::test]
async fn pages_of_other_origins_cannot_open_a_socket() {
    let options = ServerOptions {
        allowed_origins: vec!["https://chat.example.org".to_owned()],
        ..ServerOptions::default()
    };
    let world = world_with(options).await;
    let listening = world.listen().await;
    let own = format!("http://{}", listening.address);
    assert!(open(&listening, &world.user, Some(&own)).await.is_ok());
    assert!(open(&listening, &world.user, Some("https://chat.example.org")).await.is_ok());
    for origin in ["https://evil.test", "null", "http://localhost:1", "https://chat.example.org.evil.test"] {
        assert_eq!(open(&listening, &world.user, Some(origin)).await.err(), Some(403), "{origin}");
    }
    let stranger = Person { id: world.user.id.clone(), key: "ik_wrong".to_owned() };
    assert_eq!(open(&listening, &stranger, None).await.err(), Some(401));
}

#[tokio::test]
async fn a_plain_request_is_told_that_this_is_a_websocket() {
    let world = world_with(ServerOptions::default()).await;
    let answer = world.get("/api/events/ws", &world.user).await;
    assert!(answer.status.is_client_error());
    assert_eq!(answer.code(), "not-a-websocket");
}

#[tokio::test]
async fn a_socket_ends_when_its_key_is_revoked() {
    let world = world_with(ServerOptions::default()).await;
    let listening = world.listen().await;
    let mut socket = open(&listening, &world.user, None).await.unwrap();
    next(&mut socket).await;
    let key = world.store.api_keys().list(Some(&world.user.id)).await.unwrap().remove(0);
    world.store.api_keys().revoke(&key.id).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(8), async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.reason.to_string()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    });
    assert_eq!(end.await.unwrap().as_deref(), Some("the key was revoked"));
}
