//! Streamed replies: pieces, the whole at the end, and what is left when one is dropped.

use super::*;
use forebay::FailureKind;
use forebay::client::Chunk;

#[tokio::test(start_paused = true)]
async fn pieces_add_up_to_the_reply() {
    let sim = Sim::new(config());
    let client = client(&sim);
    for model in [GPT, CLAUDE, GEMINI] {
        let said = "one two three four five six seven";
        let mut stream = client.chat(model).user(said).stream();
        let mut text = String::new();
        let mut n = 0;
        while let Some(piece) = stream.next().await {
            match piece.unwrap() {
                Chunk::Text(more) => text.push_str(&more),
                other => panic!("{other:?}"),
            }
            n += 1;
        }
        assert!(n > 3, "{model}: {n} pieces");
        let reply = stream.finish().await.unwrap();
        assert_eq!((&*text, &*reply.text), (said, said));
        assert!(reply.usage.is_some() && reply.time_to_first_chunk.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_first_piece_is_tried_again() {
    let sim = Sim::new(config());
    let client = client(&sim);
    let stream = client.chat("openai/fault-503:1").user("hi").stream();
    assert_eq!(stream.finish().await.unwrap().attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_it_is_given() {
    let sim = Sim::new(config());
    let client = client(&sim);
    let request = client.chat("openai/fault-cut-after-4-frames:9");
    let mut stream = request.user("one two three four five six").stream();
    let mut pieces = 0;
    let failure = loop {
        match stream.next().await.expect("a failure before the end") {
            Ok(_) => pieces += 1,
            Err(failure) => break failure,
        }
    };
    assert!(pieces > 0, "{failure}");
    assert_eq!(failure.kind, FailureKind::Truncated);
    assert!(stream.next().await.is_none());
    assert_eq!(load(&sim).0, 1, "it is not asked for again");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_gives_its_place_back() {
    let sim = Sim::new(config());
    let client = builder(&sim).concurrency(1).build().unwrap();
    for _ in 0..3 {
        let mut stream = client.chat(GPT).user("one two three").stream();
        stream.next().await.unwrap().unwrap();
        drop(stream);
        assert_eq!(client.calls_under_way(), 0);
    }
    assert_eq!(client.chat(GPT).user("x").send().await.unwrap().text, "x");
}
