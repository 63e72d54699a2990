//! The whole way of a row through the engine, over pipes in memory.
//!
//! What stands at the other end of a pipe does as little as it can, and is counted, too: the
//! number is for comparison with itself.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::rc::Rc;

use forebay::config::{Concurrency, EngineSettings};
use forebay::engine::{self, Feed, Stats};
use forebay::event::Event;
use forebay::item::Item;
use forebay::journal::{Durability, Journal, OpenOptionsForRun};
use forebay::sink::Collect;
use forebay::transport::{Connector, MemoryConnector, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::wire::{body, endpoint, item, parameters};

/// Attempts in flight.
const IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(20).expect("not 0");
/// Rows of one call.
const ROWS: u64 = 100;

/// A run of a hundred rows.
pub(crate) fn run() -> Box<dyn FnMut()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let transport = {
        let connector = MemoryConnector::new(|pipe| drop(tokio::spawn(serve(pipe))));
        let settings = EngineSettings::default();
        let url = endpoint().base_url;
        Transport::new(url, Connector::Memory(connector), settings.timeouts).expect("a transport")
    };
    let shared = parameters();
    let runs = Rc::new(Cell::new(0));
    Box::new(move || {
        runs.set(runs.get() + 1);
        let path = folder.path().join(runs.get().to_string());
        let items: Vec<Item> = (0..ROWS).map(|index| item(index, &shared)).collect();
        runtime.block_on(one_run(&transport, items, path));
    })
}

async fn one_run(transport: &Transport, items: Vec<Item>, path: std::path::PathBuf) {
    let (endpoint, sent_to) = (endpoint(), endpoint());
    let settings = EngineSettings {
        concurrency: Concurrency::Fixed(IN_FLIGHT),
        ..EngineSettings::default()
    };
    let mut journal = Journal::open(OpenOptionsForRun {
        path,
        settings: vec![("model".into(), "gpt-4o-mini".into())],
        fresh: true,
        retry_failed: false,
        durability: Durability::Process,
    })
    .expect("a journal");
    let items = items.into_iter();
    let feed = items.map(move |item| Ok(engine::prepare(&sent_to, item)));
    let (_control, receiver) = engine::control();
    let summary = engine::run(engine::Run {
        endpoint: &endpoint,
        transport,
        settings: &settings,
        model: None,
        feed: Feed::Iterator(Box::new(feed)),
        journal: &mut journal,
        sink: &mut Collect::default(),
        observer: &mut |_: &Event<'_>| (),
        control: receiver,
        stats: &Stats::default(),
    })
    .await
    .expect("a run");
    assert_eq!(summary.ok, ROWS);
}

/// Answers each request, which comes in one piece or several, with the same bytes.
async fn serve(mut pipe: DuplexStream) {
    let body = body();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut buffer = Vec::new();
    while pipe.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        // The requests are all of this form: they end with the end of their JSON.
        if buffer.ends_with(b"}") {
            buffer.clear();
            if pipe.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
