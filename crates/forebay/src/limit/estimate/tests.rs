//! Estimates by plain numbers: what is set aside for attempts in flight, against what they use.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// Attempts whose sums are compared.
const WINDOW: usize = 64;

fn used(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    }
}

fn sketch(template: u64, guess: f64) -> Sketch {
    Sketch {
        template,
        guess,
        most_output: None,
    }
}

/// Teaches answers of this usage to requests of this sketch.
fn teach(estimator: &mut Estimator, request: &Sketch, usage: &Usage, times: usize) {
    for _ in 0..times {
        let estimate = estimator.estimate(request);
        estimator.learn(&estimate, usage);
    }
}

/// What is set aside for output over what is used, for each window of attempts after the first
/// answers, with so many in flight. They end in the order in which they were sent.
fn shares(lengths: &[u64], in_flight: usize) -> Vec<f64> {
    let mut estimator = Estimator::default();
    let mut flying: VecDeque<(Estimate, u64)> = VecDeque::new();
    let mut sent: Vec<(u64, u64)> = Vec::new();
    for length in lengths {
        if flying.len() == in_flight {
            let (estimate, length) = flying.pop_front().unwrap();
            estimator.learn(&estimate, &used(100, length));
        }
        let estimate = estimator.estimate(&sketch(1, 100.0));
        sent.push((estimate.output_tokens, *length));
        flying.push_back((estimate, *length));
    }
    let settled = in_flight + WINDOW;
    let windows = sent[settled..].windows(WINDOW);
    windows
        .map(|window| {
            let reserved: u64 = window.iter().map(|(reserved, _)| reserved).sum();
            let used: u64 = window.iter().map(|(_, used)| used).sum();
            reserved as f64 / used as f64
        })
        .collect()
}

/// The shares at these parts of all windows, smallest first.
fn parts<const N: usize>(mut shares: Vec<f64>, at: [f64; N]) -> [f64; N] {
    shares.sort_by(f64::total_cmp);
    at.map(|part| shares[((shares.len() - 1) as f64 * part) as usize])
}

/// Lengths with a median of 180 tokens and at most 8,000, as answers of chats are spread.
fn log_normal(seed: u64, spread: f64, n: usize) -> Vec<u64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut next = || {
        // Twelve even numbers add up to a normal one.
        let normal: f64 = (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
        (180.0 * (spread * normal).exp()).ceil().min(8_000.0) as u64
    };
    (0..n).map(|_| next()).collect()
}

#[test]
fn equal_answers_are_set_aside_to_the_token() {
    let shares = shares(&[100; 2_000], 64);
    // The first guess was twice as much, and is forgotten.
    let [first] = parts(shares[64..].to_vec(), [1.0]);
    assert!((1.0..1.15).contains(&first), "{first}");
    let [late] = parts(shares[1_000..].to_vec(), [1.0]);
    assert!((1.0..=1.01).contains(&late), "{late}");
}

#[test]
fn before_anything_was_learnt_a_usual_answer_is_expected() {
    let estimator = Estimator::default();
    let estimate = |most_output| {
        let request = Sketch {
            most_output,
            ..sketch(1, 10.0)
        };
        estimator.estimate(&request)
    };
    assert_eq!(estimate(None).output_tokens, 200);
    assert_eq!(estimate(None).input_tokens, 10);
    assert_eq!(estimate(Some(16)).output_tokens, 16);
    assert_eq!(estimate(Some(0)).output_tokens, 0);
}

#[test]
fn input_follows_the_real_tokens_of_a_guess() {
    let mut estimator = Estimator::default();
    teach(&mut estimator, &sketch(1, 100.0), &used(150, 10), 200);
    let input = |guess| estimator.estimate(&sketch(1, guess)).input_tokens;
    // A token more, for the margin that the first guesses asked for.
    assert_eq!(input(100.0), 151);
    // Another length is another kind, of which only the ratio of all is known.
    assert_eq!(input(10.0), 16);
    assert_eq!(estimator.input(20.0), 30);
}

#[test]
fn answers_of_a_cap_of_nothing_and_without_input_teach_nothing_wrong() {
    let mut estimator = Estimator::default();
    let vectors = Sketch {
        most_output: Some(0),
        ..sketch(1, 100.0)
    };
    teach(&mut estimator, &vectors, &used(120, 0), 100);
    let estimate = estimator.estimate(&vectors);
    assert!((120..125).contains(&estimate.input_tokens));
    assert_eq!(estimate.output_tokens, 0);
    teach(&mut estimator, &vectors, &used(0, 0), 1_000);
    let same = estimator.estimate(&vectors).input_tokens;
    assert_eq!(same, estimate.input_tokens);
}

#[test]
fn each_prompt_has_its_own_length() {
    let mut estimator = Estimator::default();
    let (labels, essays) = (sketch(1, 100.0), sketch(2, 100.0));
    for _ in 0..400 {
        teach(&mut estimator, &labels, &used(100, 5), 1);
        teach(&mut estimator, &essays, &used(100, 2_000), 1);
    }
    let output = |request| estimator.estimate(request).output_tokens;
    assert!((5..80).contains(&output(&labels)), "{}", output(&labels));
    let long = output(&essays);
    assert!((1_900..2_200).contains(&long), "{long}");
    // Of a prompt that was never met, what all have together is expected.
    let other = output(&sketch(3, 100.0));
    assert!((800..1_300).contains(&other), "{other}");
}

#[test]
fn a_thousand_prompts_take_no_more_room_than_sixty_four() {
    let mut estimator = Estimator::default();
    let regular = sketch(u64::MAX, 100.0);
    teach(&mut estimator, &regular, &used(100, 900), 50);
    for template in 0..1_000 {
        teach(&mut estimator, &sketch(template, 100.0), &used(100, 10), 1);
        teach(&mut estimator, &regular, &used(100, 900), 1);
    }
    assert_eq!(estimator.groups.len(), 64);
    let output = |request| estimator.estimate(request).output_tokens;
    let (kept, new) = (output(&regular), output(&sketch(2_000, 100.0)));
    assert!(10 * kept > 19 * new, "{kept} and {new}");
    // Half of the requests are new ones of which too much is expected: the sum is what counts.
    assert!((910..1_100).contains(&(kept + new)), "{kept} and {new}");
}

/// What a window sets aside is within a quarter below and three quarters above what it uses, nine
/// times in ten: sixty-four such lengths are themselves off their mean by a sixth, in either way.
#[test]
fn log_normal_answers_even_out() {
    for in_flight in [16, 64, 256] {
        let [low, middle, high] = parts(
            shares(&log_normal(7, 1.0, 20_000), in_flight),
            [0.05, 0.5, 0.95],
        );
        assert!(low > 0.75, "{in_flight}: {low}");
        assert!((1.0..1.25).contains(&middle), "{in_flight}: {middle}");
        assert!(high < 1.75, "{in_flight}: {high}");
    }
}

#[test]
fn answers_of_two_lengths_even_out() {
    let mut rng = fastrand::Rng::with_seed(3);
    let lengths: Vec<u64> = (0..20_000)
        .map(|_| if rng.bool() { 10 } else { 1_000 })
        .collect();
    let [low, middle, high] = parts(shares(&lengths, 64), [0.05, 0.5, 0.95]);
    assert!(low > 0.85, "{low}");
    assert!((1.0..1.2).contains(&middle), "{middle}");
    assert!(high < 1.6, "{high}");
}

/// Sorted by length is the worst case: every answer is longer than those before it, and what is in
/// flight longer still. Nine windows in ten are set aside within a tenth below and a third above
/// what they use. The first ones, for which two hundred tokens a piece are a wrong guess, and the
/// last, in which the few longest stand, are a third at the least.
#[test]
fn ascending_answers_are_kept_up_with() {
    let mut lengths = log_normal(7, 1.0, 4_000);
    lengths.sort_unstable();
    for in_flight in [16, 64] {
        let shares = shares(&lengths, in_flight);
        let [low, middle, high, most] = parts(shares.clone(), [0.05, 0.5, 0.95, 1.0]);
        assert!(low > 0.85, "{in_flight}: {low}");
        assert!((0.97..1.05).contains(&middle), "{in_flight}: {middle}");
        assert!(high < 1.35, "{in_flight}: {high}");
        assert!(most < 1.5, "{in_flight}: {most}");
        let [least] = parts(shares[2 * WINDOW..].to_vec(), [0.0]);
        assert!(least > 0.33, "{in_flight}: {least}");
    }
}

/// Ten times the length is expected two windows after the first such answer, then too much for a
/// while, and no more after a thousand answers.
#[test]
fn a_change_of_length_is_learnt_in_two_windows() {
    let lengths: Vec<u64> = [[100; 2_000], [1_000; 2_000]].concat();
    let shares = shares(&lengths, 64);
    let after = 2_000 - (64 + WINDOW) + 2 * WINDOW;
    assert!(shares[after] > 0.9, "{}", shares[after]);
    let [most] = parts(shares[after..].to_vec(), [1.0]);
    assert!(most < 3.5, "{most}");
    let [late] = parts(shares[after + 900..].to_vec(), [1.0]);
    assert!((1.0..1.05).contains(&late), "{late}");
}

proptest! {
    /// Whatever was learnt, what is set aside is some number of tokens within the cap and within
    /// a few times of what answers really used.
    #[test]
    fn estimates_stay_within_reason(
        lengths in prop::collection::vec((0u64..1 << 40, 0u64..1 << 40, 0.0f64..1e9, 0u64..80), 1..300),
        cap in prop::option::of(0u64..100_000),
    ) {
        let mut estimator = Estimator::default();
        let longest = lengths.iter().map(|(_, output, ..)| *output).max().unwrap();
        for (input, output, guess, template) in lengths {
            let request = Sketch { template, guess, most_output: cap };
            let estimate = estimator.estimate(&request);
            prop_assert!(estimate.input_tokens >= 1);
            prop_assert!(cap.is_none_or(|cap| estimate.output_tokens <= cap));
            prop_assert!(estimate.output_tokens <= 5 * longest.max(200) + 1);
            estimator.learn(&estimate, &used(input, output));
        }
    }

    /// Of independent lengths, however they are spread, no more is set aside over a long time than
    /// the margin asks for, and no less than is used.
    #[test]
    fn independent_lengths_are_met_on_the_whole(seed in 0u64..200, spread in 0.0f64..1.2) {
        let shares = shares(&log_normal(seed, spread, 4_000), 64);
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        prop_assert!((0.97..1.45).contains(&mean), "{mean}");
    }
}
