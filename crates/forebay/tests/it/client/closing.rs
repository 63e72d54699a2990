//! The end of a client: what is under way ends, and nothing begins.

use super::*;
use forebay::FailureKind;

fn slow() -> Config {
    Config {
        latency: Latency::Fixed(Duration::from_secs(100)),
        ..config()
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_in_time_is_given_up() {
    let sim = Sim::new(slow());
    let grace = Duration::from_secs(7);
    let client = builder(&sim).concurrency(1).grace(grace).build().unwrap();
    let calls =
        ["in flight", "waiting"].map(|text| tokio::spawn(client.chat(GPT).user(text).send()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    assert_eq!(client.close().await, 2);
    assert_eq!(seconds(began), 7.0);
    for call in calls {
        let failure = call.await.unwrap().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Cancelled);
    }
    assert_eq!(client.calls_under_way(), 0);
    assert_eq!(load(&sim).0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_closed_at_once_when_nothing_is_under_way_and_can_be_closed_again() {
    let sim = Sim::new(config());
    let client = client(&sim);
    client.chat(GPT).user("a").send().await.unwrap();
    let began = Instant::now();
    assert_eq!((client.close().await, client.close().await), (0, 0));
    assert_eq!(seconds(began), 0.0);
    let closed = client.clone();
    let failure = closed.chat(GPT).user("b").send().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Cancelled);
    let failure = closed.embed("text-embedding-3-small", ["a"]).await;
    assert_eq!(failure.unwrap_err().kind, FailureKind::Cancelled);
    let mut stream = closed.chat(GPT).user("c").stream();
    assert!(stream.next().await.unwrap().is_err());
    let replies = closed.batch([closed.chat(GPT).user("d")]).collect().await;
    assert!(replies[0].is_err());
    assert_eq!(load(&sim).0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_does_not_hold_up_the_end_for_ever() {
    let sim = Sim::new(config());
    let client = client(&sim);
    let mut stream = client.chat(GPT).user("one two three").stream();
    stream.next().await.unwrap().unwrap();
    let began = Instant::now();
    assert_eq!(client.close().await, 1);
    assert_eq!(seconds(began), 30.0);
    let failure = stream.finish().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn closing_may_be_given_up_and_begun_again() {
    let sim = Sim::new(config());
    let client = client(&sim);
    let call = tokio::spawn(client.chat(GPT).user("a").send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let wait = Duration::from_millis(100);
    assert!(tokio::time::timeout(wait, client.close()).await.is_err());
    assert!(client.chat(GPT).user("b").send().await.is_err());
    assert_eq!(client.close().await, 0);
    assert_eq!(call.await.unwrap().unwrap().text, "a");
}
