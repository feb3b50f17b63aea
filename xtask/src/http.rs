//! A client for HTTP on loopback, enough to talk to our own server: no TLS, one request per connection.
//!
//! A whole HTTP library would make every task wait for it to be built.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// No answer takes longer to begin or pauses for longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on loopback and the key to use there.
#[derive(Clone)]
pub(crate) struct Client {
    port: u16,
    key: Option<String>,
}

/// An answer whose body has not been read yet.
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: BufReader<Box<dyn Read + Send>>,
}

impl Client {
    pub(crate) fn new(port: u16) -> Self {
        Self { port, key: None }
    }

    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { port: self.port, key: Some(key.to_owned()) }
    }

    /// The answer to a GET as JSON.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.send("GET", path, None)?.json(path)
    }

    /// The answer to a GET as it is.
    pub(crate) fn get_text(&self, path: &str) -> Result<String> {
        self.send("GET", path, None)?.text(path)
    }

    /// The answer to a POST of JSON as JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send("POST", path, Some(body))?.json(path)
    }

    /// The answer to a PUT of JSON as JSON.
    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.send("PUT", path, Some(body))?.json(path)
    }

    /// An answer whose body is a stream of events, to a POST of JSON, or to a GET without one.
    pub(crate) fn stream(&self, path: &str, body: Option<&Value>) -> Result<Answer> {
        let method = if body.is_some() { "POST" } else { "GET" };
        self.send(method, path, body)?.successful(path)
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut connection = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("cannot connect to {address}"))?;
        connection.set_read_timeout(Some(PATIENCE)).context("cannot set a time-out")?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        if let Some(key) = &self.key {
            request.push_str(&format!("Authorization: Bearer {key}\r\n"));
        }
        if !body.is_empty() {
            request
                .push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(&body);
        connection.write_all(request.as_bytes()).with_context(|| format!("cannot send {method} {path}"))?;
        Answer::read(Box::new(connection)).with_context(|| format!("no proper answer to {method} {path}"))
    }
}

impl Answer {
    fn read(connection: Box<dyn Read + Send>) -> Result<Self> {
        let mut connection = BufReader::new(connection);
        let mut line = String::new();
        connection.read_line(&mut line).context("cannot read the status")?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.with_context(|| format!("`{}` is no status line", line.trim_end()))?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            connection.read_line(&mut line).context("cannot read the headers")?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let is_chunked = header(&headers, "transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let length = header(&headers, "content-length").and_then(|length| length.parse::<u64>().ok());
        let body: Box<dyn Read + Send> = match length {
            _ if is_chunked => Box::new(Chunked { connection, left: 0, is_over: false }),
            Some(length) => Box::new(connection.take(length)),
            None => Box::new(connection),
        };
        Ok(Self { status, headers, body: BufReader::new(body) })
    }

    /// A header of the answer; names are lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The same answer if its status tells of success, else an error with what the server said.
    fn successful(mut self, path: &str) -> Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let mut text = String::new();
        self.body.read_to_string(&mut text).with_context(|| format!("cannot read the answer of {path}"))?;
        bail!("{path} answered {}: {text}", self.status)
    }

    fn text(self, path: &str) -> Result<String> {
        let mut answer = self.successful(path)?;
        let mut text = String::new();
        answer.body.read_to_string(&mut text).with_context(|| format!("cannot read the answer of {path}"))?;
        Ok(text)
    }

    fn json(self, path: &str) -> Result<Value> {
        let text = self.text(path)?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .with_context(|| format!("{path} answered with something that is not JSON"))
    }

    /// The body's next server-sent event: its data, or none at the end.
    pub(crate) fn next_event(&mut self) -> Result<Option<String>> {
        let mut data = String::new();
        let mut line = String::new();
        loop {
            line.clear();
            if self.body.read_line(&mut line).context("the stream broke off")? == 0 {
                return Ok(None);
            }
            let content = line.trim_end_matches(['\r', '\n']);
            if let Some(part) = content.strip_prefix("data:") {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(part.strip_prefix(' ').unwrap_or(part));
            } else if content.is_empty() && !data.is_empty() {
                return Ok(Some(data));
            }
        }
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A body in chunks, each with its length in hexadecimal digits before it.
struct Chunked<R> {
    connection: BufReader<R>,
    left: u64,
    is_over: bool,
}

impl<R: Read> Read for Chunked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 && !self.is_over {
            let mut line = String::new();
            self.connection.read_line(&mut line)?;
            if line.trim().is_empty() {
                // The end of the chunk before.
                line.clear();
                self.connection.read_line(&mut line)?;
            }
            let size = line.trim().split(';').next().unwrap_or_default();
            self.left = u64::from_str_radix(size, 16)
                .map_err(|_| std::io::Error::other(format!("`{}` is no chunk size", line.trim())))?;
            self.is_over = self.left == 0;
        }
        let read = (&mut self.connection).take(self.left).read(buffer)?;
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    fn answer(text: &'static str) -> Answer {
        Answer::read(Box::new(text.as_bytes())).unwrap()
    }

    #[test]
    fn body_ends_where_its_length_says() {
        let json = answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}rest").json("/x").unwrap();
        assert_eq!(json, serde_json::json!({}));
    }

    #[test]
    fn events_are_put_together_from_chunks() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                    7\r\ndata: a\r\n9\r\n\n\n: note\n\r\na\r\ndata: b\ndb\r\n6\r\n: no\n\n\r\n0\r\n\r\n";
        let mut answer = answer(text);
        assert_eq!(answer.next_event().unwrap().as_deref(), Some("a"));
        assert_eq!(answer.next_event().unwrap().as_deref(), Some("b"));
        assert_eq!(answer.next_event().unwrap(), None);
    }

    #[test]
    fn error_status_is_an_error_with_the_body() {
        let error =
            answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").json("/x").unwrap_err();
        assert_eq!(error.to_string(), "/x answered 401: no");
    }
}
