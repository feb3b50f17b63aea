//! Settings of the server. Where they come from is left to the command line.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of the server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Largest JSON body, in bytes.
    pub json_max: usize,
    /// Largest component that may be uploaded, in bytes.
    pub component_max: usize,
    /// How long a client may take to send the head of a request.
    pub head_timeout: Duration,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// How long a client may read nothing of an answer before its connection is cut.
    pub write_timeout: Duration,
    /// How long a request may take that runs no plugin. What runs a plugin has the plugin's limits.
    pub request_timeout: Duration,
    /// How often a silent stream shows that it is alive.
    pub keep_alive: Duration,
    /// How long a chat turn may stay silent before its answer begins as a stream; a failure before that has a status of its own.
    pub first_frame: Duration,
    /// How long running turns may go on after the first signal to stop.
    pub drain_deadline: Duration,
    /// How long receipts are kept.
    pub receipts_age: Duration,
    /// How many receipts are kept.
    pub receipts_rows: u64,
    /// How often expired data and older receipts are removed.
    pub upkeep: Duration,
    /// Connections at once, WebSockets included.
    pub connections: usize,
    /// Origins besides the server's own from which pages may open a WebSocket, such as `https://chat.example.org`.
    pub allowed_origins: Vec<String>,
    /// The data directory, for the check that it can be written.
    pub data_dir: Option<PathBuf>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            json_max: 8 << 20,
            component_max: 64 << 20,
            head_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(60),
            keep_alive: Duration::from_secs(15),
            first_frame: Duration::from_secs(5),
            drain_deadline: Duration::from_secs(30),
            receipts_age: Duration::from_secs(30 * 24 * 3600),
            receipts_rows: 1_000_000,
            upkeep: Duration::from_secs(300),
            connections: 16_384,
            allowed_origins: Vec::new(),
            data_dir: None,
        }
    }
}
