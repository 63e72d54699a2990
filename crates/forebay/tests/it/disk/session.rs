//! A run as the command makes it: opened, driven, put in place, and judged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forebay::config::EngineSettings;
use forebay::disk::Disk;
use forebay::engine::{self, Feed, Stats};
use forebay::event::Summary;
use forebay::item::{Content, Item, Parameters, Request};
use forebay::journal::{Durability, Journal, OpenOptionsForRun};
use forebay::sink::{self, Append, AtEnd, OutputFormat, Sink, Targets};
use forebay::table::Columns;
use forebay::transport::{Connector, MemoryConnector, Transport};
use forebay_sim::{Action, Config, Event, Latency, Sim};

use super::crash::Files;
use crate::harness::{Scenario, fixed, journal_settings};

/// Items of a run: three turns of attempts and some retries.
pub(crate) const ITEMS: usize = 12;
/// Attempts in flight.
pub(crate) const CONCURRENCY: usize = 4;
/// How long each answer takes.
pub(crate) const LATENCY: Duration = Duration::from_millis(500);
/// The item that is refused for good, where there is one.
const REFUSED: &str = "item 5";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Input,
    Completed,
}

/// What kind of run it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) order: Order,
    pub(crate) durability: Durability,
    /// Whether one item fails for good; the journal then stays.
    pub(crate) one_fails: bool,
}

impl Setup {
    /// Every kind with this durability.
    pub(crate) fn all(durability: Durability) -> impl Iterator<Item = Setup> {
        let orders = [Order::Input, Order::Completed];
        orders.into_iter().flat_map(move |order| {
            [false, true].map(|one_fails| Setup {
                order,
                durability,
                one_fails,
            })
        })
    }

    /// A provider that fails some first attempts, and one item for good if it is to.
    pub(crate) fn sim(self) -> Sim {
        Sim::new(Config {
            latency: Latency::Fixed(LATENCY),
            answers: forebay_sim::Answers::Echo,
            keep_log: true,
            log_prompts: true,
            script: Some(Arc::new(move |call| match (call.prompt, call.seen) {
                (REFUSED, _) if self.one_fails => Action::status(400),
                ("item 3", 1) => Action::status(500),
                ("item 7", 1) => Action::CutAfter(150),
                _ => Action::Answer,
            })),
            ..Config::default()
        })
    }

    fn options(self, folder: &Path, fresh: bool) -> OpenOptionsForRun {
        OpenOptionsForRun {
            path: folder.join("out.jsonl.journal"),
            settings: journal_settings(),
            fresh,
            retry_failed: false,
            durability: self.durability,
        }
    }
}

/// How a session ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It could not begin.
    Refused(String),
    /// Nothing was left to do.
    Complete,
    /// The engine ran; the error says why the output could not be put in place.
    Ran(Box<Summary>, Option<String>),
}

/// One session of the command in this folder.
pub(crate) async fn session(folder: &Path, disk: Arc<dyn Disk>, sim: &Sim, setup: Setup) -> Ended {
    let output = folder.join("out.jsonl");
    let exists = |name: &str| std::fs::metadata(folder.join(name)).is_ok_and(|file| file.len() > 0);
    if (exists("out.jsonl") || exists("out.jsonl.errors.jsonl")) && !exists("out.jsonl.journal") {
        return Ended::Refused("an output without a journal".into());
    }
    let opened = Journal::open_on(Arc::clone(&disk), setup.options(folder, false));
    let opened = opened.and_then(|journal| match &journal.history().finished {
        Some(_) if output.exists() => Ok(None),
        Some(_) => {
            drop(journal);
            Journal::open_on(disk, setup.options(folder, true)).map(Some)
        }
        None => Ok(Some(journal)),
    });
    let mut journal = match opened {
        Ok(Some(journal)) => journal,
        Ok(None) => return Ended::Complete,
        Err(error) => return Ended::Refused(error.to_string()),
    };
    let mut append = None;
    if setup.order == Order::Completed {
        match Append::to_go_on(&mut journal, &output, true, None) {
            Ok(opened) => append = Some(opened),
            Err(error) => return Ended::Refused(error.to_string()),
        }
    }
    journal.begin(&journal_settings());
    let sink: &mut dyn Sink = match &mut append {
        Some(append) => append,
        None => &mut AtEnd,
    };
    let summary = drive(&mut journal, sink, sim).await;
    let placed = put_in_place(&output, &mut journal, append.as_ref(), &summary);
    if placed.is_ok() && summary.stopped.is_none() && summary.failed + summary.kept.1 == 0 {
        let _ = journal.finish(&journal_settings(), "{}");
    }
    Ended::Ran(
        Box::new(summary),
        placed.err().map(|error| error.to_string()),
    )
}

fn put_in_place(
    output: &Path,
    journal: &mut Journal,
    append: Option<&Append>,
    summary: &Summary,
) -> std::io::Result<()> {
    if summary.stopped.is_some() {
        return Ok(());
    }
    if let Some(append) = append {
        append.sync()?;
    }
    let errors = output.with_file_name("out.jsonl.errors.jsonl");
    let rewritten = append.is_none() || journal.is_outdated();
    let targets = Targets {
        output: rewritten.then_some((output, OutputFormat::JsonLines)),
        errors: Some((&errors, OutputFormat::JsonLines)),
        columns: &Columns::default(),
    };
    sink::assemble(journal, targets).map(drop)
}

async fn drive(journal: &mut Journal, sink: &mut dyn Sink, sim: &Sim) -> Summary {
    let settings = EngineSettings {
        concurrency: fixed(CONCURRENCY),
        ..EngineSettings::default()
    };
    let endpoint = Scenario::default().endpoint();
    let server = sim.clone();
    let connector = Connector::Memory(MemoryConnector::new(move |pipe| {
        let server = server.clone();
        tokio::spawn(async move { server.serve_connection(pipe).await });
    }));
    let url = endpoint.base_url.clone();
    let transport = Transport::new(url, connector, settings.timeouts).unwrap();
    let prepared = endpoint.clone();
    let items = items().map(move |item| Ok(engine::prepare(&prepared, item)));
    let (_control, control) = engine::control();
    engine::run(engine::Run {
        endpoint: &endpoint,
        transport: &transport,
        settings: &settings,
        model: None,
        feed: Feed::Iterator(Box::new(items)),
        journal,
        sink,
        observer: &mut |_| {},
        control,
        stats: &Stats::default(),
    })
    .await
    .unwrap()
}

fn items() -> impl Iterator<Item = Item> + Send {
    let shared = Arc::new(Parameters {
        model: "gpt-4o-mini".into(),
        ..Parameters::default()
    });
    (0..ITEMS).map(move |index| Item {
        index: index as u64,
        custom_id: None,
        fields: format!(r#""text":"item {index}""#),
        request: Ok(Request {
            shared: Arc::clone(&shared),
            system: None,
            content: Content::Prompt(format!("item {index}")),
        }),
    })
}

/// The files in a folder.
pub(crate) fn files_in(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap()))
        .collect()
}

/// A new folder, in memory where there is a place for that: thousands are made.
pub(crate) fn new_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// A folder with exactly these files in it.
pub(crate) fn folder_with(files: &Files) -> tempfile::TempDir {
    let folder = new_folder();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// The whole lines of a file, as far as they are JSON.
fn records(content: &[u8]) -> impl Iterator<Item = serde_json::Value> {
    let end = content.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let lines = content[..end].split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok())
}

/// The items of which a journal has a row.
pub(crate) fn done_items(journal: &[u8]) -> BTreeSet<String> {
    records(journal)
        .filter(|record| record["t"] == "done")
        .map(|record| record["row"]["text"].as_str().unwrap().to_owned())
        .collect()
}

/// The items of which an output has a row.
pub(crate) fn row_items(output: &[u8]) -> BTreeSet<String> {
    records(output)
        .filter_map(|row| row["text"].as_str().map(str::to_owned))
        .collect()
}

/// The prompts of the requests that a provider received.
pub(crate) fn sent(sim: &Sim) -> BTreeSet<String> {
    sim.log()
        .into_iter()
        .filter_map(|record| record.prompt)
        .collect()
}

/// Checks that a folder holds a complete and true output: I1 and I2 of the fault list.
#[track_caller]
pub(crate) fn assert_complete(
    folder: &Path,
    answered: &BTreeSet<String>,
    setup: Setup,
    what: &str,
) {
    let output = std::fs::read_to_string(folder.join("out.jsonl"))
        .unwrap_or_else(|error| panic!("{what}: no output: {error}"));
    let mut rows: Vec<serde_json::Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{what}: {error}")))
        .collect();
    if setup.order == Order::Completed {
        rows.sort_by_key(|row| row["index"].as_u64());
    }
    let indexes: Vec<_> = rows
        .iter()
        .map(|row| row["index"].as_u64().unwrap())
        .collect();
    assert_eq!(
        indexes,
        (0..ITEMS as u64).collect::<Vec<_>>(),
        "{what}: one row an item"
    );
    for row in &rows {
        let text = row["text"].as_str().unwrap();
        let refused = setup.one_fails && text == REFUSED;
        assert_eq!(row["error"].is_object(), refused, "{what}: {row}");
        if !refused {
            assert_eq!(row["output"], row["text"], "{what}");
            assert!(answered.contains(text), "{what}: {text} was never answered");
        }
    }
    let errors = folder.join("out.jsonl.errors.jsonl");
    assert_eq!(errors.exists(), setup.one_fails, "{what}: errors file");
}

/// The prompts that these providers fully answered with success.
pub(crate) fn answered(sims: &[&Sim]) -> BTreeSet<String> {
    let mut answered = BTreeSet::new();
    for sim in sims {
        let mut prompts = BTreeMap::new();
        for record in sim.log() {
            match (record.event, record.prompt) {
                (Event::Request, Some(prompt)) => {
                    prompts.insert(record.seq, prompt);
                }
                (Event::Answer, _) if record.status == Some(200) => {
                    answered.insert(prompts[&record.seq].clone());
                }
                _ => {}
            }
        }
    }
    answered
}
