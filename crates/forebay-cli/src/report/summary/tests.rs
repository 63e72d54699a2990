//! Closing summaries as people see them, whole.

use super::*;
use forebay::config::Limits;
use forebay::event::{Event, Finished};
use forebay::limit::{InForce, LearntRates, LimitedBy};
use forebay::outcome::{Failure, FailureKind, Usage};

fn summary(ok: u64, failed: u64) -> Summary {
    Summary {
        ok,
        failed,
        items: ok + failed,
        input_ended: true,
        attempts: ok + failed,
        usage: Usage {
            input_tokens: 31_204,
            output_tokens: 1904,
            ..Usage::default()
        },
        cost: Usd::from_picos(42_100_000_000),
        wall: Duration::from_millis(12_400),
        ..Summary::default()
    }
}

fn failed_rows(tally: &mut Tally, kind: FailureKind, ids: &[&str], message: &str) {
    for id in ids {
        let mut failure = Failure::new(kind, message);
        failure.status = Some(500);
        tally.note(&Event::RowFinished(&Finished {
            id,
            failure: Some(&failure),
            cut: false,
            usage: None,
            cost: None,
            duration: None,
            attempts: 1,
        }));
    }
}

fn closing<'a>(summary: &'a Summary, tally: &'a Tally, earlier: &'a Totals) -> Closing<'a> {
    Closing {
        summary,
        unserved: None,
        tally,
        earlier,
        price_known: true,
        price_date: "2026-11-20",
        files: &[],
        next: None,
        simulated: false,
        items: None,
    }
}

#[test]
fn a_run_without_failures_is_short() {
    let (mut summary, tally, earlier) = (summary(500, 0), Tally::default(), Totals::default());
    summary.limited = vec![(LimitedBy::Concurrency, Duration::from_millis(11_400))];
    let files = [("rows".to_owned(), PathBuf::from("results.jsonl"))];
    let mut closing = closing(&summary, &tally, &earlier);
    closing.files = &files;
    assert_eq!(
        text(&closing),
        "\
forebay: 500 ok of 500 items in 12.4 s (40.3 rows/s)
  tokens    31,204 in (0 cached), 1,904 out
  cost      $0.0421 (estimate, prices of 2026-11-20)
  limited   concurrency 92 %
  wrote     results.jsonl
"
    );
    closing.simulated = true;
    assert!(text(&closing).contains("if it were real"));
    closing.price_known = false;
    assert!(text(&closing).contains("  cost      cost unknown: no price for this model\n"));
}

#[test]
fn the_limits_that_were_found_are_told() {
    let (mut summary, tally, earlier) = (summary(500, 0), Tally::default(), Totals::default());
    let told = |summary: &Summary| {
        let text = text(&closing(summary, &tally, &earlier));
        let line = text.lines().find(|line| line.starts_with("  limit  "));
        line.map(|line| line.trim_start_matches("  limit     ").to_owned())
    };
    let mut now = InForce {
        concurrency: Concurrency::DEFAULT,
        limit: 64,
        in_flight: 0,
        limits: Limits::default(),
        target_utilization: 1.0,
        learnt: LearntRates::default(),
    };
    summary.in_force = Some(now);
    assert_eq!(told(&summary), None, "nothing was limited");
    let second = Duration::from_secs(1);
    summary.limited = vec![(LimitedBy::Ramp, second)];
    assert_eq!(told(&summary).unwrap(), "64 in flight (still growing)");
    summary.limited.push((LimitedBy::Saturated, second));
    assert_eq!(told(&summary).unwrap(), "64 in flight (found)");
    now.learnt.rpm = Some(1_200.0);
    now.learnt.told = true;
    summary.in_force = Some(now);
    assert_eq!(
        told(&summary).unwrap(),
        "64 in flight (found), 1,200 rpm (told by the provider)"
    );
    now.concurrency = Concurrency::Fixed(std::num::NonZeroUsize::MIN);
    summary.in_force = Some(now);
    assert_eq!(
        told(&summary).unwrap(),
        "1,200 rpm (told by the provider)",
        "a number that was given is no finding"
    );
    now.limit = Concurrency::MOST.get();
    now.concurrency = Concurrency::DEFAULT;
    now.learnt = LearntRates::default();
    summary.in_force = Some(now);
    summary.limited.push((LimitedBy::Concurrency, second));
    assert_eq!(
        told(&summary).unwrap(),
        "2,000 in flight (the most that was allowed)"
    );
    let json = json(&closing(&summary, &tally, &earlier));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let limits = &json["session"]["limits"];
    assert_eq!(limits["concurrency"], "auto:2000");
    assert_eq!(limits["limit"], 2_000);
    assert!(limits["learnt"]["rpm"].is_null());
}

#[test]
fn failures_come_with_an_example_each() {
    let (mut summary, mut tally) = (summary(497, 3), Tally::default());
    failed_rows(
        &mut tally,
        FailureKind::ServerError,
        &["item-17", "item-9"],
        "broke\nhere",
    );
    failed_rows(
        &mut tally,
        FailureKind::BadRequest,
        &["item-203"],
        &"ä".repeat(99),
    );
    summary.failed_attempts = vec![
        (FailureKind::RateLimited, 18),
        (FailureKind::ServerError, 6),
    ];
    (summary.attempts, summary.maybe_billed, summary.cost_unknown) = (521, 2, 1);
    let earlier = Totals::default();
    let mut closing = closing(&summary, &tally, &earlier);
    closing.next = Some("forebay run in.txt --retry-failed".into());
    let text = text(&closing);
    assert_eq!(
        text,
        format!(
            "\
forebay: 497 ok, 3 failed of 500 items in 12.4 s (40.3 rows/s)
  failed    2 server_error  e.g. item-17: HTTP 500: broke\\nhere
            1 bad_request   e.g. item-203: HTTP 500: {}…
  tokens    31,204 in (0 cached), 1,904 out
  cost      $0.0421 (estimate, prices of 2026-11-20), unknown for 1 row
  attempts  521: 24 failed (18 rate_limited, 6 server_error), 2 may have been
            billed without an answer
  go on     forebay run in.txt --retry-failed
",
            "ä".repeat(26)
        )
    );
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
}

#[test]
fn a_refused_key_says_what_to_check_and_what_is_left() {
    let (mut summary, tally, earlier) = (Summary::default(), Tally::default(), Totals::default());
    summary.stopped = Some(StopReason::Auth);
    let mut example = Failure::new(FailureKind::Auth, "incorrect API key");
    example.status = Some(401);
    summary.stop_example = Some(example);
    (summary.items, summary.pending, summary.attempts) = (40, 40, 20);
    summary.wall = Duration::from_millis(310);
    let mut closing = closing(&summary, &tally, &earlier);
    let head = "\
forebay: stopped: the API key is refused
  because   HTTP 401: incorrect API key
  hint      check the API key: its environment variable, --api-key-env or
            --api-key-file
  done      0 ok in 0.31 s
";
    let unknown = "  pending   40 items and the rest of the input\n";
    assert_eq!(text(&closing), format!("{head}{unknown}"));
    closing.items = Some(500);
    assert_eq!(
        text(&closing),
        format!("{head}  pending   500 of 500 items\n")
    );
}

#[test]
fn a_resumed_run_tells_now_from_earlier() {
    let (mut summary, tally) = (summary(380, 0), Tally::default());
    (summary.items, summary.kept) = (500, (118, 2));
    let earlier = Totals {
        started: Some(1_790_000_000.0),
        ok: 118,
        failed: [("bad_request".to_owned(), 2)].into(),
        usage: summary.usage,
        cost: summary.cost,
        wall_s: 60.0,
        ..Totals::default()
    };
    let mut closing = closing(&summary, &tally, &earlier);
    assert_eq!(
        text(&closing),
        "\
forebay: 498 ok, 2 failed of 500 items, 380 of them now in 12.4 s (30.6 rows/s)
  tokens    31,204 in (0 cached), 1,904 out
  cost      $0.0421 (estimate, prices of 2026-11-20)
  kept      120 rows from earlier sessions, 2 of them failed
  total     all sessions: 498 ok, 2 failed; 62,408 tokens in, 3,808 out;
            $0.0842; 1 min 12 s
"
    );
    closing.items = Some(500);
    let json: serde_json::Value = serde_json::from_str(&json(&closing)).unwrap();
    assert_eq!(json["total"]["ok"], 498);
    assert_eq!(json["total"]["cost_usd"], 0.0842);
    assert_eq!(json["session"]["ok"], 380);
    assert_eq!(json["session"]["kept_failed"], 2);
    assert_eq!(json["pending"], 0);
    assert!(json["stopped"].is_null());
}
