//! HTTP/2 by hyper, with nothing on top.

use std::convert::Infallible;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Shared;

/// Streams that a connection may have at once: what the common servers allow (nginx has 128).
const STREAMS: u32 = 128;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Runs what a connection needs on the thread that has it.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async {
            future.await;
        });
    }
}

/// Answers the requests of a connection until it ends.
pub(super) async fn serve(socket: TcpStream, shared: Rc<Shared>) {
    let service = hyper::service::service_fn(move |request| answer(request, Rc::clone(&shared)));
    let served = hyper::server::conn::http2::Builder::new(Local)
        .max_concurrent_streams(STREAMS)
        .serve_connection(TokioIo::new(socket), service)
        .await;
    // A client that is done may just go.
    drop(served);
}

async fn answer(
    request: Request<Incoming>,
    shared: Rc<Shared>,
) -> Result<Response<Body>, Infallible> {
    if request.method() != hyper::Method::POST {
        let mut none = Response::new(Empty::new().boxed_unsync());
        *none.status_mut() = StatusCode::NOT_FOUND;
        return Ok(none);
    }
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    shared.take().await;
    let answer = Response::builder().header("x-request-id", "req_0123456789abcdef");
    let answer = match shared.events.is_empty() {
        true => answer
            .header("content-type", "application/json")
            .body(Full::new(shared.body.clone()).boxed_unsync()),
        false => answer
            .header("content-type", "text/event-stream")
            .body(streamed(&shared)),
    };
    Ok(answer.expect("headers that are right"))
}

/// A body of one frame per event, as they are due; of a single one when they all come at once.
fn streamed(shared: &Shared) -> Body {
    let pause = shared.plan.pause;
    if pause.is_zero() {
        return Full::new(Bytes::from(shared.events.concat())).boxed_unsync();
    }
    let tick = tokio::time::interval(pause);
    let events = shared.events.clone().into_iter();
    let frames = futures_util::stream::unfold((tick, events), |(mut tick, mut events)| async {
        let event = events.next()?;
        tick.tick().await;
        Some((Ok(Frame::data(event)), (tick, events)))
    });
    StreamBody::new(frames.boxed()).boxed_unsync()
}
