//! One row, as `docs/reference/rows.md` describes it, and as other tools write theirs.
//!
//! Owns what a row's members mean. Never keeps one.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

/// The members that are looked at; a null counts as absent.
#[derive(Debug, Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    custom_id: Option<&'a RawValue>,
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    embedding: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    cost_usd: Option<&'a RawValue>,
    #[serde(borrow)]
    attempts: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    raw: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cached_input_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Response {
    status_code: Option<u16>,
}

#[derive(Debug, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    object: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct BatchResult<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct RowError<'a> {
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
}

/// A row.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// Whether it is ok.
    pub(super) ok: bool,
    /// Whether an ok row holds an answer.
    pub(super) answered: bool,
    /// The hash of its `custom_id`.
    pub(super) id: Option<u64>,
    pub(super) index: Option<u64>,
    pub(super) attempts: Option<u64>,
    /// Tokens: input, output, cached input, reasoning.
    pub(super) usage: Option<[u64; 4]>,
    /// Pico-dollars.
    pub(super) cost: Option<i64>,
    /// The kind of an error.
    pub(super) kind: Option<&'a str>,
    /// The hash of everything after `custom_id` and `index`.
    pub(super) content: u64,
    /// Whether it is a line of another tool's format, which has none of the members of a row but
    /// perhaps its `custom_id`.
    pub(super) foreign: bool,
}

impl<'a> Row<'a> {
    /// Reads a row of the results, or the `row` of a journal, which lacks the first members.
    pub(super) fn parse(text: &'a str) -> Option<Row<'a>> {
        let text = text.trim();
        if text.starts_with('[') {
            return Row::of_the_cookbook(text);
        }
        let members: Members<'a> = serde_json::from_str(text).ok()?;
        let refused = members.response.is_some_and(|response| {
            let response = serde_json::from_str::<Response>(response.get()).ok();
            let status = response.and_then(|response| response.status_code);
            status.is_some_and(|status| !(200..300).contains(&status))
        });
        let number = |value: Option<&RawValue>| serde_json::from_str(value?.get()).ok();
        let usage = members.usage.and_then(|usage| {
            let usage: Usage = serde_json::from_str(usage.get()).ok()?;
            Some([
                usage.input_tokens?,
                usage.output_tokens?,
                usage.cached_input_tokens.unwrap_or_default(),
                usage.reasoning_tokens.unwrap_or_default(),
            ])
        });
        let kind = members.error.and_then(|error| {
            let error: RowError<'a> = serde_json::from_str(error.get()).ok()?;
            error.kind.map(|kind| kind.get().trim_matches('"'))
        });
        let of_a_row = [
            members.index,
            members.output,
            members.usage,
            members.attempts,
        ];
        let foreign = of_a_row.iter().all(Option::is_none) && kind.is_none();
        let errored = foreign
            && members.result.is_some_and(|result| {
                let result = serde_json::from_str::<BatchResult<'_>>(result.get()).ok();
                result.and_then(|result| result.kind).as_deref() != Some("succeeded")
            });
        Some(Row {
            ok: members.error.is_none() && !refused && !errored,
            answered: [
                members.output,
                members.embedding,
                members.tool_calls,
                members.response,
                members.result.filter(|_| foreign),
                // The vectors of several texts stand only there.
                members.raw.filter(|raw| is_a_list(raw)),
            ]
            .iter()
            .any(Option::is_some),
            id: members.custom_id.map(|id| hash_of_json(id.get())),
            index: number(members.index),
            attempts: number(members.attempts),
            usage,
            cost: members.cost_usd.and_then(picos),
            kind,
            content: content(text, &members),
            foreign,
        })
    }

    /// Reads a line of the cookbook's script: the request, then the answer or a list of errors.
    fn of_the_cookbook(text: &'a str) -> Option<Row<'a>> {
        let members: Vec<&'a RawValue> = serde_json::from_str(text).ok()?;
        let ok = members.get(1)?.get().starts_with('{');
        Some(Row {
            ok,
            answered: ok,
            id: None,
            index: None,
            attempts: None,
            usage: None,
            cost: None,
            kind: None,
            content: xxh3_64(text.as_bytes()),
            foreign: true,
        })
    }
}

fn is_a_list(raw: &RawValue) -> bool {
    let body = serde_json::from_str::<Body<'_>>(raw.get()).ok();
    body.and_then(|body| body.object).as_deref() == Some("list")
}

/// The hash of a `custom_id`.
pub(super) fn hash_of(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// The same of one that stands there as JSON; a number is taken as it is.
fn hash_of_json(id: &str) -> u64 {
    match serde_json::from_str::<Cow<'_, str>>(id) {
        Ok(text) => hash_of(&text),
        Err(_) => hash_of(id),
    }
}

fn content(text: &str, members: &Members<'_>) -> u64 {
    let first = [members.custom_id, members.index].into_iter().flatten();
    // Both stand at the beginning of a row; what follows the later one is its content.
    let end_of = |value: &RawValue| {
        value.get().as_ptr() as usize - text.as_ptr() as usize + value.get().len()
    };
    let start = first.map(end_of).max().unwrap_or(0);
    xxh3_64(text[start..].trim_start_matches([',', '{', ' ']).as_bytes())
}

/// Dollars as pico-dollars, which is as exact as rows are.
fn picos(value: &RawValue) -> Option<i64> {
    let dollars: f64 = serde_json::from_str(value.get()).ok()?;
    Some((dollars * 1e12).round() as i64)
}
