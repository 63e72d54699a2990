//! reqwest as its front page shows it: one client, shared.

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};

use super::{Load, Splitter};
use crate::options::Http;

/// A loop per request in flight.
pub(super) async fn run(load: &Load) {
    let load = *load;
    let mut builder = reqwest::Client::builder().no_proxy();
    if load.http == Http::Two {
        builder = builder.http2_prior_knowledge();
    }
    let client = builder.build().expect("a client");
    let url = format!("http://127.0.0.1:{}/v1/chat/completions", load.port);
    let body = bytes::Bytes::from(load.body());
    let loops = load.shares(load.in_flight).into_iter().map(|share| {
        let (client, url, body) = (client.clone(), url.clone(), body.clone());
        tokio::spawn(async move {
            for _ in 0..share {
                let request = client
                    .post(&url)
                    .header(AUTHORIZATION, "Bearer none")
                    .header(CONTENT_TYPE, "application/json")
                    .header(ACCEPT, "application/json")
                    .body(body.clone());
                let mut answer = request.send().await.expect("an answer");
                assert_eq!(answer.status(), 200);
                if load.events == 0 {
                    answer.bytes().await.expect("a body");
                    continue;
                }
                let mut splitter = Splitter::default();
                while let Some(chunk) = answer.chunk().await.expect("a body") {
                    splitter.push(&chunk);
                }
                assert_eq!(splitter.events, load.events);
            }
        })
    });
    for task in loops.collect::<Vec<_>>() {
        task.await.expect("a task");
    }
}
