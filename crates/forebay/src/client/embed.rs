//! Embeddings of many texts.
//!
//! Owns how texts travel together. Never decides whether a request is made again; that is the
//! lane's work.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::places::Purpose;
use super::{Client, unusable};
use crate::config::Packing;
use crate::engine::{Asked, Lane};
use crate::item::{Content, Parameters, Request};
use crate::limit::input_tokens_of;
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, Usage};
use crate::provider::{self, Encoded, InputOf};

/// The vectors of some texts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Embedded {
    /// One for each text, in the texts' order; all of the same length.
    pub vectors: Vec<Vec<f32>>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// Tokens of all texts together; `None` when the provider did not say.
    pub usage: Option<Usage>,
    /// What they cost; `None` when the price or the usage is not known.
    pub cost: Option<Usd>,
}

impl Client {
    /// Makes embeddings of texts: `client.embed("text-embedding-3-small", ["a", "b"])`.
    ///
    /// Up to 100 texts travel in one request, and the requests go out side by side within the
    /// client's limits. No texts give no vectors, and nothing is sent.
    ///
    /// # Errors
    /// The first failure of a request. Then there are no vectors at all, though other requests
    /// may have been billed.
    ///
    /// # Cancel safety
    /// As for [`ChatRequest::send`](super::ChatRequest::send), for each of the requests.
    pub async fn embed<T: AsRef<str>>(
        &self,
        model: &str,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Embedded, Failure> {
        let pass = self.inner.gate.enter()?;
        let (lane, model) = self
            .find_lane(model, None, Purpose::Embeddings)
            .map_err(unusable)?;
        let requests = pack(&lane, model, texts)?;
        let calls = requests.into_iter().map(|request| call(&lane, request));
        let parts = pass.guard(try_join_all(calls)).await?;
        Ok(put_together(parts))
    }
}

/// The texts' own requests, put together as many as may travel in one.
fn pack<T: AsRef<str>>(
    lane: &Lane,
    model: String,
    texts: impl IntoIterator<Item = T>,
) -> Result<Vec<Encoded>, Failure> {
    let shared = Arc::new(Parameters {
        model,
        ..Parameters::default()
    });
    let most = Packing::default();
    let mut packs: Vec<Encoded> = Vec::new();
    let mut pack: Vec<Encoded> = Vec::new();
    let mut tokens = 0;
    for text in texts {
        let request = Request {
            shared: Arc::clone(&shared),
            system: None,
            content: Content::Prompt(text.as_ref().to_owned()),
        };
        let request = provider::encode(lane.endpoint(), &request)?;
        let more = input_tokens_of(&request.body).ceil() as u64;
        let is_full = pack.len() >= most.max_inputs.get() || tokens + more > most.max_tokens;
        if is_full && !pack.is_empty() {
            packs.extend(close(&mut pack));
            tokens = 0;
        }
        tokens += more;
        pack.push(request);
    }
    packs.extend(close(&mut pack));
    Ok(packs)
}

/// One request for all that are in the pack, which is empty then.
fn close(pack: &mut Vec<Encoded>) -> Option<Encoded> {
    let requests = std::mem::take(pack);
    let first = requests.first()?;
    let parts = requests.iter().filter_map(|part| InputOf::find(&part.body));
    Some(Encoded {
        body: provider::pack(parts).into(),
        ..first.clone()
    })
}

async fn call(lane: &Lane, request: Encoded) -> Result<Embedded, Failure> {
    let asked = Asked {
        request: &request,
        max_tokens: Some(0),
    };
    let answered = lane.call(asked, &mut |_| {}).await?;
    let Some(first) = answered.reply.embedding else {
        let what = "the answer holds no embeddings";
        return Err(Failure::new(FailureKind::Malformed, what));
    };
    Ok(Embedded {
        vectors: [vec![first], answered.more].concat(),
        model: answered.reply.model,
        usage: answered.reply.usage,
        cost: answered.cost,
    })
}

/// The answers as one; a sum is known when all its parts are.
fn put_together(parts: Vec<Embedded>) -> Embedded {
    let mut all = Embedded {
        vectors: Vec::new(),
        model: None,
        usage: Some(Usage::default()),
        cost: Some(Usd::ZERO),
    };
    for part in parts {
        all.vectors.extend(part.vectors);
        all.model = all.model.or(part.model);
        all.cost = all.cost.zip(part.cost).map(|(sum, more)| sum + more);
        all.usage = all.usage.zip(part.usage).map(|(mut sum, more)| {
            sum.add(&more);
            sum
        });
    }
    all
}
