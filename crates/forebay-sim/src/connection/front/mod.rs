//! HTTP/2 in front of the same answers.
//!
//! Owns a connection's streams: each becomes a request of HTTP/1.1 in memory, and what is written
//! in reply becomes the stream's answer, faults included. Never decides what an answer says.
//!
//! Real providers are built alike: HTTP/2 ends at a front end, and what stands behind speaks
//! HTTP/1.1.

mod goodbye;
mod stream;

use std::sync::Arc;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::Connection;
use crate::http::{MAX_BODY, MAX_HEAD};
use crate::sim::Shared;
use goodbye::{Goodbye, Last};
use stream::StreamIo;

/// What a client with prior knowledge of HTTP/2 sends first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of one request, and of all of a connection, that may be on their way: enough for the
/// largest prompts to come without a pause.
const WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// How HTTP/2 is spoken, and what goes wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2 {
    /// The streams that a connection may have at once. Default 100.
    pub max_streams: u32,
    /// Refuses each so many-th stream of a connection without looking at it, with
    /// `REFUSED_STREAM`. Default 0: none.
    pub refuse_every: u64,
    /// Takes no more than so many streams of a connection: the next one is answered with a
    /// `GOAWAY` that says it was not looked at. Default 0: any number.
    pub go_away_after: u64,
    /// Says `HTTP_1_1_REQUIRED` to what it refuses, be it a stream or all further ones. Default
    /// no.
    pub http1_required: bool,
}

impl Default for Http2 {
    fn default() -> Self {
        Http2 {
            max_streams: 100,
            refuse_every: 0,
            go_away_after: 0,
            http1_required: false,
        }
    }
}

/// Serves a connection of HTTP/2 until either side closes it.
pub(super) async fn serve<IO>(shared: &Arc<Shared>, io: IO, begun: Vec<u8>, id: u64)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let config = &shared.config.http2;
    let last = Last::default();
    let (refused, goodbye) = match config.http1_required {
        true => (Reason::HTTP_1_1_REQUIRED, Reason::HTTP_1_1_REQUIRED),
        false => (Reason::REFUSED_STREAM, Reason::NO_ERROR),
    };
    let handshake = Builder::new()
        .max_concurrent_streams(config.max_streams)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD as u32)
        .handshake(Goodbye::new(io, begun, last.clone(), goodbye));
    let Ok(mut connection) = handshake.await else {
        // The client is gone, or speaks something else.
        return;
    };
    let mut streams = JoinSet::new();
    let (mut nth, mut last_id) = (0, 0);
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            Some(_) = streams.join_next() => continue,
        };
        let Some(Ok((request, mut answer))) = accepted else {
            break;
        };
        nth += 1;
        if config.go_away_after > 0 && nth > config.go_away_after {
            last.say(last_id);
            answer.send_reset(refused);
            continue;
        }
        if config.refuse_every > 0 && nth % config.refuse_every == 0 {
            answer.send_reset(refused);
            continue;
        }
        last_id = answer.stream_id().as_u32();
        let shared = Arc::clone(shared);
        streams.spawn(async move { one(shared, request, answer, (id, nth)).await });
    }
    // Those that are left see that the client is gone.
    while streams.join_next().await.is_some() {}
}

/// Serves one stream.
async fn one(
    shared: Arc<Shared>,
    request: Request<RecvStream>,
    mut answer: SendResponse<Bytes>,
    (id, nth): (u64, u64),
) {
    let (head, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = incoming.data().await {
        let Ok(piece) = piece else {
            // The client has given the request up.
            return;
        };
        // It fails only when the stream has ended, which the next read tells.
        let _ = incoming.flow_control().release_capacity(piece.len());
        body.extend_from_slice(&piece);
        if body.len() > MAX_BODY {
            return answer.send_reset(Reason::ENHANCE_YOUR_CALM);
        }
    }
    let is_head = head.method == http::Method::HEAD;
    let io = StreamIo::new(as_http1(&head, &body), answer, is_head);
    let mut connection = Connection::numbered(&shared, io, |_| {}, id);
    connection.requests = nth - 1;
    connection.run().await;
}

/// A request as HTTP/1.1 has it.
fn as_http1(head: &http::request::Parts, body: &[u8]) -> Vec<u8> {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut bytes = format!("{} {path} HTTP/1.1\r\n", head.method).into_bytes();
    let mut header = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    };
    if let Some(host) = head.uri.authority() {
        header("host", host.as_str().as_bytes());
    }
    let own = [http::header::CONTENT_LENGTH, http::header::HOST];
    for (name, value) in head.headers.iter().filter(|(name, _)| !own.contains(name)) {
        header(name.as_str(), value.as_bytes());
    }
    header("content-length", body.len().to_string().as_bytes());
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}
