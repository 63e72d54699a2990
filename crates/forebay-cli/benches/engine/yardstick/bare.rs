//! hyper's connection API and nothing else.

use std::future::Future;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{Load, Splitter};
use crate::options::Http;

/// Streams on a connection: below what common servers allow (100 to 250).
const STREAMS: usize = 100;

/// A loop per connection, or per stream of connections with a hundred each.
pub(super) async fn run(load: &Load) {
    let load = *load;
    let body = Bytes::from(load.body());
    let mut tasks = Vec::new();
    match load.http {
        Http::One => {
            for share in load.shares(load.in_flight) {
                let body = body.clone();
                tasks.push(tokio::spawn(async move {
                    let mut sender = connect_1(load.port).await;
                    for _ in 0..share {
                        // The connection takes the next request once the answer is read.
                        sender.ready().await.expect("a connection");
                        read(sender.send_request(request(&load, &body)), load.events).await;
                    }
                }));
            }
        }
        Http::Two => {
            let mut sender = connect_2(load.port).await;
            for (n, share) in load.shares(load.in_flight).into_iter().enumerate() {
                if n > 0 && n % STREAMS == 0 {
                    sender = connect_2(load.port).await;
                }
                let (body, mut sender) = (body.clone(), sender.clone());
                tasks.push(tokio::spawn(async move {
                    for _ in 0..share {
                        read(sender.send_request(request(&load, &body)), load.events).await;
                    }
                }));
            }
        }
    }
    for task in tasks {
        task.await.expect("a task");
    }
}

async fn connect(port: u16) -> TokioIo<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("the server");
    stream.set_nodelay(true).expect("a socket");
    TokioIo::new(stream)
}

async fn connect_1(port: u16) -> http1::SendRequest<Full<Bytes>> {
    let (sender, driver) = http1::handshake(connect(port).await)
        .await
        .expect("HTTP/1.1");
    tokio::spawn(driver);
    sender
}

async fn connect_2(port: u16) -> http2::SendRequest<Full<Bytes>> {
    let io = connect(port).await;
    let (sender, driver) = http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("HTTP/2");
    tokio::spawn(driver);
    sender
}

fn request(load: &Load, body: &Bytes) -> Request<Full<Bytes>> {
    let request = match load.http {
        Http::One => Request::post("/v1/chat/completions").header("host", "127.0.0.1"),
        Http::Two => Request::post("http://127.0.0.1/v1/chat/completions"),
    };
    request
        .header("authorization", "Bearer none")
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("user-agent", "bare-loop")
        .body(Full::new(body.clone()))
        .expect("a request")
}

async fn read(answer: impl Future<Output = hyper::Result<Response<Incoming>>>, events: usize) {
    let answer = answer.await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    if events == 0 {
        body.collect().await.expect("a body");
        return;
    }
    let mut splitter = Splitter::default();
    while let Some(frame) = body.frame().await {
        let chunk = frame.expect("a frame").into_data().unwrap_or_default();
        splitter.push(&chunk);
    }
    assert_eq!(splitter.events, events);
}
