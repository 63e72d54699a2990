//! Parses a request's head.
//!
//! Owns the few headers a provider looks at, as places in the connection's buffer, so that
//! nothing is copied. Never reads from the connection.

use httparse::Status;

/// The most headers a request may have.
const MAX_HEADERS: usize = 96;

/// A place in a request's bytes, counted from its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The methods a provider tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Delete,
    Other,
}

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    Sized(usize),
    Chunked,
}

/// A request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: Method,
    /// The method and the path, as they came.
    pub(crate) method_text: Span,
    pub(crate) path: Span,
    /// What follows the question mark; empty without one.
    pub(crate) query: Span,
    /// The head's bytes, the empty line included.
    pub(crate) len: usize,
    pub(crate) body: BodyLength,
    /// What `content-length` says, whatever else there is.
    length: Option<usize>,
    pub(crate) keep_alive: bool,
    /// HTTP/1.1 or later; earlier clients know no chunks.
    pub(crate) is_1_1: bool,
    pub(crate) expects_continue: bool,
    /// The token of `authorization: Bearer`.
    pub(crate) bearer: Option<Span>,
    pub(crate) x_api_key: Option<Span>,
    pub(crate) x_goog_api_key: Option<Span>,
    pub(crate) anthropic_version: Option<Span>,
    pub(crate) content_type: Option<Span>,
    pub(crate) host: Option<Span>,
}

/// Why a head is not one: a status and a message for the client.
pub(crate) type BadHead = (u16, &'static str);

impl Head {
    /// Parses a head at the start of the bytes; `None` if it is not complete yet.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Head>, BadHead> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let len = match request.parse(bytes) {
            Ok(Status::Complete(len)) => len,
            Ok(Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err((431, "too many headers")),
            Err(_) => return Err((400, "malformed request head")),
        };
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err((400, "malformed request line"));
        };
        let (path, query) = target
            .split_once('?')
            .unwrap_or((target, &target[target.len()..]));
        let mut head = Head {
            method: Method::of(method),
            method_text: span(bytes, method.as_bytes()),
            path: span(bytes, path.as_bytes()),
            query: span(bytes, query.as_bytes()),
            len,
            body: BodyLength::Sized(0),
            length: None,
            keep_alive: request.version == Some(1),
            is_1_1: request.version == Some(1),
            expects_continue: false,
            bearer: None,
            x_api_key: None,
            x_goog_api_key: None,
            anthropic_version: None,
            content_type: None,
            host: None,
        };
        for header in request.headers.iter() {
            head.note(bytes, header)?;
        }
        Ok(Some(head))
    }

    fn note(&mut self, bytes: &[u8], header: &httparse::Header<'_>) -> Result<(), BadHead> {
        let value = header.value.trim_ascii();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        // The length decides first: most headers of a request are none of these.
        match header.name.len() {
            4 if is("host") => self.host = Some(span(bytes, value)),
            6 if is("expect") => {
                self.expects_continue = value.eq_ignore_ascii_case(b"100-continue")
            }
            9 if is("x-api-key") => self.x_api_key = Some(span(bytes, value)),
            10 if is("connection") => {
                if value.eq_ignore_ascii_case(b"close") {
                    self.keep_alive = false;
                } else if value.eq_ignore_ascii_case(b"keep-alive") {
                    self.keep_alive = true;
                }
            }
            12 if is("content-type") => self.content_type = Some(span(bytes, value)),
            13 if is("authorization") => {
                let (scheme, token) = value.split_at_checked(7).unwrap_or_default();
                if scheme.eq_ignore_ascii_case(b"bearer ") {
                    self.bearer = Some(span(bytes, token.trim_ascii()));
                }
            }
            14 if is("x-goog-api-key") => self.x_goog_api_key = Some(span(bytes, value)),
            14 if is("content-length") => {
                let length = content_length(value)?;
                if self.length.is_some_and(|other| other != length) {
                    return Err((400, "two content-lengths that differ"));
                }
                self.length = Some(length);
                if let BodyLength::Sized(_) = self.body {
                    self.body = BodyLength::Sized(length);
                }
            }
            17 if is("anthropic-version") => self.anthropic_version = Some(span(bytes, value)),
            17 if is("transfer-encoding") => {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err((501, "unsupported transfer-encoding"));
                }
                self.body = BodyLength::Chunked;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Method {
    fn of(method: &str) -> Method {
        match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "DELETE" => Method::Delete,
            _ => Method::Other,
        }
    }
}

fn content_length(value: &[u8]) -> Result<usize, BadHead> {
    std::str::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or((400, "malformed content-length"))
}

/// Finds a part of some bytes by its address.
fn span(bytes: &[u8], part: &[u8]) -> Span {
    let start = part.as_ptr().addr() - bytes.as_ptr().addr();
    Span {
        start,
        end: start + part.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_provider_looks_at() {
        let bytes = b"POST /v1/chat/completions?x=1 HTTP/1.1\r\nAuthorization: Bearer  sk-1 \r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n{";
        let head = Head::parse(bytes).unwrap().unwrap();
        assert_eq!(head.body, BodyLength::Sized(12));
        assert_eq!(head.len, bytes.len() - 1);
        assert!(head.keep_alive && head.expects_continue);
        let text = |span: Span| &bytes[span.start..span.end];
        assert_eq!(text(head.bearer.unwrap()), b"sk-1");
        assert_eq!(text(head.path), b"/v1/chat/completions");
        assert_eq!(text(head.query), b"x=1");
    }

    #[test]
    fn closes_when_told_and_under_http_1_0() {
        let keep_alive = |bytes: &[u8]| Head::parse(bytes).unwrap().unwrap().keep_alive;
        assert!(!keep_alive(
            b"GET /health HTTP/1.1\r\nconnection: Close\r\n\r\n"
        ));
        assert!(!keep_alive(b"GET /health HTTP/1.0\r\n\r\n"));
        assert!(keep_alive(
            b"GET /health HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"
        ));
    }

    #[test]
    fn half_a_head_is_none_and_nonsense_is_bad() {
        assert_eq!(Head::parse(b"GET /health HTTP/1.1\r\nhost"), Ok(None));
        assert!(Head::parse(b"\x00\x01 nonsense\r\n\r\n").is_err());
        assert!(Head::parse(b"POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n").is_err());
        let two = |second: u8| {
            let head =
                format!("POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: {second}\r\n\r\n");
            Head::parse(head.as_bytes()).is_err()
        };
        assert_eq!([two(1), two(2)], [false, true]);
    }
}
