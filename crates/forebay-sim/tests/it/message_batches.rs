use std::time::Duration;

use forebay_sim::{Action, Config, Event, Latency, Limits, Sim};
use serde_json::{Value, json};
use tokio::io::DuplexStream;

use crate::client::{Answer, Client, quick, raw_post, scripted};

const HEADERS: &str = "x-api-key: k\r\nanthropic-version: 2023-06-01\r\n";
const PATH: &str = "/v1/messages/batches";

/// A batch with a request for each prompt.
fn batch(prompts: &[String]) -> String {
    let row = |prompt: &String| {
        json!({"custom_id": prompt, "params":
            {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": prompt}]}})
    };
    json!({"requests": prompts.iter().map(row).collect::<Vec<_>>()}).to_string()
}

fn prompts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("row-{n}")).collect()
}

struct Batches {
    client: Client<DuplexStream>,
}

impl Batches {
    fn of(sim: &Sim) -> Batches {
        let client = Client::connect(sim);
        Batches { client }
    }

    async fn create(&mut self, prompts: &[String]) -> String {
        let answer = self
            .client
            .ask(raw_post(PATH, HEADERS, &batch(prompts)))
            .await;
        assert_eq!(answer.status, 200);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    async fn send(&mut self, method: &str, path: &str) -> Answer {
        let request = format!("{method} {PATH}{path} HTTP/1.1\r\nhost: sim:80\r\n{HEADERS}\r\n");
        self.client.ask(request).await
    }

    async fn get(&mut self, id: &str) -> Value {
        self.send("GET", &format!("/{id}")).await.json()
    }

    async fn results(&mut self, id: &str) -> Vec<Value> {
        let answer = self.send("GET", &format!("/{id}/results")).await;
        assert_eq!(answer.header("content-type"), Some("application/x-jsonl"));
        let text = String::from_utf8(answer.body).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn counts(batch: &Value) -> [u64; 5] {
    let count = |name: &str| batch["request_counts"][name].as_u64().unwrap();
    ["processing", "succeeded", "errored", "canceled", "expired"].map(count)
}

async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Echoes, and takes ten seconds for it.
fn slow() -> Config {
    Config {
        latency: Latency::Fixed(Duration::from_secs(10)),
        ..quick()
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_worked_off_and_its_results_come_in_no_order() {
    let sim = Sim::new(slow());
    let mut batches = Batches::of(&sim);
    let id = batches.create(&prompts(100)).await;
    let batch = batches.get(&id).await;
    assert_eq!(
        (&batch["processing_status"], counts(&batch)),
        (&json!("in_progress"), [100, 0, 0, 0, 0])
    );
    assert_eq!(
        (&batch["results_url"], &batch["ended_at"]),
        (&json!(null), &json!(null))
    );
    // A second, and ten for each 64 of them; until then all are processing.
    wait(20).await;
    assert_eq!(counts(&batches.get(&id).await), [100, 0, 0, 0, 0]);
    wait(2).await;
    let batch = batches.get(&id).await;
    assert_eq!(
        (&batch["processing_status"], counts(&batch)),
        (&json!("ended"), [0, 100, 0, 0, 0])
    );
    assert_eq!(
        batch["results_url"],
        format!("http://sim:80{PATH}/{id}/results")
    );
    let results = batches.results(&id).await;
    let mut ids: Vec<String> = Vec::new();
    for line in &results {
        let id = line["custom_id"].as_str().unwrap();
        assert_eq!(line["result"]["type"], "succeeded");
        assert_eq!(line["result"]["message"]["content"][0]["text"], id);
        ids.push(id.to_owned());
    }
    assert_ne!(ids, prompts(100), "the order is not the requests'");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 100);
    // The log tells each of them, on no connection.
    let log = sim.log();
    let answers = log.iter().filter(|record| record.event == Event::Answer);
    assert_eq!(answers.filter(|record| record.connection == 0).count(), 100);
}

#[tokio::test(start_paused = true)]
async fn two_runs_with_one_seed_give_the_same_results() {
    let run = async |seed| {
        let sim = Sim::new(Config {
            seed,
            latency: Latency::default(),
            ..quick()
        });
        let mut batches = Batches::of(&sim);
        let id = batches.create(&prompts(200)).await;
        wait(3600).await;
        let results = batches.results(&id).await;
        (results, sim.log())
    };
    let (first, second) = (run(3).await, run(3).await);
    assert_eq!(first.1, second.1);
    assert_eq!(first.0, second.0);
    assert_ne!(first.0, run(4).await.0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_batch_finishes_what_was_begun() {
    let mut batches = Batches::of(&Sim::new(slow()));
    let id = batches.create(&prompts(100)).await;
    wait(5).await;
    let batch = batches.send("POST", &format!("/{id}/cancel")).await.json();
    assert_eq!(
        (&batch["processing_status"], counts(&batch)),
        (&json!("canceling"), [100, 0, 0, 0, 0])
    );
    assert!(batch["cancel_initiated_at"].is_string());
    wait(10).await;
    let batch = batches.get(&id).await;
    assert_eq!(
        (&batch["processing_status"], counts(&batch)),
        (&json!("ended"), [0, 64, 0, 36, 0])
    );
    let results = batches.results(&id).await;
    let of = |kind: &str| {
        results
            .iter()
            .filter(|line| line["result"]["type"] == kind)
            .count()
    };
    assert_eq!((of("succeeded"), of("canceled")), (64, 36));
    let again = batches.send("POST", &format!("/{id}/cancel")).await;
    assert_eq!(again.status, 400);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_done_within_a_day_expires() {
    let sim = scripted(|call| match call.prompt {
        "row-1" => Action::Stall,
        "row-2" => Action::Reset,
        "row-3" => Action::status(529),
        _ => Action::Answer,
    });
    let mut batches = Batches::of(&sim);
    let id = batches.create(&prompts(5)).await;
    wait(24 * 3600 - 1).await;
    assert_eq!(counts(&batches.get(&id).await), [5, 0, 0, 0, 0]);
    wait(2).await;
    assert_eq!(counts(&batches.get(&id).await), [0, 2, 2, 0, 1]);
    for line in batches.results(&id).await {
        let (kind, error) = (&line["result"]["type"], &line["result"]["error"]);
        let expected = match line["custom_id"].as_str().unwrap() {
            "row-1" => ("expired", json!(null)),
            "row-2" => ("errored", json!("api_error")),
            "row-3" => ("errored", json!("overloaded_error")),
            _ => ("succeeded", json!(null)),
        };
        assert_eq!(
            (kind.as_str().unwrap(), &error["error"]["type"]),
            (expected.0, &expected.1)
        );
        assert_eq!(error["type"].is_string(), expected.0 == "errored");
    }
}

#[tokio::test(start_paused = true)]
async fn batches_are_listed_newest_first_and_deleted_once_they_ended() {
    let sim = Sim::new(Config {
        limits: Limits {
            rpm: Some(1),
            ..Limits::default()
        },
        ..quick()
    });
    let mut batches = Batches::of(&sim);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.insert(0, batches.create(&prompts(2)).await);
    }
    let page = batches.send("GET", "?limit=2").await.json();
    assert_eq!(
        (&page["first_id"], &page["last_id"]),
        (&json!(ids[0]), &json!(ids[1]))
    );
    assert_eq!(
        (&page["has_more"], page["data"].as_array().unwrap().len()),
        (&json!(true), 2)
    );
    let page = batches
        .send("GET", &format!("?after_id={}", ids[1]))
        .await
        .json();
    assert_eq!(
        (&page["data"][0]["id"], &page["has_more"]),
        (&json!(ids[2]), &json!(false))
    );

    let path = format!("/{}", ids[0]);
    assert_eq!(batches.send("DELETE", &path).await.status, 400);
    let early = batches.send("GET", &format!("{path}/results")).await;
    assert_eq!(
        (early.status, &early.json()["type"]),
        (400, &json!("error"))
    );
    wait(2).await;
    // The account's limits are not theirs.
    assert_eq!(counts(&batches.get(&ids[0]).await), [0, 2, 0, 0, 0]);
    let deleted = batches.send("DELETE", &path).await.json();
    assert_eq!(
        deleted,
        json!({"id": ids[0], "type": "message_batch_deleted"})
    );
    let gone = batches.send("GET", &path).await;
    assert_eq!(
        (gone.status, &gone.json()["error"]["type"]),
        (404, &json!("not_found_error"))
    );
    let wrong = batches.send("DELETE", "").await;
    assert_eq!(
        (wrong.status, wrong.header("allow")),
        (405, Some("GET, POST"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_bad_batch_or_no_version_is_rejected() {
    let mut client = Client::connect(&Sim::new(quick()));
    let twice = batch(&["a".to_owned(), "a".to_owned()]);
    for body in [
        "{",
        "{}",
        r#"{"requests":[]}"#,
        &twice,
        &batch(&["a b".to_owned()]),
    ] {
        let answer = client.ask(raw_post(PATH, HEADERS, body)).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["type"]),
            (400, &json!("invalid_request_error"))
        );
    }
    let fine = batch(&prompts(1));
    let unversioned = client.ask(raw_post(PATH, "x-api-key: k\r\n", &fine)).await;
    assert_eq!(unversioned.status, 400);
    let strange = client
        .ask(raw_post(PATH, "anthropic-version: 2023-06-01\r\n", &fine))
        .await;
    assert_eq!(strange.status, 401);
}

/// Answers of a batch come in a file: what spoils bytes on their way spoils none of them.
#[tokio::test(start_paused = true)]
async fn what_befalls_bytes_on_their_way_befalls_no_request_of_a_batch() {
    for (fault, succeeds, spoiled) in [
        ("html", true, false),
        ("cut-mid-body", true, false),
        ("null-content", true, true),
        ("503", false, false),
    ] {
        let mut config = quick();
        config.rules = toml::from_str(&format!("[faults]\n{fault} = 1")).unwrap();
        let sim = Sim::new(config);
        let mut batches = Batches::of(&sim);
        let id = batches.create(&prompts(1)).await;
        wait(10).await;
        let expected = [0, u64::from(succeeds), u64::from(!succeeds), 0, 0];
        assert_eq!(counts(&batches.get(&id).await), expected, "{fault}");
        let last = sim.log().pop().unwrap();
        assert_eq!(
            (last.event, last.spoiled),
            (Event::Answer, spoiled),
            "{fault}"
        );
    }
}
