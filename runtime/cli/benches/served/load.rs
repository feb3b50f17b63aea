//! Clients that send the same request again and again, each over a connection that stays open.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A request.
#[derive(Clone)]
pub(crate) struct Load {
    address: String,
    path: &'static str,
    key: String,
    body: Bytes,
}

impl Load {
    pub(crate) fn new(address: &str, path: &'static str, key: &str, body: &Value) -> Self {
        let body = Bytes::from(body.to_string());
        Self { address: address.to_owned(), path, key: key.to_owned(), body }
    }

    pub(crate) async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Connection { sender, load: self.clone() }
    }

    /// Requests a second, over so many connections, for so long.
    pub(crate) async fn throughput(&self, connections: usize, duration: Duration) -> f64 {
        let mut all = Vec::new();
        for _ in 0..connections {
            all.push(self.connect().await);
        }
        let begun = Instant::now();
        let tasks: Vec<_> = all
            .into_iter()
            .map(|mut connection| {
                tokio::spawn(async move {
                    let mut answered = 0_u32;
                    while begun.elapsed() < duration {
                        connection.send().await;
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        let mut answered = 0;
        for task in tasks {
            answered += task.await.unwrap();
        }
        f64::from(answered) / begun.elapsed().as_secs_f64()
    }
}

/// One client.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    load: Load,
}

impl Connection {
    /// Sends the request and gives back the whole answer; anything but success is the end of the bench.
    pub(crate) async fn send(&mut self) -> Bytes {
        let (status, body) = self.send_whatever().await;
        assert!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
        body
    }

    /// Sends the request, whether it succeeds or not.
    pub(crate) async fn send_whatever(&mut self) -> (u16, Bytes) {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.load.path)
            .header("host", &self.load.address)
            .header("authorization", format!("Bearer {}", self.load.key))
            .header("content-type", "application/json")
            .body(Full::new(self.load.body.clone()))
            .unwrap();
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }
}
