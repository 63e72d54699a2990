//! One engine run against one simulator.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use forebay::config::{Concurrency, EngineSettings};
use forebay::endpoint::{ApiKey, BaseUrl, Dialect, Endpoint, TokenField};
use forebay::engine::{self, Control, Feed, Stats};
use forebay::event::{Event, Summary};
use forebay::item::{Content, Item, Parameters, Request};
use forebay::journal::{Durability, Journal, OpenOptionsForRun, Settings};
use forebay::message::AnswerSchema;
use forebay::price::{ModelInfo, PriceTable};
use forebay::sink::Collect;
use forebay::transport::{Connector, MemoryConnector, Network, Proxies, Transport};
use forebay_sim::{Action, Answers, Call, Config, Latency, Sim};
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::judge::{self, Left};

/// The key that no output may hold.
pub(crate) const KEY: &str = "sk-test-0123456789abcdef";

/// A run to be made; change what matters to a test.
pub(crate) struct Scenario {
    pub(crate) provider: Dialect,
    pub(crate) model: &'static str,
    pub(crate) prompts: Vec<String>,
    pub(crate) settings: EngineSettings,
    pub(crate) sim: Config,
    /// Where the journal is kept for a later run; else it is there to judge this one.
    pub(crate) journal: Option<PathBuf>,
    pub(crate) retry_failed: bool,
    /// Whether answers are asked for as streams.
    pub(crate) stream: bool,
    /// Further parameters of all requests.
    pub(crate) parameters: Parameters,
    /// What a request says, made of its prompt.
    pub(crate) content: fn(String) -> Content,
    /// What to tell the engine, and when.
    pub(crate) orders: Vec<(Duration, engine::Command)>,
    /// What stands in for the operating system.
    pub(crate) network: Option<Arc<dyn Network>>,
    /// What stands before the provider.
    pub(crate) proxies: Proxies,
}

/// What came of a run.
pub(crate) struct Ended {
    pub(crate) summary: Summary,
    pub(crate) rows: Vec<serde_json::Value>,
    pub(crate) sim: Sim,
    pub(crate) wall: Duration,
    pub(crate) events: Vec<String>,
    /// The engine's numbers at its end.
    pub(crate) stats: engine::Snapshot,
}

pub(crate) fn fixed(n: usize) -> Concurrency {
    Concurrency::Fixed(n.try_into().unwrap())
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.into()).unwrap()
}

pub(crate) fn prompts(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("item {i}")).collect()
}

/// A script that fails the first tries of every request and then answers.
pub(crate) fn first_tries(
    n: u32,
    action: impl Fn(&Call<'_>) -> Action + Send + Sync + 'static,
) -> Option<forebay_sim::Script> {
    Some(Arc::new(move |call: &Call<'_>| {
        if call.seen <= n {
            action(call)
        } else {
            Action::Answer
        }
    }))
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            provider: Dialect::Chat,
            model: "gpt-4o-mini",
            prompts: prompts(10),
            settings: EngineSettings::default(),
            sim: Config {
                latency: Latency::Fixed(Duration::from_millis(500)),
                answers: Answers::Echo,
                keep_log: true,
                log_prompts: true,
                ..Config::default()
            },
            journal: None,
            retry_failed: false,
            stream: false,
            parameters: Parameters::default(),
            content: Content::Prompt,
            orders: Vec::new(),
            network: None,
            proxies: Proxies::default(),
        }
    }
}

impl Scenario {
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            name: "sim".into(),
            dialect: self.provider,
            base_url: BaseUrl::parse(match self.provider {
                Dialect::Chat | Dialect::Responses | Dialect::Embeddings => "http://sim.local/v1",
                Dialect::Anthropic => "http://sim.local",
                Dialect::Gemini => "http://sim.local/v1beta",
            })
            .unwrap(),
            key: Some(ApiKey::new(KEY).unwrap()),
            headers: Vec::new(),
            token_field: TokenField::MaxCompletionTokens,
            rate_headers: forebay::catalogue::RateHeaders::Unknown,
            seed: forebay::catalogue::Seed::None,
            http: forebay::endpoint::HttpVersion::Auto,
        }
    }

    fn items(&self) -> impl Iterator<Item = Item> + Send + use<> {
        let shared = Arc::new(Parameters {
            model: self.model.into(),
            max_tokens: self.settings.max_tokens,
            schema: self
                .settings
                .schema
                .as_ref()
                .map(|check| AnswerSchema::new("label", Arc::clone(check.schema.json()))),
            stream: self.stream,
            extra: match self.provider {
                // Short vectors are enough, and the tests are faster.
                Dialect::Embeddings => vec![("dimensions".into(), json("8"))],
                _ => self.parameters.extra.clone(),
            },
            ..self.parameters.clone()
        });
        let content = self.content;
        let prompts = self.prompts.clone().into_iter().enumerate();
        prompts.map(move |(index, prompt)| Item {
            index: index as u64,
            custom_id: None,
            fields: format!(r#""text":{}"#, serde_json::to_string(&prompt).unwrap()),
            request: Ok(Request {
                shared: Arc::clone(&shared),
                system: None,
                content: content(prompt),
            }),
        })
    }

    /// Runs in the current (paused) runtime.
    pub(crate) async fn run(self) -> Ended {
        let sim = Sim::new(self.sim.clone());
        self.run_against(sim).await
    }

    pub(crate) async fn run_against(self, sim: Sim) -> Ended {
        let server = sim.clone();
        let connector = MemoryConnector::new(move |pipe| {
            let server = server.clone();
            tokio::spawn(async move { server.serve_connection(pipe).await });
        });
        self.run_over(sim, Connector::Memory(connector)).await
    }

    pub(crate) async fn run_over(self, sim: Sim, connector: Connector) -> Ended {
        let endpoint = self.endpoint();
        self.run_at(endpoint, sim, connector).await
    }

    pub(crate) async fn run_at(self, endpoint: Endpoint, sim: Sim, connector: Connector) -> Ended {
        let over_sockets = matches!(connector, Connector::Net(_));
        let mut transport =
            Transport::new(endpoint.base_url.clone(), connector, self.settings.timeouts).unwrap();
        transport = transport.speaking(endpoint.http).through(&self.proxies);
        if let Some(network) = &self.network {
            transport = transport.over(Arc::clone(network));
        }
        let received = sim.stats().received;
        let folder = TempDir::new().unwrap();
        let path = (self.journal.clone()).unwrap_or_else(|| folder.path().join("journal"));
        let mut journal = open_journal(&path, self.retry_failed);
        let feed_endpoint = endpoint.clone();
        let items = self
            .items()
            .map(move |item| Ok(engine::prepare(&feed_endpoint, item)));
        let mut sink = Collect::default();
        let mut events = Vec::new();
        let mut observer = |event: &Event<'_>| events.push(name_of(event));
        let (control, receiver) = engine::control();
        let orders = tokio::spawn(give(control, self.orders.clone()));
        let model = model_info(self.provider, self.model);
        let stats = Stats::default();
        let began = tokio::time::Instant::now();
        let summary = engine::run(engine::Run {
            endpoint: &endpoint,
            transport: &transport,
            settings: &self.settings,
            model: model.as_ref(),
            feed: Feed::Iterator(Box::new(items)),
            journal: &mut journal,
            sink: &mut sink,
            observer: &mut observer,
            control: receiver,
            stats: &stats,
        })
        .await
        .unwrap();
        orders.abort();
        let rows = sink
            .rows
            .split(|byte| *byte == b'\n')
            .filter(|row| !row.is_empty())
            .map(|row| serde_json::from_slice(row).unwrap())
            .collect();
        let ended = Ended {
            summary,
            rows,
            sim,
            wall: began.elapsed(),
            events,
            stats: stats.snapshot(),
        };
        ended.check(self.prompts.len() as u64);
        if self.sim.keep_log {
            judge::settle(&ended.sim).await;
        }
        let left = Left {
            rows: &sink.rows,
            journal: &path,
            before: received,
            over_sockets,
        };
        judge::judge(&self, &ended, &left);
        ended
    }
}

pub(crate) fn model_info(provider: Dialect, model: &str) -> Option<ModelInfo> {
    let provider = match provider {
        Dialect::Chat | Dialect::Responses | Dialect::Embeddings => "openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
    };
    PriceTable::embedded().find(provider, model)
}

async fn give(control: Control, orders: Vec<(Duration, engine::Command)>) {
    let began = tokio::time::Instant::now();
    for (at, order) in orders {
        tokio::time::sleep_until(began + at).await;
        control.send(order);
    }
}

pub(crate) fn journal_settings() -> Settings {
    vec![("model".into(), "m".into())]
}

pub(crate) fn open_journal(path: &Path, retry_failed: bool) -> Journal {
    let mut journal = Journal::open(OpenOptionsForRun {
        path: path.to_owned(),
        settings: journal_settings(),
        fresh: false,
        retry_failed,
        durability: Durability::Process,
    })
    .unwrap();
    journal.begin(&journal_settings());
    journal
}

fn name_of(event: &Event<'_>) -> String {
    let name = format!("{event:?}");
    let end = name
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(name.len());
    name[..end].to_owned()
}

impl Ended {
    /// What holds after every run, whatever the provider did.
    fn check(&self, prompts: u64) {
        let Summary {
            ok,
            failed,
            kept,
            pending,
            items,
            ..
        } = &self.summary;
        assert_eq!(
            ok + failed + kept.0 + kept.1 + pending,
            *items,
            "each item is one of these"
        );
        assert_eq!(
            ok + failed,
            self.rows.len() as u64,
            "each outcome has one row"
        );
        if self.summary.stopped.is_none() {
            assert_eq!(*items, prompts, "all of the input was read");
            assert_eq!(*pending, 0);
        }
        let mut indexes: Vec<_> = self.rows.iter().map(|row| row["index"].as_u64()).collect();
        indexes.sort_unstable();
        indexes.dedup();
        assert_eq!(indexes.len(), self.rows.len(), "no item has two rows");
        // The simulator echoes, so an answer under another item's name would show.
        if self.echoes() {
            let texts =
                |row: &&serde_json::Value| row["error"].is_null() && row["embedding"].is_null();
            for row in self.rows.iter().filter(texts) {
                assert_eq!(row["output"], row["text"]);
            }
        }
        let all = serde_json::to_string(&self.rows).unwrap();
        assert!(!all.contains("sk-test-0123"), "no key in any row");
    }

    fn echoes(&self) -> bool {
        self.rows.iter().all(|row| {
            row["text"]
                .as_str()
                .is_some_and(|text| text.starts_with("item "))
        })
    }

    /// The rows' error kinds, most frequent first.
    pub(crate) fn error_kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self
            .rows
            .iter()
            .filter_map(|row| row["error"]["kind"].as_str().map(str::to_owned))
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    /// Seconds at which requests with this prompt arrived.
    pub(crate) fn arrivals(&self, prompt: &str) -> Vec<f64> {
        self.sim
            .log()
            .iter()
            .filter(|record| record.prompt.as_deref() == Some(prompt))
            .map(|record| record.t_s)
            .collect()
    }
}
