//! The arithmetic of progress by plain numbers, and how it is worded.

use super::*;
use forebay::limit::LimitedBy;

fn at(ok: u64) -> Snapshot {
    Snapshot {
        ok,
        items: Some(1000),
        input_tokens: ok * 90,
        output_tokens: ok * 10,
        cost: Usd::from_dollars(ok as f64 * 0.001).unwrap(),
        in_flight: 20,
        limit: 20,
        limited_by: Some(LimitedBy::Rpm),
        ..Snapshot::default()
    }
}

fn read(meter: &mut Meter, seconds: u64, snapshot: Snapshot) -> Reading {
    meter.read(Duration::from_secs(seconds), &snapshot)
}

#[test]
fn rates_look_at_the_recent_past_only() {
    let mut meter = Meter::new(Earlier::default(), true);
    for s in 1..=20 {
        read(&mut meter, s, at(s * 10));
    }
    let mut last = Reading::default();
    for s in 21..=40 {
        last = read(&mut meter, s, at(200 + (s - 20) * 2));
    }
    assert_eq!(last.rows_per_s, Some(2.0));
    assert_eq!(last.tokens_per_s, Some(200.0));
    assert_eq!(last.eta_s, Some(380.0));
    assert_eq!(last.pending, Some(760));
    assert_eq!(last.cost_usd, Usd::from_dollars(0.24));
    assert_eq!(last.projected_cost_usd, Usd::from_dollars(1.0));
}

#[test]
fn a_slow_run_looks_further_back_but_not_for_ever() {
    let mut meter = Meter::new(Earlier::default(), true);
    let mut last = Reading::default();
    for s in 1..=60 {
        last = read(&mut meter, s, at(s / 15));
    }
    assert_eq!(last.rows_per_s, Some(json_round(4.0 / 60.0)));
    for s in 61..=1000 {
        last = read(&mut meter, s, at(4));
    }
    assert_eq!((last.rows_per_s, last.eta_s), (Some(0.0), None));
    assert!(meter.samples.len() < 130);
}

#[test]
fn an_uncounted_input_has_no_forecast_and_kept_rows_no_rate() {
    let mut meter = Meter::new(Earlier::default(), false);
    let kept = Snapshot {
        items: None,
        kept: 500,
        ..at(0)
    };
    let reading = read(&mut meter, 5, kept);
    assert_eq!(reading.rows_per_s, Some(0.0));
    assert_eq!((reading.pending, reading.eta_s), (None, None));
    assert_eq!((reading.cost_usd, reading.projected_cost_usd), (None, None));
    assert_eq!(
        bar_line(&reading, 79),
        "500 rows  0.00 rows/s  cost unknown  20/20 rpm  0 tokens/s"
    );
}

#[test]
fn earlier_sessions_serve_until_rows_finish() {
    let earlier = Earlier {
        ok: 90,
        failed: 10,
        cost: Usd::from_dollars(1.0).unwrap(),
        wall: Duration::from_secs(50),
    };
    let mut meter = Meter::new(earlier, true);
    let reading = read(&mut meter, 0, Snapshot { kept: 100, ..at(0) });
    assert_eq!(reading.eta_s, Some(450.0));
    assert_eq!(reading.projected_cost_usd, Usd::from_dollars(10.0));
    let first = Meter::new(Earlier::default(), true).read(Duration::ZERO, &at(0));
    assert_eq!((first.eta_s, first.projected_cost_usd), (None, None));
    assert_eq!((first.rows_per_s, first.cost_usd), (None, Some(Usd::ZERO)));
}

#[test]
fn the_live_line_fits_and_drops_the_least_first() {
    let mut reading = Meter::new(Earlier::default(), true).read(Duration::from_secs(5), &at(250));
    reading.failed = 3;
    for (width, line) in [
        (
            90,
            "[=>   ]  250/1,000  3 failed  ETA 0:15  50.0 rows/s  $0.25→$1.00  20/20 rpm  \
             5.0k tokens/s",
        ),
        (
            79,
            "[=>   ] 250/1000 3 failed ETA 0:15 50.0 rows/s $0.25→$1.00 20/20 rpm 5.0k tok/s",
        ),
        (40, "[==>        ] 250/1000 3 failed ETA 0:15"),
        (12, "250/1000"),
    ] {
        assert_eq!(bar_line(&reading, width), line);
    }
    for width in 12..100 {
        assert!(bar_line(&reading, width).chars().count() <= width);
    }
}

#[test]
fn learnt_rates_are_shown_and_go_first_when_the_room_is_short() {
    let mut meter = Meter::new(Earlier::default(), true);
    let mut now = at(250);
    now.limited_by = Some(LimitedBy::Saturated);
    now.limits.rpm = Some(600.0);
    now.learnt.rpm = Some(1_176.0);
    now.learnt.tpm = Some(29_400.0);
    now.learnt.told = true;
    let reading = read(&mut meter, 5, now);
    assert_eq!((reading.rpm, reading.tpm), (Some(600.0), Some(29_400.0)));
    assert_eq!(reading.learnt.rpm, Some(1_176.0));
    let line = bar_line(&reading, 120);
    let end = "20/20 provider saturated  5.0k tokens/s  ≤1.2k rpm  ≤29k tpm";
    assert!(line.ends_with(end), "{line}");
    let line = bar_line(&reading, 79);
    assert!(line.contains("20/20 provider saturated"), "{line}");
    assert!(!line.contains("tpm"), "{line}");
    let line = plain_line(&reading);
    let middle = "20 of 20 in flight, provider saturated, at most 1,176 rpm, 29,400 \
                  tpm (told by the provider), ETA 15.0 s";
    assert!(line.ends_with(middle), "{line}");
}

#[test]
fn plain_lines_and_json_say_it_all() {
    let reading = Meter::new(Earlier::default(), true).read(Duration::from_secs(5), &at(250));
    assert_eq!(
        plain_line(&reading),
        "forebay: 250 of 1,000 done (25 %), 50.0 rows/s, 5,000 tokens/s, \
         cost $0.25 of $1.00 projected, 20 of 20 in flight, limited by rpm, ETA 15.0 s"
    );
    assert_eq!(
        serde_json::to_string(&reading).unwrap(),
        "{\"done\":250,\"ok\":250,\"failed\":0,\"kept\":0,\"pending\":750,\"items\":1000,\
         \"rows_per_s\":50.0,\"tokens_per_s\":5000.0,\"input_tokens\":22500,\
         \"output_tokens\":2500,\"cost_usd\":0.25,\"projected_cost_usd\":1.0,\
         \"in_flight\":20,\"limit\":20,\"rpm\":null,\"tpm\":null,\"itpm\":null,\"otpm\":null,\
         \"learnt\":{\"rpm\":null,\"tpm\":null,\"itpm\":null,\"otpm\":null,\"told\":false},\
         \"limited_by\":\"rpm\",\"eta_s\":15.0,\
         \"elapsed_s\":5.0}"
    );
}
