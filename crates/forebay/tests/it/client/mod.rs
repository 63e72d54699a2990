//! The client: calls, streams, batches and their limits, against the simulator in paused time.

mod calls;
mod closing;
mod embed;
mod limits;
mod many;
mod places;
mod random;
mod streams;
mod threads;

use std::time::Duration;

use forebay::client::ClientBuilder;
use forebay::transport::{Connector, MemoryConnector};
use forebay::{Client, Failure, Reply};
use forebay_sim::{Answers, Config, Event, Latency, Sim};
use tokio::time::Instant;

/// A model of the OpenAI dialect.
const GPT: &str = "gpt-4o-mini";
/// A model of the Anthropic dialect.
const CLAUDE: &str = "claude-haiku-4-5";
/// A model of the Gemini dialect.
const GEMINI: &str = "gemini-2.5-flash";

/// A simulator that answers with what it is asked, after half a second.
fn config() -> Config {
    Config {
        latency: Latency::Fixed(Duration::from_millis(500)),
        answers: Answers::Echo,
        keep_log: true,
        log_prompts: true,
        ..Config::default()
    }
}

/// The way to a simulator over pipes in memory.
fn connector(sim: &Sim) -> Connector {
    let server = sim.clone();
    Connector::Memory(MemoryConnector::new(move |pipe| {
        let server = server.clone();
        tokio::spawn(async move { server.serve_connection(pipe).await });
    }))
}

/// A client's settings with every dialect at the simulator.
fn builder(sim: &Sim) -> ClientBuilder {
    Client::builder()
        .connector(connector(sim))
        .seed(7)
        .key("openai", "sim-key")
        .base_url("openai", "http://sim.local/v1")
        .key("anthropic", "sim-key")
        .base_url("anthropic", "http://sim.local")
        .key("gemini", "sim-key")
        .base_url("gemini", "http://sim.local/v1beta")
}

fn client(sim: &Sim) -> Client {
    builder(sim).build().unwrap()
}

/// The texts of replies, all of which have to be there.
fn texts(replies: Vec<Result<Reply, Failure>>) -> Vec<String> {
    let text = |reply: Result<Reply, Failure>| reply.unwrap().text;
    replies.into_iter().map(text).collect()
}

/// Requests that the simulator received, and the most that it had at the same time.
fn load(sim: &Sim) -> (usize, usize) {
    let (mut received, mut now, mut most) = (0, 0usize, 0);
    for record in sim.log() {
        match record.event {
            Event::Request => {
                received += 1;
                now += 1;
                most = most.max(now);
            }
            _ => now = now.saturating_sub(1),
        }
    }
    (received, most)
}

/// Whether no lane of a client has a permit out: a look behind its front, at what it shows of
/// itself.
fn has_all_permits(client: &Client) -> bool {
    let shown = format!("{client:?}");
    let mut numbers = shown.split("in_flight: ").skip(1);
    numbers.all(|rest| !rest.starts_with(|c: char| ('1'..='9').contains(&c)))
}

fn seconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e3).round() / 1e3
}
