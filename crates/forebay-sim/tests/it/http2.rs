//! HTTP/2, as a client of another make sees it.

use std::time::Duration;

use bytes::Bytes;
use forebay_sim::{Action, Config, Dialect, DropReason, Event, Http2, Latency, Shape, Sim};
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};

/// A connection to a simulator that answers at once.
async fn connect(sim: &Sim) -> SendRequest<Bytes> {
    let (sender, connection) = h2::client::handshake(sim.connect()).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

fn sim(http2: Http2, action: Action) -> Sim {
    Sim::new(Config {
        latency: Latency::Zero,
        keep_log: true,
        http2,
        script: Some(std::sync::Arc::new(move |_| action.clone())),
        ..Config::default()
    })
}

fn send(sender: &mut SendRequest<Bytes>, streamed: bool) -> ResponseFuture {
    let request = http::Request::post("http://sim.local/v1/chat/completions")
        .header("authorization", "Bearer k")
        .body(())
        .unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    let json = format!(
        r#"{{"model":"m","stream":{streamed},"messages":[{{"role":"user","content":"hello"}}]}}"#
    );
    body.send_data(json.into(), true).unwrap();
    response
}

/// The status and the body, or what the stream was reset with.
async fn read(response: ResponseFuture) -> Result<(u16, String), Option<Reason>> {
    let response = response.await.map_err(|error| error.reason())?;
    let status = response.status().as_u16();
    assert!(!response.headers().contains_key("transfer-encoding"));
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    while let Some(piece) = incoming.data().await {
        let piece = piece.map_err(|error| error.reason())?;
        incoming
            .flow_control()
            .release_capacity(piece.len())
            .unwrap();
        body.extend_from_slice(&piece);
    }
    Ok((status, String::from_utf8(body).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn answers_come_whole_and_as_streams() {
    let sim = sim(
        Http2::default(),
        Action::AnswerText("four words of text".into()),
    );
    let mut sender = connect(&sim).await;
    let whole = send(&mut sender, false);
    let streamed = send(&mut sender, true);
    let (status, body) = read(whole).await.unwrap();
    assert_eq!(status, 200);
    assert!(body.contains("four words of text"), "{body}");
    let (status, body) = read(streamed).await.unwrap();
    assert_eq!(status, 200);
    assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
    assert_eq!(sim.stats().connections, 1);
    let log = sim.log();
    assert!(log.iter().all(|record| record.connection == 1));
    assert!(log.iter().all(|record| record.dialect == Dialect::OpenAi));
    let answers = log.iter().filter(|record| record.event == Event::Answer);
    assert_eq!(answers.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_or_reset_resets_its_stream() {
    let cut = Action::Shaped(Shape {
        cut_body: Some(0.5),
        ..Shape::default()
    });
    for (action, dropped) in [
        (Action::Reset, DropReason::Reset),
        (cut, DropReason::Cut),
        (Action::CutAfter(5), DropReason::Cut),
    ] {
        let sim = sim(Http2::default(), action.clone());
        let mut sender = connect(&sim).await;
        for streamed in [false, true] {
            let ended = read(send(&mut sender, streamed)).await;
            assert_eq!(ended, Err(Some(Reason::INTERNAL_ERROR)), "{action:?}");
        }
        assert_eq!(sim.stats().connections, 1);
        assert!(
            sim.log()
                .iter()
                .filter_map(|record| record.reason)
                .all(|reason| reason == dropped)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_a_stream_up_is_gone() {
    let sim = sim(Http2::default(), Action::Stall);
    let mut sender = connect(&sim).await;
    let late = tokio::time::timeout(Duration::from_secs(5), read(send(&mut sender, false))).await;
    assert!(late.is_err());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let stats = sim.stats();
    assert_eq!((stats.in_flight, stats.dropped), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn streams_are_refused_and_connections_left_when_told() {
    let http2 = Http2 {
        refuse_every: 3,
        go_away_after: 5,
        ..Http2::default()
    };
    let sim = sim(http2, Action::Answer);
    let mut sender = connect(&sim).await;
    let mut ends = Vec::new();
    for _ in 0..6 {
        ends.push(match read(send(&mut sender, false)).await {
            Ok(_) => "answer",
            Err(Some(Reason::REFUSED_STREAM)) => "refused",
            Err(Some(Reason::NO_ERROR)) => "gone away",
            Err(_) => "other",
        });
    }
    assert_eq!(
        ends,
        [
            "answer",
            "answer",
            "refused",
            "answer",
            "answer",
            "gone away"
        ]
    );
    assert_eq!(sim.stats().received, 4);
}
