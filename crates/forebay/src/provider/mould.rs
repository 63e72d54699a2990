//! Writes many requests that differ in their prompt alone.
//!
//! Owns the choice between writing a request and putting its prompt into the place of another
//! one's. Never decides what a request looks like: [`encode`] does, and two requests with
//! different prompts show what it writes around a prompt.

use std::sync::Arc;

use bytes::Bytes;

use super::{Encoded, encode, most_bytes};
use crate::endpoint::Endpoint;
use crate::fields::push_json_str;
use crate::item::{Content, Parameters, Request};
use crate::message::SchemaMode;
use crate::outcome::Failure;

/// Two prompts that nobody writes, of different lengths and without escapes.
const SAMPLES: [&str; 2] = ["forebay: first sample", "forebay: a second sample"];

/// Writes the requests of a run, each as [`encode`] does.
#[derive(Debug)]
pub struct Encoder<'a> {
    endpoint: &'a Endpoint,
    last: Option<Last>,
}

/// What the last prompt shares with the next one, as a rule.
#[derive(Debug)]
struct Last {
    shared: Arc<Parameters>,
    system: Option<String>,
    mould: Option<Mould>,
    /// Whether it was tried to make a mould: only for a second one, as system prompts may all
    /// differ.
    is_tried: bool,
}

/// A request without its prompt.
#[derive(Debug)]
struct Mould {
    before: Vec<u8>,
    after: Vec<u8>,
    /// Everything but the body.
    rest: Encoded,
}

impl<'a> Encoder<'a> {
    /// Writes requests to this endpoint.
    pub fn new(endpoint: &'a Endpoint) -> Encoder<'a> {
        Encoder {
            endpoint,
            last: None,
        }
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &'a Endpoint {
        self.endpoint
    }

    /// Writes a request.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn encode(&mut self, request: &Request) -> Result<Encoded, Failure> {
        let Content::Prompt(prompt) = &request.content else {
            return encode(self.endpoint, request);
        };
        let is_alike = |last: &&mut Last| {
            Arc::ptr_eq(&last.shared, &request.shared) && last.system == request.system
        };
        let Some(last) = self.last.as_mut().filter(is_alike) else {
            self.last = Some(Last {
                shared: Arc::clone(&request.shared),
                system: request.system.clone(),
                mould: None,
                is_tried: false,
            });
            return encode(self.endpoint, request);
        };
        if !std::mem::replace(&mut last.is_tried, true) {
            last.mould = Mould::of(self.endpoint, request);
        }
        let most = most_bytes(self.endpoint.dialect);
        let filled = last.mould.as_ref();
        match filled.and_then(|mould| mould.fill(prompt, most)) {
            Some(encoded) => {
                debug_assert_eq!(encode(self.endpoint, request).ok().as_ref(), Some(&encoded));
                Ok(encoded)
            }
            None => encode(self.endpoint, request),
        }
    }
}

impl Mould {
    /// What is around the prompts of requests like this one; `None` when something else depends
    /// on them.
    fn of(endpoint: &Endpoint, request: &Request) -> Option<Mould> {
        let schema = request.shared.schema.as_ref();
        if schema.is_some_and(|schema| schema.mode == SchemaMode::Prompt) {
            return None;
        }
        let [first, second] = SAMPLES.map(|sample| Mould::around(endpoint, request, sample));
        let (first, second) = (first?, second?);
        let is_same = first.before == second.before && first.after == second.after;
        (is_same && first.rest == second.rest).then_some(first)
    }

    /// What is around this prompt.
    fn around(endpoint: &Endpoint, request: &Request, sample: &str) -> Option<Mould> {
        let sampled = Request {
            content: Content::Prompt(sample.to_owned()),
            ..request.clone()
        };
        let rest = encode(endpoint, &sampled).ok()?;
        let written = format!("\"{sample}\"");
        let mut places = memchr::memmem::find_iter(&rest.body, &written);
        let (at, None) = (places.next()?, places.next()) else {
            return None;
        };
        Some(Mould {
            before: rest.body[..at].to_vec(),
            after: rest.body[at + written.len()..].to_vec(),
            rest: Encoded {
                body: Bytes::new(),
                ..rest
            },
        })
    }

    /// The request with this prompt; `None` when it is one about which there is more to say.
    fn fill(&self, prompt: &str, most_bytes: usize) -> Option<Encoded> {
        // Room for a few escapes.
        let room = self.before.len() + prompt.len() + prompt.len() / 16 + self.after.len() + 2;
        let mut body = Vec::with_capacity(room);
        body.extend_from_slice(&self.before);
        push_json_str(&mut body, prompt);
        body.extend_from_slice(&self.after);
        let is_usual = !prompt.is_empty() && body.len() <= most_bytes;
        is_usual.then(|| Encoded {
            body: body.into(),
            ..self.rest.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Dialect;
    use crate::provider::tests::endpoint;

    #[test]
    fn a_prompt_in_a_mould_is_the_request_itself() {
        let prompts = [
            "hi",
            "",
            "x",
            "a \"b\"\n\u{1F600}",
            SAMPLES[0],
            " ",
            "{}",
            "\u{0}",
        ];
        for dialect in Dialect::ALL {
            let endpoint = endpoint(dialect);
            for system in [None, Some("Be brief."), Some(SAMPLES[1])] {
                let mut encoder = Encoder::new(&endpoint);
                let mut n_sent = 0;
                let shared = Arc::new(Parameters {
                    model: "m".to_owned(),
                    max_tokens: (dialect != Dialect::Embeddings).then_some(7),
                    ..Parameters::default()
                });
                for prompt in prompts {
                    let request = Request {
                        shared: Arc::clone(&shared),
                        system: system.map(str::to_owned),
                        content: Content::Prompt(prompt.to_owned()),
                    };
                    let wanted = encode(&endpoint, &request).ok();
                    let found = encoder.encode(&request).ok();
                    n_sent += u32::from(found.is_some());
                    assert_eq!(found, wanted, "{dialect:?} {prompt:?}");
                }
                let has_mould = encoder.last.is_some_and(|last| last.mould.is_some());
                let is_usual = system != Some(SAMPLES[1]) && n_sent > 0;
                assert_eq!(has_mould, is_usual, "{dialect:?} {system:?}");
                assert!(n_sent > 0 || dialect == Dialect::Embeddings, "{dialect:?}");
            }
        }
    }

    #[test]
    fn another_system_prompt_is_another_mould() {
        let endpoint = endpoint(Dialect::Chat);
        let mut encoder = Encoder::new(&endpoint);
        let shared = Arc::new(Parameters::default());
        for system in ["a", "a", "a", "b", "b", "b", "a"] {
            let request = Request {
                shared: Arc::clone(&shared),
                system: Some(system.to_owned()),
                content: Content::Prompt("hi".to_owned()),
            };
            let wanted = encode(&endpoint, &request).ok();
            assert_eq!(encoder.encode(&request).ok(), wanted);
        }
    }
}
