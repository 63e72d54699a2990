//! A tunnel through an HTTP proxy (RFC 9110, section 9.3.6).
//!
//! Owns the request for it and what the proxy's answers mean. Never reads a byte of what comes
//! after the answer's head, and shows nothing of what the proxy wrote but its status.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Proxy;
use crate::endpoint::BaseUrl;
use crate::outcome::Failure;
use crate::transport::connect::Stream;
use crate::transport::http1::AnswerReader;

pub(super) async fn open(
    proxy: &Proxy,
    stream: &mut Stream,
    origin: &BaseUrl,
) -> Result<(), Failure> {
    let gone = |error: std::io::Error| proxy.fails(&format!("ended the connection: {error}"));
    stream
        .write_all(&request(proxy, origin))
        .await
        .map_err(gone)?;
    stream.flush().await.map_err(gone)?;
    let mut reader = AnswerReader::default();
    // Some servers speak first over HTTP/2, so that only the head is taken; it is short.
    let mut byte = [0];
    loop {
        if stream.read(&mut byte).await.map_err(gone)? == 0 {
            return Err(proxy.fails("ended the connection before it answered"));
        }
        reader.push(&byte);
        let head = match reader.head() {
            Ok(None) => continue,
            Ok(Some(head)) => head,
            Err(why) => return Err(proxy.fails(&format!("gave an answer that is not HTTP: {why}"))),
        };
        return match head.status.as_u16() {
            200..300 => Ok(()),
            407 => Err(proxy.wants_login("407")),
            // What it is allowed does not change by asking again.
            status @ (401 | 403 | 405) => Err(proxy.refuses(origin, &status.to_string())),
            status => {
                let (host, port) = (&origin.host, origin.port);
                let what = format!("did not connect to {host}:{port} ({status})");
                Err(proxy.fails(&what))
            }
        };
    }
}

fn request(proxy: &Proxy, origin: &BaseUrl) -> Vec<u8> {
    let host = match origin.host.contains(':') {
        true => format!("[{}]", origin.host),
        false => origin.host.clone(),
    };
    let port = origin.port;
    let mut request =
        format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n").into_bytes();
    if let Some(value) = proxy.authorization() {
        request.extend_from_slice(b"proxy-authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}
