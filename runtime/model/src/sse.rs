//! Server-sent events, read from bytes as they come: lines and characters may be cut anywhere.
//! What a frame's data means is left to the caller.

/// Data of the frame that ends an OpenAI stream.
pub const DONE: &str = "[DONE]";

/// One frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseFrame {
    /// Name of the event, where the frame gives one.
    pub event: Option<String>,
    /// The lines of data, joined by line feeds.
    pub data: String,
}

/// Why a stream cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// One frame holds more than the caller wants to keep.
    #[error("a frame of the stream is longer than {limit} bytes; raise the limit or ask for smaller pieces")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
}

/// Makes frames of bytes. It keeps at most one unfinished frame.
/// Tolerant as browsers are: all three line ends, comments, unknown fields, a byte order mark; bytes that are no UTF-8 become U+FFFD.
#[derive(Debug)]
pub struct SseDecoder {
    limit: usize,
    line: Vec<u8>,
    event: Option<String>,
    data: Option<String>,
    /// The last byte was a carriage return, so a line feed now ends nothing.
    after_return: bool,
    at_start: bool,
    failed: bool,
}

impl SseDecoder {
    /// A decoder whose frames have at most `limit` bytes, field names and comments included.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            event: None,
            data: None,
            after_return: false,
            at_start: true,
            failed: false,
        }
    }

    /// Takes the next bytes and gives the frames that they complete.
    /// After an error each further call gives the same error; frames completed by the same bytes are lost with it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseFrame>, SseError> {
        let mut frames = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() && !self.failed {
            if std::mem::take(&mut self.after_return)
                && let Some(after) = rest.strip_prefix(b"\n")
            {
                rest = after;
                continue;
            }
            let end = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r');
            let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
            self.line.extend_from_slice(
                piece.get(..self.limit.saturating_add(1).min(piece.len())).unwrap_or_default(),
            );
            self.failed = self.size() > self.limit;
            let Some((&last, after)) = after.split_first() else { break };
            rest = after;
            self.after_return = last == b'\r';
            if !self.failed {
                frames.extend(self.end_line());
            }
        }
        if self.failed { Err(SseError::TooLong { limit: self.limit }) } else { Ok(frames) }
    }

    /// Ends the stream; gives the last frame of a server that forgot the empty line after it.
    pub fn finish(mut self) -> Result<Option<SseFrame>, SseError> {
        let mut frames = self.push(b"\n\n")?;
        Ok(frames.pop())
    }

    fn size(&self) -> usize {
        let data = self.data.as_ref().map_or(0, String::len);
        let event = self.event.as_ref().map_or(0, String::len);
        self.line.len().saturating_add(data).saturating_add(event)
    }

    fn end_line(&mut self) -> Option<SseFrame> {
        let mut line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        if std::mem::take(&mut self.at_start)
            && let Some(marked) = line.strip_prefix('\u{feff}')
        {
            line = marked.to_owned();
        }
        if line.is_empty() {
            let event = self.event.take();
            return self.data.take().map(|data| SseFrame { event, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (field, &mut self.data) {
            ("data", Some(data)) => {
                data.push('\n');
                data.push_str(value);
            }
            ("data", data) => *data = Some(value.to_owned()),
            ("event", _) => self.event = Some(value.to_owned()),
            // Comments (an empty name), `id`, `retry` and unknown fields.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn check(stream: &[u8], expected: &[(Option<&str>, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(event, data)| SseFrame { event: event.map(str::to_owned), data: (*data).to_owned() })
            .collect();
        for size in [1, 2, 3, 7, stream.len().max(1)] {
            let mut decoder = SseDecoder::new(1000);
            let mut frames = Vec::new();
            for piece in stream.chunks(size) {
                frames.extend(decoder.push(piece).unwrap());
            }
            frames.extend(decoder.finish().unwrap());
            assert_eq!(frames, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn frames_come_out_whatever_the_line_ends() {
        for end in ["\n", "\r\n", "\r"] {
            let stream =
                ["data: {\"a\":1}", "", ": ping", "", "data:two", "", "data: [DONE]", "", ""].join(end);
            check(stream.as_bytes(), &[(None, "{\"a\":1}"), (None, "two"), (None, DONE)]);
        }
    }

    #[test]
    fn characters_cut_in_two_are_whole_again() {
        check("data: naïve 🦀 ü\n\n".as_bytes(), &[(None, "naïve 🦀 ü")]);
        check(b"data: \xff\n\n", &[(None, "\u{fffd}")]);
    }

    #[test]
    fn lines_of_data_are_joined() {
        check(
            b"event: x\ndata: one\ndata:  two\nid: 7\nretry: 1\nodd\ndata\n\ndata: y\n\n",
            &[(Some("x"), "one\n two\n"), (None, "y")],
        );
    }

    #[test]
    fn frame_without_empty_line_at_the_end_is_kept() {
        check(b"data: a\n\ndata: b", &[(None, "a"), (None, "b")]);
        check(b"\xef\xbb\xbfdata: a\n", &[(None, "a")]);
        check(b"event: only\n\n", &[]);
        check(b"", &[]);
    }

    #[test]
    fn frame_over_the_limit_ends_the_stream() {
        let error = Err(SseError::TooLong { limit: 10 });
        let mut decoder = SseDecoder::new(10);
        assert_eq!(decoder.push(b"data: 1234567890"), error);
        assert_eq!(decoder.push(b"\n\ndata: a\n\n"), error);
        let mut decoder = SseDecoder::new(10);
        assert_eq!(decoder.push(b"data: 12\n\ndata: 34\n\n").unwrap().len(), 2);
        assert_eq!(decoder.push(&[b'x'; 1 << 20]), error);
        assert!(decoder.line.len() <= 11);
        let mut many_lines = SseDecoder::new(30);
        let outcome = (0..10).try_for_each(|_| many_lines.push(b"data: 12345\n").map(drop));
        assert_eq!(outcome, Err(SseError::TooLong { limit: 30 }));
    }
}
