//! HTTP/1.1 with as little work per request as it can be: a read, a look at the length, a write.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Shared;

/// Room for a request of the usual length, head included.
const ROOM: usize = 2048;

/// Answers the requests of a connection until it ends.
pub(super) async fn serve(mut socket: TcpStream, shared: &Shared) {
    let plain = plain_answer(&shared.body);
    let streamed = StreamedAnswer::new(shared);
    let mut buffer = Vec::with_capacity(ROOM);
    while let Ok(Some(is_post)) = next_request(&mut socket, &mut buffer).await {
        if !is_post {
            // Whatever else a client wants to know, there is none of it here.
            let none = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
            if socket.write_all(none).await.is_err() {
                return;
            }
            continue;
        }
        shared.take().await;
        let written = match shared.events.is_empty() {
            true => socket.write_all(&plain).await,
            false => streamed.write(&mut socket, shared).await,
        };
        if written.is_err() {
            return;
        }
    }
}

fn plain_answer(body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ndate: Thu, 09 Oct 2025 08:53:20 GMT\r\n\
         content-type: application/json\r\nx-request-id: req_0123456789abcdef\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// Waits for the next whole request and takes it off the buffer; whether it is a POST, or `None`
/// when there is no other.
async fn next_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<bool>> {
    loop {
        if let Some(length) = request_length(buffer)
            && buffer.len() >= length
        {
            let is_post = buffer.starts_with(b"POST");
            buffer.drain(..length);
            return Ok(Some(is_post));
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// The bytes of head and body of the request that the buffer begins with, once its head is whole.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(buffer).expect("HTTP/1.1") else {
        return None;
    };
    let length = request
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    Some(head + length.unwrap_or(0))
}

/// A chunked body: each event is a chunk of its own.
struct StreamedAnswer {
    head: Vec<u8>,
    chunks: Vec<Vec<u8>>,
    /// All of it, for streams that come at once.
    whole: Vec<u8>,
}

impl StreamedAnswer {
    fn new(shared: &Shared) -> StreamedAnswer {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                     transfer-encoding: chunked\r\n\r\n"
            .to_vec();
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        for event in &shared.events {
            let mut chunk = format!("{:x}\r\n", event.len()).into_bytes();
            chunk.extend_from_slice(event);
            chunk.extend_from_slice(b"\r\n");
            chunks.push(chunk);
        }
        if let Some(last) = chunks.last_mut() {
            last.extend_from_slice(b"0\r\n\r\n");
        }
        let whole = [head.clone(), chunks.concat()].concat();
        StreamedAnswer {
            head,
            chunks,
            whole,
        }
    }

    async fn write(&self, socket: &mut TcpStream, shared: &Shared) -> io::Result<()> {
        if shared.plan.pause.is_zero() {
            return socket.write_all(&self.whole).await;
        }
        socket.write_all(&self.head).await?;
        let mut tick = tokio::time::interval(shared.plan.pause);
        for chunk in &self.chunks {
            tick.tick().await;
            socket.write_all(chunk).await?;
        }
        Ok(())
    }
}
