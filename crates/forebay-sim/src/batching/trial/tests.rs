//! What the engine must show: the shapes of its curves.

use super::*;

fn trial(in_flight: usize) -> Trial {
    Batching::default().trial(&Load {
        in_flight,
        prompt_tokens: 500,
        output_tokens: 500,
        spread: 0.1,
        answers: 200.max(in_flight * 3),
        seed: 1,
    })
}

#[test]
fn throughput_grows_nearly_linearly_and_then_saturates() {
    let [one, two, four, sixty_four, full, twice] =
        [1, 2, 4, 64, 192, 384].map(|in_flight| trial(in_flight).tokens_per_second);
    assert!(two / one > 1.8 && four / one > 3.2, "{one} {two} {four}");
    assert!(sixty_four / one < 20.0, "{one} {sixty_four}");
    assert!((0.95..1.05).contains(&(twice / full)), "{full} {twice}");
}

#[test]
fn the_slowest_answers_take_a_leap_when_the_kv_cache_runs_out() {
    let [roomy, full] = [144, 224].map(trial);
    assert_eq!(roomy.preemptions, 0);
    assert!(full.preemptions > 50 && full.kv_usage > 0.99, "{full:?}");
    let [typical, slowest] = [0.5, 0.99]
        .map(|share| full.latency(share).as_secs_f64() / roomy.latency(share).as_secs_f64());
    assert!(typical < 1.4 && slowest > 1.6, "{typical} {slowest}");
    // Who is preempted stops in the middle of the answer.
    assert!(full.pause(0.99) > roomy.pause(0.99) * 20);
    assert!(full.pause(0.5) < roomy.pause(0.5) * 3);
}

#[test]
fn the_same_load_gives_the_same_trial() {
    assert_eq!(trial(200), trial(200));
    assert_eq!(trial(5).latencies.len(), 200);
}

#[test]
fn an_engine_that_can_hold_nothing_refuses_everything() {
    let tiny = Batching {
        kv_blocks: 4,
        ..Batching::default()
    };
    let trial = tiny.trial(&Load {
        in_flight: 3,
        prompt_tokens: 1000,
        output_tokens: 10,
        spread: 0.5,
        answers: 5,
        seed: 1,
    });
    assert_eq!(
        (trial.latencies.len(), trial.latency(0.99)),
        (0, Duration::ZERO)
    );
}
