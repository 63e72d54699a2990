use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use forebay_sim::faults::Rules;
use forebay_sim::{Config, Dialect, Event, Sim};

use crate::client::{Client, body, post, quick, raw_post, say};

fn ruled(toml: &str) -> Sim {
    Sim::new(Config {
        rules: Rules::parse(Path::new("test"), toml).expect("sound rules"),
        ..quick()
    })
}

/// The statuses of these prompts, one after the other on one connection.
async fn statuses(sim: &Sim, prompts: &[&str]) -> Vec<u16> {
    let mut client = Client::connect(sim);
    let mut statuses = Vec::new();
    for prompt in prompts {
        statuses.push(client.ask(say(prompt)).await.status);
    }
    statuses
}

#[tokio::test(start_paused = true)]
async fn a_models_name_strikes_each_time_or_so_often() {
    let sim = Sim::new(quick());
    let ask = |model: &str, prompt: &str| {
        let body = body(prompt, 5).replace("\"m\"", &format!("{model:?}"));
        post(Dialect::OpenAi, &body)
    };
    let mut client = Client::connect(&sim);
    for (model, prompt, status) in [
        ("fault-529", "a", 529),
        ("fault-529", "a", 529),
        ("sim/fault-529:1", "a", 529),
        ("sim/fault-529:1", "b", 529),
        ("sim/fault-529:1", "a", 200),
        ("my-fault-529", "a", 200),
        ("fault-529x", "a", 404),
        ("fault-", "a", 404),
    ] {
        let answer = client.ask(ask(model, prompt)).await;
        assert_eq!(answer.status, status, "{model}");
    }
    let answer = client.ask(ask("fault-cut-after-x-bytes", "a")).await;
    assert_eq!(answer.json()["error"]["code"], "model_not_found");
    let said = answer.json()["error"]["message"].to_string();
    assert!(said.contains("cut-after-N-bytes"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn the_first_rule_that_holds_decides() {
    let sim = ruled(
        r#"
        [[rule]]
        prompt = "poison"
        attempt = "1..2"
        fault = "500"

        [[rule]]
        prompt-is = "b poison"
        fault = "529"

        [[rule]]
        row = 4
        attempt = 1
        reply = { status = 418, headers = { x-a = ["1", "2"] }, body = "tea" }

        [[rule]]
        request = "every 9"
        answer = "nine"
        "#,
    );
    let prompts = ["a", "a poison", "b poison", "a poison", "a poison"];
    assert_eq!(statuses(&sim, &prompts).await, [200, 500, 500, 500, 200]);
    assert_eq!(statuses(&sim, &["b poison", "b poison"]).await, [500, 529]);
    let mut client = Client::connect(&sim);
    let tea = client.ask(say("fourth")).await;
    assert_eq!((tea.status, &*tea.body), (418, &b"tea"[..]));
    let values: Vec<&str> = tea
        .headers
        .iter()
        .filter(|(name, _)| name == "x-a")
        .map(|(_, value)| &**value)
        .collect();
    assert_eq!(values, ["1", "2"]);
    assert_eq!(client.ask(say("fourth")).await.text(), "nine");
    assert_eq!(client.ask(say("fourth")).await.text(), "fourth");
    let log = sim.log();
    let fault = |n: usize| log[2 * n].fault.as_deref();
    assert_eq!(
        (fault(0), fault(1), fault(7)),
        (None, Some("500"), Some("reply"))
    );
}

#[tokio::test(start_paused = true)]
async fn rules_know_time_number_dialect_and_connection() {
    let sim = ruled(
        r#"
        [[rule]]
        from = 10
        until = "20s"
        fault = "503"

        [[rule]]
        dialect = "anthropic"
        operation = "messages"
        model = "m*"
        times = 2
        fault = "529"

        [[rule]]
        connection = "4.."
        nth-on-connection = 2
        streamed = false
        fault = "504"
        "#,
    );
    assert_eq!(statuses(&sim, &["a"]).await, [200]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(statuses(&sim, &["a"]).await, [503]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut client = Client::connect(&sim);
    for status in [529, 529, 200] {
        let request = post(Dialect::Anthropic, &body("a", 5));
        assert_eq!(client.ask(request).await.status, status);
    }
    assert_eq!(statuses(&sim, &["a", "b", "c"]).await, [200, 504, 200]);
}

#[tokio::test(start_paused = true)]
async fn raw_bytes_shapes_and_delays_are_orders() {
    let sim = ruled(
        r#"
        [[rule]]
        prompt = "raw"
        raw = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx"

        [[rule]]
        prompt = "half"
        shape = { cut-body = 0.5, reset = true }

        [[rule]]
        prompt = "slow"
        delay = "7s"

        [[rule]]
        prompt = "drip"
        shape = { drip-every = "1s", drip-bytes = 100 }
        "#,
    );
    let mut client = Client::connect(&sim);
    client.send(say("raw")).await;
    let raw = client.rest().await;
    assert!(raw.ends_with(b"content-length: 1\r\ncontent-length: 2\r\n\r\nx"));
    let mut client = Client::connect(&sim);
    client.send(say("half")).await;
    let half = String::from_utf8(client.rest().await).unwrap();
    assert!(
        half.contains("\"id\"") && !half.contains("service_tier"),
        "{half}"
    );
    let begun = tokio::time::Instant::now();
    assert_eq!(statuses(&sim, &["slow"]).await, [200]);
    assert_eq!(begun.elapsed(), Duration::from_secs(7));
    assert_eq!(statuses(&sim, &["drip"]).await, [200]);
    assert!(begun.elapsed() > Duration::from_secs(14));
    let faults = |record: forebay_sim::LogRecord| record.fault;
    let named: Vec<String> = sim.log().into_iter().filter_map(faults).collect();
    assert_eq!(named, ["raw", "raw", "shape", "shape", "shape", "shape"]);
}

#[tokio::test(start_paused = true)]
async fn raw_files_are_read_beside_the_script() {
    let folder = std::env::temp_dir().join(format!("forebay-rules-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = folder.join("script.toml");
    std::fs::write(&script, "[[rule]]\nraw-file = \"raw.bin\"\n").unwrap();
    let missing = Rules::read(&script).unwrap_err();
    assert!(missing.file.ends_with("raw.bin"), "{missing}");
    std::fs::write(folder.join("raw.bin"), b"\xFF\x00no http").unwrap();
    let rules = Rules::read(&script).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let sim = Sim::new(Config { rules, ..quick() });
    let mut client = Client::connect(&sim);
    client.send(say("x")).await;
    assert_eq!(client.rest().await, b"\xFF\x00no http");
}

const SHARES: &str = r#"
    [faults]
    503 = 0.1
    "529:1" = 0.1

    [[rule]]
    prompt = "7"
    probability = 0.5
    fault = "500"
"#;

/// What strikes each of 600 prompts, sent in this order, twice each.
async fn strikes(seed: u64, order: impl Iterator<Item = u32>) -> BTreeMap<(u32, u32), u16> {
    let rules = Rules::parse(Path::new("test"), SHARES).unwrap();
    let sim = Sim::new(Config {
        seed,
        rules,
        ..quick()
    });
    let mut client = Client::connect(&sim);
    let mut struck = BTreeMap::new();
    for n in order {
        for attempt in 1..=2 {
            let status = client.ask(say(&format!("row {n}"))).await.status;
            struck.insert((n, attempt), status);
        }
    }
    struck
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_strikes_the_same_rows_whatever_their_order() {
    let struck = strikes(1, 0..600).await;
    assert_eq!(strikes(1, (0..600).rev()).await, struck);
    assert_ne!(strikes(2, 0..600).await, struck);
    let of = |status, attempt| {
        let of = struck
            .iter()
            .filter(|((_, a), s)| *a == attempt && **s == status);
        of.count()
    };
    // A tenth of what the rule leaves of 600 rows is about 56.
    for (status, attempt, expected) in [(503, 1, 56), (503, 2, 56), (529, 1, 56), (529, 2, 0)] {
        let got = of(status, attempt);
        assert!(got.abs_diff(expected) < 25, "{status} {attempt}: {got}");
    }
    let is_seven = |n: u32| n.to_string().contains('7');
    let sevens = (0..600).filter(|n| is_seven(*n)).count();
    assert!(
        of(500, 1).abs_diff(sevens / 2) < 20,
        "{} of {sevens}",
        of(500, 1)
    );
    assert!(
        struck
            .iter()
            .all(|((n, _), status)| *status != 500 || is_seven(*n))
    );
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_struck_by_chance_is_logged_under_the_faults_name() {
    let sim = ruled("[faults]\nempty-body = 1\n");
    assert_eq!(statuses(&sim, &["a"]).await, [200]);
    let log = sim.log();
    let told = |n: usize| (log[n].event, log[n].fault.as_deref(), log[n].spoiled);
    assert_eq!(told(0), (Event::Request, Some("empty-body"), true));
    assert_eq!(told(1), (Event::Answer, Some("empty-body"), true));
    let mut client = Client::connect(&sim);
    let unkeyed = raw_post("/v1/chat/completions", "", &body("a", 5));
    assert_eq!(client.ask(unkeyed).await.status, 401);
}
