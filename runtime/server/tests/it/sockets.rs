//! `/api/events/ws`.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::world::{Listening, Person, client, request, world_with};
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

/// Opens a socket as a page does: without other headers than its origin and the subprotocols that it offers. Gives back what the server agreed to.
async fn open_as_page(
    listening: &Listening,
    origin: &str,
    protocols: &[&str],
) -> Result<(Socket, HeaderMap), u16> {
    let mut request = format!("ws://{}/api/events/ws", listening.address).into_client_request().unwrap();
    request.headers_mut().insert("origin", origin.parse().unwrap());
    for names in protocols {
        request.headers_mut().append("sec-websocket-protocol", names.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, response)) => Ok((socket, response.headers().clone())),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_page_shows_its_key_as_a_subprotocol_which_is_not_repeated() {
    let page = "https://chat.example.org";
    let options = ServerOptions { allowed_origins: vec![page.to_owned()], ..ServerOptions::default() };
    let world = world_with(options).await;
    let listening = world.listen().await;
    let key = format!("innkeeper-key.{}", world.user.key);
    let both = format!("innkeeper, {key}");
    // In one header as browsers send it, in either order, or in two.
    for protocols in [&[both.as_str()][..], &[&format!("{key},innkeeper")], &["innkeeper", &key]] {
        let (mut socket, headers) = open_as_page(&listening, page, protocols).await.unwrap();
        assert_eq!(next(&mut socket).await, json!({"type": "ready"}));
        assert_eq!(headers["sec-websocket-protocol"], "innkeeper");
        assert!(!format!("{headers:?}").contains(&world.user.key), "{headers:?}");
    }
    for origin in ["https://evil.test", "null"] {
        assert_eq!(open_as_page(&listening, origin, &[&both]).await.err(), Some(403), "{origin}");
    }
    let none = "innkeeper, innkeeper-key.ik_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for wrong in [none, "innkeeper", "innkeeper, innkeeper-key.", &format!("{both}, {key}"), &world.user.key]
    {
        assert_eq!(open_as_page(&listening, page, &[wrong]).await.err(), Some(401), "{wrong}");
    }
}

#[tokio::test]
async fn a_subprotocol_is_a_key_for_the_socket_alone_and_never_a_second_one() {
    let world = world_with(ServerOptions::default()).await;
    let offered = |builder: axum::http::request::Builder, person: &Person| {
        let protocols = format!("innkeeper, innkeeper-key.{}", person.key);
        builder.header("sec-websocket-protocol", protocols).body(Body::empty()).unwrap()
    };
    for path in ["/api/events", "/api/users/me", "/api/plugins", "/v1/models"] {
        world.send(offered(Request::builder().uri(path), &world.admin)).await.expect(401);
    }
    // Whose socket would it be?
    let two = request(Method::GET, "/api/events/ws", &world.user.key);
    world.send(offered(two, &world.admin)).await.expect(401);
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

/// What the server says to one message.
pub(crate) async fn say_once(listening: &Listening, who: &Person, text: &str) -> Value {
    let mut socket = open(listening, who, None).await.unwrap();
    assert_eq!(next(&mut socket).await, json!({"type": "ready"}));
    say(&mut socket, text).await
}

async fn say(socket: &mut Socket, text: &str) -> Value {
    socket.send(Message::text(text)).await.unwrap();
    next(socket).await
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_socket() {
    let world = world_with(ServerOptions::default()).await;
    let listening = world.listen().await;
    let mut socket = open(&listening, &world.user, None).await.unwrap();
    assert_eq!(next(&mut socket).await, json!({"type": "ready"}));
    let answer =
        |bytes: usize| json!({"type": "answer", "ask": "x", "answer": "y".repeat(bytes)}).to_string();
    assert_eq!(say(&mut socket, &answer(1_000_000)).await["error"]["code"], json!("unknown-ask"));
    let _ = socket.send(Message::text(answer(1 << 20))).await;
    let end = tokio::time::timeout(Duration::from_secs(10), socket.next()).await.unwrap();
    assert!(!matches!(end, Some(Ok(Message::Text(_)))), "{end:?}");
}

#[tokio::test]
async fn a_socket_takes_one_of_the_connections_for_as_long_as_it_is_open() {
    let world = world_with(ServerOptions { connections: 1, ..ServerOptions::default() }).await;
    let listening = world.listen().await;
    let mut socket = open(&listening, &world.user, None).await.unwrap();
    assert_eq!(next(&mut socket).await, json!({"type": "ready"}));
    let health = client().get(listening.url("/healthz")).header("connection", "close");
    let mut health = Box::pin(health.send());
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut health).await;
    assert!(waits.is_err(), "there is a place: {waits:?}");
    socket.close(None).await.unwrap();
    drop(socket);
    let answered = tokio::time::timeout(Duration::from_secs(10), health).await.unwrap().unwrap();
    assert_eq!(answered.status().as_u16(), 200);
}

#[tokio::test]
async fn events_and_answers_go_over_one_socket() {
    let world = world_with(ServerOptions::default()).await;
    world.install("ask-user", &[]).await;
    let listening = world.listen().await;
    let mut socket = open(&listening, &world.user, None).await.unwrap();
    assert_eq!(next(&mut socket).await, json!({"type": "ready"}));
    let post = listening.post("/api/tools/ask-user/ask", &world.user, &json!({"question": "Your name?"}));
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
    world.revoke_elsewhere().await;
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
