//! One run: the production engine against the simulator, in paused time.
//!
//! Owns the runtime of a run and what is noted while it goes on. Never judges it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use forebay::config::{EngineSettings, Timeouts};
use forebay::endpoint::{ApiKey, BaseUrl, Endpoint, TokenField};
use forebay::engine::{self, Feed, Stats};
use forebay::event::{Event, Summary};
use forebay::item::{Content, Item, Parameters, Request};
use forebay::journal::Journal;
use forebay::outcome::Failure;
use forebay::sink::AtEnd;
use forebay::transport::{Connector, MemoryConnector, Transport};
use forebay_sim::Sim;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::rules::Rule;
use crate::scenario::Scenario;

/// The distance of two samples.
pub const SAMPLE: Duration = Duration::from_secs(1);

/// The longest that a run may take in its own time: a week, within which every provider here is
/// done.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Requests for each row after which a run is given up: far more than any provider bears, and what
/// else would take hours of some runs.
const MOST_REQUESTS: u64 = 25;

/// What happened in a run. Times are seconds since its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// When rows succeeded, of each client, in order.
    pub ok: Vec<Vec<f64>>,
    /// When rows failed for good, in order.
    pub failed: Vec<f64>,
    /// When a provider refused for load, in order.
    pub refused: Vec<f64>,
    /// Rows there were.
    pub rows: usize,
    /// Requests that reached the provider.
    pub sent: u64,
    /// The longest time from reading a row to its end.
    pub oldest: f64,
    /// The mean duration of the attempts that ended rows.
    pub latency: f64,
    /// Tokens that the provider bills.
    pub billed_tokens: u64,
    /// Tokens of the answers that became rows.
    pub used_tokens: u64,
    /// When the last client ended.
    pub ended: f64,
    /// Whether the run was given up, for want of a provider that bears it.
    pub given_up: bool,
    /// What was seen from second to second.
    pub samples: Vec<Sample>,
}

/// What is seen at one moment, all clients together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// When.
    pub at: f64,
    /// Attempts that may be in flight.
    pub limit: u64,
    /// Attempts in flight.
    pub in_flight: u64,
    /// Sequences that a batching back end runs.
    pub running: usize,
    /// Sequences that wait there.
    pub waiting: usize,
}

/// What one client notes.
#[derive(Debug, Default)]
struct Notes {
    ok: Vec<f64>,
    failed: Vec<f64>,
    refused: Vec<f64>,
    /// When each row was read, by index.
    read: Vec<f64>,
    oldest: f64,
    durations: f64,
    used_tokens: u64,
}

/// Runs a scenario under a rule; the same arguments give the same trace.
pub fn run(scenario: &Scenario, rule: Rule, seed: u64) -> Trace {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs no more than memory");
    runtime.block_on(run_here(scenario, rule, seed))
}

async fn run_here(scenario: &Scenario, rule: Rule, seed: u64) -> Trace {
    let sim = Sim::new(forebay_sim::Config {
        seed,
        ..scenario.backend.clone()
    });
    let began = Instant::now();
    let clients = scenario.client.clients;
    let stats: Vec<Stats> = (0..clients).map(|_| Stats::default()).collect();
    let notes: Vec<Arc<Mutex<Notes>>> = (0..clients).map(|_| Arc::default()).collect();
    let clients = (0..clients).map(|client| Client {
        scenario,
        rule,
        seed: seed.wrapping_mul(31).wrapping_add(client as u64),
        prompts: scenario.workload.prompts(seed, client),
        sim: sim.clone(),
        notes: Arc::clone(&notes[client]),
        began,
    });
    let engines = clients.zip(&stats).map(|(client, stats)| client.run(stats));
    let mut samples = Vec::new();
    let most = MOST_REQUESTS * (scenario.workload.rows * scenario.client.clients) as u64;
    let given_up = tokio::select! {
        biased;
        _ = join_all(engines) => false,
        () = sample(&sim, &stats, most, &mut samples) => true,
        () = tokio::time::sleep(LONGEST) => true,
    };
    let ended = began.elapsed().as_secs_f64();
    // The server hears of the last answers' ends in its own tasks.
    tokio::time::sleep(SAMPLE).await;
    let mut trace = Trace {
        rows: scenario.workload.rows * scenario.client.clients,
        sent: sim.stats().received,
        billed_tokens: sim.stats().tokens,
        ended,
        given_up,
        samples,
        ..Trace::default()
    };
    for notes in &notes {
        trace.add(std::mem::take(&mut *lock(notes)));
    }
    trace.finish();
    trace
}

/// Samples until so many requests were sent.
async fn sample(sim: &Sim, stats: &[Stats], most: u64, samples: &mut Vec<Sample>) {
    while sim.stats().received < most {
        let now = stats.iter().map(Stats::snapshot);
        let (limit, in_flight) = now.fold((0, 0), |sum, now| {
            (sum.0 + now.limit, sum.1 + now.in_flight)
        });
        let (running, waiting) = sim.queue().unwrap_or_default();
        samples.push(Sample {
            at: sim.since_start().as_secs_f64(),
            limit,
            in_flight,
            running,
            waiting,
        });
        tokio::time::sleep(SAMPLE).await;
    }
}

/// One client of a run.
struct Client<'a> {
    scenario: &'a Scenario,
    rule: Rule,
    seed: u64,
    prompts: Vec<String>,
    sim: Sim,
    notes: Arc<Mutex<Notes>>,
    began: Instant,
}

impl Client<'_> {
    fn endpoint(&self) -> Endpoint {
        let setup = self.scenario.client;
        Endpoint {
            name: "sim".into(),
            dialect: setup.dialect.dialect(),
            base_url: BaseUrl::parse(setup.dialect.base_url()).expect("a base URL"),
            key: Some(ApiKey::new("sk-scenario").expect("a key")),
            headers: Vec::new(),
            token_field: TokenField::MaxCompletionTokens,
            rate_headers: setup.headers.rate_headers(),
            seed: forebay::catalogue::Seed::None,
            http: forebay::endpoint::HttpVersion::Auto,
        }
    }

    fn settings(&self) -> EngineSettings {
        let setup = self.scenario.client;
        let mut timeouts = Timeouts::default();
        if let Some(seconds) = setup.first_byte_s {
            timeouts.first_byte = Duration::from_secs(seconds);
            timeouts.total = timeouts.total.max(timeouts.first_byte);
        }
        EngineSettings {
            concurrency: self.rule.concurrency(),
            timeouts,
            max_tokens: setup.max_tokens,
            seed: self.seed,
            ..EngineSettings::default()
        }
    }

    async fn run(mut self, stats: &Stats) -> Summary {
        let endpoint = self.endpoint();
        let settings = self.settings();
        let server = self.sim.clone();
        let connector = MemoryConnector::new(move |pipe| {
            let server = server.clone();
            tokio::spawn(async move { server.serve_connection(pipe).await });
        });
        let connector = Connector::Memory(connector);
        let transport = Transport::new(endpoint.base_url.clone(), connector, settings.timeouts)
            .expect("a connector of pipes fits every URL");
        let notes = Arc::clone(&self.notes);
        let began = self.began;
        let mut observer = move |event: &Event<'_>| {
            note(&mut lock(&notes), event, began.elapsed().as_secs_f64());
        };
        let (_control, control) = engine::control();
        let summary = engine::run(engine::Run {
            endpoint: &endpoint,
            transport: &transport,
            settings: &settings,
            model: None,
            feed: self.feed(&endpoint),
            journal: &mut Journal::none(),
            sink: &mut AtEnd,
            observer: &mut observer,
            control,
            stats,
        })
        .await
        .expect("an endpoint of pipes can be asked");
        assert_eq!(summary.items, summary.ok + summary.failed + summary.pending);
        summary
    }

    fn feed(&mut self, endpoint: &Endpoint) -> Feed {
        let endpoint = endpoint.clone();
        let notes = Arc::clone(&self.notes);
        let began = self.began;
        let shared = Arc::new(Parameters {
            model: "sim-small".into(),
            max_tokens: self.scenario.client.max_tokens,
            ..Parameters::default()
        });
        let prompts = std::mem::take(&mut self.prompts).into_iter().enumerate();
        Feed::Iterator(Box::new(prompts.map(move |(index, prompt)| {
            lock(&notes).read.push(began.elapsed().as_secs_f64());
            let item = Item {
                index: index as u64,
                custom_id: None,
                fields: String::new(),
                request: Ok(Request {
                    shared: Arc::clone(&shared),
                    system: None,
                    content: Content::Prompt(prompt),
                }),
            };
            Ok(engine::prepare(&endpoint, item))
        })))
    }
}

fn lock(notes: &Mutex<Notes>) -> std::sync::MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(notes: &mut Notes, event: &Event<'_>, at: f64) {
    match event {
        Event::AttemptFailedWillRetry { failure, .. } => notes.refusal(failure, at),
        Event::RowFinished(row) => {
            match row.failure {
                None => notes.ok.push(at),
                Some(failure) => {
                    notes.failed.push(at);
                    notes.refusal(failure, at);
                }
            }
            let index = row.id.strip_prefix("item-").and_then(|n| n.parse().ok());
            let read = index.and_then(|index: usize| notes.read.get(index));
            notes.oldest = notes.oldest.max(at - read.copied().unwrap_or_default());
            notes.durations += row.duration.unwrap_or_default().as_secs_f64();
            if let Some(usage) = row.usage.filter(|_| row.failure.is_none()) {
                notes.used_tokens += usage.input_tokens + usage.output_tokens;
            }
        }
        // The others are of the run as a whole.
        _ => {}
    }
}

impl Notes {
    /// Notes a failure that is a refusal for load.
    fn refusal(&mut self, failure: &Failure, at: f64) {
        // The statuses by which providers say that they have too much to do.
        if matches!(failure.status, Some(429 | 503 | 529)) {
            self.refused.push(at);
        }
    }
}

impl Trace {
    fn add(&mut self, notes: Notes) {
        self.latency += notes.durations;
        self.ok.push(notes.ok);
        self.failed.extend(notes.failed);
        self.refused.extend(notes.refused);
        self.oldest = self.oldest.max(notes.oldest);
        self.used_tokens += notes.used_tokens;
    }

    fn finish(&mut self) {
        self.failed.sort_by(f64::total_cmp);
        self.refused.sort_by(f64::total_cmp);
        let ended = self.failed.len() + self.succeeded();
        self.latency /= ended.max(1) as f64;
    }

    /// Rows that succeeded.
    pub fn succeeded(&self) -> usize {
        self.ok.iter().map(Vec::len).sum()
    }

    /// When rows succeeded, of all clients, in order.
    pub fn all_ok(&self) -> Vec<f64> {
        let mut all = self.ok.concat();
        all.sort_by(f64::total_cmp);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        about = "Two clients, and every tenth request refused."
        client.clients = 2
        workload.rows = 200
        short.rows = 200
        [backend]
        latency.fixed = "500ms"
        network = "30ms"
        answers.fixed = "ok"
        output-length = "asked"
        faults.errors = [[503, 0.1]]
    "#;

    #[test]
    fn the_same_seed_gives_the_same_trace_and_another_another() {
        let scenario = Scenario::parse("x", TEXT).unwrap();
        let trace = run(&scenario, Rule::Fixed(8), 1);
        assert_eq!(trace, run(&scenario, Rule::Fixed(8), 1));
        assert_ne!(trace, run(&scenario, Rule::Fixed(8), 2));
        assert_eq!((trace.succeeded(), trace.failed.len()), (400, 0));
        assert_eq!(trace.sent, 400 + trace.refused.len() as u64);
        assert!(trace.refused.len() > 20 && trace.refused.len() < 80);
        assert_eq!(trace.used_tokens, trace.billed_tokens);
        // 200 rows, eight at a time, half a second and the network each, with some retries that wait.
        assert!(trace.ended > 13.0 && trace.ended < 60.0, "{}", trace.ended);
        assert!((trace.latency - 0.53).abs() < 0.01, "{}", trace.latency);
    }
}
