//! Items on their way into the engine: encoded, hashed, in bounded chunks.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::recall::{Recalled, recall};
use crate::answers::Answers;
use crate::endpoint::{Dialect, Endpoint};
use crate::error::Error;
use crate::item::Item;
use crate::journal::Key;
use crate::limit::input_tokens_of;
use crate::outcome::Failure;
use crate::provider::{self, Encoded, Encoder};

/// Items handed over at once at the most: enough to make the hand-over cheap.
const CHUNK_ITEMS: usize = 64;
/// Bytes handed over at once, roughly.
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that wait for the engine at the most.
const CHUNKS: usize = 4;
/// How long an item of a file waits for others while the engine has none: hardly longer than
/// waking the engine takes, and long enough to read a chunk of them.
const COMPANY: Duration = Duration::from_millis(1);

/// An item whose request is encoded.
#[derive(Debug)]
pub struct Prepared {
    /// Position among the run's items.
    pub index: u64,
    /// The item's own key.
    pub custom_id: Option<String>,
    /// Input fields as JSON members.
    pub fields: String,
    /// Hash of the input fields and the item's own key.
    pub fields_hash: u32,
    /// The row's key.
    pub key: Key,
    /// The request as it goes over the wire, or why there is none.
    pub request: Result<Encoded, Failure>,
    /// Input tokens by rule of thumb.
    pub guess: f64,
    /// The answer from earlier, when the same was asked before and answers are kept.
    pub recalled: Option<Box<Recalled>>,
}

/// Encodes an item's request for an endpoint.
pub fn prepare(endpoint: &Endpoint, item: Item) -> Prepared {
    prepare_by(&mut Encoder::new(endpoint), item)
}

/// As [`prepare`], where requests that are alike cost less.
fn prepare_by(encoder: &mut Encoder<'_>, item: Item) -> Prepared {
    let endpoint = encoder.endpoint();
    let request = item.request.and_then(|request| encoder.encode(&request));
    let key = match &request {
        Ok(request) => Key::of(&endpoint.name, &request.body),
        Err(failure) => {
            let what = [failure.message.as_str(), &item.fields].join("\n");
            Key::of("invalid item", what.as_bytes())
        }
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(item.custom_id.as_deref().unwrap_or_default().as_bytes());
    hasher.update(&[0]);
    hasher.update(item.fields.as_bytes());
    Prepared {
        index: item.index,
        custom_id: item.custom_id,
        fields: item.fields,
        fields_hash: hasher.finalize(),
        key,
        guess: request
            .as_ref()
            .map_or(0.0, |request| guess(endpoint, &request.body)),
        request,
        recalled: None,
    }
}

/// Input tokens of a request by rule of thumb. Of a request for an embedding only the text
/// counts: it may be much shorter than the rest.
fn guess(endpoint: &Endpoint, body: &[u8]) -> f64 {
    let text = match endpoint.dialect {
        Dialect::Embeddings => provider::text_of(body),
        Dialect::Chat | Dialect::Responses | Dialect::Anthropic | Dialect::Gemini => None,
    };
    input_tokens_of(text.as_deref().map_or(body, str::as_bytes))
}

/// A number of prepared items, or the fault that ends the input.
pub type Chunk = Result<Vec<Prepared>, Error>;

/// Where the engine takes items from.
pub enum Feed {
    /// Chunks from another thread or task; the sender's end is the input's end.
    Channel(mpsc::Receiver<Chunk>),
    /// Items made on the engine's own thread.
    Iterator(Box<dyn Iterator<Item = Result<Prepared, Error>> + Send>),
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Feed::Channel(_) => "Feed::Channel",
            Feed::Iterator(_) => "Feed::Iterator",
        })
    }
}

impl Feed {
    /// The next chunk; `None` at the end of the input.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        match self {
            Feed::Channel(chunks) => chunks.poll_recv(cx),
            Feed::Iterator(items) => {
                let chunk: Result<Vec<_>, _> = items.by_ref().take(CHUNK_ITEMS).collect();
                Poll::Ready(match chunk {
                    Ok(items) if items.is_empty() => None,
                    other => Some(other),
                })
            }
        }
    }
}

/// How items are read and handed over.
#[derive(Debug, Clone, Default)]
pub struct FeedOptions {
    /// Answers from earlier, among which each item is looked up. Default: none.
    pub answers: Option<Arc<dyn Answers>>,
    /// Whether all items are at hand, as in a file: they are then handed over many at a time.
    /// Default: no, as in a pipe, where the next one may be long in coming.
    pub at_hand: bool,
}

/// Reads and prepares items in a thread of its own.
///
/// Of a slow pipe, a chunk is handed over as soon as the engine has none left, so that it is
/// followed row by row; of a file, as soon as it is large enough to be worth waking the engine.
///
/// # Errors
/// When no thread can be started.
pub fn feed_in_thread<I>(items: I, endpoint: Endpoint, options: FeedOptions) -> Result<Feed, Error>
where
    I: Iterator<Item = Result<Item, Error>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(CHUNKS);
    std::thread::Builder::new()
        .name("input".into())
        .spawn(move || {
            let failed = sender.clone();
            let read = || hand_over(items, (&endpoint, &options), &sender);
            // A panic must not look like the end of the input.
            if std::panic::catch_unwind(AssertUnwindSafe(read)).is_err() {
                let error = Error::io("reading the input made forebay panic");
                let _ = failed.blocking_send(Err(error));
            }
        })
        .map_err(|error| Error::io(format!("cannot start a thread: {error}")))?;
    Ok(Feed::Channel(receiver))
}

fn size_of(prepared: &Prepared) -> usize {
    let request = prepared.request.as_ref();
    let recalled = prepared.recalled.as_ref();
    request.map_or(0, |request| request.body.len())
        + recalled.map_or(0, |recalled| recalled.body.len())
}

fn hand_over<I>(
    items: I,
    (endpoint, options): (&Endpoint, &FeedOptions),
    sender: &mpsc::Sender<Chunk>,
) where
    I: Iterator<Item = Result<Item, Error>>,
{
    let mut encoder = Encoder::new(endpoint);
    let mut chunk = Vec::new();
    let (mut bytes, mut handed) = (0, Instant::now());
    for item in items {
        match item {
            Ok(item) => {
                let mut prepared = prepare_by(&mut encoder, item);
                if let Some(answers) = options.answers.as_deref() {
                    prepared.recalled = recall(endpoint, &prepared, answers).map(Box::new);
                }
                bytes += prepared.fields.len() + size_of(&prepared);
                chunk.push(prepared);
            }
            Err(error) => {
                let _ = sender.blocking_send(Ok(std::mem::take(&mut chunk)));
                let _ = sender.blocking_send(Err(error));
                return;
            }
        }
        let starving =
            sender.capacity() == CHUNKS && (!options.at_hand || handed.elapsed() >= COMPANY);
        if starving || chunk.len() >= CHUNK_ITEMS || bytes >= CHUNK_BYTES {
            bytes = 0;
            // The engine has stopped when nobody receives.
            if sender
                .blocking_send(Ok(std::mem::take(&mut chunk)))
                .is_err()
            {
                return;
            }
            handed = Instant::now();
        }
    }
    if !chunk.is_empty() {
        let _ = sender.blocking_send(Ok(chunk));
    }
}
