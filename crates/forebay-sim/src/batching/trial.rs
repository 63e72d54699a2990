//! A closed loop of clients against the scheduler alone.
//!
//! Owns the clients, the clock of the trial and what it measures. Never sleeps: the trial takes
//! no longer than its arithmetic.

use std::time::Duration;

use super::config::Batching;
use super::metrics::Finish;
use super::scheduler::{Progress, Request, Scheduler};

/// What the clients of a [`Trial`] ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Clients, each of which sends its next request when it has its answer.
    pub in_flight: usize,
    /// The mean tokens of a prompt.
    pub prompt_tokens: u64,
    /// The mean tokens of an answer.
    pub output_tokens: u64,
    /// How far lengths are drawn from their mean at the most, evenly, as a share of it; between
    /// 0 and 1.
    pub spread: f64,
    /// The answers that are measured, after two for each client that are not.
    pub answers: usize,
    /// Draws the lengths.
    pub seed: u64,
}

/// What a closed loop of clients saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    /// Output tokens of all clients together.
    pub tokens_per_second: f64,
    /// Times from request to last token, in rising order.
    pub latencies: Vec<Duration>,
    /// The longest time between two tokens of each answer, in rising order.
    pub pauses: Vec<Duration>,
    /// How often a running sequence lost its KV blocks.
    pub preemptions: u64,
    /// The highest share of KV blocks in use at the end of a step.
    pub kv_usage: f64,
    /// Requests that could never fit.
    pub refused: u64,
    /// The time that passed in the engine.
    pub lasted: Duration,
}

impl Trial {
    /// The latency that such a share of the answers does not exceed; zero without answers.
    pub fn latency(&self, share: f64) -> Duration {
        quantile(&self.latencies, share)
    }

    /// The pause that such a share of the answers does not exceed; zero without answers.
    pub fn pause(&self, share: f64) -> Duration {
        quantile(&self.pauses, share)
    }
}

/// The least of sorted values that such a share of them does not exceed.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    let value = sorted.get(rank.saturating_sub(1));
    value.copied().unwrap_or_default()
}

impl Batching {
    /// Runs a closed loop of clients against such an engine, without wire and without waiting.
    ///
    /// The same load gives the same trial. Prompts have nothing in common.
    pub fn trial(&self, load: &Load) -> Trial {
        let mut clients = Clients {
            scheduler: Scheduler::new(self.clone()),
            rng: fastrand::Rng::with_seed(load.seed),
            load: load.clone(),
            now: Duration::ZERO,
            trial: Trial::default(),
        };
        for _ in 0..load.in_flight {
            clients.send();
        }
        clients.answers(load.in_flight * 2);
        let before = (clients.now, clients.scheduler.metrics());
        clients.trial = Trial::default();
        clients.answers(load.answers);

        let after = clients.scheduler.metrics();
        let mut trial = clients.trial;
        trial.lasted = clients.now - before.0;
        trial.preemptions = after.preemptions - before.1.preemptions;
        let tokens = after.generation_tokens - before.1.generation_tokens;
        let seconds = trial.lasted.as_secs_f64();
        trial.tokens_per_second = if tokens == 0 {
            0.0
        } else {
            tokens as f64 / seconds
        };
        trial.latencies.sort_unstable();
        trial.pauses.sort_unstable();
        trial
    }
}

struct Clients {
    scheduler: Scheduler,
    rng: fastrand::Rng,
    load: Load,
    now: Duration,
    trial: Trial,
}

impl Clients {
    fn draw(&mut self, mean: u64) -> u64 {
        let most = (mean as f64 * self.load.spread.clamp(0.0, 1.0)) as u64;
        self.rng.u64(mean - most..=mean + most)
    }

    fn send(&mut self) {
        let request = Request {
            prompt: self.draw(self.load.prompt_tokens),
            hashes: Vec::new(),
            output: self.draw(self.load.output_tokens),
            finish: Finish::Stop,
        };
        if self.scheduler.submit(request, self.now).is_err() {
            self.trial.refused += 1;
        }
    }

    /// Steps until so many answers are whole, and sends a new request for each.
    fn answers(&mut self, count: usize) {
        let mut progress = Progress::default();
        while self.trial.latencies.len() < count {
            let Some(step) = self.scheduler.begin(self.now) else {
                return;
            };
            self.now += step;
            self.scheduler.end(self.now, &mut progress);
            let usage = self.scheduler.kv_usage();
            self.trial.kv_usage = self.trial.kv_usage.max(usage);
            for slot in progress.ended.drain(..) {
                if let Some(entry) = self.scheduler.entry(slot) {
                    self.trial.latencies.push(self.now - entry.arrived);
                    self.trial.pauses.push(entry.pause);
                }
                self.scheduler.release(slot);
                self.send();
            }
        }
    }
}

#[cfg(test)]
mod tests;
