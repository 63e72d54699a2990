//! How many tokens an attempt is going to take.
//!
//! Owns what was learnt from the usage of earlier answers: what requests of one kind use on the
//! average (`groups.rs`), and how far the sums of such expectations are off (`sums.rs`). Never
//! charges anything; the rates do.
//!
//! ```text
//! sketch of a request ─► estimate ─► reservation ─► attempt ─► usage ─► learn
//!                          └─ average of its kind × level that sums need
//! ```

mod groups;
mod sums;
#[cfg(test)]
mod tests;
mod text;

use groups::Groups;
use sums::Sums;
pub use text::input_tokens_of;

use super::Need;
use crate::money::Usd;
use crate::outcome::Usage;

/// What is known of a request before it is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sketch {
    /// What it has in common with others, as a hash: model, system prompt, cap.
    pub template: u64,
    /// Input tokens by rule of thumb.
    pub guess: f64,
    /// The most output tokens that it asks for, when it says.
    pub most_output: Option<u64>,
}

impl Sketch {
    /// The kind of the request: its template and how long it is, in powers of two.
    fn kind(&self) -> u64 {
        let length = self.guess.max(1.0).log2() as u64;
        self.template ^ length.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// What an attempt is expected to take.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    kind: u64,
    guess: f64,
    /// Averages of its kind, before the level is applied.
    input_mean: f64,
    output_mean: f64,
    /// Input tokens to set aside.
    pub input_tokens: u64,
    /// Output tokens to set aside: at most what the request asks for.
    pub output_tokens: u64,
    most_output: Option<u64>,
}

impl Estimate {
    /// What the limiter is asked for, where the provider charges the cap on output at once or not.
    pub fn need(&self, charges_cap: bool, worst_cost: Option<Usd>) -> Need {
        let cap = self.most_output.filter(|_| charges_cap);
        Need {
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            reserved_output: cap.unwrap_or(self.output_tokens),
            worst_cost,
        }
    }
}

/// Expected tokens, learnt from the usage of earlier answers.
///
/// What is set aside for one attempt is no bound of what it uses: the sum over the attempts in
/// flight is meant to be what they use together, and as much more as such sums were off before.
#[derive(Debug, Default)]
pub struct Estimator {
    groups: Groups,
    input: Sums,
    output: Sums,
}

impl Estimator {
    /// What an attempt at this request is expected to take.
    pub fn estimate(&self, request: &Sketch) -> Estimate {
        let kind = request.kind();
        let most = request
            .most_output
            .map_or(f64::INFINITY, |most| most as f64);
        let input_mean = self.groups.input(kind, request.guess);
        let output_mean = self.groups.output(kind).min(most);
        let tokens = |mean: f64, level: f64| (mean * level).ceil().max(1.0);
        Estimate {
            kind,
            guess: request.guess,
            input_mean,
            output_mean,
            input_tokens: tokens(input_mean, self.input.level()) as u64,
            output_tokens: tokens(output_mean, self.output.level()).min(most) as u64,
            most_output: request.most_output,
        }
    }

    /// Expected input tokens of requests that were guessed at `guess` together.
    pub fn input(&self, guess: f64) -> u64 {
        (guess * self.groups.input_ratio()).ceil().max(1.0) as u64
    }

    /// Learns from the answer to an attempt that was estimated so.
    pub fn learn(&mut self, estimate: &Estimate, usage: &Usage) {
        let (input, output) = (usage.input_tokens as f64, usage.output_tokens as f64);
        // Some providers tell output alone.
        let is_told = estimate.guess > 0.0 && usage.input_tokens > 0;
        if is_told {
            self.input.note(estimate.input_mean, input);
        }
        self.output.note(estimate.output_mean, output);
        let input = is_told.then_some((estimate.guess, input));
        self.groups.learn(estimate.kind, input, output);
    }
}
