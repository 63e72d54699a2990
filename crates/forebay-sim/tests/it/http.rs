use std::time::Duration;

use forebay_sim::{Config, Latency, Sim};
use tokio::io::AsyncWriteExt;

use crate::client::{Client, body, quick, say};

fn chunked(body: &str) -> String {
    let (first, second) = body.split_at(7);
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer k\r\n\
         transfer-encoding: chunked\r\n\r\n7\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        second.len()
    )
}

#[tokio::test(start_paused = true)]
async fn connections_are_kept_and_requests_pipelined() {
    let sim = Sim::new(quick());
    let mut client = Client::connect(&sim);
    client
        .send([say("one"), chunked(&body("two", 9)), say("three")].concat())
        .await;
    for expected in ["one", "two", "three"] {
        assert_eq!(client.answer().await.unwrap().text(), expected);
    }
    assert_eq!((sim.stats().connections, sim.stats().answered_ok), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn requests_come_byte_by_byte() {
    let mut client = Client::connect(&Sim::new(quick()));
    for request in [say("one"), chunked(&body("two", 9))] {
        for byte in request.as_bytes() {
            client.send([*byte]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_may_ask_before_its_body() {
    let mut client = Client::connect(&Sim::new(quick()));
    let (head, body) = (say("hello"), body("hello", 100));
    let head = head.strip_suffix(&body).unwrap();
    let head = head.replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
    let interim = client.ask(&head).await;
    assert_eq!((interim.status, interim.headers.len()), (100, 0));
    assert_eq!(client.ask(&body).await.text(), "hello");
}

#[tokio::test(start_paused = true)]
async fn the_connection_closes_when_told() {
    let mut client = Client::connect(&Sim::new(quick()));
    let request = say("bye").replace("host: sim", "connection: close");
    let answer = client.ask(request).await;
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("close"))
    );
    assert!(client.rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn head_answers_without_a_body() {
    let mut client = Client::connect(&Sim::new(quick()));
    client
        .send("HEAD /health HTTP/1.1\r\nconnection: close\r\n\r\n")
        .await;
    let raw = String::from_utf8(client.rest().await).unwrap();
    assert!(
        raw.starts_with("HTTP/1.1 200 OK\r\n") && raw.ends_with("\r\n\r\n"),
        "{raw}"
    );
    assert!(raw.contains("content-length: 15\r\n"), "{raw}");
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_rejected_and_the_connection_closed() {
    for (request, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        (
            format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(66_000)),
            431,
        ),
        (
            "POST / HTTP/1.1\r\ncontent-length: 999999999\r\n\r\n".to_owned(),
            413,
        ),
        (
            "POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(),
            501,
        ),
        (
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
            400,
        ),
    ] {
        let mut client = Client::connect(&Sim::new(quick()));
        client.send(&request).await;
        let answer = client.answer().await.expect("an answer");
        assert_eq!(
            (answer.status, answer.header("connection")),
            (status, Some("close"))
        );
        assert!(client.rest().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_request_is_not_received() {
    let sim = Sim::new(quick());
    let mut client = Client::connect(&sim);
    client.send(&say("hello")[..80]).await;
    client.io.shutdown().await.unwrap();
    assert!(client.rest().await.is_empty());
    assert_eq!(sim.stats().received, 0);
}

#[tokio::test(start_paused = true)]
async fn requests_sent_early_wait_for_their_turn() {
    let latency = Latency::Fixed(Duration::from_secs(1));
    let sim = Sim::new(Config { latency, ..quick() });
    let mut client = Client::connect(&sim);
    client.send(say("one")).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    client.send(say("two")).await;
    assert_eq!(client.answer().await.unwrap().text(), "one");
    assert_eq!(client.answer().await.unwrap().text(), "two");
    assert_eq!(sim.since_start(), Duration::from_secs(2));
    assert_eq!(sim.stats().max_in_flight, 1);
}
