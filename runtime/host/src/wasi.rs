//! WASI as plugins get it: clocks, random numbers, captured output, and nothing behind the rest.
//!
//! There are no preopened directories, no sockets, no environment and no arguments.
//! Honest components import those interfaces without using them, so they are linked all the same.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use crate::call::{CallHandle, Interface, Phase};
use crate::log::Level;

/// Most bytes of random numbers that a guest gets at once.
const RANDOM_MAX: u64 = 64 << 10;

/// WASI for a call. While a plugin describes itself the clock stands still and random numbers repeat, so that a manifest is repeatable.
pub fn context(call: &CallHandle) -> WasiCtx {
    let mut builder = WasiCtxBuilder::new();
    builder.max_random_size(RANDOM_MAX);
    builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    builder.stdout(Captured { call: call.clone(), level: Level::Info });
    builder.stderr(Captured { call: call.clone(), level: Level::Warn });
    if matches!(call.setup().phase, Phase::Describe) {
        builder.wall_clock(Still).monotonic_clock(Still);
        let repeating = || Deterministic::new((0..=255).collect());
        builder.secure_random(repeating()).insecure_random(repeating()).insecure_random_seed(0);
    }
    builder.build()
}

/// A clock that stands still.
struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// What a guest prints goes to the log, under the same limits as `log`.
struct Captured {
    call: CallHandle,
    level: Level,
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl Captured {
    fn lines(&self) -> Lines {
        Lines { call: self.call.clone(), level: self.level, line: Vec::new() }
    }
}

impl StdoutStream for Captured {
    // Written at once: a task in between would lose the last lines of a guest that traps.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.lines())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.lines())
    }
}

/// Cuts output into lines, none longer than a log line may be.
struct Lines {
    call: CallHandle,
    level: Level,
    line: Vec<u8>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' || self.line.len() >= crate::log::LINE_MAX {
                self.flush_line();
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    fn flush_line(&mut self) {
        if !self.line.is_empty() {
            crate::log::write(&self.call, self.level, &String::from_utf8_lossy(&self.line), &[]);
            self.line.clear();
        }
    }
}

/// Most bytes that a guest hands over at once.
const WRITE_MAX: usize = 64 << 10;

#[async_trait::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // Output costs what the imports of ours cost, so that a flood of it ends as any flood does.
        match self.call.charge(Interface::Log, bytes.len() as u64) {
            Ok(()) => self.take(&bytes),
            Err(stop) => return Err(StreamError::Trap(wasmtime::Error::new(stop))),
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_MAX)
    }
}

/// WASI 0.2 never writes in this way, and nothing would be charged.
impl AsyncWrite for Lines {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Err(std::io::ErrorKind::Unsupported.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush_line();
    }
}
