use std::time::Duration;

use forebay_sim::{Action, Dialect, DropReason, Event, Sim};
use tokio::time::{Instant, timeout};

use crate::client::{Client, body, post, say, scripted};

/// The first request gets this action, others are answered.
fn once(action: Action) -> Sim {
    scripted(move |call| match call.seq {
        1 => action.clone(),
        _ => Action::Answer,
    })
}

fn dropped(sim: &Sim) -> Vec<DropReason> {
    sim.log()
        .into_iter()
        .filter_map(|record| record.reason)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_script_sees_the_whole_call() {
    let sim = scripted(|call| {
        Action::AnswerText(format!(
            "{} {} {:?} {} {:?} {} {} {:?}",
            call.seq,
            call.seen,
            call.prompt,
            call.model,
            call.since_start,
            call.connection,
            call.nth_on_connection,
            call.dialect
        ))
    });
    let mut first = Client::connect(&sim);
    assert_eq!(
        first.ask(say("a")).await.text(),
        r#"1 1 "a" m 0ns 1 1 OpenAi"#
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        first.ask(say("a")).await.text(),
        r#"2 2 "a" m 2s 1 2 OpenAi"#
    );
    let mut second = Client::connect(&sim);
    let request = post(Dialect::Anthropic, &body("b", 50));
    assert_eq!(
        second.ask(request).await.text(),
        r#"3 1 "b" m 2s 2 1 Anthropic"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_verbatim() {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let sim = once(Action::Reply {
        status: 429,
        headers: vec![
            header("retry-after", "-1e308"),
            header("retry-after", "2"),
            header("content-type", "text/html"),
        ],
        body: b"<html>".to_vec(),
    });
    let mut client = Client::connect(&sim);
    let answer = client.ask(say("x")).await;
    assert_eq!((answer.status, &*answer.body), (429, &b"<html>"[..]));
    let names: Vec<&str> = answer.headers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(
        names,
        [
            "date",
            "content-length",
            "retry-after",
            "retry-after",
            "content-type"
        ]
    );
    assert_eq!(answer.header("retry-after"), Some("-1e308"));
    assert_eq!(client.ask(say("x")).await.status, 200);
    assert_eq!((sim.stats().rejected, sim.stats().answered_ok), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn errors_have_the_dialects_own_body() {
    let sim = scripted(|call| match call.prompt {
        "quota" => Action::Error {
            status: 429,
            kind: "insufficient_quota".into(),
            code: Some("insufficient_quota".into()),
            message: "You exceeded your current quota.".to_owned(),
            headers: vec![("x-should-retry".to_owned(), "false".to_owned())],
        },
        status => Action::status(status.parse().expect("a status")),
    });
    let mut client = Client::connect(&sim);
    let quota = client.ask(say("quota")).await;
    assert_eq!(
        (quota.status, quota.header("x-should-retry")),
        (429, Some("false"))
    );
    assert_eq!(quota.json()["error"]["type"], "insufficient_quota");
    assert_eq!(quota.json()["error"]["param"], serde_json::Value::Null);
    for (status, openai, anthropic) in [
        ("500", "server_error", "api_error"),
        ("503", "service_unavailable_error", "api_error"),
        ("529", "server_error", "overloaded_error"),
        ("429", "requests", "rate_limit_error"),
    ] {
        let answer = client.ask(say(status)).await;
        assert_eq!(answer.status.to_string(), status);
        assert_eq!(answer.json()["error"]["type"], openai);
        let answer = client.ask(post(Dialect::Anthropic, &body(status, 5))).await;
        assert_eq!(answer.status.to_string(), status);
        assert_eq!(answer.json()["error"]["type"], anthropic);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_comes_before_the_first_byte() {
    let sim = once(Action::Reset);
    let mut client = Client::connect(&sim);
    client.send(say("x")).await;
    assert!(client.rest().await.is_empty());
    assert_eq!(dropped(&sim), [DropReason::Reset]);
}

#[tokio::test(start_paused = true)]
async fn a_cut_answer_stops_at_every_byte_asked_for() {
    let mut client = Client::connect(&once(Action::CloseAfterAnswer));
    client.send(say("x")).await;
    let whole = client.rest().await;
    assert!(whole.ends_with(b"}") && !String::from_utf8_lossy(&whole).contains("connection"));
    for bytes in [0, 1, 20, whole.len() - 1] {
        let sim = once(Action::CutAfter(bytes));
        let mut client = Client::connect(&sim);
        client.send(say("x")).await;
        assert_eq!(client.rest().await.len(), bytes);
        assert_eq!(dropped(&sim), [DropReason::Cut]);
    }
    let sim = once(Action::CutAfter(whole.len()));
    let mut client = Client::connect(&sim);
    client.send(say("x")).await;
    assert_eq!(client.rest().await.len(), whole.len());
    assert_eq!(dropped(&sim), []);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_request_is_never_answered() {
    let sim = once(Action::Stall);
    let mut client = Client::connect(&sim);
    client.send(say("x")).await;
    let day = Duration::from_secs(86_400);
    assert!(timeout(day, client.answer()).await.is_err());
    assert_eq!((sim.stats().in_flight, sim.log().len()), (1, 1));
    drop(client);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(
        (sim.stats().in_flight, dropped(&sim)),
        (0, vec![DropReason::Stalled])
    );
}

#[tokio::test(start_paused = true)]
async fn raw_bytes_come_as_they_are() {
    let sim = once(Action::Raw(
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_vec(),
    ));
    let mut client = Client::connect(&sim);
    client.send(say("x")).await;
    let raw = client.rest().await;
    assert_eq!(raw, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{");
    assert_eq!(dropped(&sim), [DropReason::Raw]);
}

#[tokio::test(start_paused = true)]
async fn any_action_can_wait() {
    let second = Duration::from_secs(1);
    let sim = once(Action::status(500).after(second).after(second));
    let start = Instant::now();
    let answer = Client::connect(&sim).ask(say("x")).await;
    assert_eq!((answer.status, start.elapsed()), (500, 2 * second));
    let events: Vec<(Event, f64)> = sim.log().iter().map(|r| (r.event, r.t_s)).collect();
    assert_eq!(events, [(Event::Request, 0.0), (Event::Answer, 2.0)]);
}

#[tokio::test(start_paused = true)]
async fn the_script_may_overrule_validation() {
    let sim = scripted(|call| match call.seen {
        1 => Action::status(503),
        _ => Action::Answer,
    });
    let mut client = Client::connect(&sim);
    let nonsense = post(Dialect::OpenAi, "nonsense");
    assert_eq!(client.ask(&nonsense).await.status, 503);
    assert_eq!(client.ask(&nonsense).await.status, 400);
}
