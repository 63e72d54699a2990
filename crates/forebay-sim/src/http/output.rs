//! Builds an answer's bytes in one reused buffer, so that one write sends them.
//!
//! Owns the form of a status line and of headers. Never writes to the connection.

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, SystemTime};

/// An answer being built.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// The `date` line of the second it was last built for.
    date: Vec<u8>,
    date_s: u64,
}

impl Output {
    /// Starts an answer with its status line and date.
    pub(crate) fn start(&mut self, status: u16, wall: Duration) -> &mut Self {
        self.bytes.clear();
        self.put(format_args!(
            "HTTP/1.1 {status} {}\r\n",
            reason_phrase(status)
        ));
        self.date(wall)
    }

    /// Starts an answer with bytes of any kind.
    pub(crate) fn start_with(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Adds the date.
    pub(crate) fn date(&mut self, wall: Duration) -> &mut Self {
        if self.date_s != wall.as_secs() || self.date.is_empty() {
            self.date_s = wall.as_secs();
            let second = SystemTime::UNIX_EPOCH + Duration::from_secs(self.date_s);
            self.date = format!("date: {}\r\n", httpdate::fmt_http_date(second)).into_bytes();
        }
        self.bytes.extend_from_slice(&self.date);
        self
    }

    /// Adds a header.
    pub(crate) fn header(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.put(format_args!("{name}: {value}\r\n"));
        self
    }

    /// Adds a header whose value is text; faster.
    pub(crate) fn header_text(&mut self, name: &str, value: &str) -> &mut Self {
        for part in [name, ": ", value, "\r\n"] {
            self.bytes.extend_from_slice(part.as_bytes());
        }
        self
    }

    /// Ends the head and adds the body.
    pub(crate) fn body(&mut self, body: &[u8]) {
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes.extend_from_slice(body);
    }

    /// The whole answer.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a Vec cannot fail.
        let _ = self.bytes.write_fmt(text);
    }
}

/// The words beside a status: RFC 9110, and what providers use beyond it.
pub(crate) fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        425 => "Too Early",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        498 => "Capacity Exceeded",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        520..=527 => "Cloudflare Error",
        529 => "Overloaded",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_a_whole_answer() {
        let mut output = Output::default();
        output.start(200, Duration::from_secs(784_111_777));
        output.header("content-length", 2).header_text("a", "b");
        output.body(b"{}");
        let expected = "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 2\r\na: b\r\n\r\n{}";
        assert_eq!(std::str::from_utf8(output.bytes()), Ok(expected));
    }
}
