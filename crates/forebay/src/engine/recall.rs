//! Answers from earlier: looked up before an item is sent, and kept after it was answered.
//!
//! Owns which answers count. Never reads a file: whoever has the answers does.

use std::time::SystemTime;

use bytes::Bytes;

use super::attempt::Trace;
use super::dispatcher::Dispatcher;
use super::feed::Prepared;
use super::flight::Work;
use crate::answers::{Answers, Asked, Kept};
use crate::endpoint::{Dialect, Endpoint};
use crate::headers::Headers;
use crate::money::Usd;
use crate::outcome::Reply;
use crate::provider::{self, Answer, Encoded};

/// An answer from earlier.
#[derive(Debug, Clone)]
pub struct Recalled {
    /// What it says.
    pub reply: Reply,
    /// The HTTP status that it had.
    pub status: u16,
    /// The provider's own body.
    pub body: Bytes,
}

/// The answer from earlier to an item's request; one that does not decode to a reply is none.
pub fn recall(endpoint: &Endpoint, prepared: &Prepared, answers: &dyn Answers) -> Option<Recalled> {
    let asked = asked(endpoint, prepared.request.as_ref().ok()?)?;
    let Kept { status, body, .. } = answers.find(&asked)?;
    let answer = Answer {
        status,
        headers: &Headers::default(),
        body: &body,
        now: SystemTime::UNIX_EPOCH,
    };
    let reply = match asked.dialect == endpoint.dialect {
        true => provider::decode(endpoint, &answer),
        false => {
            let speaking = Endpoint {
                dialect: asked.dialect,
                ..endpoint.clone()
            };
            provider::decode(&speaking, &answer)
        }
    };
    let reply = reply.ok()?;
    Some(Recalled {
        reply,
        status,
        body,
    })
}

/// What a request asks; `None` when its answer is not kept: vectors travel in packs of many items.
fn asked(endpoint: &Endpoint, request: &Encoded) -> Option<Asked> {
    let dialect = request.dialect.unwrap_or(endpoint.dialect);
    (dialect != Dialect::Embeddings).then(|| Asked {
        dialect,
        path: request.path.clone(),
        body: request.body.clone(),
    })
}

impl Dispatcher<'_> {
    /// Ends an item by an answer from earlier, if that will do; gives the item back otherwise.
    pub(super) fn finish_recalled(
        &mut self,
        mut work: Box<Work>,
        recalled: Recalled,
    ) -> Result<(), Box<Work>> {
        let Some(mut reply) = self.accepts(&work, recalled.reply) else {
            return Err(work);
        };
        // The tokens are on the bill of the run that asked.
        let cost = self.cost_of(reply.usage.take().as_ref());
        self.summary.recalled += 1;
        self.summary.saved += cost.unwrap_or_default();
        work.is_recalled = true;
        let trace = Trace {
            status: Some(recalled.status),
            raw: recalled.body,
            ..Trace::default()
        };
        self.finish(work, Ok(reply), trace);
        Ok(())
    }

    /// Keeps a good answer to an item's own request, for the next time the same is asked.
    pub(super) fn keep_answer(
        &self,
        work: &Work,
        (reply, trace): (&Reply, &Trace),
        cost: Option<Usd>,
    ) {
        let is_its_own = work.tries.attempts > 0 && work.body_key.is_none();
        let (Some(answers), Some(status), true) =
            (&self.settings.answers, trace.status, is_its_own)
        else {
            return;
        };
        // An event stream that nobody asked for, say, cannot be read without its headers.
        if let Some(asked) = asked(self.endpoint, &work.request)
            && trace.raw.trim_ascii().starts_with(b"{")
        {
            let kept = Kept {
                status,
                body: trace.raw.clone(),
                model: reply.model.clone(),
                cost,
            };
            answers.keep(asked, kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::value::RawValue;

    use super::super::feed::prepare;
    use super::*;
    use crate::endpoint::{BaseUrl, TokenField};
    use crate::item::{Content, Item, RawRequest, Request};

    #[derive(Debug)]
    struct One(&'static str);

    impl Answers for One {
        fn find(&self, _: &Asked) -> Option<Kept> {
            Some(Kept {
                status: 200,
                body: self.0.into(),
                model: None,
                cost: None,
            })
        }

        fn keep(&self, _: Asked, _: Kept) {}
    }

    #[test]
    fn an_answer_is_read_in_the_dialect_of_its_request() {
        let endpoint = Endpoint {
            name: "x".into(),
            dialect: Dialect::Chat,
            base_url: BaseUrl::parse("http://h/v1").unwrap(),
            key: None,
            headers: Vec::new(),
            token_field: TokenField::MaxTokens,
            rate_headers: crate::catalogue::RateHeaders::Unknown,
            seed: crate::catalogue::Seed::None,
            http: crate::endpoint::HttpVersion::Auto,
        };
        let body = r#"{"model":"m","input":"x"}"#;
        let item = Item {
            index: 0,
            custom_id: None,
            fields: String::new(),
            request: Ok(Request {
                shared: Arc::default(),
                system: None,
                content: Content::Raw(RawRequest {
                    path: Some("/v1/responses".into()),
                    dialect: Some(Dialect::Responses),
                    body: RawValue::from_string(body.into()).unwrap(),
                }),
            }),
        };
        let answer = One(
            r#"{"status":"completed","output":[{"type":"message","role":"assistant",
            "content":[{"type":"output_text","text":"yes"}]}]}"#,
        );
        let recalled = recall(&endpoint, &prepare(&endpoint, item), &answer).unwrap();
        assert_eq!(recalled.reply.text.as_deref(), Some("yes"));
    }
}
