//! Pieces of the wire: a request is written, answers are read.

use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use forebay::catalogue::{RateHeaders, Seed};
use forebay::endpoint::{ApiKey, BaseUrl, Dialect, Endpoint, HttpVersion, TokenField};
use forebay::engine;
use forebay::headers::Headers;
use forebay::item::{Content, Item, Parameters, Request};
use forebay::provider::sse::Decoder;
use forebay::provider::{self, Answer, StreamReader};

/// Bytes that a read from a socket commonly gives: what an Ethernet packet holds.
const READ: usize = 1_448;
/// Words of a streamed answer.
const WORDS: usize = 200;

pub(crate) fn endpoint() -> Endpoint {
    Endpoint {
        name: "openai".into(),
        dialect: Dialect::Chat,
        base_url: BaseUrl::parse("http://127.0.0.1:8080/v1").expect("a URL"),
        key: Some(ApiKey::new("sk-of-the-pieces").expect("a key")),
        headers: Vec::new(),
        token_field: TokenField::MaxCompletionTokens,
        rate_headers: RateHeaders::Unknown,
        seed: Seed::None,
        http: HttpVersion::Auto,
    }
}

/// An item with a prompt of about 700 bytes.
pub(crate) fn item(index: u64, shared: &Arc<Parameters>) -> Item {
    let text = format!("item {index}: {}", "lorem ipsum ".repeat(58));
    Item {
        index,
        custom_id: None,
        fields: format!(r#""text":"{text}""#),
        request: Ok(Request {
            shared: Arc::clone(shared),
            system: Some("Say what it is about in one word.".into()),
            content: Content::Prompt(text),
        }),
    }
}

pub(crate) fn parameters() -> Arc<Parameters> {
    Arc::new(Parameters {
        model: "gpt-4o-mini".into(),
        max_tokens: Some(256),
        ..Parameters::default()
    })
}

/// A body of about 900 bytes.
pub(crate) fn body() -> String {
    let text = "the answer ".repeat(44);
    format!(
        concat!(
            r#"{{"id":"chatcmpl-PiecePiecePiecePiecePiecePiec","object":"chat.completion","#,
            r#""created":1760000000,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"#,
            r#""message":{{"role":"assistant","content":"{text}","refusal":null}},"#,
            r#""logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":190,"#,
            r#""completion_tokens":88,"total_tokens":278,"#,
            r#""prompt_tokens_details":{{"cached_tokens":0}},"#,
            r#""completion_tokens_details":{{"reasoning_tokens":0}}}},"#,
            r#""system_fingerprint":"fp_0123456789"}}"#
        ),
        text = text
    )
}

/// An item becomes the bytes of a request, its key and its guess of tokens.
pub(crate) fn prepare() -> Box<dyn FnMut()> {
    let (endpoint, shared) = (endpoint(), parameters());
    // Making an item, text copied out of a line, is no part of it.
    let mut items: Vec<Item> = (0..1_000).map(|index| item(index, &shared)).collect();
    Box::new(move || {
        let item = items.pop().expect("an item for each call");
        black_box(engine::prepare(&endpoint, item));
    })
}

/// A plain answer becomes a reply.
pub(crate) fn decode() -> Box<dyn FnMut()> {
    let (endpoint, body) = (endpoint(), body());
    let headers = headers("application/json");
    Box::new(move || {
        let answer = Answer {
            status: 200,
            headers: &headers,
            body: black_box(body.as_bytes()),
            now: SystemTime::UNIX_EPOCH,
        };
        let reply = black_box(provider::decode(&endpoint, &answer));
        assert!(reply.is_ok());
    })
}

pub(crate) fn headers(content_type: &'static str) -> Headers {
    let pairs = [
        ("content-type", content_type),
        ("x-request-id", "req_0123456789"),
    ];
    pairs.into_iter().collect()
}

/// The events of a streamed answer.
fn events() -> String {
    let head = concat!(
        r#"data: {"id":"chatcmpl-PiecePiecePiecePiecePiecePiec","object":"#,
        r#""chat.completion.chunk","created":1760000000,"model":"gpt-4o-mini-2024-07-18","#,
        r#""system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":"#
    );
    let word =
        |n: usize| format!("{head}{{\"content\":\" word{n}\"}},\"finish_reason\":null}}]}}\n\n");
    let mut events: String = (0..WORDS).map(word).collect();
    events.push_str(&format!("{head}{{}},\"finish_reason\":\"stop\"}}]}}\n\n"));
    events.push_str("data: [DONE]\n\n");
    events
}

/// A stream of 200 words is taken apart into events.
pub(crate) fn sse() -> Box<dyn FnMut()> {
    let events = events();
    Box::new(move || {
        let mut decoder = Decoder::default();
        let mut n_events = 0;
        for mut chunk in events.as_bytes().chunks(READ) {
            while let Ok(Some(event)) = decoder.next(&mut chunk) {
                n_events += usize::from(!black_box(event).data.is_empty());
            }
        }
        assert_eq!(n_events, WORDS + 2);
    })
}

/// A stream of 200 words becomes a reply.
pub(crate) fn stream() -> Box<dyn FnMut()> {
    let (endpoint, events) = (endpoint(), events());
    let headers = headers("text/event-stream");
    Box::new(move || {
        let now = SystemTime::UNIX_EPOCH;
        let mut reader = StreamReader::new(&endpoint, 200, headers.clone(), now);
        let mut ignore = |_: provider::Delta<'_>| ();
        for chunk in events.as_bytes().chunks(READ) {
            assert!(reader.push(black_box(chunk), &mut ignore).is_ok());
        }
        let (reply, _) = black_box(reader.finish(&mut ignore));
        assert!(reply.is_ok());
    })
}
